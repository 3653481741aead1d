"""A training leaves a bundle, a log and checkpoints, and goes on where it stopped."""

import csv
import dataclasses
import warnings

import keras
import numpy as np
import pytest

import keras_cpm
from keras_cpm.training import train as training

FAST = dataclasses.replace(keras_cpm.MODERN, batch_size=4, epochs=2, warmup_steps=2, ema=0.5)


def small_model(spec, stages=2, **options):
    keras.utils.set_random_seed(0)
    options = {"backbone": "light", "stage_block": "light", "width": 8, **options}
    return keras_cpm.build_cpm(stages, spec, **options)


def log_of(folder):
    with open(folder / training.LOG_FILE) as file:
        return list(csv.DictReader(file))


def test_plain_compile_and_fit_in_five_lines(tiny_spec, drawn_records):
    model = small_model(tiny_spec)
    dataset = keras_cpm.make_dataset(drawn_records, tiny_spec, stages=2, batch_size=3)
    model.compile(
        "adam", keras_cpm.stage_losses(model), loss_weights={"stage1": 0.5, "stage2": 1.0}
    )
    history = model.fit(dataset, epochs=2, verbose=0).history
    expected = 0.5 * history["stage1_loss"][1] + history["stage2_loss"][1]
    assert history["loss"][1] == pytest.approx(expected, rel=1e-5)
    assert history["loss"][1] < history["loss"][0]


def test_overfits_four_people(drawn_records, tmp_path):
    """In steps enough that its belief maps are looked at, too."""
    spec = keras_cpm.PoseSpec(box_size=96, part_sigma=9.0)
    model, four = small_model(spec, width=32), drawn_records[:4]
    recipe = dataclasses.replace(FAST, epochs=1, learning_rate=3e-3, warmup_steps=20, ema=0.9)
    still = keras_cpm.AugmentSpec(0.0, (1.0, 1.0), 0.0)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*are still flat")
        keras_cpm.train(
            model, four * 300, (), recipe, spec, directory=tmp_path, augment=still, verbose=0
        )
    scores = keras_cpm.evaluate(model, four, spec).scores(0.2)
    assert scores["stage2"]["pck@0.2"]["total"] == 100


def test_train_leaves_a_bundle_a_log_and_the_best_weights(tiny_spec, drawn_records, tmp_path):
    model = small_model(tiny_spec)
    history = keras_cpm.train(
        model, drawn_records, drawn_records[:4], FAST, tiny_spec, directory=tmp_path, verbose=0
    )
    assert len(history.history["val_stage2_pck"]) == 2
    assert [row["epoch"] for row in log_of(tmp_path)] == ["0", "1"]
    loaded, spec = keras_cpm.load(tmp_path)
    assert spec == tiny_spec
    for ours, theirs in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.slow
def test_a_second_call_goes_on_where_the_first_stopped(tiny_spec, drawn_records, tmp_path):
    model = small_model(tiny_spec)
    keras_cpm.train(model, drawn_records, (), FAST, tiny_spec, directory=tmp_path, verbose=0)
    longer = dataclasses.replace(FAST, epochs=3)
    history = keras_cpm.train(
        small_model(tiny_spec), drawn_records, (), longer, tiny_spec, directory=tmp_path, verbose=0
    )
    assert history.epoch == [2]
    assert [row["epoch"] for row in log_of(tmp_path)] == ["0", "1", "2"]


