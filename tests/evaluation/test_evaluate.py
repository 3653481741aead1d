"""`evaluate`, `evaluate_predictions` and `mean_pose`: what is compared with which labels."""

import dataclasses

import numpy as np
import pytest

import keras_cpm
from keras_cpm import evaluate_predictions, mean_pose
from keras_cpm.pose import geometry
from tests.evaluation.people import hand_made, moved


def test_evaluate_equals_predictor_and_pck(tiny_model, tiny_spec, drawn_records):
    result = keras_cpm.evaluate(tiny_model, drawn_records, tiny_spec)
    predictor = keras_cpm.Predictor(tiny_model, tiny_spec)
    people = [record.people[0] for record in drawn_records]
    found = [
        predictor(record.image, center=person.center, person_height=person.height).stage_keypoints
        for record, person in zip(drawn_records, people, strict=True)
    ]
    truth = np.stack([person.keypoints for person in people])
    labelled = np.stack([person.labelled for person in people])
    torsos = keras_cpm.reference_length(truth, labelled, tiny_spec.skeleton)
    # where an untrained network is right about some
    for alpha in (0.2, 0.5, 1.0):
        for stage, points in enumerate(np.stack(found, axis=1), 1):
            np.testing.assert_allclose(result.predicted[f"stage{stage}"], points, atol=1e-4)
            shares, total = keras_cpm.pck(points, truth, labelled, torsos, alpha)
            entry = result.scores(alpha)[f"stage{stage}"][f"pck@{alpha:g}"]
            assert entry["total"] == pytest.approx(100 * total)
            assert list(entry["parts"].values()) == pytest.approx((100 * shares).tolist())
    assert 0 < total < 1


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


def test_parts_are_matched_by_name_and_only_shared_ones_count():
    records = hand_made(1)
    points = records[0].people[0].keypoints[None, ::-1]
    result = evaluate_predictions({"turned": (points, records[0].parts[::-1])}, records)
    assert result.scores(0.0)["turned"]["pck@0"]["total"] == 100.0
    few = evaluate_predictions(
        {"few": (points[:, :2], ("head", "neck"))}, records, normalizer="box"
    )
    assert few.skeleton.num_parts == 2


def test_predictions_that_do_not_fit_are_refused():
    records = hand_made(2)
    with pytest.raises(ValueError, match=r"must be \(2, 14, 2\), one pose a record"):
        evaluate_predictions({"one": (np.zeros((1, 14, 2)), records[0].parts)}, records)
    with pytest.raises(ValueError, match="must share parts"):
        evaluate_predictions({"other": (np.zeros((2, 1, 2)), ("fin",))}, records)
    with pytest.raises(ValueError, match="leave `normalizer` out"):
        evaluate_predictions(moved(records, 0), records, metric="pckh", normalizer="box")


def test_the_head_segment_is_that_of_the_records():
    """Also where a file predicts neither head nor neck."""
    (record,) = hand_made(1)
    points, parts = record.people[0].keypoints.copy(), list(record.parts)
    points[parts.index("head")] = points[parts.index("neck")] + (3, 4)
    person = dataclasses.replace(record.people[0], keypoints=points)
    few = {"few": (np.zeros((1, 1, 2)), ("left_shoulder",))}
    records = [dataclasses.replace(record, people=(person,))]
    result = evaluate_predictions(few, records, normalizer="head-segment")
    assert result.normalizer.tolist() == [5.0]


def test_the_predicted_torso_as_normalizer():
    """A wrong hip makes the release's FLIC normalizer longer, and so forgives more."""
    records = hand_made(1, keras_cpm.FLIC9)
    points, parts = moved(records, [25.0])["moved"]
    points[0, parts.index("right_hip")] = 130, 0
    predictions = {"moved": (points, parts)}
    by = {
        name: evaluate_predictions(predictions, records, protocol="flic", normalizer=name).scores(
            0.2
        )["moved"]["pck@0.2"]["parts"]["left_wrist"]
        for name in ("torso", "predicted-torso")
    }
    assert by == {"torso": 0.0, "predicted-torso": 100.0}


def test_who_predicts_no_torso_is_wrong_not_left_out():
    records = hand_made(2)
    points, parts = moved(records, [0, 0])["moved"]
    points[1] = 7.0
    result = evaluate_predictions({"dot": (points, parts)}, records, normalizer="predicted-torso")
    assert result.scores(0.2)["dot"]["pck@0.2"]["total"] == 50.0


def test_the_normalizer_does_not_depend_on_who_predicts_what():
    """A second file without a shoulder once turned the torso into a box, for both."""
    records = hand_made(1)
    both = moved(records, [21.0])
    few = (both["moved"][0][:, :3], records[0].parts[:3])
    wrist = records[0].parts.index("left_wrist")
    half = (both["moved"][0][:, wrist : wrist + 1], ("left_wrist",))
    for others in ({}, {"half": half}):
        result = evaluate_predictions(both | others, records)
        assert result.normalizer.tolist() == [100.0]
    assert evaluate_predictions({"few": few}, records, protocol="lsp").normalizer.tolist() == [
        100.0
    ]
