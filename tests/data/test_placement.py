"""Where a person is: as annotated, by the box, or the whole photograph; and labels by part name."""

import dataclasses

import numpy as np
import pytest

from keras_cpm import CPM14, Person, PoseSpec, make_dataset
from keras_cpm.data import placement


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
