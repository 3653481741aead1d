"""A training leaves a bundle, a log and checkpoints, and goes on where it stopped."""

import csv
import dataclasses
import json
import warnings
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_cpm
from keras_cpm.training import train as training

FAST = dataclasses.replace(keras_cpm.MODERN, batch_size=4, epochs=2, warmup_steps=2, ema=0.5)


def small_model(spec, stages=2, **options):
    keras.utils.set_random_seed(0)
    options = {"backbone": "light", "stage_block": "light", "width": 8, **options}
    return keras_cpm.build_cpm(stages, spec, **options)


def one_stage(spec, **options):
    """Where stages do not matter, less is traced."""
    return small_model(spec, 1, **options)


def log_of(folder):
    with open(folder / training.LOG_FILE) as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
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


@pytest.mark.slow
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
    model = one_stage(tiny_spec)
    keras_cpm.train(model, drawn_records, (), FAST, tiny_spec, directory=tmp_path, verbose=0)
    longer = dataclasses.replace(FAST, epochs=3)
    history = keras_cpm.train(
        one_stage(tiny_spec), drawn_records, (), longer, tiny_spec, directory=tmp_path, verbose=0
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
        one_stage(tiny_spec), drawn_records, (), FAST, tiny_spec, directory=tmp_path, verbose=0
    )
    finished = one_stage(tiny_spec)
    history = keras_cpm.train(finished, drawn_records, (), FAST, tiny_spec, directory=tmp_path)
    assert history.epoch == [] and len(log_of(tmp_path)) == 2
    for ours, theirs in zip(
        finished.get_weights(), keras_cpm.load(tmp_path)[0].get_weights(), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)
    other = one_stage(tiny_spec, width=16)
    longer = dataclasses.replace(FAST, epochs=3)
    for change in ({"batch_size": 2}, {"optimizer": "sgd", "ema": 0.0}):
        with pytest.raises(ValueError, match=f"another `{next(iter(change))}`"):
            changed = dataclasses.replace(longer, **change)
            keras_cpm.train(
                one_stage(tiny_spec), drawn_records, (), changed, tiny_spec, directory=tmp_path
            )
    with pytest.raises(ValueError, match="another `rotation_degrees`"):
        keras_cpm.train(
            one_stage(tiny_spec),
            drawn_records,
            (),
            longer,
            tiny_spec,
            directory=tmp_path,
            augment=keras_cpm.AugmentSpec(rotation_degrees=1.0),
        )
    with pytest.raises(ValueError, match="another `number of records`"):
        keras_cpm.train(
            one_stage(tiny_spec), drawn_records[:5], (), longer, tiny_spec, directory=tmp_path
        )
    with pytest.raises(ValueError, match="of another model"):
        keras_cpm.train(other, drawn_records, (), longer, tiny_spec, directory=tmp_path)


def moved(records):
    person = dataclasses.replace(
        records[2].people[0], keypoints=records[2].people[0].keypoints + np.float32(0.5)
    )
    changed = dataclasses.replace(records[2], people=(person, *records[2].people[1:]))
    return [*records[:2], changed, *records[3:]]


def another_photograph(records):
    """Of as many pixels, in a file of the same name."""
    image = Path(records[1].image)
    copy = image.parent / "elsewhere" / image.name
    copy.parent.mkdir(exist_ok=True)
    copy.write_bytes(image.read_bytes() + b"\0")
    return [records[0], dataclasses.replace(records[1], image=copy), *records[2:]]


def test_records_that_changed_since_are_noticed(tiny_spec, drawn_records, tmp_path):
    recipe = dataclasses.replace(FAST, epochs=1)
    model = small_model(tiny_spec, stages=1)

    def call(records, **options):
        return keras_cpm.train(
            model, records, (), recipe, tiny_spec, directory=tmp_path, verbose=0, **options
        )

    call(drawn_records)
    assert call(drawn_records).epoch == []
    # a folder that was copied has the same records
    assert call([copied(record, tmp_path) for record in drawn_records]).epoch == []
    others = [change(list(drawn_records)) for change in (moved, reversed, another_photograph)]
    for records in map(list, others):
        with pytest.raises(ValueError, match=r"began with other `records`: labels, their order"):
            call(records)
    (newest,) = (tmp_path / "checkpoints").glob("0*.npz")
    with np.load(newest) as file:
        arrays = dict(file)
    state = json.loads(str(arrays["state"]))
    # and what the first version had no word for
    for name in ("records", "validation_records", "color", "half_body_probability"):
        del state["settings"][name]
    np.savez(newest, **{**arrays, "state": np.array(json.dumps(state))})
    with pytest.warns(UserWarning, match="before its `records` were remembered"):
        assert call(moved(list(drawn_records))).epoch == []
        with pytest.raises(ValueError, match=r"another `color`.*Received: 0\.5, began with: 0\.0"):
            call(drawn_records, augment=keras_cpm.AugmentSpec(color=0.5))


