"""Views of photographs for a person network: who is to be found in them, and where they look."""

import numpy as np
import pytest

from keras_cpm import CPM14, Person, PoseSpec, Record
from keras_cpm.data.scenes import draw_scenes
from keras_cpm.data.synthetic.groups import FOUND
from keras_cpm.pose.skeleton import skeleton_of

SPEC = PoseSpec(skeleton_of(("center",)), box_size=96, person_height=40.0, background=False)
BOXES = [(10, 20, 40, 80), (100, 10, 130, 200), (200, 100, 210, 120)]


def person(box, keypoint=None):
    x0, y0, x1, _ = box
    return Person([keypoint or ((x0 + x1) / 2, y0)], [2], box=box)


def photograph(people, image="a.jpg", size=(240, 300)):
    return Record(image, size, ("nose",), tuple(people))


def views(records, count=200, **options):
    return draw_scenes(records, SPEC, views=count, **options)


def test_everybody_of_the_right_height_is_to_be_found_and_nobody_else():
    seen = set()
    for view in views([photograph(map(person, BOXES))]):
        height = view.people[0].height
        wanted = {
            ((x0 + x1) / 2, (y0 + y1) / 2)
            for x0, y0, x1, y1 in BOXES
            if FOUND[0] <= (y1 - y0) / height <= FOUND[1]
        }
        found = {tuple(one.keypoints[0]) for one in view.people if one.visible[0] == 2}
        assert found == wanted and all(one.height == height for one in view.people)
        assert found or view.people[0].visible.tolist() == [0]
        seen |= found
    assert len(seen) == len(BOXES)


def test_most_views_hold_somebody_and_heights_are_those_of_the_zooms():
    found = views([photograph([person(BOXES[1])])], 1000)
    assert 0.7 < np.mean([view.people[0].visible[0] == 2 for view in found]) < 0.9
    empty = views([photograph([person((-1e4, -1e4, -9e3, -9e3))])], 1000)
    heights = np.array([view.people[0].height for view in empty])
    of_zoom_1 = 240 * SPEC.person_height / SPEC.box_size
    assert of_zoom_1 / 2 <= heights.min() < 0.52 * of_zoom_1
    assert 2.7 * of_zoom_1 < heights.max() <= of_zoom_1 / 0.35


def test_records_of_one_photograph_are_one_photograph():
    people = [person(box) for box in BOXES]
    twice = [photograph(people), photograph(people[::-1]), photograph(people, "b.jpg")]
    found = views(twice, 5)
    assert [view.image for view in found] == ["a.jpg"] * 5 + ["b.jpg"] * 5
    assert max(len(view.people) for view in found) <= len(BOXES)
    other = views(twice, 5, seed=1)
    assert (
        [one.people[0].center for one in found]
        == [one.people[0].center for one in views(twice, 5)]
        != [one.people[0].center for one in other]
    )


def test_nobody_is_found_in_a_photograph_of_nobody():
    away = np.full((14, 2), -1e4)
    nobody = Person(away, np.full(14, 2), center=(100, 100), height=90.0)
    record = Record("n.jpg", (240, 300), CPM14.parts, (nobody,))
    assert not any(view.people[0].visible.any() for view in views([record]))


def test_a_photograph_of_no_size_is_refused():
    with pytest.raises(ValueError, match="no size of a"):
        views([photograph([person(BOXES[0])], size=None)])
