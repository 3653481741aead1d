"""An ONNX file gives what the Keras model gives, in float32 and nearly so in 8 bits."""

import logging
import sys

import keras
import numpy as np
import pytest

import keras_cpm
from keras_cpm.data.crop import network_box
from keras_cpm.models.forward import centered_map

onnx = pytest.importorskip("onnx")
pytest.importorskip("tf2onnx")
pytest.importorskip("onnxruntime")


@pytest.fixture(scope="module")
def int8_export(model, tiny_spec, drawn_records, tmp_path_factory):
    """Path of a file, and who listened to the root logger after it was made."""
    path, root = tmp_path_factory.mktemp("int8") / "cpm.onnx", logging.getLogger()
    before, root.handlers[:] = list(root.handlers), []
    try:
        keras_cpm.export_onnx(
            model, tiny_spec, path, quantize="int8", calibration=drawn_records, input_type="uint8"
        )
        return path, list(root.handlers)
    finally:
        root.handlers[:] = before


@pytest.fixture(scope="module")
def int8_file(int8_export):
    return int8_export[0]


def test_it_gives_the_models_answers_on_golden_boxes(onnx_file, model, tiny_spec):
    golden = np.load(onnx_file.with_suffix(".onnx.golden.npz"))
    run, center = keras_cpm.ONNXModel(onnx_file), centered_map(tiny_spec)
    assert golden["image"].shape == (3, 64, 64, 3) and golden["image"].dtype == np.uint8
    for i, box in enumerate(golden["image"]):
        beliefs = model.predict_on_batch([box[None].astype(np.float32), center])[-1]
        keypoints, scores = keras_cpm.codec.decode(beliefs, tiny_spec)
        # not a file without weights
        assert np.ptp(beliefs) > 0.01
        found = run(box[None])
        np.testing.assert_allclose(found["beliefs"], beliefs, atol=1e-4)
        np.testing.assert_allclose(found["scores"], scores, atol=1e-4)
        np.testing.assert_allclose(found["keypoints"], keypoints, atol=0.01)
        np.testing.assert_array_equal(found["keypoints"][0], golden["keypoints"][i])
        np.testing.assert_allclose(golden["keras_keypoints"][i], keypoints[0], atol=0.01)


@pytest.mark.parametrize(
    "settings",
    [
        {"convolution": "tiles"},
        pytest.param(
            {"backbone": "vgg19", "stage_block": "vgg", "center_map": False, "input_size": "any"},
            marks=pytest.mark.slow,
        ),
    ],
    ids=["tiles", "any size"],
)
def test_other_networks(settings, tiny_spec, tmp_path):
    keras.utils.set_random_seed(0)
    model = keras_cpm.build_cpm(1, tiny_spec, width=8, **settings)
    keras_cpm.export_onnx(model, tiny_spec, tmp_path / "m.onnx")
    golden = np.load(tmp_path / "m.onnx.golden.npz")
    # belief maps of untrained networks are small
    size = np.ptp(golden["keras_beliefs"])
    assert size > 0
    np.testing.assert_allclose(golden["beliefs"], golden["keras_beliefs"], atol=1e-4 * size)


def test_the_spec_lies_beside_it(onnx_file, tiny_spec):
    assert keras_cpm.PoseSpec.load(onnx_file.with_suffix(".onnx.spec.json")) == tiny_spec


def test_standard_operations_only(onnx_file, int8_file):
    for path in (onnx_file, int8_file):
        file = onnx.load(path)
        onnx.checker.check_model(file, full_check=True)
        assert {node.domain for node in file.graph.node} <= {"", "ai.onnx"}


