"""ONNX files run in ONNX Runtime, and say what is wrong with them."""

import copy
import pickle
import subprocess
import sys

import numpy as np
import pytest

import keras_cpm
from tests.threads import answers_of_threads

pytest.importorskip("onnxruntime")


def test_the_signature_is_that_of_a_litert_file(onnx_file, phone_file):
    found = keras_cpm.ONNXModel(onnx_file).signature()
    assert found == keras_cpm.LiteRTModel(phone_file).signature()


def test_without_a_runtime_it_says_what_to_install(onnx_file, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ImportError, match="pip install onnxruntime"):
        keras_cpm.ONNXModel(onnx_file)


def test_tensorflow_is_not_needed(onnx_file):
    script = (
        "import sys; sys.modules.update(tensorflow=None, keras=None, tf2onnx=None, onnx=None); "
        "from keras_cpm.cli.main import main; main()"
    )
    command = [sys.executable, "-c", script, "verify", str(onnx_file)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0 and "ok     golden" in done.stdout, done.stderr


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="no ONNX file"):
        keras_cpm.ONNXModel(tmp_path / "absent.onnx")


def test_a_damaged_file_is_one_sentence(onnx_file, tmp_path):
    content, path = onnx_file.read_bytes(), tmp_path / "cpm.onnx"
    random = np.random.default_rng(0)
    damaged = [b"", b"text", content[:-100], content[:1000], random.bytes(1000) + content[1000:]]
    for one in damaged:
        path.write_bytes(one)
        with pytest.raises(ValueError, match=r"cpm\.onnx is damaged, or no file of") as caught:
            keras_cpm.ONNXModel(path)
        assert "\n" not in str(caught.value)


def test_a_file_of_something_else(tmp_path):
    onnx = pytest.importorskip("onnx")
    ends = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.DOUBLE, [1]) for name in "ab"]
    node = onnx.helper.make_node("Identity", ["a"], ["b"])
    graph = onnx.helper.make_graph([node], "other", ends[:1], ends[1:])
    opsets = [onnx.helper.make_opsetid("", 17)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opsets, ir_version=8), tmp_path / "o")
    with pytest.raises(ValueError, match="no file of `keras-cpm export --to onnx`"):
        keras_cpm.ONNXModel(tmp_path / "o")


def test_threads_get_the_answers_of_one(onnx_file):
    run, random = keras_cpm.ONNXModel(onnx_file), np.random.default_rng(0)
    questions = [random.uniform(0, 255, (1, 64, 64, 3)) for _ in range(6)]
    alone = [run(question) for question in questions]
    found = answers_of_threads(run, questions, threads=8, calls=20)
    assert len(found) == 160
    for number, answer in found:
        for name, values in alone[number].items():
            np.testing.assert_array_equal(answer[name], values)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_a_copy_reads_the_file_anew(onnx_file, copied):
    run, box = keras_cpm.ONNXModel(onnx_file), np.full((1, 64, 64, 3), 99.0)
    expected = run(box)
    for name, values in copied(run)(box).items():
        np.testing.assert_array_equal(values, expected[name])


@pytest.mark.parametrize("shape", [(2, 64, 64, 3), (64, 64, 3), (1, 32, 32, 3), (1, 64, 64, 1)])
def test_a_box_of_another_shape_is_refused(onnx_file, shape):
    with pytest.raises(ValueError, match=r"one network box of shape \(1, 64, 64, 3\)"):
        keras_cpm.ONNXModel(onnx_file)(np.zeros(shape))
