"""Jobs in processes of their own: what goes in, and what comes out."""

import subprocess
import sys

import numpy as np
import pytest

from benchmarks.engines import process
from keras_cpm.cli.allocator import SETTINGS


def job(folder, **more):
    return {"folder": str(folder), "threads": 1, "train": False, "engines": ["tensorflow"], **more}


@pytest.mark.slow
def test_memory_is_that_of_a_process_of_its_own(tiny):
    found = process.in_new_process(job(tiny, do="memory"), SETTINGS, print)
    assert found["peak_gb"] is None or 0.1 < found["peak_gb"] < 4


def test_a_process_tells_what_it_does(tmp_path):
    lines = []
    nobody = job(tmp_path, do="time", engines=[], rounds=2)
    assert process.in_new_process(nobody, {}, lines.append) == {}
    assert lines == ["round 1 of 2", "round 2 of 2"]


def test_what_goes_wrong_in_a_process_is_said_in_this_one(tmp_path):
    with pytest.raises(ValueError, match="not enough values"):
        process.in_new_process(job(tmp_path, do="memory", engines=[]), {}, print)
    with pytest.raises(
        RuntimeError, match=r"process of tensorflow ended early.*KeyError: 'nothing'"
    ):
        process.in_new_process(job(tmp_path, do="nothing"), {}, print)


def test_the_environment_has_the_settings_that_are_asked_for(monkeypatch):
    name, value = next(iter(SETTINGS.items()))
    monkeypatch.setenv(name, "the user's own")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    monkeypatch.setenv("OF_THE_USER", "stays")
    assert name not in process.environment({}, threads=3)
    found = process.environment(SETTINGS, threads=3)
    assert found[name] == value and found["OF_THE_USER"] == "stays"
    assert found["CUDA_VISIBLE_DEVICES"] == "-1" and found["OMP_NUM_THREADS"] == "3"


def test_engines_take_turns():
    order, lines = [], []
    calls = {"a": lambda: order.append("a"), "b": lambda: order.append("b")}
    medians = process.take_turns(calls, 2, lines.append)
    assert order == ["a", "b", "a", "b"] and lines == ["round 1 of 2", "round 2 of 2"]
    assert list(medians) == ["a", "b"] and all(value >= 0 for value in medians.values())


def test_the_largest_difference_counts():
    truth = {"weight": np.array([4.0, -5.0]), "nothing": np.zeros(2)}
    found = {"weight": np.array([4.5, -5.0]), "nothing": np.array([0.0, 0.2])}
    assert process.difference(found, truth) == 0.2
    assert process.difference(truth, truth) == 0
    assert process.difference(None, truth) is process.difference(truth, None) is None


def test_peers_are_measured_without_tensorflow():
    script = "import sys, benchmarks.engines.process; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0
