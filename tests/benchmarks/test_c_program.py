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
        2, spec, backbone=backbone, stage_block=block, width=16, convolution="tiles"
    )
    keras_cpm.export_saved_model(model, spec, tmp_path)
    torn = tmp_path / "torn.jpg"
    torn.write_bytes(Path(drawn_records[0].image).read_bytes()[:300])
    images = [drawn_records[0].image, torn, drawn_records[1].image]
    rows, milliseconds = c_program.run_program(program, tmp_path / "1", images)
    assert rows[1] == signatures.UNREADABLE and milliseconds > 0
    find = keras_cpm.Predictor(model, spec)
    for image, found in zip(images, rows, strict=True):
        if image != torn:
            pose = find(image)
            np.testing.assert_allclose(found[:, :2], pose.keypoints, atol=0.01)
            np.testing.assert_allclose(found[:, 2], pose.scores, atol=1e-4)


def test_what_goes_wrong_is_said(
    program, drawn_records, tiny_model, tiny_spec, tmp_path, monkeypatch
):
    keras_cpm.export_saved_model(tiny_model, tiny_spec, tmp_path)
    with pytest.raises(RuntimeError, match="cannot be read"):
        c_program.run_program(program, tmp_path / "1", [tmp_path / "absent.jpg"])
    names = c_program.tensor_names(tmp_path / "1")
    monkeypatch.setattr(c_program, "tensor_names", lambda version: ["no_such_tensor", *names[1:]])
    with pytest.raises(RuntimeError, match="no such tensor in the model"):
        c_program.run_program(program, tmp_path / "1", [drawn_records[0].image])
    (tmp_path / "1/saved_model.pb").write_bytes(b"?")
    with pytest.raises(RuntimeError, match="cannot be loaded"):
        c_program.run_program(program, tmp_path / "1", [drawn_records[0].image])
    monkeypatch.setattr(c_program, "SOURCE", tmp_path / "predict.c")
    with pytest.raises(RuntimeError, match="comes with the repository"):
        c_program.compile_program(tmp_path)
