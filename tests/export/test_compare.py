"""Exports beside their Keras model: what is measured, and what is too far."""

import numpy as np
import pytest

import keras_cpm
from keras_cpm.export import compare
from tests.export.networks import sure_network


@pytest.mark.parametrize(
    "name", [pytest.param("served", marks=pytest.mark.slow), "phone_file", "onnx_file"]
)
def test_an_export_gives_the_keypoints_of_its_model_alone(
    name, request, model, tiny_spec, drawn_records
):
    path = request.getfixturevalue(name)
    measured = compare.compare(model, tiny_spec, drawn_records[:2], path)
    assert measured.checked() < 0.02 and measured.displacements.shape == (28,)
    assert measured.name == path.name and measured.size > 1e4 and measured.milliseconds > 0
    other = compare.compare(sure_network(tiny_spec, seed=4), tiny_spec, drawn_records[:2], path)
    assert other.displacements.shape == (28,)
    with pytest.raises(RuntimeError, match=f"{path.name} differs from the Keras model"):
        other.checked()


def test_the_baseline_is_the_predictor(model, tiny_spec, drawn_records):
    row = compare.baseline(model, tiny_spec, drawn_records[:2])
    pose = keras_cpm.Predictor(model, tiny_spec)(drawn_records[1].image)
    np.testing.assert_allclose(row.expected[1], pose.keypoints, atol=1e-3)
    np.testing.assert_allclose(row.scores[1], pose.scores, atol=1e-4)
    assert row.name == "Keras" and row.size == 4 * model.count_params()
    assert row.checked() == 0 and row.milliseconds > 0


def moved_by(pixels, quantize, scores=0.9):
    """Keypoints of one image, moved to the right."""
    expected = np.zeros((1, len(pixels), 2))
    found = expected + np.stack([pixels, np.zeros(len(pixels))], -1)
    scores = np.broadcast_to(scores, (1, len(pixels)))
    return compare.Comparison("it", quantize, expected, found, scores, 1.0, 1)


@pytest.mark.parametrize(
    "quantize, moved, within",
    [
        ("none", [0, 0.049], True),
        ("none", [0, 0.051], False),
        ("float16", [0.4, 0.49], True),
        ("float16", [0, 0.51], False),
        ("int8", [0.9, 0.9, 30], True),
        ("int8", [1.1, 1.1, 0], False),
        ("dynamic", [1.1, 1.1, 0], False),
        ("none", [0, np.nan], False),
    ],
)
def test_what_is_within_bounds(quantize, moved, within):
    assert moved_by(moved, quantize).within is within
    # what the Keras model is not sure of counts nothing
    unsure = moved_by(moved, quantize, scores=0.29)
    assert unsure.within and unsure.displacements.size == 0
    part = moved_by(moved, quantize).of_part(1)
    assert part.tolist() == [moved[1]] or np.isinf(part).all()


@pytest.mark.parametrize(
    "quantize, other, within",
    [("float16", 0.795, True), ("float16", 0.78, False), ("none", 0.795, False)],
)
def test_between_peaks_of_one_height_either_is_right(tiny_spec, quantize, other, within):
    """A peak of 0.8, and another, at which an export of fewer bits finds the part."""
    beliefs = np.zeros((8, 8, 15), np.float32)
    beliefs[2, 1], beliefs[2, 6] = 0.8, other
    matrix = np.diag([2, 2, 1]).astype(np.float32)  # the photograph is half the box
    parts = tiny_spec.skeleton.parts
    expected, found = (np.tile([x, 9.75], (14, 1)) for x in (5.75, 25.75))
    pose = keras_cpm.Pose(
        *(expected, np.full(14, 0.8), parts, None, None, [beliefs], matrix, tiny_spec)
    )
    given = expected[None], found[None], pose.scores[None], 1.0, 1
    row = compare.Comparison("it", quantize, *given, [pose])
    assert row.displacements.tolist() == [20] * 14 and row.within is within
    assert row.to_dict()["ties"] == (14 if within else 0)
    # what is nowhere ties with nothing
    nowhere = np.where(np.arange(14)[None, :, None] == 3, np.nan, found)
    given = expected[None], nowhere, pose.scores[None], 1.0, 1
    assert not compare.Comparison("it", quantize, *given, [pose]).within


def test_json_values_say_the_same():
    facts = moved_by([0.25, 0.75], "float16").to_dict()
    assert (facts["keypoints"], facts["median"], facts["largest"]) == (2, 0.5, 0.75)
    assert facts["within"] is False
    unsure = moved_by([1.0], "none", scores=0.0).to_dict()
    assert unsure["median"] is unsure["largest"] is None and unsure["within"]


def test_parts_move_and_their_pck_with_them(drawn_records):
    """A part that an export does not find loses what the Keras model scored of it."""
    records = drawn_records[:2]
    parts = records[0].parts
    truth = np.stack([record.people[0].keypoints for record in records])
    found = truth.copy()
    found[:, 3] += 1000
    scores = np.full(truth.shape[:2], 0.9)
    scores[:, 0] = 0.1
    keras = compare.Comparison("Keras", "none", truth, truth, scores, 1.0, 1)
    far = compare.Comparison("far", "none", truth, found, scores, 1.0, 1)
    table = compare.parts_table([keras, far], records, parts)
    assert table["far"]["total"]["pck"] < table["far"]["total"]["keras_pck"] == 100
    moved, still, unsure = (table["far"][parts[i]] for i in (3, 2, 0))
    assert moved["median"] == moved["p95"] == pytest.approx(1000 * 2**0.5)
    assert (moved["pck"], moved["keras_pck"]) == (0, 100)
    assert still == {"median": 0, "p95": 0, "pck": 100, "keras_pck": 100}
    assert unsure["median"] is unsure["p95"] is None
    assert set(table["Keras"]) == {"total", *parts}