def copied(record, folder):
    image = folder / Path(record.image).name
    image.write_bytes(Path(record.image).read_bytes())
    return dataclasses.replace(record, image=image)


def test_what_would_end_a_training_late_ends_it_at_once(tiny_spec, drawn_records, tmp_path):
    def tower(x, *, width, name):
        x = keras.layers.Lambda(lambda v: v / 255, name=f"{name}_scale")(x)
        return keras.layers.Conv2D(width, 3, strides=8, padding="same", name=f"{name}_conv")(x)

    model = small_model(tiny_spec, backbone=tower)
    with pytest.raises(ValueError, match=r"without Python functions.*Lambda 'stage1_scale'"):
        keras_cpm.train(model, drawn_records, spec=tiny_spec, directory=tmp_path / "a")
    setters = (
        keras.callbacks.ReduceLROnPlateau(),
        keras.callbacks.LearningRateScheduler(lambda epoch: 1e-3),
    )
    for callback in setters:
        with pytest.raises(ValueError, match=f"Received: {type(callback).__name__} and schedule="):
            keras_cpm.train(
                small_model(tiny_spec),
                drawn_records,
                spec=tiny_spec,
                directory=tmp_path / "a",
                callbacks=[callback],
            )
    assert not (tmp_path / "a").exists()


class Dice(keras.callbacks.Callback):
    """Draws a number in every epoch, without a seed."""

    def on_epoch_end(self, epoch, logs=None):
        self.drawn = float(tf.random.uniform([]))


@pytest.mark.slow
def test_callbacks_that_work_with_the_recipe(tiny_spec, drawn_records, tmp_path):
    """One that sets the rate where no schedule does, and one that draws numbers without a seed."""
    recipe = dataclasses.replace(FAST, schedule="constant", epochs=3, learning_rate=1e-3)
    plateau = keras.callbacks.ReduceLROnPlateau(
        monitor="loss", patience=1, min_delta=1e9, factor=0.5
    )
    dice, model = Dice(), small_model(tiny_spec, stages=1)
    keras_cpm.train(
        model,
        drawn_records,
        (),
        recipe,
        tiny_spec,
        directory=tmp_path,
        verbose=0,
        callbacks=[plateau, dice],
    )
    assert float(model.optimizer.learning_rate) == pytest.approx(0.25e-3)
    assert 0 <= dice.drawn < 1
    # what belongs to the training does not outlive it: numbers are random again
    assert float(tf.random.uniform([])) != float(tf.random.uniform([]))


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
        one_stage(tiny_spec), drawn_records, (), recipe, tiny_spec, directory=tmp_path, verbose=0
    )
    assert history.epoch == [0]
    assert (tmp_path / "model.keras").is_file()


@pytest.mark.slow
def test_a_loss_that_explodes_ends_the_training_and_names_the_files(
    tiny_spec, drawn_records, tmp_path
):
    good = dataclasses.replace(FAST, epochs=1)
    keras_cpm.train(
        one_stage(tiny_spec), drawn_records, (), good, tiny_spec, directory=tmp_path, verbose=0
    )
    before = (tmp_path / "checkpoints/000001.npz").read_bytes()
    wild = dataclasses.replace(FAST, learning_rate=1e12, warmup_steps=0, epochs=50)
    with pytest.raises(
        ValueError, match=r"loss became (nan|inf|[\d.e+]+) at step \d+ .*\.jpg, .*\.jpg"
    ):
        keras_cpm.train(
            one_stage(tiny_spec),
            drawn_records,
            (),
            wild,
            tiny_spec,
            directory=tmp_path / "wild",
            verbose=0,
        )
    assert (tmp_path / "checkpoints/000001.npz").read_bytes() == before


@pytest.mark.slow
def test_a_log_keeps_the_finished_epochs(tiny_spec, drawn_records, tmp_path):
    """Whatever a kill left of it: each call begins with the log that belongs to its checkpoint."""

    def call():
        model = one_stage(tiny_spec)
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


@pytest.mark.slow
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


@pytest.mark.slow
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
            one_stage(tiny_spec),
            people,
            (),
            FAST,
            tiny_spec,
            directory=tmp_path / "run",
            verbose=0,
        )
