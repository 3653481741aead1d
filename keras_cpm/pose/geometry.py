"""The three frames and every map between them. No other file changes the frame of a coordinate.

The line to `sampling` and `multiscale`: every formula for a position is here and takes positions to
positions; which pixels or cells around a position count, and how much, is said there.

Frames
    image    the upright photograph in pixels
    network  the square box the network sees, `spec.box_size` pixels (368)
    belief   the grid of belief cells, `spec.grid_size` cells (46)
    stored   the photograph as its file stores it; EXIF says how to turn it upright

Convention
    Points are (x, y), float32; arrays [row = y, column = x, channel]; sizes (height, width).
    (0, 0) is the *centre* of the top-left pixel or cell; an image spans [-0.5, width - 0.5].
        resize by s   x' = s (x + 0.5) - 0.5
        mirror        x' = width - 1 - x
        box centre    (box_size - 1) / 2 = 183.5
    Cell i sits at network pixel stride * i + (stride - 1) / 2 = 8 i + 3.5. It is the convention of
    the release's target code, of cv2.warpAffine and of TensorFlow's projective transform. Mirroring
    cells equals mirroring pixels, so a flip test needs no shift.

Matrices are (3, 3), named by frames, right to left; a product is legal when the inner names meet:
    belief_from_image = compose(belief_from_network, network_from_image)

Everything is TensorFlow operations, so the same function runs eagerly, in tf.data and in a
SavedModel, and by NumPy where `arithmetic` says so. Small products are written out: matrix units,
and the matrix kernels of some versions of TensorFlow, round coordinates or worse.
"""

import numpy as np

from .arithmetic import tf
from .spec import Array, PoseSpec

# run_benchmark.m: LSP has no person scale at test time, the image's height stands in for it: it
# becomes 0.8 of a box in which people are 234.3 of 368 pixels tall, the same for every network.
PERSON_SHARE_OF_IMAGE = (234.2857142857143 / 368) / 0.8

# the linear parts of EXIF's orientations 1 to 8
_TURNS = np.array(
    [
        [(1, 0), (0, 1)],  # upright
        [(-1, 0), (0, 1)],  # mirrored left-right
        [(-1, 0), (0, -1)],  # half a turn
        [(1, 0), (0, -1)],  # mirrored top-bottom
        [(0, 1), (1, 0)],  # transposed
        [(0, -1), (1, 0)],  # to be turned clockwise
        [(0, -1), (-1, 0)],  # transposed about the other diagonal
        [(0, 1), (-1, 0)],  # to be turned counter-clockwise
    ],
    np.float32,
)


def network_from_image(
    center: Array,
    person_height: Array,
    spec: PoseSpec,
    *,
    rotation: Array = 0.0,
    scale: Array = 1.0,
    flip: Array = False,
    shift: Array = (0.0, 0.0),
) -> Array:
    """Affine map that puts one person into the network box.

    Args:
        center: (2,) point in the image frame; lands on the middle of the box.
        person_height: scalar, pixels; the person is resized to `spec.person_height`.
        spec: `PoseSpec`.
        rotation: radians, clockwise on screen, about `center`.
        scale: extra zoom, 1.0 = none.
        flip: mirror left-right. The caller must also swap parts: see `codec.swap_left_right`.
        shift: (2,) network pixels added last.

    Returns:
        (3, 3) float32 matrix.

    Example:
        >>> from keras_cpm import PoseSpec, geometry
        >>> matrix = geometry.network_from_image((100.0, 80.0), 150.0, PoseSpec())
        >>> geometry.apply(matrix, [100.0, 80.0]).numpy().tolist()
        [183.5, 183.5]
    """
    center = tf.cast(center, tf.float32)
    zoom = tf.cast(scale, tf.float32) * spec.person_height / tf.cast(person_height, tf.float32)
    mirror = 1.0 - 2.0 * tf.cast(flip, tf.float32)
    rotation = tf.cast(rotation, tf.float32)
    cos, sin = zoom * tf.cos(rotation), zoom * tf.sin(rotation)
    linear = tf.stack([tf.stack([mirror * cos, -mirror * sin]), tf.stack([sin, cos])])
    target = spec.center + tf.cast(shift, tf.float32)
    return _affine(linear, target - tf.reduce_sum(linear * center, axis=-1))


def network_from_box(box: Array, spec: PoseSpec) -> Array:
    """Like `network_from_image`, when all you have is a detector's box.

    Args:
        box: (4,) x0, y0, x1, y1, image frame; its longest side becomes `spec.person_height`.
        spec: `PoseSpec`.

    Returns:
        (3, 3) float32 matrix.
    """
    return network_from_image(*center_and_height(box), spec)


def center_and_height(box: Array) -> tuple[Array, Array]:
    """(..., 2) the middle of (..., 4) boxes x0, y0, x1, y1, and (...,) their longest side, which
    counts as the height.
    """
    # readers ask for a hundred thousand people: of numbers the answer is NumPy's, 50 times as fast
    numbers = isinstance(box, tuple | list | np.ndarray)
    box = np.asarray(box, np.float32) if numbers else tf.cast(box, tf.float32)
    low, high = box[..., :2], box[..., 2:]
    return (low + high) / 2, (np.max if numbers else tf.reduce_max)(high - low, axis=-1)


