"""Belief maps that stay flat are noticed, and the likely cause is named."""

import dataclasses
import warnings

import keras
import pytest

import keras_cpm
from keras_cpm.training.callbacks import WatchBeliefs


@pytest.mark.slow
@pytest.mark.parametrize("stages", [1, 2])
def test_flat_belief_maps_are_noticed(stages, tiny_spec, drawn_records):
    keras.utils.set_random_seed(0)
    model = keras_cpm.build_cpm(stages, tiny_spec, width=8)
    recipe = dataclasses.replace(keras_cpm.MODERN, learning_rate=1e-7)
    keras_cpm.compile_cpm(model, recipe, tiny_spec, total_steps=7)
    people = drawn_records[:4] * 7
    dataset = keras_cpm.make_dataset(people, tiny_spec, stages=stages, batch_size=4)
    watch = WatchBeliefs(dataset, stages, recipe, tiny_spec, after=6)
    with pytest.warns(
        UserWarning,
        match=rf"After 6 steps the belief maps of stage {stages} are still flat.*1e-07\) is small",
    ):
        model.fit(dataset, verbose=0, shuffle=False, callbacks=[watch])


def after_losses(losses, records, spec, model):
    """What `WatchBeliefs` says of an untrained model, whose belief maps are flat."""
    dataset = keras_cpm.make_dataset(records, spec, stages=2, batch_size=len(records))
    watch = WatchBeliefs(dataset, 2, keras_cpm.MODERN, spec, after=len(losses))
    watch.set_model(model)
    for batch, loss in enumerate(losses):
        watch.on_train_batch_end(batch, {"loss": loss})


@pytest.mark.parametrize(
    "part_sigma, height, losses, cause",
    [
        (
            2.0,
            1.0,
            [3, 2],
            "2 pixels are lost between the cells, which are 8 apart; take at least 4",
        ),
        (8.0, 0.03, [3, 2], r"of the labelled parts only \d+% lie in the box"),
        (8.0, 1.0, [3, 20, 9], "jumped to 20 from 3, and rectifiers died; lower `learning_rate`"),
        (8.0, 1.0, [3, 2], "`learning_rate` .0.001. is small for this loss and this start"),
    ],
)
def test_the_likely_cause_of_flat_belief_maps(
    part_sigma, height, losses, cause, drawn_records, tiny_model
):
    spec = keras_cpm.PoseSpec(box_size=64, part_sigma=part_sigma)
    people = [
        dataclasses.replace(
            r, people=tuple(dataclasses.replace(p, height=height * p.height) for p in r.people)
        )
        for r in drawn_records[:4]
    ]
    with pytest.warns(UserWarning, match=f"still flat.*{cause}"):
        after_losses(losses, people, spec, tiny_model)


def test_belief_maps_that_show_parts_are_not_spoken_of(tiny_spec, drawn_records):
    """A network that answers with the ideal maps; it is looked at once."""
    ((_, targets),) = keras_cpm.make_dataset(drawn_records[:4], tiny_spec, stages=2, batch_size=4)
    asked = []

    def perfect(inputs, training):
        asked.append(training)
        return [targets["stage1"], targets["stage2"]]

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        after_losses([3, 2], drawn_records[:4], tiny_spec, perfect)
    assert asked == [False]
