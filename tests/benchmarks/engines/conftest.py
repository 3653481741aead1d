"""A tiny network, and a stand-in for the processes in which engines work."""

import json

import keras
import pytest

import keras_cpm
from benchmarks.engines import process, workload


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """A bundle of one stage, and the folder of its workload for TensorFlow."""
    keras.utils.set_random_seed(0)
    folder, spec = tmp_path_factory.mktemp("tiny"), keras_cpm.PoseSpec(box_size=64)
    model = keras_cpm.build_cpm(1, spec, width=8)
    keras_cpm.save_bundle(folder / "bundle", model, spec)
    workload.prepare(folder, folder / "bundle")
    return folder


@pytest.fixture
def in_this_process(monkeypatch):
    """Jobs are done here, where TensorFlow is loaded already; a list of the settings of each.

    The memory of this process means nothing: it is what a system says that does not know it.
    """
    given = []

    def do(job, settings, say):
        given.append(settings)
        if job["do"] == "memory":
            return {"peak_gb": None}
        return json.loads(json.dumps(process.work_on(json.loads(json.dumps(job)), say)))

    monkeypatch.setattr(process, "in_new_process", do)
    return given
