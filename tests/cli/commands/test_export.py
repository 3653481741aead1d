"""`keras-cpm export` of quantised files, and what it refuses."""

import pytest
from click.testing import CliRunner

import keras_cpm
from keras_cpm.cli.main import main


def run(*arguments):
    return CliRunner().invoke(main, ["export", *map(str, arguments)])


def test_flags_of_a_phone_belong_to_a_phone(tmp_path):
    served = run("no-such-model", "--to", "savedmodel", "--out", tmp_path, "--quantize", "int8")
    assert served.exit_code == 2 and "need --to tflite or onnx" in served.output
    half = run("no-such-model", "--to", "onnx", "--out", tmp_path, "--quantize", "float16")
    assert half.exit_code == 2 and "need --to tflite" in half.output
    person = run("no-such-model", "--to", "onnx", "--out", tmp_path, "--person-model", "m")
    assert person.exit_code == 2 and "to a second .onnx" in person.output
    int8 = run("no-such-model", "--to", "tflite", "--out", tmp_path, "--quantize", "int8")
    assert int8.exit_code == 2 and "needs --calibrate" in int8.output


@pytest.mark.slow
def test_a_file_of_8_bits_that_takes_bytes(drawn_records, tiny_spec, tmp_path):
    pytest.importorskip("ai_edge_quantizer")
    model = keras_cpm.build_cpm(1, tiny_spec, backbone="light", stage_block="light", width=8)
    keras_cpm.save_bundle(tmp_path / "bundle", model, tiny_spec)
    keras_cpm.write_records(drawn_records, tmp_path / "people.jsonl")
    path = tmp_path / "a.tflite"
    arguments = ["--quantize", "int8", "--calibrate", tmp_path / "people.jsonl", "--input", "uint8"]
    done = run(tmp_path / "bundle", "--to", "tflite", "--out", path, *arguments)
    assert done.exit_code == 0 and "MB" in done.output, done.output
    signature = keras_cpm.LiteRTModel(path).signature()
    assert signature["inputs"] == {"image": [[1, 64, 64, 3], "uint8"]}


def test_an_onnx_file_of_8_bits(drawn_records, tiny_spec, tmp_path):
    pytest.importorskip("tf2onnx")
    model = keras_cpm.build_cpm(1, tiny_spec, backbone="light", stage_block="light", width=8)
    # sure of every part
    model.get_layer("conv7_2_CPM").bias.assign([0.5] * tiny_spec.num_channels)
    keras_cpm.save_bundle(tmp_path / "bundle", model, tiny_spec)
    records, path = tmp_path / "people.jsonl", tmp_path / "a.onnx"
    keras_cpm.write_records(drawn_records, records)
    options = ["--to", "onnx", "--out", path, "--quantize", "int8", "--calibrate", records]
    done = run(tmp_path / "bundle", *options, "--input", "uint8", "--check", records)
    assert done.exit_code == 0 and "6 images: keypoints differ by at most" in done.output
    assert keras_cpm.ONNXModel(path).signature()["inputs"] == {"image": [[1, 64, 64, 3], "uint8"]}


def test_check_says_how_far_keypoints_moved(drawn_records, tiny_spec, tmp_path):
    model = keras_cpm.build_cpm(1, tiny_spec, backbone="light", stage_block="light", width=8)
    # sure of every part
    model.get_layer("conv7_2_CPM").bias.assign([0.5] * tiny_spec.num_channels)
    keras_cpm.save_bundle(tmp_path / "bundle", model, tiny_spec)
    keras_cpm.write_records(drawn_records[:2], tmp_path / "people.jsonl")
    arguments = ["--to", "tflite", "--out", tmp_path / "a.tflite", "--check"]
    done = run(tmp_path / "bundle", *arguments, tmp_path / "people.jsonl")
    assert done.exit_code == 0 and "2 images: keypoints differ by at most 0.0" in done.output


@pytest.mark.slow
def test_both_kinds(model, tmp_path):
    served = run(model, "--to", "savedmodel", "--out", tmp_path / "served")
    assert served.exit_code == 0 and "serving_default" in served.output
    phone = run(model, "--to", "tflite", "--out", tmp_path / "m.tflite")
    assert phone.exit_code == 0 and "keypoints" in phone.output
    assert (tmp_path / "served/1/saved_model.pb").is_file() and (tmp_path / "m.tflite").is_file()
