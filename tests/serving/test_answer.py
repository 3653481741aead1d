"""What is taken from a server fits the request and the spec, or is one sentence."""

import numpy as np
import pytest

from keras_cpm.serving.answer import Unfit, clean, largest_reply, people, poses

ROWS, PARTS = 2, 3


def of_grpc(**changed):
    keypoints = np.arange(ROWS * PARTS * 2, dtype=np.float32).reshape(ROWS, PARTS, 2)
    scores = np.full((ROWS, PARTS), 0.5, np.float32)
    return {"keypoints": keypoints, "scores": scores, "error": texts([b"", b""]), **changed}


def of_rest(**changed):
    outputs = {name: array.tolist() for name, array in of_grpc().items()}
    outputs["error"] = ["", ""]
    return {name: np.asarray(value, object) for name, value in {**outputs, **changed}.items()}


def texts(values):
    return np.array(values, object)


@pytest.mark.parametrize("make", [of_grpc, of_rest])
def test_what_fits_is_taken_as_it_is(make):
    keypoints, scores, errors = poses(make(), ROWS, PARTS)
    assert keypoints.dtype == scores.dtype == np.float32 and errors == ["", ""]
    np.testing.assert_array_equal(keypoints, of_grpc()["keypoints"])
    np.testing.assert_array_equal(scores, of_grpc()["scores"])


@pytest.mark.parametrize("rows, parts", [(1, 3), (3, 3), (2, 2), (2, 14)])
def test_it_must_be_what_was_asked_for(rows, parts):
    with pytest.raises(Unfit, match=rf"`keypoints` must have the shape \({rows}, {parts}, 2\)"):
        poses(of_grpc(), rows, parts)


@pytest.mark.parametrize("name", ["keypoints", "scores", "error"])
def test_all_outputs_are_needed(name):
    outputs = of_grpc()
    del outputs[name]
    with pytest.raises(Unfit, match=f"`{name}` must .* Received: none"):
        poses(outputs, ROWS, PARTS)


NUMBERS = [[[1.0, 2.0]] * PARTS] * ROWS


@pytest.mark.parametrize(
    "changed",
    [
        {"keypoints": 5},
        {"keypoints": None},
        {"keypoints": {}},
        {"keypoints": []},
        {"keypoints": [[[1, 2], [1]]]},
        {"keypoints": [NUMBERS[0], [[1, 2], [1, 2], [1]]]},
        {"keypoints": [NUMBERS[0], [["1", "2"]] * PARTS]},
        {"keypoints": [NUMBERS[0], [[None, 2]] * PARTS]},
        {"keypoints": [NUMBERS[0], [[True, 2]] * PARTS]},
        {"keypoints": [NUMBERS[0], [[10**400, 2]] * PARTS]},
        {"keypoints": [NUMBERS[0], [[1e300, 2]] * PARTS]},
        {"keypoints": [NUMBERS[0], [[float("nan"), 2]] * PARTS]},
        {"scores": [[0.5] * PARTS, [float("inf")] * PARTS]},
        {"scores": [[[0.5]] * PARTS] * ROWS},
        {"error": ""},
        {"error": None},
        {"error": [0, 0]},
        {"error": [None, ""]},
        {"error": [{"b64": ""}, ""]},
        {"error": ["", "", ""]},
    ],
    ids=str,
)
def test_json_of_another_shape_or_type_is_none(changed):
    with pytest.raises(Unfit, match=r"^gives "):
        poses(of_rest(**changed), ROWS, PARTS)


@pytest.mark.parametrize(
    "changed",
    [
        {"keypoints": np.zeros((ROWS, PARTS, 2), np.int32)},
        {"keypoints": np.zeros((ROWS, PARTS, 2), np.bool_)},
        {"keypoints": texts([[[b"1", b"2"]] * PARTS] * ROWS)},
        {"scores": np.full((ROWS, PARTS), np.nan, np.float32)},
        {"error": np.zeros(ROWS, np.float32)},
        {"error": texts(b"")},
    ],
    ids=str,
)
def test_tensors_of_another_shape_or_type_are_none(changed):
    with pytest.raises(Unfit, match=r"^gives "):
        poses(of_grpc(**changed), ROWS, PARTS)


def test_a_row_with_an_error_needs_no_keypoints():
    outputs = of_grpc(error=texts([b"no \xff image", b""]))
    outputs["keypoints"][0] = np.nan
    keypoints, _, errors = poses(outputs, ROWS, PARTS)
    assert errors == ["no \ufffd image", ""] and np.isfinite(keypoints[1]).all()
    outputs["keypoints"][1] = np.nan
    with pytest.raises(Unfit, match="not finite"):
        poses(outputs, ROWS, PARTS)


def test_texts_of_strangers_are_one_short_line():
    assert clean("\x1b]0;mine\x07no\r\n\u2028image\u202e \x9b31m") == "]0;mine no image 31m"
    assert clean("Größe: 3 €") == "Größe: 3 €"
    assert len(clean("x" * 10**6)) < 320
    _, _, errors = poses(of_grpc(error=texts([b"\x1b[2Jgone", b""])), ROWS, PARTS)
    assert errors == ["[2Jgone", ""]


def test_the_longest_answer_that_is_one_is_not_too_long():
    """As TensorFlow Serving writes JSON: every number on a line of its own."""
    row = "\n".join(["    " * 4 + "-1234.56789012345678,"] * 3 * 133)
    assert 64 * len(row) < largest_reply(133)


# the signature "people" -------------------------------------------------------------------------


def crowd(**changed):
    rows = {name: of_grpc()[name][None] for name in ("keypoints", "scores")}
    sureness = np.array([[0.9, 0.0]], np.float32)
    whole = {**rows, "person_scores": sureness, "count": np.array([1]), "error": texts([b""])}
    return {**whole, **changed}


def test_of_people_so_many_are_taken_as_there_are():
    rest = {name: np.asarray(array.tolist(), object) for name, array in crowd().items()}
    rest["error"] = texts([""])
    for outputs in (crowd(), rest):
        keypoints, scores, sureness, error = people(outputs, PARTS)
        np.testing.assert_array_equal(keypoints, of_grpc()["keypoints"][:1])
        np.testing.assert_array_equal(scores, of_grpc()["scores"][:1])
        assert sureness.tolist() == [np.float32(0.9)] and error == ""


@pytest.mark.parametrize(
    "changed",
    [
        {"person_scores": np.zeros((2, 2), np.float32)},
        {"person_scores": np.zeros((1, 3), np.float32)},
        {"person_scores": np.zeros((1, 65), np.float32)},
        {"person_scores": np.array([[np.nan, 0]], np.float32)},
        {"person_scores": np.asarray({}, object)},
        {"keypoints": of_grpc()["keypoints"]},
        {"keypoints": np.asarray([{}], object)},
        {"keypoints": np.asarray(None, object)},
        {"scores": np.full((1, ROWS, PARTS), np.nan, np.float32)},
        {"count": np.array([3])},
        {"count": np.array([-1])},
        {"count": np.array([1.0])},
        {"count": np.array([1, 1])},
        {"count": texts(["\x1b[2J"])},
        {"error": texts([b"", b""])},
        {"error": np.asarray(5, object)},
    ],
)
def test_people_who_do_not_fit_are_one_sentence(changed):
    with pytest.raises(Unfit) as caught:
        people(crowd(**changed), PARTS)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("name", ["keypoints", "scores", "person_scores", "count", "error"])
def test_of_people_all_outputs_are_needed(name):
    outputs = crowd()
    del outputs[name]
    with pytest.raises(Unfit, match=f"`{name}` must"):
        people(outputs, PARTS)