def box_around(points: Array, chosen: Array) -> Array:
    """(..., 4) x0, y0, x1, y1 around the chosen, (..., P) bool, of (..., P, 2) points."""
    inside, infinite = tf.cast(chosen, tf.bool)[..., None], float("inf")
    low = tf.reduce_min(tf.where(inside, points, infinite), axis=-2)
    return tf.concat([low, tf.reduce_max(tf.where(inside, points, -infinite), axis=-2)], axis=-1)


def network_from_size(size: Array, spec: PoseSpec) -> Array:
    """Affine map for a photograph that one person fills.

    Args:
        size: (2,) height and width of the image. Its centre lands on the middle of the box; its
            height becomes 0.8 of the release's box, more where people stand taller in the box.
        spec: `PoseSpec`.

    Returns:
        (3, 3) float32 matrix.
    """
    return network_from_image(image_center(size), whole_image_height(size), spec)


def image_center(size: Array) -> Array:
    """(2,) the middle of an image of `size` (height, width)."""
    return (tf.cast(size, tf.float32)[::-1] - 1) / 2


def from_shares(shares: Array, size: Array) -> Array:
    """(..., 2) points of an image of `size` (height, width): 0 and 1 are the edges, not pixels."""
    return np.multiply(shares, size[::-1]) - 0.5


def mirrored(points: Array, size: Array) -> Array:
    """Points of an image of `size` (height, width), mirrored left-right; the caller swaps parts."""
    return points * (-1.0, 1.0) + (size[1] - 1.0, 0.0)


def whole_image_height(size: Array) -> Array:
    """The `person_height` of whoever fills an image of `size` (height, width), pixels."""
    return tf.cast(size, tf.float32)[0] * PERSON_SHARE_OF_IMAGE


def height_in_whole_image(size: Array, spec: PoseSpec, *, zoom: float = 1.0) -> Array:
    """The height, image frame, of people found by a network behind `network_from_whole_image`."""
    return tf.cast(size, tf.float32)[0] * (spec.person_height / (spec.box_size * zoom))


def network_from_whole_image(
    size: Array, spec: PoseSpec, *, zoom: float = 1.0
) -> tuple[Array, Array]:
    """For a network that looks at a whole image of any width, `zoom * spec.box_size` pixels high.

    Args:
        size: (height, width) of the image.
        spec: `PoseSpec`.
        zoom: such that the height is a multiple of 8.

    Returns:
        (3, 3), a resize, and (2,) int32 height and width of the network input: wide enough for the
        image, a multiple of 8 as the networks' pools ask for.
    """
    height, width = tf.unstack(tf.cast(size, tf.float32))
    rows = round(zoom * spec.box_size)
    factor = rows / height
    eighths = tf.maximum(1, tf.cast(tf.math.ceil(factor * width / 8 - 1e-4), tf.int32))
    return resize_matrix(factor), tf.stack([rows, 8 * eighths])


def zoomed_from_network(zoom: Array, spec: PoseSpec) -> Array:
    """(3, 3) the box seen `zoom` times as large, about its middle: for tests at several scales."""
    zoom = tf.cast(zoom, tf.float32)
    return _affine(zoom * tf.eye(2), tf.fill([2], (1.0 - zoom) * spec.center))


def belief_from_network(spec: PoseSpec) -> Array:
    """(3, 3) network pixels to belief cells: a resize by 1 / stride."""
    return resize_matrix(1.0 / spec.stride)


def resize_matrix(factor: Array) -> Array:
    """(3, 3) the map of a resize by `factor`: x' = s (x + 0.5) - 0.5 on both axes."""
    factor = tf.cast(factor, tf.float32)
    return _affine(factor * tf.eye(2), tf.fill([2], 0.5 * factor - 0.5))


def shift_matrix(offset: Array) -> Array:
    """(3, 3) the map of a move by `offset` (x, y)."""
    return _affine(tf.eye(2), tf.cast(offset, tf.float32))


def network_from_cells(cells: Array, spec: PoseSpec) -> Array:
    """Belief cells to network pixels, 8 i + 3.5, by plain arithmetic, for any Keras backend."""
    return cells * spec.stride + (spec.stride - 1) / 2


def cells_from_network(network: Array, spec: PoseSpec) -> Array:
    """Network pixels to belief cells, the way back of `network_from_cells`: 11.5 is cell 1."""
    return (network - (spec.stride - 1) / 2) / spec.stride


def zoomed(network: Array, zoom: Array, spec: PoseSpec) -> Array:
    """What `zoomed_from_network` does, to x or y alone, by plain arithmetic."""
    return (network - spec.center) * zoom + spec.center


