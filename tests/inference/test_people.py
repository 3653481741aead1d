"""Everybody in a photograph, by hand-made networks: one marks red, green and blue dots."""

import keras
import numpy as np
import pytest

import keras_cpm
from keras_cpm.inference.people import find_poses, poses_at

PARTS = ("red", "green", "blue")
SPEC = keras_cpm.PoseSpec(
    keras_cpm.Skeleton("dots", PARTS), box_size=64, background=False, pad_value=0
)
# around their middle, in heights
DOTS = np.array([[0.0, -0.5], [0.2, 0.0], [-0.1, 0.5]])


@pytest.fixture(scope="module")
def predictor():
    image = keras.Input((64, 64, 3))
    beliefs = keras.layers.AveragePooling2D(8)(keras.layers.Rescaling(1 / 255)(image))
    return keras_cpm.Predictor(keras.Model([image], [beliefs]), SPEC)


def picture(*people, size=(160, 240), colors=(0, 1, 2)):
    """(h, w, 3), a glow for each part of people (x, y, height)."""
    pixels = np.zeros((*size, 3))
    y, x = np.mgrid[: size[0], : size[1]]
    for middle_x, middle_y, height in people:
        for color in colors:
            dot = np.add((middle_x, middle_y), height * DOTS[color])
            distance = (x - dot[0]) ** 2 + (y - dot[1]) ** 2
            pixels[..., color] += 255 * np.exp(-distance / (2 * (height / 12) ** 2))
    return np.clip(pixels, 0, 255)


def roughly(*people):
    """A finder that is wrong by a tenth of the height, and names somebody a third time."""
    places = [
        {"center": (x + dx * height, y + 0.1 * height), "person_height": factor * height}
        for x, y, height in people
        for dx, factor in ((0.1, 0.75), (-0.1, 1.3), (0.0, 1.0))
    ]
    return lambda photograph: places


def test_everybody_is_found_once_and_exactly(predictor):
    people = [(60, 80, 90), (180, 70, 50)]
    found = find_poses(picture(*people), predictor, roughly(*people), threshold=0.3)
    assert len(found) == 2
    found.sort(key=lambda one: one.center[0])
    for person, (x, y, height) in zip(found, people, strict=True):
        dots = np.add((x, y), height * DOTS)
        np.testing.assert_allclose(person.pose.keypoints, dots, atol=0.06 * height)
        expected = (*dots.min(axis=0), *dots.max(axis=0))
        np.testing.assert_allclose(person.box, expected, atol=0.06 * height)
        assert person.score == pytest.approx(person.pose.scores.mean()) and person.score > 0.5


@pytest.mark.parametrize("factor", [0.5, 1.5, 6])
def test_a_photograph_of_another_resolution_has_the_same_people(predictor, factor):
    people = [(60, 80, 90), (180, 70, 50)]
    found = find_poses(picture(*people), predictor, roughly(*people), threshold=0.3)
    scaled = [
        ((x + 0.5) * factor - 0.5, (y + 0.5) * factor - 0.5, h * factor) for x, y, h in people
    ]
    size = round(160 * factor), round(240 * factor)
    again = find_poses(picture(*scaled, size=size), predictor, roughly(*scaled), threshold=0.3)
    # both are as sure
    for people in (found, again):
        people.sort(key=lambda one: one.center[0])
    for before, now in zip(found, again, strict=True):
        points = (now.pose.keypoints + 0.5) / factor - 0.5
        np.testing.assert_allclose(points, before.pose.keypoints, atol=0.01 * before.person_height)
        assert now.person_height / factor == pytest.approx(before.person_height, rel=0.01)
        assert now.score == pytest.approx(before.score, abs=0.01)


def test_what_has_not_the_parts_of_a_person_is_nobody(predictor):
    place = (110, 80, 90)
    only_red = picture(place, colors=(0,))
    assert find_poses(only_red, predictor, roughly(place), threshold=0.4) == []
    assert len(find_poses(picture(place), predictor, roughly(place), threshold=0.4)) == 1
    assert find_poses(picture(place), predictor, lambda photograph: []) == []


def test_the_surest_come_first_and_no_more_than_asked(predictor):
    people = [(60, 80, 90), (180, 70, 50)]
    pixels = picture(*people)
    pixels[:, 120:] *= 0.7
    found = find_poses(pixels, predictor, roughly(*people), threshold=0.2)
    assert [one.center[0] < 120 for one in found] == [True, False]
    (first,) = find_poses(pixels, predictor, roughly(*people), threshold=0.2, most=1)
    assert first.center[0] < 120


def test_where_boxes_are_given_nobody_is_left_out(predictor):
    pixels = picture((60, 80, 90))
    places = [{"box": (15, 35, 105, 125)}, {"center": (200, 80), "person_height": 50.0}]
    found = poses_at(pixels, predictor, places)
    assert [(one.center, one.person_height) for one in found] == [
        ((60.0, 80.0), 90.0),
        ((200.0, 80.0), 50.0),
    ]
    assert found[0].score > 0.4 > found[1].score
    entry = found[0].to_dict()
    assert list(entry) == ["score", "box", "keypoints"] and set(entry["keypoints"]) == set(PARTS)
    assert entry["box"] == [round(x, 2) for x in found[0].box]
