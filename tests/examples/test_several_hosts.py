"""The examples of several hosts: the job of Kubernetes is complete, and Ray starts again."""

import importlib.util
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import keras_cpm
from keras_cpm.cli.commands.train import train

yaml = pytest.importorskip("yaml")

FOLDER = Path(__file__).parents[2] / "examples/several_hosts"
INDEX = "metadata.annotations['batch.kubernetes.io/job-completion-index']"


@pytest.fixture(scope="module")
def manifest():
    """Service and job."""
    return [*yaml.safe_load_all((FOLDER / "kubernetes.yaml").read_text("utf-8"))]


def test_the_processes_of_the_job_find_each_other(manifest, tmp_path, monkeypatch):
    service, job = manifest
    assert (service["apiVersion"], service["kind"]) == ("v1", "Service")
    assert (job["apiVersion"], job["kind"]) == ("batch/v1", "Job")
    template = job["spec"]["template"]
    pod, name = template["spec"], job["metadata"]["name"]
    assert job["spec"]["completionMode"] == "Indexed"
    assert service["spec"]["clusterIP"] == "None" and service["spec"]["publishNotReadyAddresses"]
    assert service["spec"]["selector"].items() <= template["metadata"]["labels"].items()
    assert pod["subdomain"] == service["metadata"]["name"]
    (container,) = pod["containers"]
    environment = {entry["name"]: entry for entry in container["env"]}
    index = environment.pop("JAX_PROCESS_ID")["valueFrom"]["fieldRef"]["fieldPath"]
    assert index == INDEX
    for key, entry in environment.items():
        monkeypatch.setenv(key, entry["value"])
    monkeypatch.setenv("JAX_PROCESS_ID", "3")
    for path in ("people.jsonl", "others.jsonl"):
        (tmp_path / path).touch()
    arguments = [text.replace("/data", str(tmp_path)) for text in container["args"]]
    asked = train.make_context("train", arguments).params
    count = job["spec"]["completions"]
    assert count == job["spec"]["parallelism"] == asked["processes"]
    assert asked["process"] == 3
    assert asked["coordinator"].startswith(f"{name}-0.{pod['subdomain']}:")
    assert environment["KERAS_BACKEND"]["value"] == "jax"


def test_the_manifest_has_what_kubernetes_knows_and_nothing_else(manifest):
    reason = "kubernetes-validate, which has its schemas, is not installed"
    validate = pytest.importorskip("kubernetes_validate", reason=reason)
    for part in manifest:
        validate.validate(part, "1.33", strict=True)


def test_a_pod_that_dies_starts_again(manifest):
    _, job = manifest
    pod = job["spec"]["template"]["spec"]
    assert pod["restartPolicy"] == "OnFailure" and job["spec"]["backoffLimit"] >= 100
    (container,) = pod["containers"]
    assert container["command"] == ["keras-cpm", "train"]
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    (volume,) = pod["volumes"]
    # what is written outlives the pod
    assert "persistentVolumeClaim" in volume and mounts[volume["name"]] == "/data"
    assert container["args"][container["args"].index("--out") + 1].startswith("/data/")


def holder(path):
    """The process that has the file open, or `None`."""
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if os.readlink(link) == str(path):
                return int(link.parts[2])
        except OSError:
            continue
    return None


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs Linux")
def test_ray_starts_a_group_again_that_lost_a_worker(tmp_path):
    for name in ("ray", "pydantic", "jax"):
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"{name} is not installed: pip install 'ray[train]' 'keras-cpm[jax]'")
    records = keras_cpm.draw_records(tmp_path / "people", 8, image_size=(96, 128))
    keras_cpm.write_records(records, tmp_path / "people.jsonl")
    out = tmp_path / "run"
    settings = {"--box-size": 64, "--stages": 2, "--width": 8, "--batch-size": 4, "--epochs": 10}
    options = [f"{flag}={value}" for flag, value in settings.items()]
    command = [sys.executable, str(FOLDER / "ray_train.py"), "--workers", "2", "--"]
    environment = {
        **os.environ,
        **{"JAX_PLATFORMS": "cpu", "RAY_USAGE_STATS_ENABLED": "0", "RAY_ADDRESS": "local"},
        **{"RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0", "HOME": str(tmp_path)},
        # compiling takes longer than running, and all workers compile the same
        "XLA_FLAGS": "--xla_backend_optimization_level=0",
        "JAX_COMPILATION_CACHE_DIR": str(tmp_path / "compiled"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "PYTHONPATH": os.pathsep.join([str(FOLDER.parents[1]), os.environ.get("PYTHONPATH", "")]),
    }
    with open(tmp_path / "said", "w") as said:
        ray = subprocess.Popen(
            [*command, str(tmp_path / "people.jsonl"), "--out", str(out), *options],
            **{"env": environment, "stdout": said, "stderr": said},
        )
        while ray.poll() is None and not [*out.glob("checkpoints/*")]:
            time.sleep(0.02)
        os.kill(holder(out / "training.lock"), signal.SIGKILL)
        assert ray.wait(900) == 0, (tmp_path / "said").read_text()
    lines = (out / "log.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in lines[1:]] == [str(epoch) for epoch in range(10)]
    assert keras_cpm.load(out)
