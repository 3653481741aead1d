"""Beliefs of one person seen at several zooms, read at cells or pixels between their own.

Cubic interpolation, an axis at a time: weights to multiply the maps with. Everything here is
TensorFlow, and (0, 0) is the centre of the first cell or pixel, as in `geometry`.
"""

import itertools
import math
from collections.abc import Sequence

from . import codec, geometry
from .arithmetic import tf, traced
from .spec import Array, PoseSpec

_STRIPS = 8


def merge_zooms(
    beliefs_by_zoom: Sequence[Array], zooms: Sequence[float], spec: PoseSpec
) -> tuple[Array, PoseSpec]:
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
            f"`zooms` must have a factor for each of {len(beliefs_by_zoom)} beliefs. "
            f"Received: {zooms}"
        )
    fine = _finer(spec)
    box = spec.box_size, spec.stride
    return _merge(_float32(beliefs_by_zoom), _float32(zooms), *box, spec.background), fine


def decode_on_image(
    beliefs_by_zoom: Sequence[Array],
    network_from_image_by_zoom: Sequence[Array],
    size: Array,
    spec: PoseSpec,
    *,
    refine: str = "none",
) -> tuple[Array, Array]:
    """Reads beliefs as the release's benchmark does: enlarged to the pixels of the photograph,
    added up over the zooms, and the highest pixel of each part (run_benchmark.m,
    resizeIntoScaledImg).

    A zoom that does not show a pixel adds 0 there. Each belief is enlarged in one cubic step; the
    release takes two, eightfold and then to the photograph.

    Args:
        beliefs_by_zoom: list of (B, h, w, C).
        network_from_image_by_zoom: list of (3, 3), without rotation.
        size: (height, width) of the photograph.
        spec: `PoseSpec` of the beliefs.
        refine: as in `codec.decode`, a quarter of a pixel or half a pixel at most.

    Returns:
        keypoints (B, P, 2) float32, image frame, pixels, and scores (B, P), the mean over the
        zooms. Of equal pixels the first in column order wins, as in MATLAB. Where no zoom shows
        anything of the photograph, NaN and 0.
    """
    matrices, box = _float32(network_from_image_by_zoom), (spec.box_size, spec.stride)
    axes = _pixel_axes(matrices, tf.cast(size, tf.int32), *box)
    # what no zoom shows needs no reading
    across, down = (_extent(seen) for _, seen in axes)
    if across is None or down is None:
        nothing = tf.zeros((tf.shape(beliefs_by_zoom[0])[0], spec.num_parts))
        return tf.stack([nothing * math.nan] * 2, axis=-1), nothing
    first, last = zip(across, down, strict=True)
    columns, rows = (axes[axis][0][:, first[axis] : last[axis]] for axis in (0, 1))
    beliefs = [zoom[..., : spec.num_parts] for zoom in _float32(beliefs_by_zoom)]
    keypoints, scores = _highest_pixels(beliefs, columns, rows, refine)
    return keypoints + tf.constant(first, tf.float32), scores / len(beliefs_by_zoom)


def find_peaks(belief_map: Array, spec: PoseSpec, *, threshold: float) -> tuple[Array, Array]:
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
    belief_map = tf.cast(belief_map, tf.float32)
    axes = []
    for axis, cells in ((1, tf.shape(belief_map)[0]), (0, tf.shape(belief_map)[1])):
        length = cells * spec.stride
        axes.append(pixel_axis(tf.eye(3), axis, length, spec, cells=cells)[0])
    values = tf.einsum("yh,hw,xw->yx", axes[0], belief_map, axes[1])
    padded = tf.pad(values, [[1, 1], [1, 1]], constant_values=-float("inf"))
    height, width = tf.unstack(tf.shape(values))
    is_peak = values > threshold
    for dy, dx in [(y, x) for y in range(3) for x in range(3) if (y, x) != (1, 1)]:
        neighbour = padded[dy : dy + height, dx : dx + width]
        earlier = (dy, dx) < (1, 1)
        is_peak &= values > neighbour if earlier else values >= neighbour
    cells = tf.where(is_peak)
    heights = tf.gather_nd(values, cells)
    order = tf.argsort(heights, direction="DESCENDING", stable=True)
    return tf.gather(tf.cast(cells[:, ::-1], tf.float32), order), tf.gather(heights, order)


