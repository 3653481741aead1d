"""The SavedModel outside Python gives the predictor's points."""

import shutil
from pathlib import Path

import numpy as np
import pytest

import keras_cpm
from benchmarks import c_program
from keras_cpm.export import signatures


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    if not shutil.which("cc") and not shutil.which("gcc"):
        pytest.skip("no C compiler here")
    return c_program.compile_program(tmp_path_factory.mktemp("c"))


@pytest.mark.slow
@pytest.mark.parametrize("backbone", ["light", "cpm"])
def test_a_c_program_gives_the_predictors_points(program, backbone, drawn_records, tmp_path):
    spec = keras_cpm.PoseSpec(box_size=64)
    block = {"light": "light", "cpm": "classic"}[backbone]
    model = keras_cpm.build_cpm(
        2, spec, backbone=backbone, stage_block=block, width=8, convolution="tiles"
    )
    keras_cpm.export_saved_model(model, spec, tmp_path)
    torn = tmp_path / "torn.jpg"
    torn.write_bytes(Path(drawn_records[0].image).read_bytes()[:300])
    images = [drawn_records[0].image, torn, drawn_records[1].image]
    version = tmp_path / "1"
    names = c_program.tensor_names(version)
    rows, milliseconds = c_program.run_program(program, version, names, images)
    assert rows[1] == signatures.UNREADABLE and milliseconds > 0
    predictor = keras_cpm.Predictor(model, spec)
    for image, found in zip(images, rows, strict=True):
        if image != torn:
            pose = predictor(image)
            np.testing.assert_allclose(found[:, :2], pose.keypoints, atol=0.01)
            np.testing.assert_allclose(found[:, 2], pose.scores, atol=1e-4)


@pytest.mark.slow
def test_what_goes_wrong_is_said(program, drawn_records, tiny_spec, tmp_path):
    model = keras_cpm.build_cpm(1, tiny_spec, backbone="light", stage_block="light", width=8)
    keras_cpm.export_saved_model(model, tiny_spec, tmp_path)
    version, image = tmp_path / "1", drawn_records[0].image
    names = c_program.tensor_names(version)
    with pytest.raises(RuntimeError, match="cannot be read"):
        c_program.run_program(program, version, names, [tmp_path / "absent.jpg"])
    with pytest.raises(RuntimeError, match="no such tensor in the model"):
        c_program.run_program(program, version, ["no_such_tensor", *names[1:]], [image])
    (version / "saved_model.pb").write_bytes(b"?")
    with pytest.raises(RuntimeError, match="cannot be loaded"):
        c_program.run_program(program, version, names, [image])
    with pytest.raises(RuntimeError, match="cannot be compiled"):
        c_program.compile_program(tmp_path, source=tmp_path / "predict.c")


@pytest.mark.slow
def test_the_command_compares_it_with_the_keras_model(
    program, drawn_records, tiny_spec, tmp_path, capsys
):
    model = keras_cpm.build_cpm(1, tiny_spec, backbone="light", stage_block="light", width=8)
    # sure of every part
    model.get_layer("conv7_2_CPM").bias.assign([0.5] * tiny_spec.num_channels)
    keras_cpm.save_bundle(tmp_path / "bundle", model, tiny_spec)
    keras_cpm.write_records(drawn_records[:2], tmp_path / "people.jsonl")
    arguments = [str(tmp_path / "bundle"), "--records", str(tmp_path / "people.jsonl")]
    assert c_program.main(arguments) == 0
    first, heads, keras, found = capsys.readouterr().out.splitlines()
    assert "2 photographs of" in first and "28 keypoints" in first and "MB" in heads
    assert keras.split()[0] == "Keras" and found.startswith("savedmodel in C")
    median, largest, megabytes, milliseconds = map(float, found.split()[3:])
    assert median <= largest < 0.05 and megabytes > 0.01 and milliseconds > 0
