"""Where a person is in a photograph, and its labels in the order of a network's parts."""

import dataclasses

import numpy as np

from ..pose import geometry
from .records import NOT_LABELLED

# People in one record at most, as readers make them: a network box never shows so many, and a
# crowd of N would take N x N places.
MOST_PEOPLE = 32
# pixels: beyond any photograph, and less than any two people are apart
_FAR, _APART = 1e6, 1e-6
# parts end where hands, feet and hair go on
_AROUND_HALF = 1.25
# the least and the most of a person that are seen where a photograph ends within
_SEEN = (0.4, 0.9)


def place_of(person):
    """Centre (x, y) and height of a person as training takes them, image frame, pixels.

    As annotated; else from the person's box, whose longest side counts as the height; else `None`.
    """
    if person.center is not None and person.height is not None:
        return person.center, person.height
    if person.box is not None:
        center, height = geometry.center_and_height(person.box)
        return tuple(center.tolist()), float(height)
    return None


def place_around(points):
    """Centre and height of the box around labelled points (N, 2), image frame, pixels; `None` and
    `None` where they have no extent.

    Example:
        >>> import numpy as np
        >>> from keras_cpm.data.placement import place_around
        >>> center, height = place_around(np.array([[10.0, 20.0], [50.0, 30.0]]))
        >>> center.tolist(), float(height)
        ([30.0, 25.0], 40.0)
    """
    if not len(points) or not np.ptp(points, axis=0).any():
        return None, None
    return geometry.center_and_height([*points.min(axis=0), *points.max(axis=0)])


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
    return place_of(record.people[0]) or (
        tuple(np.asarray(geometry.image_center(record.size)).tolist()),
        float(geometry.whole_image_height(record.size)),
    )


