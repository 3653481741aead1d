"""`Person` and `Record`: what is converted, and what is refused and how."""

import re
import warnings

import numpy as np
import pytest

from keras_cpm import Person, Record

PARTS = ("head", "tail", "paw")


def person_with(**changes):
    fields = {
        "keypoints": [(10.5, 20.125), (12, 40), (0, 0)],
        "visible": [2, 1, 0],
        "center": (11.5, 30.25),
        "height": 60.0,
        "box": (1, 2, 30.5, 50),
        "head_size": 12.5,
        "attributes": {"activity": "résumé", "nested": {"a": [1, None]}},
    }
    return Person(**(fields | changes))


def record_with(image="images/a.jpg", people=None, **changes):
    fields = {"size": (96, 128), "split": "test", "dataset": "zoo", "attributes": {"index": 7}}
    return Record(image, parts=PARTS, people=people or (person_with(),), **(fields | changes))


def test_person_converts_its_values():
    person = person_with(
        center=np.array([1, 2]), height=np.float32(3), box=[1, 2, 3, 4], head_size=5
    )
    assert person.keypoints.dtype == np.float32 and person.keypoints.shape == (3, 2)
    assert person.visible.dtype == np.int32
    assert person.labelled.tolist() == [True, True, False]
    assert (person.center, person.height) == ((1.0, 2.0), 3.0)
    assert (person.box, person.head_size) == ((1.0, 2.0, 3.0, 4.0), 5.0)
    assert type(person.height) is float and type(person.center[0]) is float


def test_what_an_unlabelled_point_holds_is_gone():
    person = person_with(keypoints=[(1, 2), (np.nan, -7), (-300, np.inf)], visible=[2, 0, 0])
    assert person.keypoints.tolist() == [[1, 2], [0, 0], [0, 0]]


@pytest.mark.parametrize("flag", [1e300, -1e300, 2.0**31, np.nan, np.inf, 0.5, 10**400])
def test_a_flag_that_is_none_of_the_three_is_refused_as_received(flag):
    """Converted first, 1e300 is a warning and any number."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match=r"^`visible` must hold 0, 1 or 2. Received: \["):
            person_with(visible=[2, flag, 0])


def test_a_point_beyond_all_numbers_is_infinite():
    with pytest.raises(ValueError, match=r"'tail': the point is \[inf, 2.0\]; give finite"):
        record_with(people=(person_with(keypoints=[(1, 2), (10**400, 2), (0, 0)]),))


def test_person_owns_its_arrays_and_nobody_changes_them():
    keypoints, visible = np.ones((3, 2), np.float32), np.array([2, 0, 2], np.int32)
    person = Person(keypoints, visible)
    assert keypoints.tolist() == [[1, 1]] * 3
    keypoints[:] = 9
    visible[:] = 0
    assert person.keypoints.tolist() == [[1, 1], [0, 0], [1, 1]]
    assert person.visible.tolist() == [2, 0, 2]
    for array in (person.keypoints, person.visible):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 5


@pytest.mark.parametrize(
    "keypoints, visible, shapes",
    [
        ([(1, 2, 3)], [2], "(1, 3) and (1,)"),
        ([(1, 2)], [2, 2], "(1, 2) and (2,)"),
        ([1, 2], [2, 2], "(2,) and (2,)"),
    ],
)
def test_person_of_wrong_shape(keypoints, visible, shapes):
    with pytest.raises(ValueError, match=re.escape(f"Received: shapes {shapes}")):
        Person(keypoints, visible)


@pytest.mark.parametrize(
    "changes, message",
    [
        (
            {"keypoints": [(1, 2), (np.nan, 4), (0, 0)]},
            "'tail': the point is [nan, 4.0]; give finite",
        ),
        (
            {"keypoints": [(1, 2), (3, np.inf), (0, 0)]},
            "'tail': the point is [3.0, inf]; give finite",
        ),
        ({"visible": [2, 3, 0]}, "'tail': visible must be 0 (not labelled), 1 (occluded) or 2"),
        ({"visible": [2, -1, 0]}, "Received: -1"),
        ({"height": 0}, "`height` must be a positive number of pixels, or null"),
        ({"height": -3}, "Received: height=-3.0"),
        ({"height": np.nan}, "Received: height=nan"),
        ({"head_size": 0}, "Received: head_size=0.0"),
        ({"head_size": np.inf}, "Received: head_size=inf"),
        ({"center": (1, np.nan)}, "`center` must be finite pixels"),
        ({"box": (1, 2, np.inf, 3)}, "`box` must be finite pixels"),
        ({"box": (5, 2, 5, 9)}, "x0 < x1 and y0 < y1. Received: (5.0, 2.0, 5.0, 9.0)"),
        ({"box": (1, 9, 5, 2)}, "x0 < x1 and y0 < y1"),
    ],
)
def test_record_refuses_and_names_the_person(changes, message):
    with pytest.raises(ValueError, match="person 1.*" + re.escape(message)):
        record_with(people=(person_with(), person_with(**changes)))


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"center": (1, 2, 3)}, "`center` must be 2 numbers. Received: center=(1, 2, 3)"),
        ({"center": 4}, "`center` must be 2 numbers"),
        ({"box": (1, 2)}, "`box` must be 4 numbers. Received: box=(1, 2)"),
    ],
)
def test_person_refuses_other_lengths(changes, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        person_with(**changes)


def test_record_needs_people_with_all_parts():
    with pytest.raises(ValueError, match=r"at least the primary person. Received: none"):
        Record("a.jpg", None, PARTS, ())
    with pytest.raises(ValueError, match=r"person 0 .* 3 parts. Received: 2 keypoints"):
        Record("a.jpg", None, PARTS, (Person([(1, 2), (3, 4)], [2, 2]),))
