"""The library beside Keras 3, as an oracle of our sampling and our optimiser, in our pipeline."""

import importlib.util
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_cpm
from keras_cpm.images import sampling
from keras_cpm.pose import geometry
from keras_cpm.training.optimizers import FusedAdamW
from tests.places import PLACED, SPEC, matrix_of, smooth_picture

RNG = np.random.default_rng(0)


def test_keras_3_stays(tfa):
    import tensorflow_addons

    assert tensorflow_addons is tfa is keras_cpm.load_addons()
    assert keras.__version__ >= "3" and not issubclass(keras.Model, tf.keras.Model)
    assert "keras.src.engine" not in sys.modules
    # a process that this one starts may have another TensorFlow
    assert "TF_USE_LEGACY_KERAS" not in os.environ


@pytest.mark.parametrize(
    "before, error",
    [
        ("import tensorflow_addons", "ModuleNotFoundError: No module named 'keras.src.engine'"),
        ("import tensorflow as tf; tf.keras.Model", "RuntimeError: `load_addons` comes too late"),
    ],
)
def test_what_does_not_work(tfa, before, error):
    script = f"{before}; import keras_cpm; keras_cpm.load_addons()"
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert ended.returncode and error in ended.stderr


def test_without_the_library(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"pip install 'keras-cpm\[addons\]'"):
        keras_cpm.load_addons()


@pytest.mark.parametrize("warp", [sampling.warp, sampling.warp_compiled])
@PLACED
def test_a_warped_photograph_is_read_as_by_interpolate_bilinear(tfa, place, warp):
    """Turned, resized, mirrored and shifted, as augmentation does."""
    picture = smooth_picture().astype(np.float32)
    height, width, channels = picture.shape
    network_from_image = matrix_of(place)
    ours = warp(picture, network_from_image, (SPEC.box_size,) * 2, fill=0.0)
    grid = np.mgrid[: SPEC.box_size, : SPEC.box_size][::-1].reshape(2, -1).T.astype(np.float32)
    points = geometry.apply(geometry.invert(network_from_image), grid)
    theirs = tfa.image.interpolate_bilinear(picture[None], points[None], indexing="xy")[0]
    # outside they repeat the edge
    inside = np.all((points >= 0) & (points <= [width - 1, height - 1]), axis=1)
    assert inside.sum() > 1000
    # of 255: positions are rounded to 1e-5 pixels, of 10 levels each
    np.testing.assert_allclose(
        np.reshape(ours, [-1, channels])[inside], theirs[inside], rtol=0, atol=2e-4
    )


def test_a_rotation_is_that_of_rotate(tfa):
    picture = smooth_picture().astype(np.float32)
    height, width, _ = picture.shape
    center = [(width - 1) / 2, (height - 1) / 2]
    # theirs counts counter-clockwise
    theirs = tfa.image.rotate(picture, -0.4, interpolation="bilinear")
    network_from_image = geometry.network_from_image(center, SPEC.person_height, SPEC, rotation=0.4)
    back = geometry.shift_matrix(np.subtract(center, SPEC.center))
    image_from_image = geometry.compose(back, network_from_image)
    ours = sampling.warp(picture, image_from_image, (height, width), fill=0.0)
    inner = (slice(2, -2),) * 2
    # of 255: their matrix is rounded by itself
    np.testing.assert_allclose(ours[inner], theirs[inner], rtol=0, atol=2e-3)


@pytest.mark.parametrize("kind", [FusedAdamW, keras.optimizers.AdamW])
def test_adamw_and_its_moving_average_are_theirs(tfa, kind):
    start = [RNG.normal(size=shape).astype(np.float32) for shape in ((3, 3, 2, 4), (4,))]
    steps = [[RNG.normal(size=w.shape).astype(np.float32) for w in start] for _ in range(20)]
    rate, decay, momentum = 1e-2, 0.1, 0.9
    ours, theirs = [[kind_of(w) for w in start] for kind_of in (keras.Variable, tf.Variable)]
    optimizer = kind(rate, weight_decay=decay, use_ema=True, ema_momentum=momentum)
    optimizer.build(ours)
    # their decay is not multiplied by the rate; their average would begin with the first weights
    reference = tfa.optimizers.MovingAverage(
        tfa.optimizers.AdamW(weight_decay=rate * decay, learning_rate=rate),
        average_decay=momentum,
        start_step=1,
    )
    for step in steps:
        optimizer.apply([tf.constant(gradient) for gradient in step])
        reference.apply_gradients(zip(map(tf.constant, step), theirs, strict=True))
    averages = [variable for variable in optimizer.variables if "average" in variable.path]
    assert np.abs(ours[0] - start[0]).max() > 0.02
    for mine, average, other in zip(ours, averages, theirs, strict=True):
        # 2e-4 of a step
        np.testing.assert_allclose(mine, other, rtol=0, atol=2e-6)
        smooth = reference.get_slot(other, "average")
        np.testing.assert_allclose(average, smooth, rtol=0, atol=2e-6)
        assert np.abs(average - mine).max() > 0.005


def test_a_filter_of_theirs_augments_our_pipeline_under_fit(
    tfa, drawn_records, tiny_model, tmp_path
):
    """And what is trained beside them can be exported there."""
    options = {"stages": 2, "batch_size": 2, "shuffle": True}
    sharp = keras_cpm.make_dataset(drawn_records, SPEC, **options)

    def blurred(inputs, targets):
        image = tfa.image.gaussian_filter2d(inputs["image"], 5, 1.5)
        return {**inputs, "image": image}, targets

    soft = sharp.map(blurred)
    steepness = [
        np.mean([np.abs(np.diff(inputs["image"], axis=2)).mean() for inputs, _ in dataset.take(2)])
        for dataset in (sharp, soft)
    ]
    assert steepness[1] < 0.7 * steepness[0]
    tiny_model.compile("adam", loss=keras_cpm.stage_losses(tiny_model))
    losses = tiny_model.fit(soft, shuffle=False, verbose=0).history["loss"]
    assert np.isfinite(losses).all()
    keras_cpm.export_tflite(tiny_model, SPEC, tmp_path / "cpm.tflite")
    checks = keras_cpm.verify(tmp_path / "cpm.tflite")
    assert checks and all(check.passed for check in checks)
