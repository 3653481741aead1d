"""The search with Optuna finds something, and gives up what falls behind."""

import functools
import importlib.util
from pathlib import Path

import pytest

import keras_cpm

optuna = pytest.importorskip("optuna", reason="optuna is not installed: pip install optuna")

SCRIPT = Path(__file__).parents[2] / "examples/tuning/tune.py"


class GiveUpTheSecond(optuna.pruners.BasePruner):
    def prune(self, study, trial):
        return trial.number == 1


@pytest.mark.slow
def test_a_search_prunes_and_remembers(drawn_records, tmp_path, monkeypatch, capsys):
    spec = importlib.util.spec_from_file_location("tune", SCRIPT)
    tune = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tune)
    create = functools.partial(optuna.create_study, pruner=GiveUpTheSecond())
    monkeypatch.setattr(optuna, "create_study", create)
    keras_cpm.write_records(drawn_records, tmp_path / "people.jsonl")
    out, small = tmp_path / "out", {"trials": 2, "epochs": 2, "box-size": 64, "batch-size": 4}
    words = [f"--{name}={value}" for name, value in small.items()]
    arguments = [str(tmp_path / "people.jsonl"), str(out), *words, "--widths", "8"]
    monkeypatch.setattr("sys.argv", [str(SCRIPT), *arguments])
    tune.main()
    study = optuna.load_study(study_name="tuning", storage=f"sqlite:///{out / 'tuning.db'}")
    states = [trial.state.name for trial in study.trials]
    assert states == ["COMPLETE", "PRUNED"]
    first, second = (trial.intermediate_values for trial in study.trials)
    assert [*first] == [0, 1] and [*second] == [0]
    assert study.best_value == max(first.values()) and f"{study.best_value:.3f}" in (
        capsys.readouterr().out
    )
    assert keras_cpm.load(out / "trial0")[1].box_size == 64
