"""Fourier tiles: the outputs and gradients of the direct convolution, and files that interchange."""

import keras
import numpy as np
import pytest
from keras import ops

import keras_cpm
from keras_cpm.inference.predictor import Predictor
from keras_cpm.inference.runner import Inference
from keras_cpm.models.fourier import costs as tile_costs
from keras_cpm.models.fourier.convolution import kernel_spectrum, tile_convolution
from keras_cpm.models.fourier.layer import FastConv2D, kept_layers, set_convolution, tiled_layers
from keras_cpm.pose import codec

CASES = [  # batch, height, width, kernel, channels in and out, tile
    *((2, 23, 17, kernel, 3, 4, kernel + 7) for kernel in range(3, 12)),
    (1, 46, 46, 11, 8, 4, 22),
    (3, 20, 31, 9, 2, 5, 31),
    (1, 5, 3, 9, 2, 3, 16),  # an image smaller than the kernel
    (1, 24, 24, 9, 4, 4, 10),  # two outputs a tile
    (2, 40, 12, 7, 1, 1, 54),
]


def draw(case, seed=0):
    n, height, width, kernel, ci, co, tile = case
    random = np.random.default_rng(seed)
    shapes = (n, height, width, ci), (kernel, kernel, ci, co), (n, height, width, co)
    return [random.normal(size=shape).astype("float32") for shape in shapes], tile


def with_gradients(function, image, kernel, upstream):
    import tensorflow as tf

    image, kernel = tf.constant(image), tf.constant(kernel)
    with tf.GradientTape() as tape:
        tape.watch([image, kernel])
        output = function(image, kernel)
        loss = tf.reduce_sum(output * upstream)
    return [output.numpy(), *(g.numpy() for g in tape.gradient(loss, [image, kernel]))]


def direct(image, kernel):
    return ops.conv(image, kernel, padding="same")


@pytest.mark.parametrize("case", CASES, ids=str)
def test_outputs_and_gradients_are_the_direct_ones(case):
    arrays, tile = draw(case)
    found = with_gradients(lambda x, k: tile_convolution(x, k, tile), *arrays)
    expected = with_gradients(direct, *arrays)
    for a, b in zip(found, expected, strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=0, atol=3e-6 * np.abs(b).max())


def test_shapes_that_are_known_only_later():
    import tensorflow as tf

    (image, kernel, _), tile = draw(CASES[0])
    function = tf.function(
        lambda x: tile_convolution(x, kernel, tile),
        input_signature=[tf.TensorSpec([None, None, None, 3])],
    )
    for cut in (image, image[:1, :9], image[:0], image[:, :, :16]):
        expected = direct(cut, kernel) if len(cut) else np.zeros((0, 23, 17, 4))
        np.testing.assert_allclose(function(cut), expected, atol=2e-5)


def test_a_spectrum_known_beforehand():
    (image, kernel, _), tile = draw(CASES[5])
    spectrum = kernel_spectrum(ops.convert_to_tensor(kernel), tile)
    assert tile_costs.spectrum_bytes(tile, (3, 4)) == 4 * np.size(spectrum)
    known = tile_convolution(image, np.zeros_like(kernel), tile, spectrum)
    np.testing.assert_allclose(known, direct(image, kernel), atol=2e-5)


def test_the_spectrum_is_that_of_numpy():
    (_, kernel, _), tile = draw(CASES[4])
    bins = np.fft.rfft2(kernel, s=(tile, tile), axes=(0, 1)).reshape(-1, 3, 4)
    real, difference, total = np.split(np.asarray(kernel_spectrum(kernel, tile)), 3)
    np.testing.assert_allclose(real, bins.real, atol=1e-4)
    np.testing.assert_allclose(difference, bins.imag - bins.real, atol=1e-4)
    np.testing.assert_allclose(total, bins.imag + bins.real, atol=1e-4)


# --- the layer -----------------------------------------------------------------------------------


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


def test_the_released_network_takes_tiles_where_they_win():
    tiles = tiled_layers(keras_cpm.build_cpm(6))
    names = {layer.name for layer in tiles}
    large = {f"conv{i}_stage{t}" for i in (2, 3) for t in (1, 2)} | {"conv5_stage1"}
    large |= {f"Mconv{i}_stage{t}" for i in (1, 2, 3) for t in range(2, 7)}
    assert names == large
    memory = sum(
        tile_costs.spectrum_bytes(tile, layer.kernel.shape[2:]) for layer, tile in tiles.items()
    )
    assert 0.5e9 < memory < 1.2e9


# --- predictions with kept spectra ------------------------------------------------------------------


@pytest.fixture
def tiled():
    spec = keras_cpm.PoseSpec(box_size=64)
    keras.utils.set_random_seed(3)
    return keras_cpm.build_cpm(2, spec, width=8, convolution="tiles"), spec


def inputs_of(count):
    random = np.random.default_rng(7)
    image = random.uniform(0, 255, (count, 64, 64, 3)).astype("float32")
    return [image, random.uniform(0, 1, (count, 64, 64, 1)).astype("float32")]


def test_kept_spectra_follow_the_weights(tiled):
    model, _ = tiled
    inference = Inference(model)
    for count in (1, 3):
        found = inference(inputs_of(count))
        for a, b in zip(found, model(inputs_of(count)), strict=True):
            np.testing.assert_allclose(a, b, atol=1e-5 * np.abs(b).max())
    model.set_weights([w + 0.01 for w in model.get_weights()])
    for a, b in zip(inference(inputs_of(2)), model(inputs_of(2)), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5 * np.abs(b).max())


