"""The layer is Keras' convolution, its files are Keras' files, and one argument chooses."""

from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest
from keras import ops

import keras_cpm
from keras_cpm.models.fourier.layer import FastConv2D, held, kept_layers, tiled_layers


def layers(convolution="tiles", **changes):
    settings = {"filters": 6, "kernel_size": 9, "padding": "same", "activation": "relu"} | changes
    return keras.layers.Conv2D(**settings), FastConv2D(**settings, convolution=convolution)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"use_bias": False, "activation": None},
        {"kernel_size": 4},
        {"strides": 2},
        {"dilation_rate": 2},
        {"groups": 2},
        {"padding": "valid"},
        {"kernel_size": (9, 3)},
        {"kernel_size": 1},
    ],
    ids=str,
)
def test_the_layer_is_a_conv2d(changes):
    """What tiles cannot do is direct; everything gives the same numbers."""
    plain, fast = layers(**changes)
    image = np.random.default_rng(1).normal(size=(2, 21, 26, 4)).astype("float32")
    plain.build(image.shape)
    fast.build(image.shape)
    fast.set_weights([np.asarray(w) + 0.1 for w in plain.get_weights()])
    plain.set_weights(fast.get_weights())
    np.testing.assert_allclose(fast(image), plain(image), atol=3e-5)
    can = not {"strides", "dilation_rate", "groups", "padding"} & set(changes)
    can &= changes.get("kernel_size", 9) in (4, 9)
    assert (fast.tile(image.shape) is not None) == can


def test_mixed_precision_keeps_its_type_and_is_no_less_exact():
    image = np.random.default_rng(1).normal(size=(1, 30, 30, 8)).astype("float32")
    plain, fast = layers(dtype="mixed_bfloat16")
    exact, _ = layers()
    for layer in (plain, fast, exact):
        layer.build(image.shape)
        layer.set_weights([w * 1 for w in plain.get_weights()])
    output = fast(image)
    assert output.dtype == plain(image).dtype
    truth = np.asarray(exact(image))
    error = np.abs(np.asarray(ops.cast(output, "float32")) - truth).max()
    assert error <= 1.2 * np.abs(np.asarray(ops.cast(plain(image), "float32")) - truth).max()


def model_of(layer):
    image = keras.Input((24, 24, 3), name="image")
    return keras.Model([image], [layer(image)])


@pytest.mark.parametrize("kind", ["model.keras", "model.weights.h5"])
def test_files_interchange(tmp_path, kind):
    plain, fast = (model_of(layer) for layer in layers())
    for source, target in ((plain, fast), (fast, plain)):
        path = tmp_path / kind
        source.save(path) if kind.endswith(".keras") else source.save_weights(path)
        target.set_weights([np.zeros_like(w) for w in target.get_weights()])
        target.load_weights(path)
        for a, b in zip(source.get_weights(), target.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)


def test_a_model_file_keeps_the_choice(tmp_path):
    model_of(layers(convolution="small-tiles")[1]).save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert [x.convolution for x in loaded.layers if isinstance(x, FastConv2D)] == ["small-tiles"]


def test_bundles_are_plain_keras_and_fast_when_loaded(tmp_path):
    """Who has only Keras can read model.keras."""
    spec = keras_cpm.PoseSpec(box_size=64)
    model = keras_cpm.build_cpm(2, spec, width=8, convolution="tiles")
    keras_cpm.save_bundle(tmp_path, model, spec)
    plain = keras.saving.load_model(tmp_path / "model.keras")
    assert not any(isinstance(layer, FastConv2D) for layer in plain.layers)
    fast, _ = keras_cpm.load(tmp_path, convolution="tiles")
    assert tiled_layers(fast).keys() and fast.output_names == model.output_names
    image = np.random.default_rng(0).uniform(0, 255, (1, 64, 64, 3)).astype("float32")
    center = np.zeros((1, 64, 64, 1), "float32")
    for a, b, c in zip(*(m([image, center]) for m in (model, plain, fast)), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4 * np.abs(b).max())
        np.testing.assert_allclose(c, b, atol=1e-4 * np.abs(b).max())
    light, _ = keras_cpm.load(keras_cpm.models.bundle.default_bundle())
    assert not tiled_layers(light)


@pytest.mark.parametrize("convolution", ["auto", "tiles", "small-tiles", "direct"])
def test_one_argument_chooses(convolution):
    model = keras_cpm.build_cpm(2, width=64, convolution=convolution)
    tiles = tiled_layers(model)
    names = {layer.name for layer in tiles}
    if convolution == "direct":
        assert not tiles
    elif convolution != "tiles":
        assert "Mconv2_stage2" in names and not {"Mconv4_stage2", "conv1_stage1"} & names
    else:
        assert {"Mconv1_stage2", "conv1_stage1", "conv4_stage1"} <= names
    if convolution == "small-tiles":
        assert tiles and not kept_layers(model)
    with pytest.raises(ValueError, match="`convolution` must be one of"):
        keras_cpm.build_cpm(1, width=8, convolution="fast")


@pytest.mark.slow
def test_training_with_tiles_is_training(tiny_spec):
    """The same losses, step by step, as with direct convolutions."""
    losses, random = [], np.random.default_rng(7)
    inputs = [random.uniform(0, 255, (4, 64, 64, 3)), random.uniform(0, 1, (4, 64, 64, 1))]
    for convolution in ("tiles", "direct"):
        keras.utils.set_random_seed(5)
        model = keras_cpm.build_cpm(2, tiny_spec, width=8, convolution=convolution)
        model.compile(keras.optimizers.SGD(1e-4), loss=keras_cpm.stage_losses(model))
        target = np.random.default_rng(2).uniform(0, 1, (4, 8, 8, 15)).astype("float32")
        history = model.fit(inputs, [target] * 2, epochs=5, batch_size=2, verbose=0)
        losses.append(history.history["loss"])
    np.testing.assert_allclose(*losses, rtol=1e-4)
    assert losses[0][-1] < losses[0][0]


def test_spectra_are_held_in_the_thread_that_traces_alone():
    """What others compute with the same layers meanwhile is theirs."""

    class Nobody:
        def begin(self, inputs):
            raise AssertionError("asked for")

    model = model_of(layers()[1])
    image = np.random.default_rng(0).uniform(0, 1, (1, *model.inputs[0].shape[1:]))
    expected = np.asarray(model(image))
    with held(model, [Nobody()]), ThreadPoolExecutor(1) as pool:
        np.testing.assert_array_equal(pool.submit(model, image).result(), expected)
        with pytest.raises(AssertionError, match="asked for"):
            model(image)
    np.testing.assert_array_equal(model(image), expected)
