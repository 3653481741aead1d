"""The script for a big machine runs from the data set to the scores, at the smallest size."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest
from scipy.io import savemat

import keras_cpm
from keras_cpm.data.formats.lsp import load_lsp

SCRIPT = Path(__file__).parents[2] / "examples/big_machine/train_lsp.sh"
PEOPLE = 4


@pytest.fixture
def lsp(tmp_path):
    """Labels in full length, and the first photographs of each split."""
    rng = np.random.default_rng(0)
    root = tmp_path / "lsp"
    for name, count, axes, first, digits in [
        ("lsp", 2000, (2, 1, 0), (1, 1001), 4),
        ("lspet", 10000, (1, 2, 0), (1,), 5),
    ]:
        labels = rng.integers(20, 80, (count, 14, 3)).astype(float)
        labels[..., 2] = name == "lspet"
        folder = root / f"{name}_dataset"
        (folder / "images").mkdir(parents=True)
        savemat(folder / "joints.mat", {"joints": labels.transpose(axes)})
        for number in (start + i for start in first for i in range(PEOPLE)):
            picture = rng.integers(0, 256, (100, 120, 3), np.uint8)
            assert cv2.imwrite(str(folder / f"images/im{number:0{digits}}.jpg"), picture)
    return root


@pytest.mark.slow
@pytest.mark.parametrize(
    ("recipe", "table", "dropouts"),
    [("modern", "pck@0.2 in percent", 0), ("release", "pck@0.05 in percent", 2)],
)
def test_from_the_data_set_to_the_scores(lsp, tmp_path, recipe, table, dropouts):
    command = shutil.which("keras-cpm", path=str(Path(sys.executable).parent))
    if shutil.which("bash") is None or command is None:
        pytest.skip("needs bash, and keras-cpm beside Python")
    out = tmp_path / "out"
    # what is prepared already stays: it saves two starts
    for split, name in (("train", "train"), ("extended", "extended")):
        keras_cpm.write_records(load_lsp(lsp, split)[:PEOPLE], out / f"{name}.jsonl")
    small = {"STAGES": 2, "WIDTH": 8, "BOX": 64, "BATCH": 4, "EPOCHS": 1, "PACKED": 96}
    small |= {"RECIPE": recipe, "LSP": lsp, "OUT": out, "PEOPLE": PEOPLE, "KERAS_CPM": command}
    if importlib.util.find_spec("jax") is None:
        small["KERAS_BACKEND"] = "tensorflow"
    environment = {name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"}
    environment |= {name: str(value) for name, value in small.items()}
    # compiling takes longer than running
    environment |= {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": "--xla_backend_optimization_level=0"}
    done = subprocess.run(
        ["bash", str(SCRIPT), "--warmup-steps", "1"],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    assert "8 records, 1 shards" in done.stdout and table in done.stdout
    assert len(keras_cpm.read_records(out / "test.jsonl")) == PEOPLE
    model, spec = keras_cpm.load(out / "model")
    assert len(model.outputs) == 2 and spec.box_size == 64
    assert sum(isinstance(layer, keras.layers.Dropout) for layer in model.layers) == dropouts


def test_without_data_it_says_so():
    if shutil.which("bash") is None:
        pytest.skip("needs bash")
    environment = {name: value for name, value in os.environ.items() if name != "LSP"}
    done = subprocess.run(["bash", str(SCRIPT)], env=environment, capture_output=True, text=True)
    assert done.returncode == 1 and "LSP: must be the folder that holds lsp_dataset/" in done.stderr