def zoom_axis(zoom: Array, spec: PoseSpec, target_spec: PoseSpec) -> tuple[Array, Array]:
    """Cubic resampling of beliefs seen at another zoom, along one axis.

    The same person was put into the box at `zoom` times the scale; the result says how to read
    those beliefs at the cells of `target_spec` in the box at zoom 1. Rows and columns need the same
    matrix.

    Args:
        zoom: float, the scale of the box the beliefs come from.
        spec: `PoseSpec` of those beliefs, n cells.
        target_spec: `PoseSpec` of the result, m cells; the same box with another stride.

    Returns:
        (m, n) float32 weights, and (m,) bool: whether the zoomed box saw the cell at all.

    Example:
        >>> from keras_cpm import PoseSpec
        >>> from keras_cpm.pose.multiscale import zoom_axis
        >>> spec = PoseSpec()
        >>> weights, seen = zoom_axis(1.25, spec, spec.replace(stride=4))
        >>> weights.shape.as_list(), seen.numpy()[[0, 46, 91]].tolist()
        ([92, 46], [False, True, False])
    """
    network = geometry.zoomed(geometry.belief_axis(target_spec), zoom, spec)
    return _cubic_axis(geometry.cells_from_network(network, spec), spec.grid_size)


def pixel_axis(
    network_from_image: Array,
    axis: int,
    length: Array,
    spec: PoseSpec,
    *,
    cells: Array | None = None,
) -> tuple[Array, Array]:
    """Cubic resampling of beliefs at the pixels of a photograph, along one axis.

    Args:
        network_from_image: (3, 3), without rotation.
        axis: 0 for columns (x), 1 for rows (y).
        length: pixels of the photograph along that axis, m.
        spec: `PoseSpec` of the beliefs.
        cells: of the beliefs along that axis, n; `None`: those of the box.

    Returns:
        (m, n) float32 weights, zero where the box does not show the pixel, and (m,) bool: whether
        it does.

    Example:
        >>> from keras_cpm import PoseSpec, geometry
        >>> from keras_cpm.pose.multiscale import pixel_axis
        >>> twice = geometry.resize_matrix(2.0)
        >>> weights, seen = pixel_axis(twice, 0, 200, PoseSpec())
        >>> weights.shape.as_list(), seen.numpy()[[183, 184]].tolist()
        ([200, 46], [True, False])
    """
    pixels = tf.range(tf.cast(length, tf.float32))
    network = geometry.apply_along(network_from_image, axis, pixels)
    cells = spec.grid_size if cells is None else cells
    return _cubic_axis(geometry.cells_from_network(network, spec), cells)