def test_features_have_8_bits_and_peaks_are_read_in_float32(int8_file):
    graph = onnx.load(int8_file).graph
    maker = {name: node for node in graph.node for name in node.output}
    convolutions = [node for node in graph.node if node.op_type == "Conv"]

    def in_8_bits(node):
        return all(maker[name].op_type == "DequantizeLinear" for name in node.input[:2])

    # the one that is left makes beliefs of 8-bit features in float32
    (last,) = [node for node in convolutions if maker.get(node.input[1]) is None]
    assert all(in_8_bits(node) for node in convolutions if node is not last)
    assert len(convolutions) > 5
    after = {*last.output}
    for node in graph.node:
        if after & {*node.input}:
            assert node.op_type not in ("QuantizeLinear", "DequantizeLinear")
            after |= {*node.output}
    assert {"beliefs", "keypoints", "scores"} <= after
    # of a kernel each channel has its own scale
    scales = {one.name: one.dims for one in graph.initializer}
    kernels = [maker[node.input[1]] for node in convolutions if node is not last]
    assert all(scales[kernel.input[1]][0] == scales[kernel.input[0]][0] for kernel in kernels)


def test_8_bits_take_bytes_and_verify(int8_file):
    signature = keras_cpm.ONNXModel(int8_file).signature()
    assert signature["inputs"] == {"image": [[1, 64, 64, 3], "uint8"]}
    checks = keras_cpm.verify(int8_file)
    assert [check.passed for check in checks] == [True] * 3
    assert "from what this file gave where it was made" in checks[-1].seen
    golden = np.load(int8_file.with_suffix(".onnx.golden.npz"))
    belief = np.abs(golden["beliefs"] - golden["keras_beliefs"])
    assert 0 < np.median(belief) < 0.05 * np.ptp(golden["keras_beliefs"])


@pytest.mark.slow
def test_keypoints_of_a_shipped_model_stay_in_8_bits(tmp_path):
    """Most of them: it never saw drawn people, and may find two peaks equal."""
    model, spec = keras_cpm.load("cpm-light-lsp")
    people = keras_cpm.draw_records(tmp_path, 20)
    files = {kind: tmp_path / f"{kind}.onnx" for kind in ("none", "int8")}
    for kind, path in files.items():
        keras_cpm.export_onnx(model, spec, path, quantize=kind, calibration=people[:12])
    assert files["int8"].stat().st_size < 0.28 * files["none"].stat().st_size
    whole, fewer = map(keras_cpm.ONNXModel, files.values())
    moved = []
    for person in people[12:]:
        box = network_box(person, spec)[0][None]
        right, found = whole(box), fewer(box)
        difference = np.hypot(*(right["keypoints"] - found["keypoints"])[0].T)
        moved.extend(difference[right["scores"][0] >= 0.3])
    # as of LiteRT files
    assert len(moved) > 40 and np.median(moved) < 0.5 and np.quantile(moved, 0.9) < 1.5


def test_errors_name_the_remedy(model, tiny_spec, tmp_path):
    with pytest.raises(ValueError, match=r"`path` must end in \.onnx"):
        keras_cpm.export_onnx(model, tiny_spec, tmp_path / "m.tflite")
    with pytest.raises(ValueError, match="`calibration` must hold records"):
        keras_cpm.export_onnx(model, tiny_spec, tmp_path / "a.onnx", quantize="int8")
    with pytest.raises(ValueError, match=r"`quantize` must be one of .*'int8'.*'float16'"):
        keras_cpm.export_onnx(model, tiny_spec, tmp_path / "a.onnx", quantize="float16")
    (tmp_path / "a.onnx").write_text("somebody's")
    with pytest.raises(ValueError, match=r"holds a\.onnx, which no export"):
        keras_cpm.export_onnx(model, tiny_spec, tmp_path / "a.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["a.onnx"]


@pytest.mark.parametrize("name", ["tf2onnx", "onnxruntime"])
def test_without_a_library_it_says_what_to_install(name, model, tiny_spec, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=r"pip install 'keras-cpm\[onnx\]'"):
        keras_cpm.export_onnx(model, tiny_spec, tmp_path / "a.onnx")
    assert not list(tmp_path.iterdir())


def test_nobody_begins_to_print(int8_export):
    """What libraries say to the root logger makes it print from then on, if nobody listens."""
    assert int8_export[1] == []
