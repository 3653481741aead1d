"""Keypoints to belief maps and back. No other file converts between the two.

Letters: N people, P parts, C channels (P, or P + 1 with background), h = w cells. `encode` runs
inside tf.data and is TensorFlow; everything on beliefs is `keras.ops`, for any backend.
"""

import math

import keras
import numpy as np
import tensorflow as tf

from ..images import sampling
from . import geometry

IGNORE = -1.0
# putGaussianMaps leaves out what lies beyond an exponent of 4.6052 = ln 100.
PEAK_EXPONENT_CUT = 4.6052
PEAK_CUT = math.exp(-PEAK_EXPONENT_CUT)


def encode(keypoints, visible, spec, *, missing="ignore"):
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


def _peaks(points, spec):
    """(..., P, 2) -> (..., P, h, w): a Gaussian is the product of its rows and its columns."""
    offset = geometry.belief_axis(spec) - points[..., None]  # (..., P, 2, w)
    profile = tf.exp(-tf.square(offset) / (2 * spec.part_sigma**2))
    return profile[..., 1, :, None] * profile[..., 0, None, :]


def window(point, spec):
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


def encode_center(center, spec):
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


def decode(beliefs, spec, *, refine="log"):
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
    ops = keras.ops
    parts = ops.transpose(ops.cast(beliefs, "float32")[..., : spec.num_parts], (0, 3, 1, 2))
    height, width = parts.shape[2], parts.shape[3]
    flat = ops.reshape(parts, (-1, spec.num_parts, height * width))
    # of equal values top_k takes the first; Keras' argmax needs an operation that LiteRT does not
    # have
    scores, best = (ops.squeeze(top, axis=-1) for top in ops.top_k(flat, 1))
    best = ops.cast(best, "int32")
    row, column = best // width, best % width
    offset = REFINEMENTS[refine](_neighbourhood(parts, row, column))
    cells = ops.stack([ops.cast(column, "float32"), ops.cast(row, "float32")], axis=-1) + offset
    return geometry.network_from_cells(cells, spec), scores


def _neighbourhood(parts, row, column):
    """(B, P, h, w) -> (B, P, 3, 3) around each peak; mirrored at the border, so that it pulls
    nowhere.
    """
    ops = keras.ops
    maps, height, width = ops.shape(parts)[1:]

    def mirrored(index, length):
        # of a single pixel all neighbours are itself
        return ops.maximum(length - 1 - ops.abs(length - 1 - ops.abs(index)), 0)

    steps = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
    index = [mirrored(row + y, height) * width + mirrored(column + x, width) for y, x in steps]
    flat = ops.reshape(parts, (-1, maps, height * width))
    values = ops.take_along_axis(flat, ops.stack(index, axis=-1), axis=-1)
    return ops.reshape(values, (-1, maps, 3, 3))


def _refine_none(patch):
    return keras.ops.zeros_like(patch[..., 0, :2])


def _refine_quarter(patch):
    return 0.25 * keras.ops.stack(
        [
            keras.ops.sign(patch[..., 1, 2] - patch[..., 1, 0]),
            keras.ops.sign(patch[..., 2, 1] - patch[..., 0, 1]),
        ],
        axis=-1,
    )


def _refine_log(patch):
    # Real beliefs go below zero. Targets hold nothing under PEAK_CUT, so what lies there is noise.
    logs = keras.ops.log(keras.ops.maximum(patch, PEAK_CUT))
    middle = logs[..., 1, 1]
    return keras.ops.stack(
        [
            _parabola_top(logs[..., 1, 0], middle, logs[..., 1, 2]),
            _parabola_top(logs[..., 0, 1], middle, logs[..., 2, 1]),
        ],
        axis=-1,
    )


def _parabola_top(before, middle, after):
    curvature = before - 2 * middle + after
    peaked = curvature < -1e-6
    top = 0.5 * (before - after) / keras.ops.where(peaked, curvature, -1.0)
    return keras.ops.where(peaked, keras.ops.clip(top, -0.5, 0.5), 0.0)


