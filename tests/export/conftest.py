"""One network and its exports, which the tests of this folder share and leave as they are."""

import pytest
import tensorflow as tf

import keras_cpm
from tests.export.networks import sure_network


@pytest.fixture(scope="session")
def model(tiny_spec):
    return sure_network(tiny_spec)


@pytest.fixture(scope="session")
def served(model, tiny_spec, tmp_path_factory):
    """Folder of the SavedModel."""
    folder = tmp_path_factory.mktemp("saved") / "served"
    keras_cpm.export_saved_model(model, tiny_spec, folder)
    return folder


@pytest.fixture(scope="session")
def loaded(served):
    return tf.saved_model.load(str(served / "1"))


@pytest.fixture(scope="session")
def signatures(loaded):
    return loaded.signatures


@pytest.fixture(scope="session")
def phone_file(model, tiny_spec, tmp_path_factory):
    """Path of the LiteRT file."""
    path = tmp_path_factory.mktemp("phone") / "cpm.tflite"
    keras_cpm.export_tflite(model, tiny_spec, path)
    return path


@pytest.fixture(scope="session")
def onnx_file(model, tiny_spec, tmp_path_factory):
    """Path of the ONNX file."""
    pytest.importorskip("tf2onnx")
    path = tmp_path_factory.mktemp("engines") / "cpm.onnx"
    keras_cpm.export_onnx(model, tiny_spec, path)
    return path
