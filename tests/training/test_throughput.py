"""The line that a training prints."""

import time

import keras
import numpy as np
import pytest

from keras_cpm.training.throughput import Throughput, advice, peak_of


def network(layer, size=(32, 24)):
    image = keras.Input((*size, 4))
    return keras.Model(image, layer(image))


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


def test_the_line():
    model = network(keras.layers.Conv2D(8, 3, padding="same"))
    # 221,184 multiply-adds, 2 FLOP each, 3 passes
    speed = 989e12 / (6 * 221_184)
    line = Throughput(model, 4, device="NVIDIA H200").describe(speed, 2.0)
    assert line.endswith("494 TFLOP/s, 50.0% of the peak of NVIDIA H200")
    line = Throughput(model, 4, device="CPU").describe(30, 2.0)
    assert line == "15.0 images/s, 1.99e-05 TFLOP/s"


def test_only_the_steps_after_the_first_count(monkeypatch, capsys):
    model = network(keras.layers.Conv2D(8, 3, padding="same"))
    callback, clock = Throughput(model, 4), iter([100.0, 101.0, 103.0])
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
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
    class Own(keras.layers.Layer):
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


@pytest.mark.parametrize(
    ("precision", "device", "units", "said"),
    [
        ("float32", "CPU", {"avx2", "avx512_bf16"}, True),
        ("float32", "CPU", {"amx_bf16"}, True),
        ("float32", "CPU", {"avx2"}, False),
        ("float32", "NVIDIA L4", {"avx512_bf16"}, False),
        ("mixed_bfloat16", "CPU", {"avx512_bf16"}, False),
    ],
)
def test_a_faster_precision_is_named_where_there_is_one(precision, device, units, said):
    line = advice(precision, device=device, units=units)
    assert (line is not None) == said
    assert not said or "mixed_bfloat16" in line
