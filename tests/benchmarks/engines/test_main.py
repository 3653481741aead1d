"""`python -m benchmarks.engines` from the command line."""

import json
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from click.testing import CliRunner

import keras_cpm
from benchmarks.engines import peers
from benchmarks.engines.__main__ import bench


def test_help_names_the_engines():
    output = CliRunner().invoke(bench, ["--help"]).output
    assert all(name in output for name in {**peers.INFERENCE, **peers.TRAINING})


def test_it_runs_from_a_clone_and_answers_at_once():
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "benchmarks.engines", "--help"],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("Usage: python -m benchmarks.engines [OPTIONS] [MODEL]")
    loaded = {line.split("|")[-1].strip() for line in done.stderr.splitlines()}
    assert "click" in loaded and not {"numpy", "tensorflow", "keras"} & loaded


def test_mistakes_are_said_in_flags():
    result = CliRunner().invoke(bench, ["--engines", "caffe"])
    assert result.exit_code == 1 and "Error: --engines must be of" in result.output


@pytest.mark.slow
def test_training_compares_gradients(in_this_process, tmp_path):
    """Through the command line; without PyTorch, whose gradients need a process of their own."""
    path, spec = tmp_path / "table.json", keras_cpm.PoseSpec(box_size=64)
    keras_cpm.save_bundle(tmp_path, keras_cpm.build_cpm(1, spec, width=8, dropout=0.5), spec)
    names = "keras_cpm,tensorflow,tensorflow-bfloat16"
    arguments = ["--train", "--engines", names, "--rounds", "1", "--malloc", "without"]
    output = CliRunner().invoke(bench, [str(tmp_path), *arguments, "--json", str(path)])
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
