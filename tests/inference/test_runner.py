"""Predictions with kept spectra: those of the weights as they are, and the same numbers."""

import copy
import pickle

import keras
import numpy as np
import pytest

import keras_cpm
from keras_cpm.inference.predictor import Predictor
from keras_cpm.inference.runner import Inference
from keras_cpm.models.forward import StageBeliefs, centered_map
from keras_cpm.models.fourier.layer import CONVOLUTIONS, kept_layers, set_convolution, tiled_layers
from tests.threads import answers_of_threads


@pytest.fixture
def tiled():
    spec = keras_cpm.PoseSpec(box_size=64)
    keras.utils.set_random_seed(3)
    return keras_cpm.build_cpm(2, spec, width=8, convolution="tiles"), spec


@pytest.fixture
def small(tiny_spec):
    """One stage, of which less is traced."""
    keras.utils.set_random_seed(3)
    return keras_cpm.build_cpm(1, tiny_spec, width=8, center_map=False, convolution="tiles")


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


@pytest.mark.slow
def test_kept_spectra_follow_a_training_step(tiled):
    model, _ = tiled
    inference = Inference(model)
    before = inference(inputs_of(1))[-1]
    model.compile("sgd", loss="mse")
    model.fit(inputs_of(2), [np.ones((2, 8, 8, 15), "float32")] * 2, verbose=0)
    after = inference(inputs_of(1))[-1]
    assert np.abs(after - before).max() > 1e-4
    np.testing.assert_allclose(after, model(inputs_of(1))[-1], atol=1e-5 * np.abs(after).max())


def pruned(layer, place):
    kernel, bias = layer.get_weights()
    kernel.flat[place] += 3
    layer.set_weights([kernel, bias])


def added_in_place(layer, place):
    shape = layer.kernel.shape
    one = np.zeros(shape, "float32")
    one.flat[place] = 3
    layer.kernel.value.assign_add(one)


def assigned_by_slice(layer, place):
    row, column, i, o = np.unravel_index(place % np.prod(layer.kernel.shape), layer.kernel.shape)
    layer.kernel.value[row, column, i, o].assign(3.0)


@pytest.mark.parametrize("change", [pruned, added_in_place, assigned_by_slice])
def test_one_changed_weight_of_any_kernel_is_noticed(tiled, change):
    """Wherever it lies and however it was changed."""
    model, _ = tiled
    inference, inputs = Inference(model), inputs_of(1)
    inference(inputs)
    layers = list(kept_layers(model))
    for layer, place in zip(layers[::4], [0, -1, 77], strict=True):
        change(layer, place)
        expected = model(inputs)
        for a, b in zip(inference(inputs), expected, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-5 * np.abs(b).max())


@pytest.mark.parametrize("convolution", ["tiles", "direct"])
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_a_copy_after_use_has_weights_of_its_own(small, tiny_spec, copied, convolution):
    set_convolution(small, convolution)
    predictor, image = Predictor(small, tiny_spec, refine="none"), np.full((70, 50, 3), 99)
    before = predictor(image)
    other = copied(predictor)
    assert other.spec == tiny_spec and other.refine == "none"
    np.testing.assert_allclose(other(image).beliefs[-1], before.beliefs[-1], atol=1e-6)
    other.model.set_weights([0 * w for w in other.model.get_weights()])
    assert np.abs(other(image).beliefs[-1]).max() == 0
    np.testing.assert_array_equal(predictor(image).beliefs[-1], before.beliefs[-1])


@pytest.mark.parametrize("convolution", CONVOLUTIONS)
def test_threads_get_the_answers_of_one(small, convolution):
    """Also the first ones, for which everything is traced and computed."""
    set_convolution(small, convolution)
    questions = [[box[None]] for box in inputs_of(3)[0]]
    found = answers_of_threads(Inference(small), questions)
    assert len(found) == 32
    alone = list(map(Inference(small), questions))
    for number, stages in found:
        for a, b in zip(stages, alone[number], strict=True):
            np.testing.assert_allclose(a, b, atol=1e-6 * np.abs(b).max())


def test_another_choice_is_followed(tiled):
    model, _ = tiled
    inference = Inference(model)
    before = inference(inputs_of(1))
    for convolution in ("direct", "small-tiles", "tiles"):
        set_convolution(model, convolution)
        for a, b in zip(inference(inputs_of(1)), before, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-5 * np.abs(b).max())


def test_the_predictor_takes_them(tiled, drawn_records):
    model, spec = tiled
    poses = []
    for convolution in ("tiles", "direct"):
        set_convolution(model, convolution)
        poses.append(Predictor(model, spec, flip=True)(drawn_records[0].image))
    np.testing.assert_allclose(poses[0].beliefs[-1], poses[1].beliefs[-1], atol=1e-4)


@pytest.mark.slow
def test_small_tiles_keep_nothing_and_compute_the_same(tmp_path):
    """Also where several functions of one file are traced, one after the other."""
    import tensorflow as tf

    spec = keras_cpm.PoseSpec(box_size=128)
    keras.utils.set_random_seed(4)
    model = keras_cpm.build_cpm(2, spec, width=64, convolution="small-tiles")
    assert {"conv2_stage1", "conv2_stage2"} <= {x.name for x in tiled_layers(model)}
    image = np.random.default_rng(0).uniform(0, 255, (1, 128, 128, 3)).astype("float32")
    center = centered_map(spec)
    found = Inference(model)([image, center])
    keras_cpm.export_saved_model(model, spec, tmp_path)
    served = tf.saved_model.load(tmp_path / "1").signatures["beliefs"](image=tf.constant(image))
    set_convolution(model, "direct")
    for number, (a, b) in enumerate(zip(found, model([image, center]), strict=True), 1):
        np.testing.assert_allclose(a, b, atol=1e-5 * np.abs(b).max())
        np.testing.assert_allclose(served[f"stage{number}"], b, atol=1e-5 * np.abs(b).max())


@pytest.mark.slow
def test_a_served_model_computes_its_spectra_when_it_is_loaded(tiled, tmp_path):
    """The file holds the weights, once; two loaded models do not share spectra."""
    import tensorflow as tf

    model, spec = tiled
    image = inputs_of(2)[0]
    beliefs_of = StageBeliefs(model, spec)
    expected, served = [], []
    for name in ("a", "b"):
        keras_cpm.export_saved_model(model, spec, tmp_path / name)
        expected.append(np.asarray(beliefs_of(image)[-1]))
        served.append(tf.saved_model.load(tmp_path / name / "1"))
        variables = tmp_path / name / "1" / "variables"
        stored = sum(path.stat().st_size for path in variables.iterdir())
        assert stored < 4 * model.count_params() + 10_000
        model.set_weights([w * 1.1 for w in model.get_weights()])
    for loaded, beliefs in zip(served, expected, strict=True):
        found = loaded.signatures["beliefs"](image=tf.constant(image))["stage2"]
        np.testing.assert_allclose(found, beliefs, atol=1e-5 * np.abs(beliefs).max())
