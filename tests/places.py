"""Where people stand and what is there, for the tests of geometry, sampling and crops."""

import numpy as np
import pytest

from keras_cpm import PoseSpec
from keras_cpm.pose import geometry

SPEC = PoseSpec(box_size=64)

# center, height, rotation, scale, flip, shift
PLACES = [
    ((40.0, 30.0), 41.0, 0.0, 1.0, False, (0.0, 0.0)),
    ((52.25, 17.75), 33.0, 0.6, 0.8, False, (0.0, 0.0)),
    ((20.5, 44.0), 37.5, -0.4, 1.2, True, (0.0, 0.0)),
    ((61.0, 29.5), 30.0, 2.8, 0.9, True, (5.5, -3.25)),
]
PLACED = pytest.mark.parametrize("place", PLACES, ids=range(len(PLACES)))


def matrix_of(place, spec=SPEC):
    center, height, rotation, scale, flip, shift = place
    return geometry.network_from_image(
        center, height, spec, rotation=rotation, scale=scale, flip=flip, shift=shift
    )


def smooth_picture(height=70, width=90):
    """(h, w, 3), 0..255, no steeper than 10 levels a pixel along an axis."""
    y, x = np.mgrid[:height, :width].astype(float)
    waves = [np.sin(0.08 * x + 0.05 * y), np.cos(0.06 * x - 0.07 * y), np.sin(0.001 * x * y)]
    return 127.5 + 120 * np.stack(waves, axis=-1)
