"""The script for photographs of anyone runs from prepared records to the scores, at small size."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import keras_cpm

SCRIPT = Path(__file__).parents[2] / "examples/everyday/train.sh"


def run(words=(), **variables):
    if shutil.which("bash") is None:
        pytest.skip("needs bash")
    given = ("LSP", "MPII", "COCO", "NOBODY", "KERAS_BACKEND")
    environment = {name: value for name, value in os.environ.items() if name not in given}
    environment |= {name: str(value) for name, value in variables.items()}
    command = ["bash", str(SCRIPT), *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


@pytest.mark.slow
def test_from_records_to_the_scores(drawn_records, tmp_path):
    command = shutil.which("keras-cpm", path=str(Path(sys.executable).parent))
    if command is None:
        pytest.skip("needs keras-cpm beside Python")
    out, images = tmp_path / "out", Path(drawn_records[0].image).parent
    everybody = tmp_path / "everybody.jsonl"
    keras_cpm.write_records(drawn_records[:8], everybody)
    # LSP's are prepared already; the script begins with the others
    for name in ("lsp", "lsp.held", "lspet"):
        keras_cpm.write_records(drawn_records[:4], out / f"{name}.jsonl")
    data = {"LSP": tmp_path, "MPII": everybody, "COCO": everybody, "NOBODY": images, "OUT": out}
    small = {"PEOPLE": 8, "EPOCHS": 1, "PERSON_EPOCHS": 1, "WIDTH": 16, "BATCH": 4}
    small |= {"PRECISION": "float32", "KERAS_CPM": command}
    done = run(("--warmup-steps", "1"), **data, **small)
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    assert done.stdout.count("pck@0.2 in percent") == 3
    model, spec = keras_cpm.load(out / "model")
    assert spec.box_size == 192 and model.get_layer("Mconv3_far_stage3_a")
    assert keras_cpm.load(out / "person")[1].num_parts == 1
    fit, held = (keras_cpm.read_records(out / f"coco{end}.jsonl") for end in ("", ".held"))
    assert len(held) == 2 and {r.image for r in held}.isdisjoint(r.image for r in fit)


def test_without_data_it_says_so():
    done = run(LSP="lsp", MPII="mpii.jsonl")
    assert done.returncode == 1 and "COCO: must be a file of records" in done.stderr