def upright_from_stored(orientation: Array, size: Array) -> Array:
    """The turn that EXIF asks for.

    Args:
        orientation: scalar int, 1..8 as in EXIF tag 0x0112; anything else counts as 1.
        size: (2,) height and width as stored.

    Returns:
        (3, 3) float32 matrix.
    """
    known = (orientation >= 1) & (orientation <= 8)
    linear = tf.gather(_TURNS, tf.where(known, orientation - 1, 0))
    # an axis that is mirrored starts at the last pixel
    last = tf.cast(size, tf.float32)[::-1] - 1
    return _affine(linear, tf.reduce_sum(tf.maximum(-linear, 0.0) * last, axis=-1))


def upright_size(size: Array, matrix: Array) -> Array:
    """(2,) int32 height and width upright, from the stored `size` and `upright_from_stored`."""
    size = tf.cast(size, tf.int32)
    return tf.where(tf.abs(matrix[0, 0]) < 0.5, size[::-1], size)


def compose(*matrices: Array) -> Array:
    """Product of (..., 3, 3) matrices, the leftmost applied last; inner frame names must meet."""
    product = matrices[0]
    for matrix in matrices[1:]:
        product = tf.reduce_sum(product[..., :, :, None] * matrix[..., None, :, :], axis=-2)
    return product


def invert(matrix: Array) -> Array:
    """The way back: image_from_network = invert(network_from_image). (..., 3, 3), affine."""
    matrix = tf.cast(matrix, tf.float32)
    (a, b, x), (c, d, y), _ = (tf.unstack(row, axis=-1) for row in tf.unstack(matrix, axis=-2))
    determinant = a * d - b * c
    a, b, c, d = d / determinant, -b / determinant, -c / determinant, a / determinant
    zero, one = tf.zeros_like(a), tf.ones_like(a)
    rows = [[a, b, -(a * x + b * y)], [c, d, -(c * x + d * y)], [zero, zero, one]]
    return tf.stack([tf.stack(row, axis=-1) for row in rows], axis=-2)


def apply(matrix: Array, points: Array) -> Array:
    """Points through a matrix.

    Args:
        matrix: (3, 3), or (B, 3, 3) for one matrix a sample.
        points: (..., 2), or (B, ..., 2).

    Returns:
        float32, shaped like `points`.
    """
    matrix, points = tf.cast(matrix, tf.float32), tf.cast(points, tf.float32)
    samples = [tf.shape(matrix)[0]] if len(matrix.shape) == 3 else []
    flat = tf.reshape(points, [*samples, -1, 1, 2])
    moved = tf.reduce_sum(matrix[..., None, :2, :2] * flat, axis=-1) + matrix[..., None, :2, 2]
    return tf.reshape(moved, tf.shape(points))


def apply_along(matrix: Array, axis: int, positions: Array) -> Array:
    """(...,) float32 positions along an axis, 0 for x, 1 for y; (3, 3) `matrix` must not turn."""
    return matrix[axis, axis] * positions + matrix[axis, 2]


def apply_to_grid(matrix: Array, size: Array) -> tuple[Array, Array]:
    """All pixels of an image of `size` (height, width) through a (3, 3) matrix: `apply`, but x
    and y apart, as samplers want them, each float32 of that size.

    Example:
        >>> from keras_cpm import geometry
        >>> x, y = geometry.apply_to_grid(geometry.shift_matrix((5.0, 7.0)), (1, 3))
        >>> x.numpy().tolist(), y.numpy().tolist()
        ([[5.0, 6.0, 7.0]], [[7.0, 7.0, 7.0]])
    """
    x, y = tf.range(size[1], dtype=tf.float32), tf.range(size[0], dtype=tf.float32)[:, None]
    return tuple(matrix[row, 0] * x + matrix[row, 1] * y + matrix[row, 2] for row in (0, 1))


def box_corners(spec: PoseSpec) -> Array:
    """(4, 2) float32 the pixels in the corners of the box, network frame: the last 367, 367."""
    return (spec.box_size - 1.0) * tf.constant([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])


def belief_axis(spec: PoseSpec) -> Array:
    """(w,) float32 network-frame position of the cells along one axis: 3.5, 11.5, ..."""
    return network_from_cells(tf.range(spec.grid_size, dtype=tf.float32), spec)


def angle_from_up(start: Array, end: Array) -> Array:
    """(...,) float64 degrees, -90 to 270, from up to the way between points, to the right: 90."""
    right, down = np.moveaxis(np.subtract(end, start), -1, 0)
    return np.degrees(np.arctan2(down, right)) + 90


def inside_box(points: Array, spec: PoseSpec, *, margin: float = 0.0) -> Array:
    """(...,) bool: which points of the network frame lie in the box, or `margin` pixels from it."""
    return inside_image(points, (spec.box_size, spec.box_size), margin=margin)


def inside_image(points: Array, size: Array, *, margin: float = 0.0) -> Array:
    """(...,) bool: which points lie in an image of `size` (height, width), or `margin` from it."""
    high = tf.cast(size, tf.float32)[::-1] - 0.5 + margin
    return tf.reduce_all((points >= -0.5 - margin) & (points <= high), axis=-1)


def _affine(linear: Array, translation: Array) -> Array:
    upper = tf.concat([linear, translation[:, None]], axis=1)
    return tf.concat([upper, [[0.0, 0.0, 1.0]]], axis=0)
