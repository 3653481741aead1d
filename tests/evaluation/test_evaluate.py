import dataclasses

import numpy as np
import pytest

import keras_cpm
from keras_cpm.evaluation.evaluate import Evaluation, mean_pose
from keras_cpm.pose import geometry


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


def test_evaluate_equals_predictor_and_pck(tiny_model, tiny_spec, drawn_records):
    result = keras_cpm.evaluate(tiny_model, drawn_records, tiny_spec)
    find = keras_cpm.Predictor(tiny_model, tiny_spec)
    for i, record in enumerate(drawn_records):
        person = record.people[0]
        pose = find(record.image, center=person.center, person_height=person.height)
        np.testing.assert_allclose(result.predicted["stage2"][i], pose.keypoints, atol=1e-4)
        np.testing.assert_array_equal(result.truth[i], person.keypoints)


def test_the_baseline_row_is_the_mean_of_the_training_people(tiny_model, tiny_spec, drawn_records):
    # one training person, scored on itself: its mean is its own pose
    one = drawn_records[:1]
    result = keras_cpm.evaluate(tiny_model, one, tiny_spec, baseline_records=one)
    labelled = result.labelled[0]
    np.testing.assert_allclose(
        result.predicted["mean pose"][0][labelled], result.truth[0][labelled], atol=1e-3
    )
    # two: half way between them, in the network box
    two = drawn_records[:2]
    placed = [
        geometry.apply(
            geometry.network_from_image(r.people[0].center, r.people[0].height, tiny_spec),
            r.people[0].keypoints,
        ).numpy()
        for r in two
    ]
    mean = mean_pose(two, two, tiny_spec)
    both = two[0].people[0].labelled & two[1].people[0].labelled
    matrix = geometry.network_from_image(
        two[0].people[0].center, two[0].people[0].height, tiny_spec
    )
    np.testing.assert_allclose(
        geometry.apply(matrix, mean[0]).numpy()[both],
        ((placed[0] + placed[1]) / 2)[both],
        atol=1e-3,
    )


def test_pckh_needs_and_uses_head_sizes(tiny_model, tiny_spec, drawn_records):
    result = keras_cpm.evaluate(tiny_model, drawn_records, tiny_spec, metric="pckh")
    sizes = [record.people[0].head_size for record in drawn_records]
    np.testing.assert_allclose(result.normalizer, sizes)
    assert "pckh@0.5" in result.scores(0.5)["stage1"]
    without = [
        dataclasses.replace(r, people=(dataclasses.replace(r.people[0], head_size=None),))
        for r in drawn_records
    ]
    with pytest.raises(ValueError, match="head_size"):
        keras_cpm.evaluate(tiny_model, without, tiny_spec, metric="pckh")
    with pytest.raises(ValueError, match="metric='oks'"):
        keras_cpm.evaluate(tiny_model, drawn_records, tiny_spec, metric="oks")


def test_progress_sees_every_record(tiny_model, tiny_spec, drawn_records):
    seen = []
    keras_cpm.evaluate(
        tiny_model,
        drawn_records,
        tiny_spec,
        progress=lambda items: (seen.append(i) or i for i in items),
    )
    assert seen == drawn_records
