"""`python -m benchmarks.engines` measures every engine that is here, and says what is not. No times are asserted."""

import json
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import keras
import pytest
import tensorflow as tf
from click.testing import CliRunner
from keras import layers

import keras_cpm
from benchmarks.engines import peers as engines
from benchmarks.engines import process as measuring
from benchmarks.engines import run as bench
from benchmarks.engines import workload
from benchmarks.engines.__main__ import bench as verb
from keras_cpm.cli import allocator

ROW = {"title", "precision", "milliseconds", "speed", "difference", "peak_gb"}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A bundle of one stage, and the folder of its workload for TensorFlow."""
    keras.utils.set_random_seed(0)
    folder, spec = tmp_path_factory.mktemp("tiny"), keras_cpm.PoseSpec(box_size=64)
    model = keras_cpm.build_cpm(1, spec, width=8)
    keras_cpm.save_bundle(folder / "bundle", model, spec)
    workload.prepare(folder, folder / "bundle")
    return folder


@pytest.fixture
def here(monkeypatch):
    """Jobs are done in this process, where TensorFlow is loaded already; their environments are kept.

    As on a system that does not tell the memory of a process, because this one's means nothing.
    """
    environments = []

    def do(job, environment, progress):
        environments.append(bench._environment(environment, job["threads"]))
        return json.loads(json.dumps(measuring.work_on(json.loads(json.dumps(job)), progress)))

    monkeypatch.setattr(bench, "_child", do)
    monkeypatch.setattr(engines, "_tensorflow", lambda work: tf)
    monkeypatch.setattr(measuring, "_STATUS", Path("nowhere"))
    return environments


@pytest.mark.slow
def test_every_engine_that_is_here_agrees(tiny, here):
    lines = []
    result = bench.run_bench(tiny / "bundle", rounds=1, malloc="without", progress=lines.append)
    table = result["tables"]["without"]
    absent = {name for name, engine in engines.INFERENCE.items() if engine.absent()}
    assert list(table) == [name for name in engines.INFERENCE if name not in absent]
    for name, row in table.items():
        assert set(row) == ROW and row["milliseconds"] > 0
        assert row["difference"] < 1e-5, name
        assert f"{name} is ready" in lines
    assert table["tensorflow"]["speed"] == 1 and table["tensorflow"]["difference"] == 0
    assert "round 1 of 1" in lines
    assert all(any(line.startswith(f"{name} does not") for line in lines) for name in absent)
    facts = {"task": "inference", "box": 64, "stages": 1, "batch": 1, "rounds": 1}
    assert facts.items() <= result.items() and result["threads"] == bench.cores()


def test_training_compares_gradients(here, tmp_path):
    """Through the command line; without PyTorch, whose gradients need a process of their own."""
    path, spec = tmp_path / "table.json", keras_cpm.PoseSpec(box_size=64)
    keras_cpm.save_bundle(tmp_path, keras_cpm.build_cpm(1, spec, width=8, dropout=0.5), spec)
    names = "keras_cpm,tensorflow,tensorflow-bfloat16"
    arguments = ["--train", "--engines", names, "--rounds", "1", "--malloc", "without"]
    output = CliRunner().invoke(verb, [str(tmp_path), *arguments, "--json", str(path)])
    assert output.exit_code == 0, output.output
    table = json.loads(path.read_text())["tables"]["without"]
    assert list(table) == names.split(",")
    assert 0 <= table["keras_cpm"]["difference"] < 1e-3
    assert table["tensorflow"]["difference"] == 0
    row = table["tensorflow-bfloat16"]
    assert row["difference"] is None and row["speed"] == 1
    assert "without settings of the allocator" in output.output
    assert f"TensorFlow {metadata.version('tensorflow')}, direct" in output.output
    assert "2 images a step of 64 pixels" in output.output and "mixed_bfloat16" in output.output


def test_without_tensorflow_there_is_no_ratio(tiny, here, capsys):
    result = bench.run_bench(tiny / "bundle", engines=["keras_cpm"], rounds=1, malloc="without")
    row = result["tables"]["without"]["keras_cpm"]
    assert row["speed"] is None and row["difference"] is None
    from keras_cpm.cli.console import print_bench

    print_bench(result)
    assert capsys.readouterr().out.splitlines()[-1].split()[3:5] == ["-", "-"]


@pytest.mark.parametrize("glibc", [True, False])
def test_both_environments_of_the_allocator(tiny, here, glibc, monkeypatch):
    monkeypatch.setattr(bench, "is_glibc", lambda: glibc)
    name, value = next(iter(allocator.SETTINGS.items()))
    monkeypatch.setenv(name, "the user's own")
    result = bench.run_bench(tiny / "bundle", engines=["tensorflow"], rounds=1)
    assert list(result["tables"]) == (["without", "with"] if glibc else ["without"])
    # preparing; time and memory of each
    found = [environment.get(name) for environment in here]
    assert found == [None] * 3 + [value] * (2 if glibc else 0)


def test_a_network_that_an_engine_cannot_run(tmp_path, here):
    """Engines that cannot are left out, or refused where they were asked for."""

    def tower(image, *, width, name):
        return layers.DepthwiseConv2D(3, strides=8, padding="same")(image)

    spec = keras_cpm.PoseSpec(box_size=64)
    model = keras_cpm.build_cpm(
        1, spec, backbone=tower, width=8, center_map=False, input_size="any"
    )
    keras_cpm.save_bundle(tmp_path, model, spec)
    lines = []
    options = {"rounds": 1, "malloc": "without", "progress": lines.append}
    result = bench.run_bench(tmp_path, **options)
    assert list(result["tables"]["without"]) == ["keras_cpm", "small-tiles", "tensorflow"]
    assert any("savedmodel does not take part" in line for line in lines)
    with pytest.raises(ValueError, match=r"savedmodel cannot run this network\. Exports need"):
        bench.run_bench(tmp_path, engines=["savedmodel", "tensorflow"], **options)


# --- mistakes --------------------------------------------------------------------------------------------


def test_mistakes_are_one_sentence(monkeypatch):
    for options, sentence in [
        ({"engines": ["caffe"]}, "`engines` must be of .*'keras_cpm'.* Received: caffe"),
        ({"engines": ["savedmodel"], "train": True}, "`engines` must be of"),
        ({"rounds": 0}, "`rounds` must be at least 1"),
        ({"malloc": "some"}, "`malloc` must be one of"),
    ]:
        with pytest.raises(ValueError, match=sentence):
            bench.run_bench(**options)
    monkeypatch.setattr(engines.Engine, "absent", lambda self: list(self.packages.values()))
    with pytest.raises(ValueError, match="pytorch is not installed; pip install torch"):
        bench.run_bench(engines=["pytorch"])


def test_help_names_the_engines():
    output = CliRunner().invoke(verb, ["--help"]).output
    assert all(name in output for name in {**engines.INFERENCE, **engines.TRAINING})


# --- processes -------------------------------------------------------------------------------------------


def job(folder, **more):
    return {"folder": str(folder), "threads": 1, "train": False, "engines": ["tensorflow"], **more}


def test_memory_is_that_of_a_process_of_its_own(tiny):
    found = bench._child(job(tiny, do="memory"), allocator.SETTINGS, print)
    assert found["peak_gb"] is None or 0.1 < found["peak_gb"] < 4


def test_a_process_tells_what_it_does(tmp_path):
    lines = []
    found = bench._child(job(tmp_path, do="time", engines=[], rounds=2), {}, lines.append)
    assert found == {} and lines == ["round 1 of 2", "round 2 of 2"]


def test_what_goes_wrong_in_a_process_is_said_in_this_one(tmp_path):
    with pytest.raises(ValueError, match="not enough values"):
        bench._child(job(tmp_path, do="memory", engines=[]), {}, print)
    with pytest.raises(
        RuntimeError, match=r"process of tensorflow ended early.*KeyError: 'nothing'"
    ):
        bench._child(job(tmp_path, do="nothing"), {}, print)


def test_peers_are_measured_without_tensorflow():
    script = "import sys, benchmarks.engines.process; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0


def test_the_allocator_takes_the_settings_of_a_running_process():
    script = "from keras_cpm.cli.allocator import apply, is_glibc; print(apply() == is_glibc())"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout == "True\n"