# Each takes (B, P, 3, 3) beliefs around the highest cell and returns (B, P, 2) an offset (x, y) in
# cells.
REFINEMENTS = {"none": _refine_none, "quarter": _refine_quarter, "log": _refine_log}


def swap_left_right(array, skeleton, axis):
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
    take = tf.gather if tf.is_tensor(array) else keras.ops.take
    return take(array, permutation, axis=axis)


def mirror(beliefs, spec):
    """(B, h, w, C) beliefs of the mirrored box -> beliefs of the box: columns turned, sides
    swapped.
    """
    return swap_left_right(keras.ops.flip(beliefs, axis=2), spec.skeleton, axis=-1)


def merge_zooms(beliefs_by_zoom, zooms, spec):
    """Adds up the beliefs of one box seen at several zooms, as the release's benchmark does.

    Each is read with cubic interpolation on a grid of a quarter of the stride. Cells that a zoomed
    box did not see count as 0 for parts and 1 for background (resizeIntoScaledImg).

    Args:
        beliefs_by_zoom: list of (B, h, w, C).
        zooms: list of floats; 1.25 sees the person a quarter larger.
        spec: `PoseSpec` of the beliefs.

    Returns:
        (B, 4 h, 4 w, C) float32, the mean, and the `PoseSpec` to decode it with.
    """
    if len(beliefs_by_zoom) != len(zooms):
        raise ValueError(
            f"`zooms` must have a factor for each of {len(beliefs_by_zoom)} beliefs. Received: {zooms}"
        )
    fine = _finer(spec)
    return _merge(_float32(beliefs_by_zoom), tuple(map(float, zooms)), spec), fine


