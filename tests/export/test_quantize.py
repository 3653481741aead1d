"""Files of fewer bits: which numbers are in them, and that keypoints stay where they are."""

import builtins

import numpy as np
import pytest
import tensorflow as tf

import keras_cpm
from keras_cpm.data.crop import network_box

pytest.importorskip("ai_edge_quantizer")
interpreter = pytest.importorskip("ai_edge_litert.interpreter")

FEWER = ("float16", "dynamic", "int8")


@pytest.fixture(scope="module")
def shipped():
    return keras_cpm.load("cpm-light-lsp")


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    return keras_cpm.draw_records(tmp_path_factory.mktemp("people"), 12)


@pytest.fixture(scope="module")
def files(shipped, people, tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    for kind in ("none", *FEWER):
        keras_cpm.export_tflite(
            *shipped, folder / f"{kind}.tflite", quantize=kind, calibration=people[:8]
        )
    return folder


def tensors_of(path):
    """(operation, types of its tensors) in the order of execution."""
    run = interpreter.Interpreter(model_path=str(path))
    types = {tensor["index"]: np.dtype(tensor["dtype"]) for tensor in run.get_tensor_details()}
    names = {tensor["index"]: tensor["name"] for tensor in run.get_tensor_details()}
    for operation in run._get_ops_details():
        if operation["op_name"] == "DELEGATE":
            continue
        used = [i for i in (*operation["inputs"], *operation["outputs"]) if i in types]
        yield operation["op_name"], {types[i] for i in used}, {names[i] for i in used}


@pytest.mark.slow
def test_files_shrink(files):
    whole = (files / "none.tflite").stat().st_size
    shares = {kind: (files / f"{kind}.tflite").stat().st_size / whole for kind in FEWER}
    assert 0.5 < shares["float16"] < 0.52
    assert 0.25 < shares["dynamic"] < 0.28 and 0.25 < shares["int8"] < 0.28
    assert whole * shares["int8"] < 3.5e6


@pytest.mark.slow
def test_features_have_8_bits_and_peaks_are_read_in_float32(files):
    operations = list(tensors_of(files / "int8.tflite"))
    kinds = [name for name, _, _ in operations]
    last = max(i for i, name in enumerate(kinds) if name == "CONV_2D")
    eight, whole = np.dtype(np.int8), np.dtype(np.float32)
    in_8_bits = [name for name, types, _ in operations[:last] if eight in types]
    # all convolutions but the last, which makes beliefs of 8-bit features in float32
    assert in_8_bits.count("CONV_2D") == kinds.count("CONV_2D") - 1
    assert operations[last][1] == {whole}
    for name, types, _ in operations[last:]:
        assert eight not in types, name


@pytest.mark.slow
def test_weights_of_8_bits_leave_the_peaks_alone(files):
    kinds = list(tensors_of(files / "dynamic.tflite"))
    last = max(i for i, (name, _, _) in enumerate(kinds) if name == "CONV_2D")
    assert all(np.dtype(np.int8) not in types for _, types, _ in kinds[last + 1 :])


@pytest.mark.parametrize(
    "kind, belief, pixels", [("float16", 0.005, 0.1), ("dynamic", 0.15, 1.5), ("int8", 0.2, 1.5)]
)
@pytest.mark.slow
def test_keypoints_stay(files, shipped, people, kind, belief, pixels):
    """Most of them: the shipped model never saw drawn people, and may find two peaks equal."""
    whole, fewer = (keras_cpm.LiteRTModel(files / f"{name}.tflite") for name in ("none", kind))
    moved = []
    for person in people[8:]:
        box = network_box(person, shipped[1])[0][None]
        right, found = whole(box), fewer(box)
        assert np.abs(right["beliefs"] - found["beliefs"]).max() < belief
        difference = np.hypot(*(right["keypoints"] - found["keypoints"])[0].T)
        moved.extend(difference[right["scores"][0] >= 0.3])
    assert len(moved) > 20 and np.quantile(moved, 0.9) < pixels
    if kind != "float16":
        # it is another file
        assert max(moved) > 0.01


@pytest.mark.slow
def test_an_image_of_bytes_is_taken_as_it_is(shipped, people, files, tmp_path):
    path = tmp_path / "bytes.tflite"
    keras_cpm.export_tflite(*shipped, path, input_type="uint8")
    run = interpreter.Interpreter(model_path=str(path)).get_signature_runner()
    assert run.get_input_details()["image"]["dtype"] == np.uint8
    box = network_box(people[0], shipped[1])[0][None]
    expected = keras_cpm.LiteRTModel(files / "none.tflite")(box)
    np.testing.assert_allclose(run(image=box)["beliefs"], expected["beliefs"], atol=1e-5)


@pytest.mark.slow
def test_built_in_operations_only(files):
    for kind in FEWER:
        names = [name for name, _, _ in tensors_of(files / f"{kind}.tflite")]
        assert names and not [name for name in names if name.startswith(("Flex", "CUSTOM"))]


@pytest.mark.slow
def test_every_kind_verifies(files):
    for kind in FEWER:
        checks = keras_cpm.verify(files / f"{kind}.tflite")
        assert [check.passed for check in checks] == [True] * 3, checks


def test_without_the_library_it_says_what_to_install(model, tiny_spec, tmp_path, monkeypatch):
    real = builtins.__import__

    def without(name, *rest):
        if name.startswith("ai_edge_quantizer"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    # before the conversion, which takes longest
    monkeypatch.setattr(tf.lite.TFLiteConverter, "from_saved_model", None)
    with pytest.raises(ImportError, match=r"keras-cpm\[quantize\]"):
        keras_cpm.export_tflite(model, tiny_spec, tmp_path / "a.tflite", quantize="float16")
    assert not list(tmp_path.iterdir())
