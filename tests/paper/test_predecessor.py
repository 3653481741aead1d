"""Figure 6a: a Pose Machine beside a network."""

import numpy as np
import pytest

import keras_cpm
from keras_cpm.paper import experiments
from keras_cpm.paper.experiments import DRAWN, SPEC
from keras_cpm.paper.machine_training import MachineSpec
from keras_cpm.paper.pose_machine import PoseMachine
from keras_cpm.paper.predecessor import compare, side_by_side, train_machine
from keras_cpm.paper.trial import Trial
from tests.paper.outputs import VERDICTS, outputs

RECIPE = MachineSpec(stages=2, rounds=1, trees=1, depth=3)


@pytest.mark.slow
def test_the_machine_is_kept(tmp_path, drawn_records):
    lines, spec = [], SPEC.replace(box_size=64)
    people, tests = drawn_records[:4], drawn_records[4:]
    trial = Trial("fig6a", tmp_path, people, tests, spec, DRAWN, 1, 0, 1, None, lines.append)
    result = train_machine(trial, RECIPE)
    machine = PoseMachine.load(tmp_path / "fig6a.zip")
    assert machine.spec == spec.replace(stride=4)
    again = keras_cpm.evaluate(machine, tests, machine.spec)
    np.testing.assert_array_equal(again.predicted["stage2"], result.predicted["stage2"])
    assert lines[-1].startswith("Pose Machine: PCK@0.2 of its stages ")


def evaluation(off):
    """Two stages of forty people, the second off by a share of the normalizer."""
    truth = np.zeros((40, 2, 2))
    rows = {"stage1": truth + 9, "stage2": truth + [off, 0]}
    pair = keras_cpm.Skeleton("pair", ("a", "b"))
    return keras_cpm.Evaluation(rows, truth, truth[..., 0] == 0, np.ones(40), "pck", pair)


def test_the_last_stages_are_compared():
    machine, network = evaluation(0.15), evaluation(0.05)
    rows = side_by_side(machine, network).predicted
    assert list(rows) == ["machine_stage1", "machine_stage2", "cpm_stage1", "cpm_stage2"]
    # both find everything at 0.2
    assert compare(machine, network).startswith("Not as in the paper: ")
    assert "100.0 at 0.1 (100.0 against 0.0) and 0.0 at 0.2" in compare(machine, network)
    assert compare(evaluation(0.3), network).startswith("As in the paper: ")


@pytest.mark.slow
def test_fig6a(tmp_path, drawn_records):
    verdict = experiments.reproduce(
        "fig6a",
        tmp_path,
        records=drawn_records[:4],
        test_records=drawn_records[4:],
        epochs=1,
    )
    assert verdict.startswith(VERDICTS)
    header, *rows = outputs(tmp_path, "fig6a")
    stages = [f"{name}_stage{t}" for name in ("machine", "cpm") for t in (1, 2, 3)]
    assert header == ["threshold", *stages] and len(rows) == 21
    assert {path.name for path in tmp_path.iterdir()} == {"fig6a.png", "fig6a.csv", "fig6a.zip"}
    assert experiments.files("fig6a", tmp_path, people=1)[2] == tmp_path / "fig6a.zip"
