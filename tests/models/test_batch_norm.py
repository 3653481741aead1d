"""Batch normalisation in one operation is Keras's."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_cpm
from keras_cpm.models.batch_norm import BatchNorm


def layers_pair(**options):
    """Ours and Keras's, with the same drawn factors and averages."""
    pair = [kind(momentum=0.9, **options) for kind in (BatchNorm, keras.layers.BatchNormalization)]
    for layer in pair:
        rng = np.random.default_rng(1)
        layer.build((None, None, None, 6))
        layer.set_weights([rng.uniform(0.5, 2, w.shape) for w in layer.get_weights()])
    return pair


def images(seed=0, shape=(2, 3, 5, 6)):
    return tf.constant(np.random.default_rng(seed).normal(2, 3, shape), tf.float32)


def stepped(layer, x, training=True):
    """Outputs, gradients of a weighted sum, and the averages afterwards."""
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x, training=training)
        value = tf.reduce_sum(tf.cast(y, tf.float32) * images(2))
    gradients = tape.gradient(value, [x, *layer.trainable_variables])
    return [y, *gradients, *layer.non_trainable_variables]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("options", [{}, {"epsilon": 0.1}, {"center": False}, {"trainable": False}])
def test_outputs_gradients_and_averages_are_those_of_keras(options, training):
    ours, theirs = layers_pair(**options)
    for found, expected in zip(
        stepped(ours, images(), training), stepped(theirs, images(), training), strict=True
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=2e-5)


def test_in_bfloat16_factors_and_averages_stay_float32():
    _, theirs = layers_pair()
    half, _ = layers_pair(dtype="mixed_bfloat16")
    found, expected = stepped(half, images()), stepped(theirs, images())
    assert found[0].dtype == tf.bfloat16
    assert {variable.dtype for variable in half.variables} == {"float32"}
    for a, b in zip(found, expected, strict=True):
        b = np.asarray(b)
        np.testing.assert_allclose(
            np.asarray(a, np.float32), b, rtol=0, atol=0.02 * np.abs(b).max()
        )


def test_it_is_saved_and_loaded(tiny_spec, tmp_path):
    options = {"backbone": "light", "stage_block": "light", "width": 8}
    model = keras_cpm.build_cpm(2, tiny_spec, **options)
    assert sum(isinstance(layer, BatchNorm) for layer in model.layers) > 10
    keras_cpm.save_bundle(tmp_path, model, tiny_spec)
    loaded, _ = keras_cpm.load(tmp_path)
    for a, b in zip(loaded.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
