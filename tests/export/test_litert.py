"""LiteRT files run wherever a runtime is, and say what to install where none is."""

import sys

import numpy as np
import pytest

import keras_cpm


def test_with_tensorflow_alone(phone_file, monkeypatch):
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    golden = np.load(phone_file.with_suffix(".golden.npz"))
    found = keras_cpm.LiteRTModel(phone_file)(golden["image"][:1])
    np.testing.assert_allclose(found["keypoints"], golden["keypoints"][:1], atol=0.02)


def test_without_any_runtime_it_says_what_to_install(phone_file, monkeypatch):
    for name in ("ai_edge_litert.interpreter", "tensorflow"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match="pip install ai-edge-litert"):
        keras_cpm.LiteRTModel(phone_file)


def test_the_signature_is_that_of_the_export(phone_file, tiny_spec):
    signature = keras_cpm.LiteRTModel(phone_file).signature()
    assert signature == {
        "inputs": {"image": [[1, 64, 64, 3], "float32"]},
        "outputs": {
            "beliefs": [[1, 8, 8, 15], "float32"],
            "keypoints": [[1, 14, 2], "float32"],
            "scores": [[1, 14], "float32"],
        },
    }


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="no LiteRT file"):
        keras_cpm.LiteRTModel(tmp_path / "absent.tflite")