def half_of(keypoints, labelled, around):
    """Centre and height of half a person: the labelled parts nearest to one of them.

    Args:
        keypoints: (P, 2) tensor, image frame, pixels.
        labelled: (P,) bool.
        around: 0 to 1, which of the labelled parts.

    Returns:
        (2,) the middle of the half's box, and what a quarter more than its longest side is.

    Example:
        >>> from keras_cpm.data.placement import half_of
        >>> center, height = half_of([(10, 0), (10, 40), (10, 60), (10, 100)], [True] * 4, 0.9)
        >>> center.numpy().tolist(), float(height)
        ([10.0, 80.0], 50.0)
    """
    import tensorflow as tf

    points = tf.boolean_mask(tf.cast(keypoints, tf.float32), labelled)
    count = tf.shape(points)[0]
    first = points[tf.cast(around * tf.cast(count, tf.float32), tf.int32)]
    order = tf.argsort(tf.norm(points - first, axis=-1), stable=True)
    half = tf.gather(points, order[: (count + 1) // 2])
    box = tf.concat([tf.reduce_min(half, 0), tf.reduce_max(half, 0)], 0)
    center, side = geometry.center_and_height(box)
    return center, _AROUND_HALF * side


def end_of_photograph(keypoints, labelled, cut):
    """A line within a person, beyond which there is no photograph.

    Args:
        keypoints: (P, 2).
        labelled: (P,) bool.
        cut: (3,): 1 for a line, 0 for none; which side: below for less than 0.6, else left, right
            or above; how much of the person is seen: 0 for 0.4 of what the labelled parts reach
            over, 1 for 0.9.

    Returns:
        (3,) float32 a, b, c: what has a x + b y > c is beyond.

    Example:
        >>> from keras_cpm.data.placement import end_of_photograph
        >>> person = [(10.0, 0.0), (10.0, 50.0), (30.0, 100.0)]
        >>> end_of_photograph(person, [True] * 3, (1.0, 0.2, 0.4)).numpy().round(3).tolist()
        [0.0, 1.0, 60.0]
    """
    import tensorflow as tf

    here, side, share = tf.unstack(tf.cast(cut, tf.float32))
    sides = tf.constant([[0.0, 1.0], [-1.0, 0.0], [1.0, 0.0], [0.0, -1.0]])
    towards = sides[tf.searchsorted([0.6, 0.75, 0.9], [side], side="right")[0]]
    far = tf.reduce_sum(tf.cast(keypoints, tf.float32) * towards, axis=-1)
    first = tf.reduce_min(tf.where(labelled, far, _FAR))
    last = tf.reduce_max(tf.where(labelled, far, -_FAR))
    low, high = _SEEN
    end = first + (low + share * (high - low)) * (last - first)
    return tf.concat([towards, [tf.where((here > 0) & (last > first), end, _FAR)]], 0)


def without_beyond(keypoints, end):
    """(..., 2) keypoints, those beyond an `end_of_photograph` far outside: they are nowhere."""
    import tensorflow as tf

    beyond = tf.reduce_sum(keypoints * end[:2], axis=-1, keepdims=True) > end[2]
    return tf.where(beyond, -_FAR, keypoints)


def torso_angle(keypoints, visible, skeleton):
    """How a person's torso is turned in the plane of the photograph.

    Args:
        keypoints: (P, 2) image frame, pixels.
        visible: (P,) 0 where a part is not labelled.
        skeleton: `Skeleton` with pelvis and thorax.

    Returns:
        {"torso_angle": degrees}, -90 to 270: 0 where the thorax is above the pelvis, 90 where it is
        to its right in the photograph; {} where one of them is not labelled.

    Example:
        >>> from keras_cpm import MPII16
        >>> from keras_cpm.data.placement import torso_angle
        >>> points, visible = [(0, 0)] * 16, [2] * 16
        >>> points[MPII16.index("thorax")] = (30, -30)  # above the pelvis, and to the right
        >>> torso_angle(points, visible, MPII16)
        {'torso_angle': 45.0}
    """
    pelvis, thorax = skeleton.index("pelvis"), skeleton.index("thorax")
    if not visible[pelvis] or not visible[thorax]:
        return {}
    angle = geometry.angle_from_up(keypoints[pelvis], keypoints[thorax])
    return {"torso_angle": round(float(angle), 4)}


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


def with_others(people):
    """The `people` of a record for each person of a photograph.

    Args:
        people: list of N `Person`.

    Returns:
        list of N tuples: that person, then the others who have a labelled part, in their order; of
        more than `MOST_PEOPLE` the nearest, and of those who are as near, the next in order.

    Example:
        >>> from keras_cpm import Person
        >>> from keras_cpm.data.placement import with_others
        >>> people = [Person([(10 * i, 0)], [2]) for i in range(99)]
        >>> crowd = with_others(people)
        >>> len(crowd), crowd[50][0] is people[50], [people.index(p) for p in crowd[1][1:4]]
        (99, True, [0, 2, 3])
    """
    labelled = [j for j, person in enumerate(people) if person.labelled.any()]
    if len(people) <= MOST_PEOPLE or not labelled:
        return [
            (person, *(people[j] for j in labelled if j != i)) for i, person in enumerate(people)
        ]
    from scipy.spatial import cKDTree

    middles = np.array([_middle(person) for person in people], np.float64)
    # where all stand in one place, the tree needs something to tell them by
    places = np.column_stack(
        [np.nan_to_num(np.clip(middles, -_FAR, _FAR)), np.arange(len(people)) * _APART]
    )
    most = min(MOST_PEOPLE, len(labelled))
    _, nearest = cKDTree(places[labelled]).query(places, most)
    found = []
    for i, numbers in enumerate(nearest.reshape(-1, most).tolist()):
        others = [labelled[j] for j in numbers if labelled[j] != i][: MOST_PEOPLE - 1]
        found.append((people[i], *(people[j] for j in sorted(others))))
    return found


def _middle(person):
    place = place_of(person)
    if place is not None:
        return place[0]
    points = person.keypoints[person.labelled]
    return points.mean(axis=0) if len(points) else (0.0, 0.0)


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
