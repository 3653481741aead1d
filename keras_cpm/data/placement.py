"""Where a person is in a photograph, and its labels in the order of a network's parts."""

import dataclasses

import numpy as np

from ..pose import geometry
from .records import NOT_LABELLED


def place_of(person):
    """Centre (x, y) and height of a person as training takes them, image frame, pixels.

    As annotated; else from the person's box, whose longest side counts as the height; else `None`.
    """
    if person.center is not None and person.height is not None:
        return person.center, person.height
    if person.box is not None:
        return _as_numbers(*geometry.center_and_height(person.box))
    return None


def where_is(record):
    """`place_of` a record's primary person; where nothing says it, the person fills the image, see
    `geometry.network_from_size`.

    Example:
        >>> from keras_cpm import Person, Record
        >>> from keras_cpm.data.placement import where_is
        >>> person = Person([(50, 40)], [2], box=(10, 20, 50, 80))
        >>> where_is(Record("a.jpg", (90, 100), ("nose",), (person,)))
        ((30.0, 50.0), 60.0)
    """
    return place_of(record.people[0]) or _as_numbers(
        geometry.image_center(record.size), geometry.whole_image_height(record.size)
    )


def _as_numbers(center, height):
    return tuple(center.numpy().tolist()), float(height)


def is_placed(record):
    """Whether `where_is` knows."""
    return record.size is not None or place_of(record.people[0]) is not None


def filling(record):
    """The record with nothing known of where its primary person is: who then fills the photograph.

    Example:
        >>> from keras_cpm import Person, Record
        >>> from keras_cpm.data.placement import filling
        >>> person = Person([(5, 4)], [2], center=(5, 5), height=8)
        >>> filling(Record("a.jpg", (9, 9), ("nose",), (person,))).people[0].height is None
        True
    """
    first, *others = record.people
    nowhere = dataclasses.replace(first, center=None, height=None, box=None)
    return dataclasses.replace(record, people=(nowhere, *others))


def keypoints_of(person, parts, skeleton):
    """A person's labels in the order of `skeleton`, matched by part name.

    Returns:
        keypoints (P, 2) float32 and visible (P,) int32; parts the record does not have are not
        labelled.
    """
    keypoints = np.zeros((skeleton.num_parts, 2), np.float32)
    visible = np.full(skeleton.num_parts, NOT_LABELLED, np.int32)
    numbers = {part: number for number, part in enumerate(parts)}
    pairs = [(i, numbers[part]) for i, part in enumerate(skeleton.parts) if part in numbers]
    if pairs:
        here, there = np.transpose(pairs)
        keypoints[here], visible[here] = person.keypoints[there], person.visible[there]
    return keypoints, visible
