"""Keypoints to belief maps and back. Beliefs of several zooms are read in `multiscale`; no other
file converts between the two.

Letters: N people, P parts, C channels (P, or P + 1 with background), h = w cells. `encode` runs
inside tf.data and is TensorFlow; everything on beliefs is `keras.ops`, for any backend.
"""

import math

from . import geometry
from .arithmetic import ops, tf
from .skeleton import Skeleton
from .spec import Array, PoseSpec

IGNORE = -1.0
# putGaussianMaps leaves out what lies beyond an exponent of 4.6052 = ln 100.
PEAK_EXPONENT_CUT = 4.6052
PEAK_CUT = math.exp(-PEAK_EXPONENT_CUT)


def encode(keypoints: Array, visible: Array, spec: PoseSpec, *, missing: str = "ignore") -> Array:
    """Ideal belief maps b* of Sec. 3.3: a Gaussian peak at each labelled part.

    Peaks of several people add and are clipped at 1; a peak ends where its exponent exceeds ln 100
    (the release's target code). Background is 1 - max over the parts.

    Args:
        keypoints: (N, P, 2) network frame, pixels; any leading axes.
        visible: (N, P); 0 = not labelled.
        spec: `PoseSpec`.
        missing: "ignore": a channel in which anybody's part is not labelled becomes IGNORE (-1),
            and the background with it; the loss skips it. "zero": such a channel holds the labelled
            peaks only, as in the release.

    Returns:
        (h, w, C) float32, with the leading axes of `keypoints`.

    Raises:
        ValueError: unknown `missing`.

    Example:
        >>> from keras_cpm import PoseSpec, codec
        >>> spec = PoseSpec()
        >>> keypoints = [[[3.5, 11.5]] * 14]
        >>> codec.encode(keypoints, [[2] * 14], spec)[1, 0, 0].numpy().item()
        1.0
    """
    if missing not in ("ignore", "zero"):
        raise ValueError(f'`missing` must be "ignore" or "zero". Received: missing={missing!r}')
    labelled = tf.cast(visible, tf.int32) > 0
    peaks = _peaks(tf.cast(keypoints, tf.float32), spec)
    peaks = tf.where(labelled[..., None, None] & (peaks >= PEAK_CUT), peaks, 0.0)
    parts = tf.minimum(tf.reduce_sum(peaks, axis=-4), 1.0)
    parts = tf.einsum("...phw->...hwp", parts)
    channels = [parts]
    if spec.background:
        channels.append(1.0 - tf.reduce_max(parts, axis=-1, keepdims=True))
    if missing == "ignore":
        lacking = tf.reduce_any(~labelled, axis=-2)[..., None, None, :]
        channels[0] = tf.where(lacking, IGNORE, parts)
        if spec.background:
            channels[1] = tf.where(tf.reduce_any(lacking, -1, keepdims=True), IGNORE, channels[1])
    return tf.concat(channels, axis=-1)


def _peaks(points: Array, spec: PoseSpec) -> Array:
    """(..., P, 2) -> (..., P, h, w): a Gaussian is the product of its rows and its columns."""
    offset = geometry.belief_axis(spec) - points[..., None]  # (..., P, 2, w)
    profile = tf.exp(-tf.square(offset) / (2 * spec.part_sigma**2))
    return profile[..., 1, :, None] * profile[..., 0, None, :]


def window(point: Array, spec: PoseSpec) -> Array:
    """Weights of the cells around a point, as a part's belief there, but made to sum to 1.

    Args:
        point: (2,) network frame, pixels, within the box.
        spec: `PoseSpec`.

    Returns:
        (h, w) float32.

    Example:
        >>> from keras_cpm import PoseSpec, codec
        >>> weights = codec.window((19.5, 11.5), PoseSpec(part_sigma=0.5))
        >>> weights[1, 2].numpy().item()
        1.0
    """
    peak = _peaks(tf.cast(point, tf.float32)[None], spec)[0]
    return peak / tf.reduce_sum(peak)


def encode_center(center: Array, spec: PoseSpec) -> Array:
    """The center map: a Gaussian where the primary person is (Sec. 4.2), at full resolution.

    Not cut off, as in the release's test code; its training code cuts at 64 px, where 0.01 is left.

    Args:
        center: (..., 2) network frame, pixels.
        spec: `PoseSpec`.

    Returns:
        (..., H, W, 1) float32.
    """
    pixels = tf.range(spec.box_size, dtype=tf.float32)
    offset = pixels - tf.cast(center, tf.float32)[..., None]
    profile = tf.exp(-tf.square(offset) / (2 * spec.center_sigma**2))
    return (profile[..., 1, :, None] * profile[..., 0, None, :])[..., None]


def decode(beliefs: Array, spec: PoseSpec, *, refine: str = "log") -> tuple[Array, Array]:
    """Belief maps to keypoints: the highest cell of each part, moved by at most half a cell.

    Args:
        beliefs: (B, h, w, C) of one stage.
        spec: `PoseSpec`.
        refine: "none": the centre of the cell. "quarter": a quarter cell towards the higher
            neighbour. "log": the top of the parabola through the logarithms, exact for a Gaussian
            peak.

    Returns:
        keypoints (B, P, 2) float32, network frame, pixels, and scores (B, P), the height of the
        peak. Of equal cells the first in row order wins.

    Raises:
        ValueError: unknown `refine`.

    Example:
        >>> from keras_cpm import PoseSpec, codec
        >>> spec = PoseSpec()
        >>> beliefs = codec.encode([[[100.0, 200.0]] * 14], [[2] * 14], spec)
        >>> keypoints, scores = codec.decode(beliefs[None], spec)
        >>> abs(float(keypoints[0, 0, 0]) - 100) < 0.01
        True
    """
    if refine not in REFINEMENTS:
        raise ValueError(
            f"`refine` must be one of {list(REFINEMENTS)}. Received: refine={refine!r}"
        )
    parts = ops.transpose(ops.cast(beliefs, "float32")[..., : spec.num_parts], (0, 3, 1, 2))
    height, width = parts.shape[2], parts.shape[3]
    flat = ops.reshape(parts, (-1, spec.num_parts, height * width))
    # of equal values top_k takes the first; Keras' argmax needs an operation that LiteRT does not
    # have
    scores, best = (ops.squeeze(top, axis=-1) for top in ops.top_k(flat, 1))
    best = ops.cast(best, "int32")
    row, column = best // width, best % width
    offset = REFINEMENTS[refine](neighbourhood(parts, row, column))
    cells = ops.stack([ops.cast(column, "float32"), ops.cast(row, "float32")], axis=-1) + offset
    return geometry.network_from_cells(cells, spec), scores