def _finer(spec):
    return spec.replace(stride=max(1, spec.stride // 4))


def _float32(arrays):
    # a list, so that a function is traced for each number of zooms
    return [tf.cast(array, tf.float32) for array in arrays]


@tf.function(reduce_retracing=True)
def _merge(beliefs_by_zoom, zooms, spec):
    """List of (B, h, w, C) -> (B, 4 h, 4 w, C)."""
    fine = _finer(spec)
    weights, seen = zip(*(sampling.zoom_axis(zoom, spec, fine) for zoom in zooms), strict=True)
    beliefs = tf.stack(beliefs_by_zoom)
    cells, batch = spec.grid_size, tf.shape(beliefs)[1]
    maps = tf.reshape(tf.transpose(beliefs, (0, 2, 3, 1, 4)), (len(zooms), cells, cells, -1))
    merged = sampling.enlarge(maps, tf.stack(weights), tf.stack(weights))
    merged = tf.reshape(merged, (batch, spec.num_channels, fine.grid_size, fine.grid_size))
    merged = tf.transpose(merged, (0, 3, 2, 1))
    if spec.background:
        seen = tf.cast(tf.stack(seen), tf.float32)
        unseen = len(zooms) - tf.matmul(seen, seen, transpose_a=True)
        merged += unseen[..., None] * tf.one_hot(spec.num_parts, spec.num_channels)
    return merged / len(zooms)


def decode_on_image(beliefs_by_zoom, network_from_image_by_zoom, size, spec, *, refine="none"):
    """Reads beliefs as the release's benchmark does: enlarged to the pixels of the photograph, added
    up over the zooms, and the highest pixel of each part (run_benchmark.m, resizeIntoScaledImg).

    A zoom that does not show a pixel adds 0 there. Each belief is enlarged in one cubic step; the
    release takes two, eightfold and then to the photograph.

    Args:
        beliefs_by_zoom: list of (B, h, w, C).
        network_from_image_by_zoom: list of (3, 3), without rotation.
        size: (height, width) of the photograph.
        spec: `PoseSpec` of the beliefs.
        refine: as in `decode`, a quarter of a pixel or half a pixel at most.

    Returns:
        keypoints (B, P, 2) float32, image frame, pixels, and scores (B, P), the mean over the zooms.
        Of equal pixels the first in column order wins, as in MATLAB. Where no zoom shows anything of
        the photograph, NaN and 0.
    """
    axes = sampling.pixel_axes(_float32(network_from_image_by_zoom), tf.cast(size, tf.int32), spec)
    # what no zoom shows needs no reading
    extents = [_extent(seen) for _, seen in axes]
    if None in extents:
        nothing = tf.zeros((tf.shape(beliefs_by_zoom[0])[0], spec.num_parts))
        return tf.stack([nothing * math.nan] * 2, axis=-1), nothing
    first, last = zip(*extents, strict=True)
    columns, rows = (axes[axis][0][:, first[axis] : last[axis]] for axis in (0, 1))
    beliefs = [zoom[..., : spec.num_parts] for zoom in _float32(beliefs_by_zoom)]
    keypoints, scores = _highest_pixels(beliefs, columns, rows, refine)
    return keypoints + tf.constant(first, tf.float32), scores / len(beliefs_by_zoom)


@tf.function(reduce_retracing=True)
def _highest_pixels(beliefs_by_zoom, columns, rows, refine):
    """List of (B, h, w, P) -> (B, P, 2) and (B, P), see `_highest_pixel`."""
    return tf.map_fn(
        lambda beliefs: _highest_pixel(sampling.enlarge(beliefs, columns, rows), refine),
        tf.stack(beliefs_by_zoom, axis=1),
        fn_output_signature=(tf.float32, tf.float32),
        # the maps of each have as many pixels as the photograph
        parallel_iterations=1,
    )


def find_peaks(belief_map, spec, *, threshold):
    """Every local maximum of one belief map, for networks that mark many people (demo.ipynb).

    The map is enlarged to network pixels by one cubic step; a pixel is a peak if none of its eight
    neighbours is higher, of equal ones the first in row order.

    Args:
        belief_map: (h, w), of any size.
        spec: `PoseSpec`; its stride.
        threshold: peaks are higher than that.

    Returns:
        (N, 2) float32 network frame, pixels, and (N,) heights, the highest first.
    """
    axes = []
    for axis, cells in ((1, belief_map.shape[0]), (0, belief_map.shape[1])):
        length = cells * spec.stride
        axes.append(sampling.pixel_axis(tf.eye(3), axis, length, spec, cells=cells)[0])
    values = tf.einsum("yh,hw,xw->yx", axes[0], tf.cast(belief_map, tf.float32), axes[1]).numpy()
    padded = np.pad(values, 1, constant_values=-np.inf)
    height, width = values.shape
    is_peak = values > threshold
    for dy, dx in [(y, x) for y in range(3) for x in range(3) if (y, x) != (1, 1)]:
        neighbour = padded[dy : dy + height, dx : dx + width]
        earlier = (dy, dx) < (1, 1)
        is_peak &= values > neighbour if earlier else values >= neighbour
    rows, columns = np.nonzero(is_peak)
    order = np.argsort(-values[rows, columns], kind="stable")
    points = np.stack([columns, rows], axis=-1).astype(np.float32)
    return points[order], values[rows, columns][order]


def _extent(seen_by_zoom):
    """First pixel that any zoom shows, and the one after the last; `None` where there is none."""
    shown = tf.where(tf.reduce_any(seen_by_zoom, axis=0))[:, 0]
    if len(shown) == 0:
        return None
    return int(shown[0]), int(shown[-1]) + 1


def _highest_pixel(maps, refine):
    """(B, x, y) -> (B, 2) positions (x, y) and (B,) heights; of equal ones the first column's first."""
    # the largest of each column is found several times faster than where it is
    by_column = tf.reduce_max(maps, axis=2)
    column = tf.argmax(by_column, axis=1, output_type=tf.int32)
    row = tf.argmax(tf.gather(maps, column, axis=1, batch_dims=1), axis=1, output_type=tf.int32)
    position = tf.cast(tf.stack([column, row], axis=-1), tf.float32)
    if refine != "none":
        patch = _neighbourhood(maps[:, None], column[:, None], row[:, None])
        position += REFINEMENTS[refine](tf.transpose(patch, (0, 1, 3, 2)))[:, 0]
    return position, tf.reduce_max(by_column, axis=1)
