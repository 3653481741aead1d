"""Networks as PyTorch modules give the numbers of the Keras network."""

import subprocess
import sys

import keras
import numpy as np
import pytest

import keras_cpm
from benchmarks.engines.layer_table import layer_table, write_table
from benchmarks.engines.torch_network import torch_network
from tests.benchmarks.engines.networks import (
    LAYERS,
    NETWORKS,
    assert_same,
    images_for,
    lively,
    model_of,
    outputs_of,
)

REASON = "is no part of the test extras; pip install it to run this"


def of_torch(table, images):
    torch = pytest.importorskip("torch", reason=f"torch {REASON}")
    network = torch_network(table).eval()
    with torch.inference_mode():
        return [stage.numpy() for stage in network(*map(torch.from_numpy, images))]


@pytest.mark.parametrize("network", list(NETWORKS))
def test_a_network_elsewhere(network, tiny_spec):
    model = lively(keras_cpm.build_cpm(2, tiny_spec, width=8, **NETWORKS[network]))
    images = images_for(model, (40, 24) if network == "any size" else (64, 64))
    assert_same(of_torch(layer_table(model), images), outputs_of(model, images))


@pytest.mark.parametrize("name", list(LAYERS))
def test_every_setting_elsewhere(name):
    model = model_of(LAYERS[name])
    images = [image - 0.5 for image in images_for(model, (23, 18))]
    assert_same(of_torch(layer_table(model), images), outputs_of(model, images))
    assert images[0].min() < 0, "what went in has not changed"


TRAINING = """
import sys, numpy as np, torch
from benchmarks.engines.layer_table import read_table
from benchmarks.engines.torch_network import torch_gradients, torch_network
table = read_table(sys.argv[1])
before = [w.copy() for row in table for w in row.weights]
with np.load(sys.argv[2]) as file:
    arrays = [torch.from_numpy(file[name]) for name in file]
network = torch_network(table).train()
sum((stage ** 2).sum() for stage in network(*arrays)).backward()
np.savez(sys.argv[3], **torch_gradients(network))
torch.optim.SGD(network.parameters(), lr=0.1).step()
assert all(np.array_equal(a, b) for a, b in zip(before, (w for r in table for w in r.weights)))
"""


def test_gradients_elsewhere(tiny_spec, tmp_path):
    """In a process of its own: builds of PyTorch with CUDA end one that has loaded TensorFlow."""
    import tensorflow as tf

    pytest.importorskip("torch", reason=f"torch {REASON}")
    keras.utils.set_random_seed(0)
    model = lively(keras_cpm.build_cpm(2, tiny_spec, width=8, stage_block="residual"))
    images = images_for(model)
    paths = [tmp_path / name for name in ("table.npz", "images.npz", "gradients.npz")]
    write_table(paths[0], layer_table(model))
    np.savez(paths[1], *images)
    command = [sys.executable, "-c", TRAINING, *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with tf.GradientTape() as tape:
        total = sum(tf.reduce_sum(stage**2) for stage in model(images, training=True))
    variables = model.trainable_variables
    expected = tape.gradient(total, [variable.value for variable in variables])
    with np.load(paths[2]) as found:
        assert set(found) == {variable.path for variable in variables}
        for variable, gradient in zip(variables, expected, strict=True):
            size = np.abs(gradient).max()
            np.testing.assert_allclose(found[variable.path], gradient, rtol=0, atol=1e-3 * size)