def heights(beliefs: Array, keypoints: Array, spec: PoseSpec) -> Array:
    """How sure belief maps are of points that others have found.

    Args:
        beliefs: (B, h, w, C) of one stage.
        keypoints: (B, P, 2), one of each part, network frame, pixels.
        spec: `PoseSpec`.

    Returns:
        (B, P), each part's belief in the cell nearest to its point.

    Example:
        >>> import numpy as np
        >>> from keras_cpm import PoseSpec, codec
        >>> spec, points = PoseSpec(), np.full((1, 14, 2), 99.5, np.float32)
        >>> beliefs = codec.encode(points, [[2] * 14], spec)[None]
        >>> round(float(codec.heights(beliefs, points, spec)[0, 3]), 3)
        1.0
        >>> round(float(codec.heights(beliefs, points + 8, spec)[0, 3]), 3)
        0.271
    """
    parts = ops.transpose(ops.cast(beliefs, "float32")[..., : spec.num_parts], (0, 3, 1, 2))
    height, width = parts.shape[2], parts.shape[3]
    cells = ops.round(geometry.cells_from_network(ops.cast(keypoints, "float32"), spec))
    column, row = ops.clip(cells[..., 0], 0, width - 1), ops.clip(cells[..., 1], 0, height - 1)
    flat = ops.reshape(parts, (-1, spec.num_parts, height * width))
    index = ops.cast(row * width + column, "int32")
    return ops.squeeze(ops.take_along_axis(flat, index[..., None], axis=-1), axis=-1)


def neighbourhood(parts: Array, row: Array, column: Array) -> Array:
    """(B, P, h, w) -> (B, P, 3, 3) around each peak; mirrored at the border, so that it pulls
    nowhere.
    """
    maps, height, width = ops.shape(parts)[1:]

    def mirrored(index: Array, length: Array) -> Array:
        # of a single pixel all neighbours are itself
        return ops.maximum(length - 1 - ops.abs(length - 1 - ops.abs(index)), 0)

    steps = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
    index = [mirrored(row + y, height) * width + mirrored(column + x, width) for y, x in steps]
    flat = ops.reshape(parts, (-1, maps, height * width))
    values = ops.take_along_axis(flat, ops.stack(index, axis=-1), axis=-1)
    return ops.reshape(values, (-1, maps, 3, 3))


def _refine_none(patch: Array) -> Array:
    return ops.zeros_like(patch[..., 0, :2])


def _refine_quarter(patch: Array) -> Array:
    return 0.25 * ops.stack(
        [
            ops.sign(patch[..., 1, 2] - patch[..., 1, 0]),
            ops.sign(patch[..., 2, 1] - patch[..., 0, 1]),
        ],
        axis=-1,
    )


def _refine_log(patch: Array) -> Array:
    # Real beliefs go below zero. Targets hold nothing under PEAK_CUT, so what lies there is noise.
    logs = ops.log(ops.maximum(patch, PEAK_CUT))
    middle = logs[..., 1, 1]
    return ops.stack(
        [
            _parabola_top(logs[..., 1, 0], middle, logs[..., 1, 2]),
            _parabola_top(logs[..., 0, 1], middle, logs[..., 2, 1]),
        ],
        axis=-1,
    )


def _parabola_top(before: Array, middle: Array, after: Array) -> Array:
    curvature = before - 2 * middle + after
    peaked = curvature < -1e-6
    top = 0.5 * (before - after) / ops.where(peaked, curvature, -1.0)
    return ops.where(peaked, ops.clip(top, -0.5, 0.5), 0.0)


# Each takes (B, P, 3, 3) beliefs around the highest cell and returns (B, P, 2) an offset (x, y) in
# cells.
REFINEMENTS = {"none": _refine_none, "quarter": _refine_quarter, "log": _refine_log}


def swap_left_right(array: Array, skeleton: Skeleton, axis: int) -> Array:
    """Permutes parts after a mirror; used for targets and for flip tests.

    Args:
        array: any tensor with P or P + 1 entries along `axis`; a background entry stays where it
            is.
        skeleton: `Skeleton`.
        axis: int.

    Returns:
        A tensor of the same shape; applied twice it is the identity.
    """
    permutation = list(skeleton.flip_permutation)
    permutation += range(len(permutation), array.shape[axis])
    # inside tf.data tensors are TensorFlow's, whatever backend trains
    take = tf.gather if tf.is_tensor(array) else ops.take
    return take(array, permutation, axis=axis)


def mirror(beliefs: Array, spec: PoseSpec) -> Array:
    """(B, h, w, C) beliefs of the mirrored box -> beliefs of the box: columns turned, sides
    swapped.
    """
    return swap_left_right(ops.flip(beliefs, axis=2), spec.skeleton, axis=-1)
