"""Hand-made features of a network box: what the Pose Machine sees instead of learnt ones.

A cell of the belief grid is described by the directions and strength of its gradients and by its
colour, and by those of the cells around it, near ones singly, far ones averaged. All of it is
bytes: trees only compare, and a hundred thousand cells stay small.
"""

import cv2
import numpy as np

from ..pose import geometry

ORIENTATIONS = 6
# LUV and the strength of the gradient
CHANNELS = ORIENTATIONS + 4
# cells averaged before a window is read, which then has as many cells between its places
POOLS = (1, 3, 5)
WINDOW = 5
FEATURES = len(POOLS) * WINDOW**2 * CHANNELS
# what of a cell's gradient counts as none, of levels 0..1
_FAINT = 0.02


def photograph_within(box, fill):
    """What of a network box the photograph covers: the rest is whole rows and columns of `fill`.

    Args:
        box: (H, W, 3) RGB 0..255.
        fill: grey level of the rest.

    Returns:
        rows and columns, two slices; all of the box where nothing else is in it.

    Example:
        >>> import numpy as np
        >>> from keras_cpm.paper.hand_features import photograph_within
        >>> box = np.full((8, 8, 3), 128.0)
        >>> box[2:6, 1:] = 9
        >>> photograph_within(box, 128)
        (slice(2, 6, None), slice(1, 8, None))
    """
    there = (box != fill).any(axis=-1)
    slices = []
    for axis, side in ((1, box.shape[0]), (0, box.shape[1])):
        known = np.flatnonzero(there.any(axis=axis))
        slices.append(slice(int(known[0]), int(known[-1]) + 1) if len(known) else slice(0, side))
    return tuple(slices)


def covered_cells(rows, columns, spec):
    """Cells whose middle lies in the photograph.

    Args:
        rows, columns: what `photograph_within` gives.
        spec: `PoseSpec`.

    Returns:
        (N, N) bool, N = `spec.grid_size`.

    Example:
        >>> from keras_cpm import PoseSpec
        >>> from keras_cpm.paper.hand_features import covered_cells
        >>> spec = PoseSpec(box_size=16, stride=4)
        >>> covered_cells(slice(0, 16), slice(4, 16), spec)[0].tolist()
        [False, True, True, True]
    """
    middle = geometry.belief_axis(spec).numpy()
    inside = [(part.start <= middle) & (middle <= part.stop - 1) for part in (rows, columns)]
    return inside[0][:, None] & inside[1]


def cell_features(box, spec):
    """Orientations, strength of the gradient and colour, cell by cell.

    The photograph's edge is repeated outside it, so that where it ends is no edge.

    Args:
        box: (H, H, 3) RGB 0..255.
        spec: `PoseSpec` of the box: its cells, and the grey level outside the photograph.

    Returns:
        features (N, N, CHANNELS) uint8, N = `spec.grid_size`, and (N, N) bool, the cells that the
        photograph covers.

    Example:
        >>> import numpy as np
        >>> from keras_cpm import PoseSpec
        >>> from keras_cpm.paper.hand_features import cell_features
        >>> box = np.zeros((64, 64, 3), np.uint8)
        >>> box[:, 32:] = 255
        >>> features, covered = cell_features(box, PoseSpec(box_size=64, stride=4))
        >>> features.shape, covered.all().item(), features[8, 8, :6].tolist()
        ((16, 16, 10), True, [255, 0, 0, 0, 0, 0])
    """
    size, stride = spec.box_size, spec.stride
    rows, columns = photograph_within(box, spec.pad_value)
    around = [(part.start, size - part.stop) for part in (rows, columns)]
    image = np.pad(box[rows, columns].astype(np.float32) / 255, (*around, (0, 0)), mode="edge")
    strength, angle = _gradients(image)
    position = angle * (ORIENTATIONS / np.pi)
    first = np.floor(position)
    share = position - first
    first = first.astype(int) % ORIENTATIONS
    votes = np.zeros((size, size, ORIENTATIONS), np.float32)
    places = np.arange(size)[:, None], np.arange(size)[None]
    votes[(*places, first)] = strength * (1 - share)
    votes[(*places, (first + 1) % ORIENTATIONS)] += strength * share
    histogram = _by_cell(votes, stride)
    # against that of the cells around, so that a dim photograph looks like a bright one
    energy = _averaged(np.square(histogram).sum(axis=-1, keepdims=True), 3)
    histogram /= np.sqrt(energy) + _FAINT
    luv = cv2.cvtColor(image, cv2.COLOR_RGB2LUV) + np.float32([0, 134, 140])
    colour = _by_cell(luv, stride) / np.float32([100, 354, 262])
    found = np.concatenate([histogram, 4 * _by_cell(strength[..., None], stride), colour], -1)
    features = np.rint(255 * np.clip(found, 0, 1)).astype(np.uint8)
    return features, covered_cells(rows, columns, spec)


