"""A table of layers says what a network computes: numpy computes the same from it."""

import keras
import numpy as np
import pytest
from keras import layers

import keras_cpm
from benchmarks.engines.layer_table import KINDS, Row, layer_table, read_table, write_table

# --- what the kinds mean, written from the docstring of the module -------------------------------------


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


def assert_same(found, expected):
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-5 * np.abs(b).max())


def lively(model):
    """All weights drawn, those that begin at zero or one too."""
    draw = np.random.default_rng(0)
    for weight in model.weights:
        noise = draw.normal(0, 0.2, weight.shape)
        weight.assign(weight + np.abs(noise) if "variance" in weight.path else weight + noise)
    return model


def images_for(model, sides=(64, 64)):
    draw = np.random.default_rng(1)
    return [
        draw.uniform(0, 255 if x.shape[-1] == 3 else 1, (2, *sides, x.shape[-1])).astype("float32")
        for x in model.inputs
    ]


def outputs_of(model, images):
    outputs = model(images, training=False)
    return [np.asarray(x) for x in (outputs if isinstance(outputs, list) else [outputs])]


# --- networks ------------------------------------------------------------------------------------------

NETWORKS = {
    "paper": {},
    "light": {"backbone": "light", "stage_block": "light"},
    "vgg19": {"backbone": "vgg19", "stage_block": "vgg"},
    "residual": {"stage_block": "residual", "share_context": True, "dropout": 0.5},
    "any size": {"backbone": "vgg19-person", "center_map": False, "input_size": "any"},
}


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


LAYERS = {
    "odd strides": layers.Conv2D(4, 5, strides=3, padding="same"),
    "even kernel": layers.Conv2D(4, (4, 2), padding="same", activation="relu"),
    "dilation": layers.Conv2D(4, 3, dilation_rate=(2, 3), padding="same", use_bias=False),
    "valid": layers.Conv2D(4, 3, strides=2, padding="valid"),
    "groups": layers.Conv2D(6, 3, groups=2, padding="same"),
    "grow": layers.Conv2DTranspose(5, 2, strides=2, use_bias=False),
    "grow unequally": layers.Conv2DTranspose(3, (2, 3), (2, 3), "same", activation="relu"),
    "max": layers.MaxPooling2D((3, 4), 2, padding="same"),
    "wide max": layers.MaxPooling2D(6, 2, padding="same"),
    "valid max": layers.MaxPooling2D(3, 2),
    "mean": layers.AveragePooling2D(5, 3, padding="same"),
    "wide mean": layers.AveragePooling2D((7, 4), 2, padding="same"),
    "plain norm": layers.BatchNormalization(scale=False, center=False),
    "rescaled channels": layers.Rescaling([1.0, 2.0, 3.0, 4.0], offset=[0.0, 1.0, 2.0, 3.0]),
    "relu": layers.Activation("relu"),
}


def model_of(layer, sides=(23, 18)):
    """A copy of the layer, as a model: layers are used once."""
    image = keras.Input((*sides, 4), name="image")
    return lively(keras.Model([image], [type(layer).from_config(layer.get_config())(image)]))


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
