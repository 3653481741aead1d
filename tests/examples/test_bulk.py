"""The examples beside `predict-many`: a job of KubeRay is well formed, a pipeline of Beam runs."""

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import keras_cpm
from keras_cpm.cli.commands.predict_many import predict_many

yaml = pytest.importorskip("yaml")

FOLDER = Path(__file__).parents[2] / "examples/bulk"


@pytest.fixture(scope="module")
def job():
    return yaml.safe_load((FOLDER / "rayjob.yaml").read_text("utf-8"))


def groups(job):
    cluster = job["spec"]["rayClusterSpec"]
    return [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]


def test_the_pods_are_those_of_kubernetes(job):
    kubernetes = pytest.importorskip("kubernetes_validate")
    for group in groups(job):
        pod = {"metadata": {"name": "pod"}, "template": group["template"]}
        kubernetes.validate({"apiVersion": "v1", "kind": "PodTemplate", **pod}, "1.33", strict=True)


def test_the_job_starts_the_command_with_a_core_for_each_worker(job):
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    program, verb, *words = shlex.split(job["spec"]["entrypoint"])
    assert (program, verb) == ("keras-cpm", "predict-many")
    options = predict_many.make_context(verb, words).params
    head, workers = groups(job)
    (container,) = workers["template"]["spec"]["containers"]
    cores = int(container["resources"]["limits"]["cpu"])
    assert options["workers"] == cores * workers["maxReplicas"] and options["cluster"] == "auto"
    # what runs is one Ray, and one package
    version, images = job["spec"]["rayClusterSpec"]["rayVersion"], {container["image"]}
    assert images == {one["image"] for one in head["template"]["spec"]["containers"]}
    assert all(image.endswith(f":{version}") for image in images)


@pytest.mark.slow
def test_a_pipeline_of_beam_says_what_the_predictor_says(
    tmp_path, tiny_model, tiny_spec, drawn_records
):
    pytest.importorskip("apache_beam", reason="Apache Beam is not installed")
    parquet = pytest.importorskip("pyarrow.parquet")
    keras_cpm.export_saved_model(tiny_model, tiny_spec, tmp_path / "served")
    for number, record in enumerate(drawn_records):
        shutil.copy(record.image, tmp_path / f"{number}.jpg")
    (tmp_path / "bad.jpg").write_bytes(b"a text")
    words = [tmp_path / "*.jpg", tmp_path / "served", tmp_path / "poses/part"]
    script = FOLDER / "beam_poses.py"
    subprocess.run([sys.executable, *map(str, [script, *words])], check=True, timeout=600)
    rows = {
        Path(row["path"]).stem: row
        for path in (tmp_path / "poses").glob("*.parquet")
        for row in parquet.read_table(path).to_pylist()
    }
    assert rows.pop("bad")["error"] and len(rows) == 6
    predictor = keras_cpm.Predictor(tiny_model, tiny_spec)
    for name, row in rows.items():
        pose = predictor(tmp_path / f"{name}.jpg")
        np.testing.assert_allclose(row["keypoints"], pose.keypoints, atol=0.05)
        assert not row["error"]
