"""`Evaluation` by hand: scores, areas, columns, and groups of people."""

from dataclasses import replace

import numpy as np
import pytest

import keras_cpm
from keras_cpm import Evaluation, evaluate_predictions
from keras_cpm.evaluation.scores import group_people
from tests.evaluation.people import hand_made, moved


def evaluation(predicted, **changes):
    fields = {
        "predicted": {"stage1": np.array(predicted, float)},
        "truth": np.zeros((2, 3, 2)),
        "labelled": np.array([[True, True, True], [True, False, True]]),
        "normalizer": np.array([10.0, 20.0]),
        "metric": "pck",
        "skeleton": keras_cpm.Skeleton("three", ("a", "b", "c")),
    }
    return Evaluation(**{**fields, **changes})


def test_scores_by_hand():
    # distances 2, 3, 0 of 10 px, and 4, (unlabelled), 4.1 of 20 px, at alpha 0.2
    result = evaluation([[[2, 0], [0, 3], [0, 0]], [[4, 0], [0, 0], [0, 4.1]]])
    entry = result.scores(0.2)["stage1"]["pck@0.2"]
    assert entry["parts"] == {"a": 100.0, "b": 0.0, "c": 50.0}
    assert entry["total"] == pytest.approx(60.0)


def test_a_part_without_labels_has_no_score():
    labelled = np.array([[True, False, True]] * 2)
    entry = evaluation(np.zeros((2, 3, 2)), labelled=labelled).scores()["stage1"]["pck@0.2"]
    assert entry["parts"] == {"a": 100.0, "b": None, "c": 100.0} and entry["total"] == 100


def test_areas_name_their_range():
    areas = evaluation(np.zeros((2, 3, 2))).areas(np.linspace(0, 0.2, 21))
    assert areas["stage1"]["auc@0.2"]["total"] == pytest.approx(100)


def test_groups_by_any_attribute():
    records = hand_made(5)
    result = evaluate_predictions(moved(records, [0, 99, 0, 99, 0]), records, protocol="lsp")
    groups = group_people(records, "view")
    assert {name: people.tolist() for name, people in groups.items()} == {
        "0": [0, 2, 4],
        "1": [1, 3],
    }
    wrists = {
        name: result.subset(people).scores(0.2)["moved"]["pck@0.2"]["parts"]["left_wrist"]
        for name, people in groups.items()
    }
    assert wrists == {"0": 100.0, "1": 0.0}
    assert list(group_people(records, "act")) == ["row"]
    with pytest.raises(ValueError, match=r"they have \['act', 'view'\]"):
        group_people(records, "angle")
    angles = [replace(r, attributes={"angle": 10.0 * i}) for i, r in enumerate(hand_made(13))]
    ranges = group_people(angles, "angle")
    assert len(ranges) == 6 and sorted(np.concatenate(list(ranges.values()))) == list(range(13))
    assert ranges["100 to 120"].tolist() == [10, 11, 12]
    close = [replace(r, attributes={"id": 20_000_000 + i}) for i, r in enumerate(hand_made(14))]
    assert len(group_people(close, "id")) == 6
