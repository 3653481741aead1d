"""Networks as ONNX models give the numbers of the Keras network, in two engines that read them."""

import pytest

import keras_cpm
from benchmarks.engines.layer_table import layer_table
from benchmarks.engines.onnx_model import onnx_model
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


ENGINES = [of_onnxruntime, of_openvino]


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
