"""Networks in other engines give the numbers of the Keras network. Each test needs its engine."""

import subprocess
import sys

import keras
import numpy as np
import pytest

import keras_cpm
from benchmarks.engines.layer_table import layer_table, write_table
from benchmarks.engines.onnx_model import onnx_model
from benchmarks.engines.torch_network import torch_network
from tests.benchmarks.test_layer_table import (
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


def of_onnxruntime(table, images, sizes=(None, None, None)):
    pytest.importorskip("onnx", reason=f"onnx {REASON}")
    runtime = pytest.importorskip("onnxruntime", reason=f"onnxruntime {REASON}")
    session = runtime.InferenceSession(onnx_model(table, sizes))
    names = [value.name for value in session.get_inputs()]
    return session.run(None, dict(zip(names, images, strict=True)))


def of_openvino(table, images):
    pytest.importorskip("onnx", reason=f"onnx {REASON}")
    openvino = pytest.importorskip("openvino", reason=f"openvino {REASON}")
    core = openvino.Core()
    model = core.read_model(onnx_model(table, images[0].shape[:3]))
    # some processors compute in bfloat16 otherwise
    compiled = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return list(compiled(images).values())


ENGINES = [of_torch, of_onnxruntime, of_openvino]


@pytest.mark.parametrize("run", ENGINES)
@pytest.mark.parametrize("network", list(NETWORKS))
def test_a_network_elsewhere(run, network, tiny_spec):
    model = lively(keras_cpm.build_cpm(2, tiny_spec, width=8, **NETWORKS[network]))
    images = images_for(model, (40, 24) if network == "any size" else (64, 64))
    assert_same(run(layer_table(model), images), outputs_of(model, images))


@pytest.mark.parametrize("run", ENGINES)
@pytest.mark.parametrize("name", list(LAYERS))
def test_every_setting_elsewhere(run, name):
    model = model_of(LAYERS[name])
    images = [image - 0.5 for image in images_for(model, (23, 18))]
    assert_same(run(layer_table(model), images), outputs_of(model, images))
    assert images[0].min() < 0, "what went in has not changed"


def test_onnx_models_of_one_size_or_any(tiny_model):
    images = images_for(tiny_model)
    for sizes in ((None, None, None), (2, 64, 64)):
        found = of_onnxruntime(layer_table(tiny_model), images, sizes)
        assert_same(found, outputs_of(tiny_model, images))


TRAINING = """
import sys, numpy as np, torch
from keras_cpm.models.layer_table import read_table
from keras_cpm.torch_network import torch_gradients, torch_network
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