@pytest.mark.slow
def test_resumed_training_equals_an_uninterrupted_one(tiny_spec, drawn_records, tmp_path):
    straight, halves = small_model(tiny_spec), small_model(tiny_spec)
    recipe = dataclasses.replace(FAST, epochs=4, schedule="constant")
    keras_cpm.train(
        straight, drawn_records, (), recipe, tiny_spec, directory=tmp_path / "a", verbose=0
    )
    half = dataclasses.replace(recipe, epochs=2)
    keras_cpm.train(halves, drawn_records, (), half, tiny_spec, directory=tmp_path / "b", verbose=0)
    fresh = small_model(tiny_spec)
    keras_cpm.train(
        fresh, drawn_records, (), recipe, tiny_spec, directory=tmp_path / "b", verbose=0
    )
    for ours, theirs in zip(straight.get_weights(), fresh.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.slow
def test_finished_or_foreign_checkpoints_are_refused(tiny_spec, drawn_records, tmp_path):
    keras_cpm.train(
        small_model(tiny_spec), drawn_records, (), FAST, tiny_spec, directory=tmp_path, verbose=0
    )
    finished = small_model(tiny_spec)
    history = keras_cpm.train(finished, drawn_records, (), FAST, tiny_spec, directory=tmp_path)
    assert history.epoch == [] and len(log_of(tmp_path)) == 2
    for ours, theirs in zip(
        finished.get_weights(), keras_cpm.load(tmp_path)[0].get_weights(), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)
    other = small_model(tiny_spec, width=16)
    longer = dataclasses.replace(FAST, epochs=3)
    for change in ({"batch_size": 2}, {"optimizer": "sgd", "ema": 0.0}):
        with pytest.raises(ValueError, match=f"another `{next(iter(change))}`"):
            changed = dataclasses.replace(longer, **change)
            keras_cpm.train(
                small_model(tiny_spec), drawn_records, (), changed, tiny_spec, directory=tmp_path
            )
    with pytest.raises(ValueError, match="another `rotation_degrees`"):
        keras_cpm.train(
            small_model(tiny_spec),
            drawn_records,
            (),
            longer,
            tiny_spec,
            directory=tmp_path,
            augment=keras_cpm.AugmentSpec(rotation_degrees=1.0),
        )
    with pytest.raises(ValueError, match="another `number of records`"):
        keras_cpm.train(
            small_model(tiny_spec), drawn_records[:5], (), longer, tiny_spec, directory=tmp_path
        )
    with pytest.raises(ValueError, match="of another model"):
        keras_cpm.train(other, drawn_records, (), longer, tiny_spec, directory=tmp_path)


@pytest.mark.slow
def test_mixed_precision_trains_and_leaves_a_float32_bundle(tiny_spec, drawn_records, tmp_path):
    model = small_model(tiny_spec)
    recipe = dataclasses.replace(FAST, epochs=1, precision="mixed_bfloat16")
    seen = []
    fit = model.fit

    def watched_fit(*args, **kwargs):
        seen.append(
            {
                layer.compute_dtype
                for layer in model.layers
                if isinstance(layer, keras.layers.Conv2D)
            }
        )
        return fit(*args, **kwargs)

    model.fit = watched_fit
    keras_cpm.train(model, drawn_records, (), recipe, tiny_spec, directory=tmp_path, verbose=0)
    assert seen == [{"bfloat16"}]
    for network in (model, keras_cpm.load(tmp_path)[0]):
        assert {layer.compute_dtype for layer in network.layers} == {"float32"}


@pytest.mark.slow
def test_the_time_limit_ends_after_an_epoch(tiny_spec, drawn_records, tmp_path):
    recipe = dataclasses.replace(FAST, epochs=50, max_minutes=1e-6)
    history = keras_cpm.train(
        small_model(tiny_spec), drawn_records, (), recipe, tiny_spec, directory=tmp_path, verbose=0
    )
    assert history.epoch == [0]
    assert (tmp_path / "model.keras").is_file()


@pytest.mark.slow
def test_a_loss_that_explodes_ends_the_training_and_names_the_files(
    tiny_spec, drawn_records, tmp_path
):
    good = dataclasses.replace(FAST, epochs=1)
    keras_cpm.train(
        small_model(tiny_spec), drawn_records, (), good, tiny_spec, directory=tmp_path, verbose=0
    )
    before = (tmp_path / "checkpoints/000001.npz").read_bytes()
    wild = dataclasses.replace(FAST, learning_rate=1e12, warmup_steps=0, epochs=50)
    with pytest.raises(
        ValueError, match=r"loss became (nan|inf|[\d.e+]+) at step \d+ .*\.jpg, .*\.jpg"
    ):
        keras_cpm.train(
            small_model(tiny_spec),
            drawn_records,
            (),
            wild,
            tiny_spec,
            directory=tmp_path / "wild",
            verbose=0,
        )
    assert (tmp_path / "checkpoints/000001.npz").read_bytes() == before


def test_a_log_keeps_the_finished_epochs(tiny_spec, drawn_records, tmp_path):
    """Whatever a kill left of it: each call begins with the log that belongs to its checkpoint."""

    def call():
        model = small_model(tiny_spec)
        keras_cpm.train(model, drawn_records, (), FAST, tiny_spec, directory=tmp_path, verbose=0)
        return (tmp_path / training.LOG_FILE).read_text()

    finished = call()
    head, *epochs = finished.splitlines(keepends=True)
    assert [line.split(",")[0] for line in epochs] == ["0", "1"]
    third = epochs[1].replace("1,", "2,", 1)
    for left in (finished, finished + third, finished + third[:4], head):
        (tmp_path / training.LOG_FILE).write_text(left)
        assert call() == (head if left == head else finished)
    (tmp_path / training.LOG_FILE).unlink()
    assert call() == ""


def test_the_files_of_a_step_are_those_of_its_batch(tiny_spec, tmp_path):
    """A dataset of those files alone, in their order, has the same pictures."""
    records = keras_cpm.draw_records(tmp_path, 7)
    for step in (0, 1, 5):
        dataset = keras_cpm.make_dataset(
            records, tiny_spec, stages=2, batch_size=3, shuffle=True, seed=4, first_step=step
        )
        files = keras_cpm.data.pipeline.files_of_step(records, 3, seed=4, step=step)
        by_file = {record.image: record for record in records}
        alone = keras_cpm.make_dataset(
            [by_file[file] for file in files], tiny_spec, stages=2, batch_size=3
        )
        images = [next(iter(one))[0]["image"].numpy() for one in (dataset, alone)]
        np.testing.assert_array_equal(*images)


@pytest.mark.slow
def test_flat_belief_maps_are_noticed(tiny_spec, drawn_records, tmp_path):
    model, people = small_model(tiny_spec), drawn_records[:1] * 300
    recipe = dataclasses.replace(FAST, epochs=1, batch_size=1, learning_rate=1e-7)
    with pytest.warns(UserWarning, match="After 300 steps the belief maps of stage 2 are still"):
        keras_cpm.train(model, people, (), recipe, tiny_spec, directory=tmp_path, verbose=0)


def test_compile_checks_weights_and_channels(tiny_spec):
    model = small_model(tiny_spec)
    with pytest.raises(ValueError, match="2 stages"):
        training.compile_cpm(
            model, dataclasses.replace(FAST, stage_weights=(1.0,)), tiny_spec, total_steps=10
        )
    with pytest.raises(ValueError, match="belief channels"):
        training.compile_cpm(
            model, FAST, tiny_spec.replace(skeleton=keras_cpm.FLIC9), total_steps=10
        )


def test_release_recipe_trains(tiny_spec, drawn_records, tmp_path):
    model = small_model(tiny_spec, backbone="cpm", stage_block="classic", dropout=0.5)
    keras_cpm.initialize_release(model)
    recipe = dataclasses.replace(keras_cpm.RELEASE, epochs=1, batch_size=4)
    history = keras_cpm.train(
        model, drawn_records, (), recipe, tiny_spec, directory=tmp_path, verbose=0
    )
    assert np.isfinite(history.history["loss"]).all()


@pytest.mark.slow
def test_an_unreadable_image_is_named(tiny_spec, drawn_records, tmp_path):
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(open(drawn_records[0].image, "rb").read()[:500])
    people = [*drawn_records[:3], dataclasses.replace(drawn_records[3], image=str(broken))]
    with pytest.raises(ValueError, match=r"broken\.jpg.*cut off or damaged"):
        keras_cpm.train(
            small_model(tiny_spec),
            people,
            (),
            FAST,
            tiny_spec,
            directory=tmp_path / "run",
            verbose=0,
        )
