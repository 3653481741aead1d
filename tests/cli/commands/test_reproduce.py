"""`keras-cpm reproduce`: the experiments of the paper, by name."""

import keras_cpm
from keras_cpm.cli.main import main
from keras_cpm.paper import experiments
from tests.cli.running import run
from tests.paper.outputs import VERDICTS, outputs


def test_fig1_and_fig7_of_a_bundle(tmp_path, tiny_model, tiny_spec, monkeypatch):
    monkeypatch.setattr(experiments, "TESTED", 4)
    keras_cpm.save_bundle(tmp_path / "bundle", tiny_model, tiny_spec)
    for figure, rows in (("fig1", 1 * 2), ("fig7", 2 * 2 * 2)):
        options = ["--model", tmp_path / "bundle", "--out", tmp_path / "out"]
        output = run("reproduce", figure, *options)
        assert output.splitlines()[-1].startswith(VERDICTS)
        header, *found = outputs(tmp_path / "out", figure)
        assert header == ["image", "part", "stage", "distance_in_normalizers", "belief"]
        assert len(found) == rows


def test_it_knows_every_experiment():
    figure = main.commands["reproduce"].params[0]
    assert sorted(figure.type.choices) == sorted(experiments.EXPERIMENTS)
