"""A grey picture and a pose in it, for the tests of drawings."""

from types import SimpleNamespace

import numpy as np

from keras_cpm import PoseSpec
from keras_cpm.pose import codec, geometry

GREY = 128
SPEC = PoseSpec(box_size=128)
POINTS = np.array([(60, 30), (62.3, 50.7), (40, 60), (30, 80), (28, 100), (80, 60), (95, 80)])
POINTS = np.concatenate([POINTS, [(97, 99), (50, 110), (48, 140), (45, 170), (75, 110)]])
POINTS = np.concatenate([POINTS, [(78, 140), (80.4, 170.2)]]).astype(np.float32)


def grey(height=200, width=160):
    return np.full((height, width, 3), GREY, np.uint8)


def make_pose(spec=SPEC, stages=2, rotation=0.5, flip=False, scores=None):
    """A `Pose`. Its beliefs peak at `peaks`, image frame: the middles of the cells nearest to
    POINTS, because between cells a belief map has no peak to be looked for."""
    matrix = geometry.network_from_image((65, 100), 150, spec, rotation=rotation, flip=flip)
    cells = geometry.apply(geometry.compose(geometry.belief_from_network(spec), matrix), POINTS)
    moved = geometry.network_from_cells(np.rint(cells), spec)
    beliefs = codec.encode(moved[None], np.full((1, 14), 2), spec).numpy()
    return SimpleNamespace(
        keypoints=POINTS.copy(),
        scores=np.ones(14, np.float32) if scores is None else scores,
        parts=spec.skeleton.parts,
        beliefs=[beliefs * share for share in np.linspace(1, 0.6, stages)[::-1]],
        network_from_image=matrix.numpy(),
        spec=spec,
        peaks=geometry.apply(geometry.invert(matrix), moved).numpy(),
    )


def centroid(weights):
    y, x = np.indices(weights.shape)
    return np.array([(x * weights).sum(), (y * weights).sum()]) / weights.sum()


def changed(image, where=None):
    return (image != (GREY if where is None else where)).any(-1)


def brightest(image):
    light = image.astype(float).sum(-1)
    return centroid(light == light.max())
