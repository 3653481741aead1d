"""The training of a Pose Machine."""

import numpy as np
import pytest

import keras_cpm
from keras_cpm.paper.forests import NODE, nodes_of
from keras_cpm.paper.machine_training import MachineSpec, fit_pose_machine

SPEC = keras_cpm.PoseSpec(box_size=64, stride=4)
SMALL = MachineSpec(stages=2, rounds=2, trees=1, depth=4)


def test_it_finds_who_it_has_seen(drawn_records):
    recipe = MachineSpec(stages=1, rounds=4, trees=4, depth=8)
    spec = SPEC.replace(box_size=96)
    machine = fit_pose_machine(drawn_records, spec, recipe)
    result = keras_cpm.evaluate(machine, drawn_records, spec, baseline_records=drawn_records)
    scores = {row: table["pck@0.2"]["total"] for row, table in result.scores(0.2).items()}
    assert scores["stage1"] > 70 and scores["stage1"] > scores["mean pose"] + 30


@pytest.mark.slow
def test_same_seed_same_machine(drawn_records):
    boxes = np.random.default_rng(0).uniform(0, 255, (1, 64, 64, 3)).astype(np.float32)
    found = []
    for seed in (0, 0, 1):
        recipe = MachineSpec(stages=2, rounds=1, trees=1, depth=3, mirror=True, seed=seed)
        found.append(fit_pose_machine(drawn_records[:4], SPEC, recipe).predict_on_batch([boxes]))
    np.testing.assert_array_equal(found[0], found[1])
    assert not np.array_equal(found[0][1], found[2][1])


def asked(forest):
    """The features that its nodes ask for."""
    nodes = np.frombuffer(nodes_of(forest), NODE)
    return nodes["feature"][nodes["left"] >= 0].tolist()


def test_levels_with_parts_that_there_are(drawn_records):
    recipe = MachineSpec(
        stages=2,
        composites=((("neck", "head"),), (("nose",),)),
        rounds=1,
        trees=2,
        depth=3,
    )
    lines = []
    machine = fit_pose_machine(drawn_records[:4], SPEC, recipe, lines.append)
    assert [len(stage) for stage in machine.forests] == [2, 1]
    # 14 parts and one group, each level with background: 49 maxima and 3 offsets a map
    assert machine.forests[1][0].num_features() == 750 + (15 + 2) * (49 + 6)
    # single parts are looked for in 5x5 cells, groups in 15x15 too, both in all maps
    furthest = [asked(forest) for forest in (*machine.forests[0], *machine.forests[1])]
    assert max(furthest[0]) < 250 <= max(furthest[1]) < 500
    assert not any(250 <= number < 750 for number in furthest[2]) and max(furthest[2]) >= 750
    assert len(lines) == 2 and lines[0].startswith("stage 1 of the Pose Machine: 2 levels")


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"stages": 9}, "`stages` must be a whole number, 1 to 8. Received: stages=9"),
        ({"folds": 1}, "`folds` must be .*Received: folds=1"),
        ({"rate": float("nan")}, "`rate` must be .*Received: rate=nan"),
        ({"composites": ((("neck",),),) * 8}, "`composites` must be fewer than 8 levels"),
    ],
)
def test_what_no_machine_has(changes, message):
    with pytest.raises(ValueError, match=message):
        MachineSpec(**changes)


@pytest.mark.parametrize(
    "changes, people, message",
    [
        ({}, 3, "`records` must be 4 people or more.*Received: 3"),
        ({"background": False}, 4, "`spec` must have a background"),
    ],
)
def test_mistakes(drawn_records, changes, people, message):
    with pytest.raises(ValueError, match=message):
        fit_pose_machine(drawn_records[:people], SPEC.replace(**changes), SMALL)
