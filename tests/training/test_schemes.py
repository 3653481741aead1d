"""Who learns when, and from what."""

import dataclasses
import itertools

import numpy as np
import pytest

import keras_cpm
from keras_cpm.training import schemes
from tests.training.test_train import FAST, small_model

JOINT = (None, (1, 2, 3))


@pytest.mark.parametrize(
    "scheme, epochs, expected",
    [
        ("joint", 1, [(0, 1, *JOINT)]),
        ("unsupervised", 4, [(0, 4, None, (3,))]),
        ("stagewise", 3, [(0, 1, 1, (1,)), (1, 2, 2, (2,)), (2, 3, 3, (3,))]),
        ("stagewise", 10, [(0, 3, 1, (1,)), (3, 6, 2, (2,)), (6, 10, 3, (3,))]),
        (
            "stagewise+joint",
            7,
            [(0, 1, 1, (1,)), (1, 2, 2, (2,)), (2, 3, 3, (3,)), (3, 7, *JOINT)],
        ),
    ],
)
def test_phases(scheme, epochs, expected):
    assert [tuple(phase) for phase in schemes.phases(scheme, 3, epochs)] == expected


@pytest.mark.parametrize("scheme, least", [("stagewise", 3), ("stagewise+joint", 6)])
def test_too_few_epochs(scheme, least):
    assert schemes.phases(scheme, 3, least)
    with pytest.raises(ValueError, match=f"`epochs` of at least {least}. Received: epochs="):
        schemes.phases(scheme, 3, least - 1)


@pytest.mark.parametrize("backbone", ["cpm", "light"])
def test_every_layer_belongs_to_the_stage_that_needs_it_first(backbone, tiny_spec):
    model = small_model(tiny_spec, 3, backbone=backbone, stage_block="classic")
    stages = schemes.layers_of_stages(model)
    assert sorted(itertools.chain(*stages)) == sorted(layer.name for layer in model.layers)
    # the tower of the later stages comes with stage 2, where it is not stage 1's
    tower = {"cpm": (0, "conv1_stage1", 1, "conv1_stage2"), "light": (0, "conv1", 0, "conv5")}
    first, name, later, other = tower[backbone]
    assert name in stages[first] and other in stages[later]
    for t, names in enumerate(stages, 1):
        assert f"stage{t}" in names
        assert all(f"_stage{other}" not in name for name in names for other in {2, 3} - {t})


def weights_by_layer(model):
    return {layer.name: layer.get_weights() for layer in model.layers if layer.weights}


def changed(before, after):
    return {
        name
        for name, weights in before.items()
        if any(not np.array_equal(a, b) for a, b in zip(weights, after[name], strict=True))
    }


@pytest.fixture
def trained(tiny_spec, drawn_records, tmp_path):
    """Function: trains two stages, in as many calls as numbers of epochs; the model and all weights
    on the way.
    """

    def run(scheme, calls, folder="run"):
        seen = []
        for epochs in calls:
            model = small_model(tiny_spec, 2, dropout=0.5)
            recipe = dataclasses.replace(
                FAST, scheme=scheme, epochs=calls[-1], ema=0.0, batch_size=3
            )
            seen.append(weights_by_layer(model))
            if epochs < calls[-1]:
                stop_after(model, epochs)
            keras_cpm.train(
                model,
                drawn_records[:6],
                (),
                recipe,
                tiny_spec,
                directory=tmp_path / folder,
                verbose=0,
            )
            seen.append(weights_by_layer(model))
        return model, seen

    return run


def stop_after(model, epochs):
    """Lets `fit` end early, as a time limit does."""
    fit = model.fit

    def shorter(*args, callbacks, **kwargs):
        callbacks[-1].seconds = 1e-9
        return fit(*args, callbacks=callbacks, **{**kwargs, "epochs": epochs})

    model.fit = shorter


@pytest.mark.slow
def test_only_one_stage_learns_at_a_time(trained):
    model, seen = trained("stagewise", [1, 2])
    stages = [set(names) for names in schemes.layers_of_stages(model)]
    fresh, one, _, two = seen
    for before, after, own in ((fresh, one, 0), (one, two, 1)):
        assert changed(before, after) == stages[own] & set(before)
    assert all(layer.trainable for layer in model.layers)


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["stagewise", "stagewise+joint"])
def test_a_scheme_that_is_resumed_at_or_in_a_phase_ends_with_the_same_bits(trained, scheme):
    calls = [2, 3, 4] if scheme == "stagewise" else [1, 4, 6]
    straight, _ = trained(scheme, calls[-1:], "straight")
    resumed, _ = trained(scheme, calls, "resumed")
    for a, b in zip(straight.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_unsupervised_stages_learn_from_the_last_loss_alone(tiny_spec):
    model = small_model(tiny_spec, 3)
    recipe = dataclasses.replace(keras_cpm.MODERN, scheme="unsupervised", stage_weights=(1, 2, 3))
    keras_cpm.compile_cpm(model, recipe, tiny_spec, total_steps=10)
    inputs = {x.name: np.ones((1, *x.shape[1:]), "float32") for x in model.inputs}
    cells = tiny_spec.box_size // 8
    targets = {f"stage{t}": np.full((1, cells, cells, 15), t, "float32") for t in (1, 2, 3)}
    logs = model.evaluate(inputs, targets, verbose=0, return_dict=True)
    assert logs["loss"] == pytest.approx(3 * logs["stage3_loss"], rel=1e-6)


@pytest.mark.slow
def test_the_epochs_of_a_staged_training_are_fixed(trained):
    trained("stagewise", [2])
    with pytest.raises(ValueError, match="began with another `epochs`"):
        trained("stagewise", [3])
