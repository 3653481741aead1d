"""Multiply-adds against hand-computed numbers."""

import keras
import numpy as np
import pytest

import keras_cpm
from keras_cpm.models.fourier.layer import FastConv2D
from keras_cpm.models.multiply_adds import multiply_adds

layers = keras.layers


def network(*steps, size=(32, 24), channels=4):
    image = outputs = keras.Input((*size, channels))
    for step in steps:
        outputs = step(outputs)
    return keras.Model(image, outputs)


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (layers.Conv2D(8, 3, padding="same"), 32 * 24 * 9 * 4 * 8),
        (FastConv2D(8, 9, padding="same", convolution="tiles"), 32 * 24 * 81 * 4 * 8),
        (layers.Conv2D(8, 3, padding="valid"), 30 * 22 * 9 * 4 * 8),
        (layers.Conv2D(8, 3, strides=2, padding="same"), 16 * 12 * 9 * 4 * 8),
        (layers.Conv2D(8, (5, 3), strides=3, padding="valid"), 10 * 8 * 15 * 4 * 8),
        (layers.Conv2D(8, 3, dilation_rate=2, padding="valid"), 28 * 20 * 9 * 4 * 8),
        (layers.Conv2D(8, 3, groups=2, padding="same"), 32 * 24 * 9 * 2 * 8),
        (layers.Conv2DTranspose(8, 4, strides=2, padding="same"), 32 * 24 * 16 * 4 * 8),
        (layers.DepthwiseConv2D(3, padding="same"), 32 * 24 * 9 * 4),
        (layers.SeparableConv2D(8, 3, padding="same"), 32 * 24 * (9 * 4 + 4 * 8)),
        (layers.Dense(8), 32 * 24 * 4 * 8),
        (layers.MaxPooling2D(2), 0),
        (layers.BatchNormalization(), 0),
    ],
)
def test_layers_by_hand(layer, expected):
    assert multiply_adds(network(layer)) == expected


def test_a_layer_counts_each_time_and_inside_other_models():
    conv = layers.Conv2D(4, 3, padding="same")
    inner = network(conv, layers.AveragePooling2D(2))
    assert multiply_adds(network(inner, conv)) == 9 * 4 * 4 * (32 * 24 + 16 * 12)


def test_any_size():
    model = network(layers.Conv2D(8, 3, strides=2, padding="same"), size=(None, None))
    assert multiply_adds(model, (16, 8)) == 8 * 4 * 9 * 4 * 8
    with pytest.raises(ValueError, match=r"`size` must be .* Received: size=None"):
        multiply_adds(model)
    # nothing of the model is changed
    assert model.layers[-1].output.shape == (None, None, None, 8)


def test_a_layer_that_is_not_known():
    model = network(layers.Reshape((32 * 24, 4)), layers.Conv1D(2, 3))
    with pytest.raises(ValueError, match="Only convolutions and dense layers are counted"):
        multiply_adds(model)


# billions; the first is the paper's network, of which the second convolution, twice, is 89.86
@pytest.mark.parametrize(
    ("name", "size", "billions"),
    [
        ("mpii", None, 175.438),
        ("flic", None, 154.500),
        ("mpii-vgg", None, 88.420),
        ("person", (376, 656), 145.102),
    ],
)
def test_released_networks(name, size, billions):
    assert round(multiply_adds(keras_cpm.build_released(name), size) / 1e9, 3) == billions


def test_the_second_convolution_by_hand():
    model = keras_cpm.build_cpm(stages=1)
    conv = model.get_layer("conv2_stage1")
    assert np.prod(conv.kernel.shape) * 184 * 184 == 81 * 128 * 128 * 184**2 == 44_930_433_024
    assert abs(multiply_adds(model) / 1e9 - 63.971) < 5e-4