def test_kept_spectra_follow_a_training_step(tiled):
    model, _ = tiled
    inference = Inference(model)
    before = inference(inputs_of(1))[-1]
    model.compile("sgd", loss="mse")
    model.fit(inputs_of(2), [np.ones((2, 8, 8, 15), "float32")] * 2, verbose=0)
    after = inference(inputs_of(1))[-1]
    assert np.abs(after - before).max() > 1e-4
    np.testing.assert_allclose(after, model(inputs_of(1))[-1], atol=1e-5 * np.abs(after).max())


def test_another_choice_is_followed(tiled):
    model, _ = tiled
    inference = Inference(model)
    before = inference(inputs_of(1))
    for convolution in ("direct", "small-tiles", "tiles"):
        set_convolution(model, convolution)
        for a, b in zip(inference(inputs_of(1)), before, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-5 * np.abs(b).max())


@pytest.mark.slow
def test_small_tiles_keep_nothing_and_compute_the_same(tmp_path):
    """Also where several functions of one file are traced, one after the other."""
    import tensorflow as tf

    spec = keras_cpm.PoseSpec(box_size=128)
    keras.utils.set_random_seed(4)
    model = keras_cpm.build_cpm(2, spec, width=64, convolution="small-tiles")
    assert {"conv2_stage1", "conv2_stage2"} <= {x.name for x in tiled_layers(model)}
    image = np.random.default_rng(0).uniform(0, 255, (1, 128, 128, 3)).astype("float32")
    center = codec.encode_center([spec.center] * 2, spec)[None].numpy()
    found = Inference(model)([image, center])
    keras_cpm.export_saved_model(model, spec, tmp_path)
    served = tf.saved_model.load(tmp_path / "1").signatures["beliefs"](image=tf.constant(image))
    set_convolution(model, "direct")
    for number, (a, b) in enumerate(zip(found, model([image, center]), strict=True), 1):
        np.testing.assert_allclose(a, b, atol=1e-5 * np.abs(b).max())
        np.testing.assert_allclose(served[f"stage{number}"], b, atol=1e-5 * np.abs(b).max())


def test_training_takes_larger_tiles():
    """A larger tile costs spectrum, once a step; every image of the batch gains."""
    for size, kernel in ((184, 9), (92, 9), (46, 11)):
        layer = (size, size), kernel, (128, 128)
        once, training = (tile_costs.best_tile(*layer, training=x) for x in (False, True))
        assert once < training <= 2 * once
        assert training == min(
            range(kernel + 1, 57), key=lambda t: tile_costs.training_seconds(*layer, t)
        )


def test_the_predictor_takes_them(tiled, drawn_records):
    model, spec = tiled
    poses = []
    for convolution in ("tiles", "direct"):
        set_convolution(model, convolution)
        poses.append(Predictor(model, spec, flip=True)(drawn_records[0].image))
    np.testing.assert_allclose(poses[0].beliefs[-1], poses[1].beliefs[-1], atol=1e-4)


def test_training_with_tiles_is_training(tiled):
    """The same losses, step by step, as with direct convolutions."""
    spec = tiled[1]
    losses = []
    for convolution in ("tiles", "direct"):
        keras.utils.set_random_seed(5)
        model = keras_cpm.build_cpm(2, spec, width=8, convolution=convolution)
        model.compile(keras.optimizers.SGD(1e-4), loss=keras_cpm.stage_losses(model))
        target = np.random.default_rng(2).uniform(0, 1, (4, 8, 8, 15)).astype("float32")
        history = model.fit(inputs_of(4), [target] * 2, epochs=5, batch_size=2, verbose=0)
        losses.append(history.history["loss"])
    np.testing.assert_allclose(*losses, rtol=1e-4)
    assert losses[0][-1] < losses[0][0]


@pytest.mark.slow
def test_a_served_model_computes_its_spectra_when_it_is_loaded(tiled, tmp_path):
    """The file holds the weights, once; two loaded models do not share spectra."""
    import tensorflow as tf

    model, spec = tiled
    image = inputs_of(2)[0]
    center = np.repeat(codec.encode_center([spec.center] * 2, spec)[None].numpy(), 2, axis=0)
    expected, served = [], []
    for name in ("a", "b"):
        keras_cpm.export_saved_model(model, spec, tmp_path / name)
        expected.append(np.asarray(model([image, center])[-1]))
        served.append(tf.saved_model.load(tmp_path / name / "1"))
        variables = tmp_path / name / "1" / "variables"
        stored = sum(path.stat().st_size for path in variables.iterdir())
        assert stored < 4 * model.count_params() + 10_000
        model.set_weights([w * 1.1 for w in model.get_weights()])
    for loaded, beliefs in zip(served, expected, strict=True):
        found = loaded.signatures["beliefs"](image=tf.constant(image))["stage2"]
        np.testing.assert_allclose(found, beliefs, atol=1e-5 * np.abs(beliefs).max())


@pytest.mark.slow
def test_a_phone_gets_the_direct_convolution(tiled, tmp_path):
    model, spec = tiled
    keras_cpm.export_tflite(model, spec, tmp_path / "a.tflite")
    set_convolution(model, "direct")
    keras_cpm.export_tflite(model, spec, tmp_path / "b.tflite")
    sizes = [(tmp_path / name).stat().st_size for name in ("a.tflite", "b.tflite")]
    assert abs(sizes[0] - sizes[1]) < 2000