def _finer(spec: PoseSpec) -> PoseSpec:
    return spec.replace(stride=max(1, spec.stride // 4))


def _float32(arrays: Sequence[Array]) -> list[Array]:
    # a list, so that a function is traced for each number of zooms
    return [tf.cast(array, tf.float32) for array in arrays]


# Traced functions take numbers of a spec, because TensorFlow traces numbers once and objects again.


@traced(reduce_retracing=True, autograph=False)
def _merge(
    beliefs_by_zoom: Sequence[Array],
    zooms: Sequence[Array],
    box_size: int,
    stride: int,
    background: bool,
) -> Array:
    """List of (B, h, w, C) -> (B, 4 h, 4 w, C)."""
    spec = PoseSpec(box_size=box_size, stride=stride)
    fine = _finer(spec)
    weights, seen = zip(*(zoom_axis(zoom, spec, fine) for zoom in zooms), strict=True)
    beliefs = tf.stack(beliefs_by_zoom)
    cells, batch, channels = spec.grid_size, tf.shape(beliefs)[1], tf.shape(beliefs)[-1]
    maps = tf.reshape(tf.transpose(beliefs, (0, 2, 3, 1, 4)), (len(zooms), cells, cells, -1))
    merged = _enlarge(maps, tf.stack(weights), tf.stack(weights))
    merged = tf.reshape(merged, (batch, channels, fine.grid_size, fine.grid_size))
    merged = tf.transpose(merged, (0, 3, 2, 1))
    if background:
        seen = tf.cast(tf.stack(seen), tf.float32)
        unseen = len(zooms) - tf.matmul(seen, seen, transpose_a=True)
        merged += unseen[..., None] * tf.one_hot(channels - 1, channels)
    return merged / len(zooms)


@traced(reduce_retracing=True, autograph=False)
def _highest_pixels(
    beliefs_by_zoom: Sequence[Array], columns: Array, rows: Array, refine: str
) -> tuple[Array, Array]:
    """List of (B, h, w, P) -> (B, P, 2) and (B, P), see `_highest_pixel`."""
    return tf.map_fn(
        lambda beliefs: _highest_pixel(_enlarge(beliefs, columns, rows), refine),
        tf.stack(beliefs_by_zoom, axis=1),
        fn_output_signature=(tf.float32, tf.float32),
        # the maps of each have as many pixels as the photograph
        parallel_iterations=1,
    )


def _highest_pixel(maps: Array, refine: str) -> tuple[Array, Array]:
    """(B, x, y) -> (B, 2) positions (x, y) and (B,) heights; of equal ones the first column's."""
    # the largest of each column is found several times faster than where it is
    by_column = tf.reduce_max(maps, axis=2)
    column = tf.argmax(by_column, axis=1, output_type=tf.int32)
    row = tf.argmax(tf.gather(maps, column, axis=1, batch_dims=1), axis=1, output_type=tf.int32)
    position = tf.cast(tf.stack([column, row], axis=-1), tf.float32)
    if refine != "none":
        patch = codec.neighbourhood(maps[:, None], column[:, None], row[:, None])
        position += codec.REFINEMENTS[refine](tf.transpose(patch, (0, 1, 3, 2)))[:, 0]
    return position, tf.reduce_max(by_column, axis=1)


def _extent(seen_by_zoom: Array) -> tuple[int, int] | None:
    """First pixel that any zoom shows, and the one after the last; `None` where there is none."""
    shown = tf.where(tf.reduce_any(seen_by_zoom, axis=0))[:, 0]
    if len(shown) == 0:
        return None
    return int(shown[0]), int(shown[-1]) + 1


@traced(reduce_retracing=True, autograph=False)
def _pixel_axes(
    network_from_image_by_zoom: Sequence[Array], size: Array, box_size: int, stride: int
) -> list[list[Array]]:
    """`pixel_axis` of x, then of y, for Z zooms: (Z, m, n) weights and (Z, m) bool each."""
    spec = PoseSpec(box_size=box_size, stride=stride)
    axes = []
    for axis in (0, 1):
        zooms = [pixel_axis(m, axis, size[1 - axis], spec) for m in network_from_image_by_zoom]
        axes.append([tf.stack(values) for values in zip(*zooms, strict=True)])
    return axes


def _enlarge(beliefs: Array, columns: Array, rows: Array) -> Array:
    """(Z, h, w, M) beliefs, (Z, x, w) and (Z, y, h) weights -> (M, x, y), the sum over the zooms.

    All zooms meet in the second of two products, so that no map is as large as the result twice. A
    strip of rows depends on few cells of each zoom, so that strips are several times less work.
    """
    zooms, height, width, maps = tf.unstack(tf.shape(beliefs))
    lines = tf.reshape(tf.transpose(beliefs, (0, 1, 3, 2)), (zooms, height * maps, width))
    across = tf.matmul(lines, columns, transpose_b=True)
    across = tf.reshape(across, (zooms * height, -1))
    down = tf.reshape(tf.transpose(rows, (0, 2, 1)), (zooms * height, -1))
    ends = [tf.shape(down)[1] * i // _STRIPS for i in range(_STRIPS + 1)]
    strips = []
    for first, end in itertools.pairwise(ends):
        used = tf.where(tf.reduce_any(down[:, first:end] != 0, axis=1))[:, 0]
        strip = tf.gather(down[:, first:end], used)
        strips.append(tf.matmul(tf.gather(across, used), strip, transpose_a=True))
    return tf.reshape(tf.concat(strips, axis=1), (maps, -1, tf.shape(down)[1]))


def _cubic_axis(position: Array, cells: Array) -> tuple[Array, Array]:
    """(m,) positions in cells -> (m, n) weights of the n cells, (m,) bool: on the map at all."""
    last = tf.cast(cells, tf.float32) - 1
    seen = (position >= -0.5) & (position <= last + 0.5)
    taps = tf.floor(position)[:, None] + tf.range(-1.0, 3.0)
    columns = tf.cast(tf.clip_by_value(taps, 0, last), tf.int32)
    weights = tf.one_hot(columns, cells) * keys_cubic(taps - position[:, None])[..., None]
    return tf.where(seen[:, None], tf.reduce_sum(weights, axis=1), 0.0), seen


def keys_cubic(distance: Array) -> Array:
    """Keys' kernel with a = -0.5, the cubic of MATLAB's imresize, which the release uses."""
    d = tf.abs(distance)
    near = (1.5 * d - 2.5) * d * d + 1
    far = ((-0.5 * d + 2.5) * d - 4) * d + 2
    return tf.where(d <= 1, near, tf.where(d < 2, far, 0.0))
