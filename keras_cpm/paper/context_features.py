"""What the maps of a stage tell the next about a cell: the Pose Machine's context features.

Patches: the maps around the cell, a maximum of several cells each. Offsets: from the cell to the
highest peaks of every map. Maps are bytes, square roots of beliefs 0..1, so that small ones differ.
"""

import cv2
import numpy as np

from .hand_features import windows

# 7 x 7 maxima of 3 x 3 cells: 21 x 21 cells
PATCH, POOL = 7, 3
PEAKS = 3
# an offset of none, as a byte
_HERE = 128


def as_bytes(beliefs):
    """(..., C) float beliefs 0..1 -> uint8.

    Example:
        >>> import numpy as np
        >>> from keras_cpm.paper.context_features import as_bytes
        >>> as_bytes(np.array([0.0, 0.25, 1.0])).tolist()
        [0, 128, 255]
    """
    return np.rint(255 * np.sqrt(np.clip(beliefs, 0, 1))).astype(np.uint8)


def peaks(maps):
    """The highest peaks of every map.

    A peak is as high as all cells next to it, and of equal ones the first in row order comes first.
    Where a map has fewer, its last one is repeated.

    Args:
        maps: (N, N, C) uint8.

    Returns:
        (C, PEAKS, 2) int, row and column.

    Example:
        >>> import numpy as np
        >>> from keras_cpm.paper.context_features import peaks
        >>> maps = np.zeros((8, 8, 1), np.uint8)
        >>> maps[2, 3], maps[6, 1] = 200, 90
        >>> peaks(maps)[0].tolist()
        [[2, 3], [6, 1], [6, 1]]
    """
    side, channels = maps.shape[0], maps.shape[-1]
    highest = cv2.dilate(maps, np.ones((3, 3), np.uint8)).reshape(maps.shape)
    heights = np.where((maps == highest) & (maps > 0), maps, 0).reshape(-1, channels)
    order = np.argsort(-heights.astype(np.int16), axis=0, kind="stable")[:PEAKS]
    found = np.take_along_axis(heights, order, axis=0) > 0
    for rank in range(1, PEAKS):
        order[rank] = np.where(found[rank], order[rank], order[rank - 1])
    return np.stack(np.divmod(order.T, side), axis=-1)


def num_features_of(maps):
    """How many features `Context` gives for so many maps.

    Example:
        >>> from keras_cpm.paper.context_features import num_features_of
        >>> num_features_of(15)
        825
    """
    return maps * (PATCH**2 + 2 * PEAKS)


class Context:
    """The maps of one photograph, ready to be read at any cell.

    Args:
        maps: (N, N, C) uint8, of all levels.

    Example:
        >>> import numpy as np
        >>> from keras_cpm.paper.context_features import Context
        >>> context = Context(np.zeros((16, 16, 15), np.uint8))
        >>> context.at(np.array([4, 5]), np.array([0, 15])).shape
        (2, 825)
    """

    def __init__(self, maps):
        pooled = cv2.dilate(maps, np.ones((POOL, POOL), np.uint8)).reshape(maps.shape)
        margin = PATCH // 2 * POOL
        # nobody is believed to be outside the box
        self._padded = np.pad(pooled, ((margin, margin), (margin, margin), (0, 0)))
        self._peaks = peaks(maps)

    def at(self, rows, columns):
        """What a forest is told of some cells.

        Args:
            rows, columns: (M,) int.

        Returns:
            (M, F) uint8.
        """
        patches = windows(self._padded, rows, columns, PATCH, POOL)
        cells = np.stack([rows, columns], axis=-1)
        offsets = np.clip(self._peaks[None] - cells[:, None, None] + _HERE, 0, 255)
        return np.concatenate([patches, offsets.reshape(len(rows), -1).astype(np.uint8)], axis=1)
