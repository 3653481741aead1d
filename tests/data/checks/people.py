"""People for the tests of checks: their labels, and records of photographs that need not exist."""

import numpy as np

import keras_cpm

LSP14 = keras_cpm.LSP14
PARTS = ("a", "b", "c", "d")
POINTS = np.array([[10, 50], [20, 60], [30, 70], [35, 75]], np.float32)

# Somebody 150 pixels tall who faces the camera, in a photograph 140 wide and 200 high.
SIZE = (200, 140)
FRONT = {
    "right_ankle": (40, 165),
    "right_knee": (43, 130),
    "right_hip": (46, 95),
    "left_hip": (70, 95),
    "left_knee": (74, 131),
    "left_ankle": (78, 168),
    "right_wrist": (25, 98),
    "right_elbow": (31, 72),
    "right_shoulder": (40, 45),
    "left_shoulder": (76, 46),
    "left_elbow": (86, 70),
    "left_wrist": (95, 50),
    "neck": (58, 40),
    "head": (59, 18),
}
FIGURE = np.array([FRONT[part] for part in LSP14.parts], float)
SWAP = list(LSP14.flip_permutation)


def record(image, points=POINTS, visible=(2, 2, 2, 2), size=(80, 40), height=60.0, center=(20, 40)):
    person = keras_cpm.Person(points, visible, center=center, height=height)
    return keras_cpm.Record(image, size, PARTS, (person,))


def figure(points=FIGURE, image="a.jpg", size=SIZE, visible=2, others=(), height=150.0, **place):
    """A record of `FIGURE`'s parts, whose image need not exist, and other people at `others`."""
    visible = np.broadcast_to(visible, 14)
    points = np.asarray(points, float)
    center = (points.min(0) + points.max(0)) / 2
    place = {"center": center, "height": height} | place
    people = [
        keras_cpm.Person(points, visible, **place),
        *(keras_cpm.Person(other, visible, **place) for other in others),
    ]
    return keras_cpm.Record(image, size, LSP14.parts, tuple(people))


def renamed(points, *words):
    """The points with right and left of some parts exchanged."""
    order = np.arange(14)
    for pair in LSP14.flip_pairs:
        if pair[0].removeprefix("right_") in words:
            a, b = (LSP14.index(part) for part in pair)
            order[[a, b]] = b, a
    return np.asarray(points)[order]


def mirrored(points, *, about=SIZE[1] - 1, swap=True):
    points = np.asarray(points) * (-1, 1) + (about, 0)
    return points[SWAP] if swap else points
