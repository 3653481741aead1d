"""A photograph of slow waves and a person labelled in it, for the tests of crops and packs."""

import numpy as np

import keras_cpm
from keras_cpm import Person, PoseSpec

PARTS = keras_cpm.CPM14.parts
SPEC = PoseSpec(box_size=64)
SIZE = (300, 420)


def smooth(size=SIZE):
    """(h, w, 3) uint8 whose colours say where they are: a slow wave in each direction."""
    y, x = np.mgrid[: size[0], : size[1]]
    waves = [np.sin(x / 31), np.cos(y / 27), np.sin((x + y) / 43)]
    return np.uint8(np.round(127.5 + 100 * np.stack(waves, axis=-1)))


def person(center=(210.0, 150.0), height=100.0, **changes):
    rng = np.random.default_rng(int(height))
    points = np.array(center) + rng.uniform(-0.45, 0.45, (len(PARTS), 2)) * height
    visible = [2] * (len(PARTS) - 1) + [0]
    fields = {"center": center, "height": height, "head_size": height / 7, **changes}
    return Person(points, visible, **fields)