def pyramid(features):
    """The features averaged over the cells of each of `POOLS`, with room for a window everywhere.

    Args:
        features: (N, N, CHANNELS) uint8.

    Returns:
        list of uint8 arrays, one a pool, see `windows`.

    Example:
        >>> import numpy as np
        >>> from keras_cpm.paper.hand_features import pyramid
        >>> [level.shape for level in pyramid(np.zeros((16, 16, 10), np.uint8))]
        [(20, 20, 10), (28, 28, 10), (36, 36, 10)]
    """
    levels = []
    for pool in POOLS:
        margin = WINDOW // 2 * pool
        averaged = np.rint(_averaged(features.astype(np.float32), pool)).astype(np.uint8)
        levels.append(np.pad(averaged, ((margin, margin), (margin, margin), (0, 0)), mode="edge"))
    return levels


def hand_features(levels, rows, columns):
    """What a forest is told of some cells.

    Args:
        levels: what `pyramid` gives.
        rows, columns: (M,) int.

    Returns:
        (M, F) uint8.

    Example:
        >>> import numpy as np
        >>> from keras_cpm.paper.hand_features import hand_features, pyramid
        >>> levels = pyramid(np.zeros((16, 16, 10), np.uint8))
        >>> hand_features(levels, np.array([0, 15]), np.array([3, 15])).shape
        (2, 750)
    """
    read = [
        windows(level, rows, columns, WINDOW, pool)
        for level, pool in zip(levels, POOLS, strict=True)
    ]
    return np.concatenate(read, axis=1)


def windows(padded, rows, columns, size, step):
    """The values at size x size places around some cells.

    Args:
        padded: (N + m, N + m, C) with a margin of size // 2 * step on each side.
        rows, columns: (M,) int, without the margin.
        size: places along a side, odd.
        step: cells between them.

    Returns:
        (M, size * size * C).

    Example:
        >>> import numpy as np
        >>> from keras_cpm.paper.hand_features import windows
        >>> padded = np.arange(25).reshape(5, 5, 1)
        >>> windows(padded, np.array([1]), np.array([1]), size=3, step=1).tolist()
        [[6, 7, 8, 11, 12, 13, 16, 17, 18]]
    """
    offsets = step * np.arange(size)
    down, across = rows[:, None] + offsets, columns[:, None] + offsets
    return padded[down[:, :, None], across[:, None]].reshape(len(rows), -1)


def _gradients(image):
    """Strength and angle, 0 to pi, of the gradient of the channel where it is strongest."""
    # shadows have edges, too
    image = np.pad(np.sqrt(image), ((1, 1), (1, 1), (0, 0)), mode="edge")
    across = image[1:-1, 2:] - image[1:-1, :-2]
    down = image[2:, 1:-1] - image[:-2, 1:-1]
    strength = np.hypot(across, down)
    best = strength.argmax(axis=-1)[..., None]
    across, down, strength = (
        np.take_along_axis(values, best, axis=-1)[..., 0] for values in (across, down, strength)
    )
    return strength, np.arctan2(down, across) % np.pi


def _by_cell(values, stride):
    """(H, H, C) -> (N, N, C) means."""
    side = values.shape[0] // stride
    return values.reshape(side, stride, side, stride, -1).mean(axis=(1, 3))


def _averaged(values, pool):
    """(N, N, C), each the mean of pool x pool cells around it."""
    blurred = cv2.blur(values, (pool, pool), borderType=cv2.BORDER_REPLICATE)
    return blurred.reshape(values.shape)


def seen_at(level, count):
    """Which features the forest of a level may ask for: windows grow from level to level.

    Single parts are looked for in the smallest window, each level after that has one more.

    Args:
        level: 0 for single parts.
        count: of features; those after `FEATURES`, of the maps of the stage before, are for all.

    Returns:
        (count,) bool.

    Example:
        >>> from keras_cpm.paper.hand_features import seen_at
        >>> [int(seen_at(level, 750).sum()) for level in range(4)]
        [250, 500, 750, 750]
        >>> int(seen_at(0, 751).sum())
        251
    """
    number = np.arange(count)
    return (number < (level + 1) * WINDOW**2 * CHANNELS) | (number >= FEATURES)
