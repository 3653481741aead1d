"""The folder of a SavedModel: what is in it, and what takes its place."""

import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

import keras_cpm
from keras_cpm.export.saved_model import WARMUP_FILE
from keras_cpm.models.forward import StageBeliefs


def test_spec_and_part_names_travel_inside(served, tiny_spec, tmp_path):
    moved = shutil.copytree(served / "1", tmp_path / "moved")
    assert keras_cpm.PoseSpec.load(moved / "assets/spec.json") == tiny_spec
    parts = (moved / "assets/parts.txt").read_text("utf-8").splitlines()
    assert tuple(parts) == tiny_spec.skeleton.parts
    assert "crops" in tf.saved_model.load(str(moved)).signatures


def test_the_spec_lies_beside_it(served, tiny_spec):
    assert keras_cpm.PoseSpec.load(served / "spec.json") == tiny_spec


@pytest.mark.slow
def test_exporting_again_replaces_version_1(tiny_spec, tmp_path):
    """Here with a model without center map."""
    network = {"backbone": "light", "stage_block": "light", "width": 8, "center_map": False}
    crops = np.full((1, 64, 64, 3), 77, np.float32)
    for stages in (2, 1):
        model = keras_cpm.build_cpm(stages, tiny_spec, **network)
        keras_cpm.export_saved_model(model, tiny_spec, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("1", "golden.npz", "manifest.json", "spec.json")
    ]
    beliefs = tf.saved_model.load(str(tmp_path / "1")).signatures["beliefs"]
    found = beliefs(image=tf.constant(crops))
    assert list(found) == ["stage1"]
    np.testing.assert_allclose(found["stage1"], model.predict_on_batch(crops), atol=1e-5)


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    "name", ["1/holiday.jpg", "1", "spec.json", "manifest.json", "golden.npz", "1/saved_model.pb"]
)
def test_what_no_export_wrote_is_not_replaced(name, tiny_spec, tmp_path):
    model = keras_cpm.build_cpm(1, tiny_spec, width=8)
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("somebody's")
    before = contents(tmp_path)
    with pytest.raises(ValueError, match=rf"{re.escape(str(tmp_path))} holds {name}, which no"):
        keras_cpm.export_saved_model(model, tiny_spec, tmp_path)
    assert contents(tmp_path) == before


@pytest.mark.slow
def test_what_lies_beside_an_export_stays(tiny_spec, tmp_path):
    model = keras_cpm.build_cpm(1, tiny_spec, width=8)
    (tmp_path / "partial").mkdir()
    (tmp_path / "partial" / "thesis.txt").write_text("somebody's")
    for _ in range(2):
        keras_cpm.export_saved_model(model, tiny_spec, tmp_path)
    assert (tmp_path / "partial" / "thesis.txt").is_file()
    (tmp_path / "1" / "holiday.jpg").write_text("somebody's")
    with pytest.raises(ValueError, match=r"holds 1/holiday\.jpg"):
        keras_cpm.export_saved_model(model, tiny_spec, tmp_path)
    (tmp_path / "1" / "holiday.jpg").unlink()
    # as a kill leaves it between two files of the export
    (tmp_path / "golden.npz").unlink()
    shutil.rmtree(tmp_path / "1")
    keras_cpm.export_saved_model(model, tiny_spec, tmp_path)
    assert all(check.passed for check in keras_cpm.verify(tmp_path))


@pytest.mark.slow
def test_without_room_the_export_before_stays(model, served, phone_file, tiny_spec, tmp_path):
    keras_cpm.save_bundle(tmp_path / "bundle", model, tiny_spec)
    shutil.copytree(served, tmp_path / "served")
    shutil.copytree(phone_file.parent, tmp_path / "phone")
    before = contents(tmp_path)
    script = (
        "import resource, sys, keras_cpm\n"
        "model, spec = keras_cpm.load(sys.argv[1] + '/bundle')\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "import keras_cpm.export.tflite, keras_cpm.export.saved_model\n"
        "try: keras_cpm.export_saved_model(model, spec, sys.argv[1] + '/served')\n"
        "except OSError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True
    )
    assert done.stdout.startswith(f"{tmp_path}/served cannot be written ("), done.stderr
    assert contents(tmp_path) == before


@pytest.mark.slow
def test_of_a_model_of_any_input_size_the_export_is_of_network_boxes(tiny_spec, tmp_path):
    anywhere = keras_cpm.build_cpm(2, tiny_spec, width=8, input_size="any")
    keras_cpm.export_saved_model(anywhere, tiny_spec, tmp_path / "served")
    keras_cpm.export_tflite(anywhere, tiny_spec, tmp_path / "cpm.tflite")
    for path in ("served", "cpm.tflite"):
        assert all(check.passed for check in keras_cpm.verify(tmp_path / path))
    box = np.random.default_rng(0).uniform(0, 255, (1, 64, 64, 3)).astype(np.float32)
    right = StageBeliefs(anywhere, tiny_spec)(box)[-1]
    found = keras_cpm.LiteRTModel(tmp_path / "cpm.tflite")(box)["beliefs"]
    np.testing.assert_allclose(found, right, atol=1e-4 * np.abs(right).max())


def test_recorded_requests_warm_a_server_up_and_can_be_answered(served, signatures):
    pytest.importorskip("tensorflow_serving")
    from tensorflow_serving.apis import prediction_log_pb2

    records = tf.data.TFRecordDataset(str(served / "1" / WARMUP_FILE))
    logs = [prediction_log_pb2.PredictionLog.FromString(record.numpy()) for record in records]
    requests = [log.predict_log.request for log in logs]
    names = [request.model_spec.signature_name for request in requests]
    assert names == ["serving_default", "boxes"]
    for name, request in zip(names, requests, strict=True):
        inputs = {key: tf.constant(tf.make_ndarray(value)) for key, value in request.inputs.items()}
        answer = signatures[name](**inputs)
        assert answer["error"].numpy().tolist() == [b""]
        assert np.isfinite(answer["keypoints"]).all()
