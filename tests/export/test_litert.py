"""LiteRT files run wherever a runtime is, and say what to install where none is."""

import copy
import pickle
import sys

import numpy as np
import pytest

import keras_cpm
from tests.threads import answers_of_threads


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


def test_threads_get_the_answers_of_one(phone_file):
    run, random = keras_cpm.LiteRTModel(phone_file), np.random.default_rng(0)
    questions = [random.uniform(0, 255, (1, 64, 64, 3)) for _ in range(6)]
    found = answers_of_threads(run, questions, threads=16, calls=20)
    alone = [keras_cpm.LiteRTModel(phone_file)(question) for question in questions]
    assert len(found) == 320
    for number, answer in found:
        for name, values in alone[number].items():
            np.testing.assert_array_equal(answer[name], values)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_a_copy_reads_the_file_anew(phone_file, copied):
    run, box = keras_cpm.LiteRTModel(phone_file), np.full((1, 64, 64, 3), 99.0)
    expected = run(box)
    for name, values in copied(run)(box).items():
        np.testing.assert_array_equal(values, expected[name])


@pytest.mark.parametrize("shape", [(2, 64, 64, 3), (64, 64, 3), (1, 32, 32, 3), (1, 64, 64, 1)])
def test_a_box_of_another_shape_is_refused_and_spoils_nothing(phone_file, shape):
    run, box = keras_cpm.LiteRTModel(phone_file), np.full((1, 64, 64, 3), 99.0)
    expected = run(box)
    with pytest.raises(ValueError, match=r"one network box of shape \(1, 64, 64, 3\)"):
        run(np.zeros(shape))
    np.testing.assert_array_equal(run(box)["keypoints"], expected["keypoints"])
