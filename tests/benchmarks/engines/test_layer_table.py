"""A table of layers says what a network computes: numpy computes the same from it."""

import keras
import numpy as np
import pytest
from keras import layers

import keras_cpm
from benchmarks.engines.layer_table import KINDS, Row, layer_table, read_table, write_table
from tests.benchmarks.engines.networks import (
    LAYERS,
    NETWORKS,
    assert_same,
    images_for,
    lively,
    model_of,
    outputs_of,
)

# --- what the kinds mean, written from the docstring of the module --------------------------------


def windows(image, size, strides, dilation=(1, 1)):
    """(n, i, j, c, *size): what each output sees."""
    reach = [d * (k - 1) + 1 for k, d in zip(size, dilation, strict=True)]
    view = np.lib.stride_tricks.sliding_window_view(image, reach, axis=(1, 2))
    return view[:, :: strides[0], :: strides[1], :, :: dilation[0], :: dilation[1]]


def padded(image, row, value=0.0):
    return np.pad(image, [(0, 0), *row.settings["pads"], (0, 0)], constant_values=value)


def conv(row, image):
    kernel, *bias = row.weights
    groups, seen = row.settings["groups"], padded(image, row)
    seen = windows(seen, kernel.shape[:2], row.settings["strides"], row.settings["dilation"])
    parts = zip(np.split(seen, groups, 3), np.split(kernel, groups, 3), strict=True)
    return np.concatenate([np.einsum("nijcuv,uvco->nijo", a, b) for a, b in parts], -1) + sum(bias)


def grow(row, image):
    kernel, *bias = row.weights
    n, height, width, _ = image.shape
    cells = np.einsum("nijc,uvco->niujvo", image, kernel)
    down, across = row.settings["strides"]
    return cells.reshape(n, height * down, width * across, -1) + sum(bias)


def pool(row, image):
    shape = row.settings["window"], row.settings["strides"]
    if row.kind == "max_pool":
        return windows(padded(image, row, -np.inf), *shape).max((-2, -1))
    there = windows(padded(np.ones_like(image), row), *shape).sum((-2, -1))
    return windows(padded(image, row), *shape).sum((-2, -1)) / there


def norm(row, image):
    gamma, beta, mean, variance = row.weights
    return gamma * (image - mean) / np.sqrt(variance + row.settings["epsilon"]) + beta


ORACLE = {
    "rescale": lambda row, x: x * row.settings["scale"] + row.settings["offset"],
    "conv": conv,
    "grow": grow,
    "max_pool": pool,
    "mean_pool": pool,
    "norm": norm,
    "relu": lambda row, x: np.maximum(x, 0),
    "add": lambda row, *x: sum(x),
    "concat": lambda row, *x: np.concatenate(x, -1),
}


def compute(table, images):
    values, outputs, images = {}, [], list(images)
    for row in table:
        if row.kind == "input":
            values[row.name] = images.pop(0)
        elif row.kind == "output":
            outputs.append(values[row.inputs[0]])
        else:
            values[row.name] = ORACLE[row.kind](row, *(values[name] for name in row.inputs))
    return outputs


# --- networks -------------------------------------------------------------------------------------


@pytest.mark.parametrize("network", list(NETWORKS))
def test_a_network_is_its_table(network, tiny_spec):
    model = lively(keras_cpm.build_cpm(2, tiny_spec, width=8, **NETWORKS[network]))
    table = layer_table(model)
    assert [row.name for row in table if row.kind == "output"] == ["stage1", "stage2"]
    assert {row.kind for row in table} <= set(KINDS)
    images = images_for(model, (40, 24) if network == "any size" else (64, 64))
    assert_same(compute(table, images), outputs_of(model, images))


@pytest.mark.parametrize("name", ["mpii", "flic", "mpii-vgg", "person"])
def test_released_networks_have_tables(name):
    model = keras_cpm.build_released(name, width=8)
    weights = sum(w.size for row in layer_table(model) for w in row.weights)
    assert weights == model.count_params()


@pytest.mark.parametrize("convolution", ["auto", "direct"])
def test_bundles_have_the_table_of_what_was_saved(convolution, tiny_model, tiny_spec, tmp_path):
    keras_cpm.save_bundle(tmp_path, tiny_model, tiny_spec)
    loaded, _ = keras_cpm.load(tmp_path, convolution=convolution)
    for a, b in zip(layer_table(loaded), layer_table(tiny_model), strict=True):
        assert (a.name, a.kind, a.inputs, a.settings) == (b.name, b.kind, b.inputs, b.settings)
        assert all(np.array_equal(*pair) for pair in zip(a.weights, b.weights, strict=True))


@pytest.mark.parametrize("name", list(LAYERS))
def test_every_setting_of_a_kind(name):
    model = model_of(LAYERS[name])
    images = [image - 0.5 for image in images_for(model, (23, 18))]
    assert_same(compute(layer_table(model), images), outputs_of(model, images))


@pytest.mark.parametrize(
    "layer",
    [
        layers.DepthwiseConv2D(3),
        layers.Conv2D(4, 3, activation="tanh"),
        layers.Conv2DTranspose(4, 3, strides=2),
        layers.ReLU(6.0),
        layers.Activation("sigmoid"),
        layers.BatchNormalization(axis=1),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_what_has_no_kind_is_named(layer):
    model = model_of(layer)
    name, kind = model.layers[-1].name, type(layer).__name__
    with pytest.raises(ValueError, match=f"no kind for this layer.*'{name}' of class {kind}$"):
        layer_table(model)


def test_a_cut_is_no_row_where_nothing_is_cut():
    options = {"backbone": "light", "stage_block": "light", "width": 8}
    odd = keras_cpm.build_cpm(2, keras_cpm.PoseSpec(box_size=72), **options)
    with pytest.raises(ValueError, match="'Mconv4_stage2_cut' of class CutLike"):
        layer_table(odd)


def test_layers_of_others_are_not_taken_for_ours():
    class Conv2D(layers.Conv2D):
        pass

    with pytest.raises(ValueError, match="of class Conv2D"):
        layer_table(model_of(Conv2D(4, 3)))


def test_a_layer_that_is_used_twice_is_named():
    image = keras.Input((8, 8, 4))
    twice = layers.Conv2D(4, 3, padding="same", name="twice")
    with pytest.raises(ValueError, match=r"used once.*layer 'twice'"):
        layer_table(keras.Model(image, twice(twice(image))))


def test_files_hold_all_of_it(tmp_path, tiny_model):
    table = layer_table(tiny_model)
    write_table(tmp_path / "table.npz", table)
    for a, b in zip(read_table(tmp_path / "table.npz"), table, strict=True):
        assert (a.name, a.kind, a.inputs, a.settings) == (b.name, b.kind, b.inputs, b.settings)
        assert all(np.array_equal(*pair) for pair in zip(a.weights, b.weights, strict=True))
    assert Row("a", "relu").weights == ()
