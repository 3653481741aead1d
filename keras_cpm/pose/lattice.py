"""Of all places at which one could look for a person the few that one does look at: a lattice, of
the photograph and not of its pixels.

A pose network's answer moves with the place where it looks, by more than with the pixels it sees.
The same photograph in another resolution marks places a little beside; on the lattice they are the
same ones, and so is the answer.
"""

from __future__ import annotations

import math

from .arithmetic import tf
from .spec import Array

# from one height to the next: training shows a person in sizes further apart
STEP = math.sqrt(2.0)
# from one center to the next, in heights
CELL = 1 / 6


def nearest(centers: Array, heights: Array, size: Array) -> tuple[Array, Array]:
    """The places on the lattice that are nearest to others.

    Args:
        centers: (K, 2) x, y, image frame, pixels.
        heights: (K,) of people there, pixels.
        size: (height, width) of the photograph, pixels.

    Returns:
        centers (K, 2), the middles of squares of a sixth of the height, and heights (K,), that of
        the photograph times a power of the square root of 2.

    Example:
        >>> from keras_cpm.pose import lattice
        >>> centers, heights = lattice.nearest([[101.0, 49.0]], [60.0], (100, 200))
        >>> centers.numpy().round().tolist(), heights.numpy().round().tolist()
        ([[100.0, 53.0]], [71.0])
        >>> centers, heights = lattice.nearest([[203.0, 99.0]], [121.0], (200, 400))
        >>> centers.numpy().round().tolist(), heights.numpy().round().tolist()
        ([[200.0, 106.0]], [141.0])
    """
    tall = tf.cast(size, tf.float32)[0]
    steps = tf.round(tf.math.log(tf.cast(heights, tf.float32) / tall) / math.log(STEP))
    heights = tall * STEP**steps
    side = (CELL * heights)[:, None]
    # the photograph begins half a pixel before its first pixel's middle
    return (tf.floor((tf.cast(centers, tf.float32) + 0.5) / side) + 0.5) * side - 0.5, heights
