"""Figure 6a: a Pose Machine on the people of a trial, and its scores beside the network's."""

import dataclasses
import time

from ..evaluation.evaluate import evaluate
from . import verdicts
from .machine_training import MachineSpec, fit_pose_machine
from .trial import last_stages, noise, totals

# pixels a cell: trees need no pools
STRIDE = 4


def train_machine(trial, recipe=None):
    """Trains a Pose Machine on a trial's people, and keeps it as a .zip beside the picture.

    Args:
        trial: `Trial`.
        recipe: `MachineSpec`; `None` for its defaults.

    Returns:
        `Evaluation` of what it finds in the trial's tests, a row a stage.

    Raises:
        ImportError: the extra `forest` is not installed.
    """
    start = time.monotonic()
    recipe = recipe or MachineSpec(seed=trial.seed)
    spec = trial.spec.replace(stride=STRIDE)
    machine = fit_pose_machine(trial.people, spec, recipe, trial.say)
    machine.save(trial.path("zip"))
    trained = time.monotonic() - start
    result = evaluate(machine, trial.tests, spec)
    scores = ", ".join(f"{score:.1f}" for score in totals(result).values())
    trial.say(
        f"Pose Machine: PCK@0.2 of its stages {scores}; {trained:.0f} seconds for the training, "
        f"{time.monotonic() - start - trained:.0f} for the test"
    )
    return result


def side_by_side(machine, network):
    """One `Evaluation` with the rows of both, of the same people.

    Args:
        machine, network: `Evaluation`, a row a stage.

    Returns:
        `Evaluation` with the rows "machine_stage1", ..., "cpm_stage1", ...
    """
    both = {"machine": machine, "cpm": network}
    rows = {
        f"{name}_{row}": points
        for name, result in both.items()
        for row, points in result.predicted.items()
    }
    return dataclasses.replace(network, predicted=rows)


def compare(machine, network):
    """The verdict on the last stages of both.

    Args:
        machine, network: `Evaluation`, a row a stage.
    """
    pair = last_stages({"machine": machine, "cpm": network})
    scores = {
        alpha: [pair.scores(alpha)[row][f"pck@{alpha:g}"]["total"] for row in ("machine", "cpm")]
        for alpha in (0.1, 0.2)
    }
    return verdicts.of_predecessor(scores, noise(pair))
