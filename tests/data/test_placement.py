"""Where a person is: as annotated, by the box, or the whole photograph; and labels by part name."""

import dataclasses

import numpy as np
import pytest

from keras_cpm import CPM14, MPII16, Person, PoseSpec, make_dataset
from keras_cpm.data import placement
from keras_cpm.data.placement import half_of


def test_a_person_may_be_placed_by_its_box_or_fill_the_image(drawn_records):
    record, spec = drawn_records[0], PoseSpec(box_size=64)
    person = dataclasses.replace(
        record.people[0], center=None, height=None, box=(10.0, 20.0, 50.0, 80.0)
    )
    boxed = dataclasses.replace(record, people=(person,))
    assert placement.where_is(boxed) == ((30.0, 50.0), 60.0)
    bare = dataclasses.replace(record, people=(dataclasses.replace(person, box=None),))
    center, height = placement.where_is(bare)
    image_height, image_width = record.size
    assert center == ((image_width - 1) / 2, (image_height - 1) / 2)
    # the image becomes 0.8 of the box high
    assert height * 0.8 * 64 / spec.person_height == pytest.approx(image_height, rel=1e-5)
    for placed in (boxed, bare):
        dataset = make_dataset([placed], spec, stages=2, batch_size=1)
        assert next(iter(dataset))[0]["image"].shape == (1, 64, 64, 3)


@pytest.mark.parametrize(
    ("thorax", "angle"),
    [((0, -9), 0), ((9, 0), 90), ((0, 9), 180), ((-9, 1e-9), 270), ((-9, -9), -45)],
)
def test_the_angle_of_the_torso(thorax, angle):
    points, visible = np.zeros((16, 2)), np.full(16, 2)
    points[MPII16.index("thorax")] = thorax
    assert placement.torso_angle(points + 50, visible, MPII16) == {"torso_angle": angle}
    for part in ("pelvis", "thorax"):
        hidden = np.where(np.arange(16) == MPII16.index(part), 0, visible)
        assert placement.torso_angle(points, hidden, MPII16) == {}


def test_nothing_says_where_a_person_is(drawn_records):
    record = drawn_records[0]
    person = dataclasses.replace(record.people[0], center=None, box=None)
    nowhere = dataclasses.replace(record, people=(person,), size=None)
    assert placement.place_of(person) is None and not placement.is_placed(nowhere)
    assert placement.is_placed(dataclasses.replace(nowhere, size=record.size))
    boxed = dataclasses.replace(person, box=(10, 20, 50, 80))
    assert placement.is_placed(dataclasses.replace(nowhere, people=(boxed,)))


def test_labels_are_matched_by_name():
    person = Person([(1, 2), (3, 4), (5, 6)], [2, 2, 1])
    keypoints, visible = placement.keypoints_of(person, ("neck", "tail", "head"), CPM14)
    neck, head = CPM14.index("neck"), CPM14.index("head")
    assert keypoints[neck].tolist() == [1, 2] and visible[neck] == 2
    assert keypoints[head].tolist() == [5, 6] and visible[head] == 1
    assert not np.delete(keypoints, (neck, head), 0).any() and visible.sum() == 3


def test_half_of_a_person_are_the_parts_around_one_of_them():
    upright = np.float32([[50, 10 * i] for i in range(10)])
    labelled = np.array([True] * 8 + [False] * 2)
    top, height = half_of(upright, labelled, 0.0)
    assert top.numpy().tolist() == [50, 15] and float(height) == pytest.approx(1.25 * 30)
    bottom, _ = half_of(upright, labelled, 0.999)
    assert bottom.numpy().tolist() == [50, 55]  # parts without label lie nowhere


def _standing(points, visible):
    return [Person([point], [flag]) for point, flag in zip(points, visible, strict=True)]


def test_the_others_of_a_few_are_all_who_are_labelled():
    people = _standing([(1, 1), (2, 2), (3, 3), (4, 4)], [2, 0, 1, 2])
    groups = placement.with_others(people)
    assert [[people.index(p) for p in group] for group in groups] == [
        [0, 2, 3],
        [1, 0, 2, 3],
        [2, 0, 3],
        [3, 0, 2],
    ]


@pytest.mark.parametrize("spread", [1000.0, 10.0, 0.0])
def test_the_others_of_a_crowd_are_the_nearest(spread):
    """Compared with all distances; also where many stand in one place, or have no label."""
    rng = np.random.default_rng(0)
    points = np.rint(rng.uniform(0, spread, (500, 2)))
    flags = rng.choice([0, 1, 2], 500)
    people = _standing(points, flags)
    numbers = {id(person): i for i, person in enumerate(people)}
    # who has no label is nowhere, at (0, 0)
    points[flags == 0] = 0
    for i, group in enumerate(placement.with_others(people)):
        first, *others = [numbers[id(person)] for person in group]
        assert first == i and len(others) == 31 and others == sorted(set(others) - {i})
        assert flags[others].all()
        distance = np.linalg.norm(points - points[i], axis=1)
        rest = np.setdiff1d(np.flatnonzero(flags), [i, *others])
        assert distance[others].max() <= distance[rest].min() + 1e-3


def test_thousands_in_one_place_or_beyond_all_places():
    """The tree could not tell them apart, and each was compared with each."""
    far = {"center": (1e300, -1e300), "height": 5.0}
    for more in ({}, far):
        people = [Person([(50, 60)], [2], **more) for _ in range(20_000)]
        groups = placement.with_others(people)
        assert all(group[0] is person for group, person in zip(groups, people, strict=True))
        assert {len(group) for group in groups} == {32}
        # of those who are as near, the next in the file
        numbers = {id(person): i for i, person in enumerate(people)}
        assert max(abs(numbers[id(p)] - 9_000) for p in groups[9_000]) <= 17
