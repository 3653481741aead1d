"""`keras-cpm demo`, as small as it can be."""

import pytest

import keras_cpm
from keras_cpm.cli.commands import demo
from tests.cli.running import run


@pytest.mark.slow
def test_it_leaves_what_it_says(monkeypatch, tmp_path):
    small = {"box_size": 64, "person_height": 46.0, "width": 8, "epochs": 1}
    monkeypatch.setattr(demo, "CHANGES", demo.CHANGES | small)
    for name, count in {"TRAIN_COUNT": 8, "TEST_COUNT": 4, "COMPARED": 2}.items():
        monkeypatch.setattr(demo, name, count)
    output = run("demo", "--out", tmp_path)
    listed = output.split(f"In {tmp_path}/:\n")[1].splitlines()
    names = [line.split()[0] for line in listed if line.startswith("    ")]
    assert len([name for name in names if (tmp_path / name).exists()]) == 8
    model, spec = keras_cpm.load(tmp_path / "model")
    assert spec.box_size == 64 and len(model.outputs) == 3
    assert keras_cpm.plan_training([], init=tmp_path / "model", skeleton=spec.skeleton).network == {
        **{"stages": 3, "backbone": "light", "stage_block": "light", "width": 8, "dropout": 0.0}
    }
