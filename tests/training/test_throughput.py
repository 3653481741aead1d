"""Multiply-adds against hand-computed numbers, and the line that a training prints."""

import keras
import numpy as np
import pytest

import keras_cpm
from keras_cpm.models.fourier.layer import FastConv2D
from keras_cpm.training import throughput
from keras_cpm.training.throughput import Throughput, multiply_adds, peak_of

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


@pytest.mark.parametrize(
    ("device", "peak"),
    [
        ("NVIDIA H200", 989),
        ("NVIDIA H100 80GB HBM3", 989),
        ("NVIDIA H100 PCIe", 756),
        ("NVIDIA H100 NVL", 835),
        ("NVIDIA A100-SXM4-80GB", 312),
        ("NVIDIA L4", 121),
        ("NVIDIA L40S", 362),
        ("NVIDIA L40", None),
        ("Tesla T4", 65),
        ("NVIDIA GeForce RTX 4090", 165),
        ("NVIDIA GeForce RTX 4090 Laptop GPU", None),
        ("TPU v4", 275),
        ("TPU v5 lite", 197),
        ("cpu", None),
    ],
)
def test_peaks(device, peak):
    assert peak_of(device) == peak


def test_the_line(monkeypatch):
    monkeypatch.setattr(throughput, "device_name", lambda: "NVIDIA H200")
    model = network(layers.Conv2D(8, 3, padding="same"))
    callback = Throughput(model, batch_size=4)
    # 221,184 multiply-adds, 2 FLOP each, 3 passes
    speed = 989e12 / (6 * 221_184)
    assert callback.describe(speed, 2.0).endswith("494 TFLOP/s, 50.0% of the peak of NVIDIA H200")
    monkeypatch.setattr(throughput, "device_name", lambda: "CPU")
    assert Throughput(model, 4).describe(30, 2.0) == "15.0 images/s, 1.99e-05 TFLOP/s"


def test_only_the_steps_after_the_first_count(monkeypatch, capsys):
    model = network(layers.Conv2D(8, 3, padding="same"))
    callback, clock = Throughput(model, 4), iter([100.0, 101.0, 103.0])
    monkeypatch.setattr(throughput.time, "perf_counter", lambda: next(clock))
    callback.on_epoch_begin(0)
    for batch in range(3):
        callback.on_train_batch_end(batch)
    callback.on_epoch_end(0)
    assert capsys.readouterr().out.startswith("Epoch 1: 2.7 images/s")
    clock = iter([200.0])
    callback.on_epoch_begin(1)
    callback.on_train_batch_end(0)
    callback.on_epoch_end(1)
    assert not capsys.readouterr().out


def test_a_layer_of_ones_own_does_not_stop_a_training(capsys):
    @keras.saving.register_keras_serializable("test_throughput")
    class Own(layers.Layer):
        def build(self, shape):
            self.table = self.add_weight(shape=(shape[-1], 2))

        def call(self, x):
            return keras.ops.matmul(x, self.table)

    model = network(Own(), size=(8, 8))
    model.compile("sgd", "mse")
    data = np.zeros((6, 8, 8, 4), "float32"), np.zeros((6, 8, 8, 2), "float32")
    model.fit(*data, batch_size=2, verbose=0, callbacks=[Throughput(model, 2)])
    line = capsys.readouterr().out.strip()
    assert line.startswith("Epoch 1: ") and line.endswith(" images/s")
