"""The three frames and every map between them. No other file changes the frame of a coordinate.

Frames
    image    the upright photograph in pixels
    network  the square box the network sees, `spec.box_size` pixels (368)
    belief   the grid of belief cells, `spec.grid_size` cells (46)
    stored   the photograph as its file stores it; EXIF says how to turn it upright

Convention
    Points are (x, y), float32. Arrays are [row = y, column = x, channel]. Sizes are (height,
    width). (0, 0) is the *centre* of the top-left pixel or cell; an image spans [-0.5, width -
    0.5]. resize by s   x' = s (x + 0.5) - 0.5
        mirror        x' = width - 1 - x
        box centre    (box_size - 1) / 2 = 183.5
    Cell i sits at network pixel stride * i + (stride - 1) / 2 = 8 i + 3.5. It is the convention of
    the release's target code, of cv2.warpAffine and of TensorFlow's projective transform. Mirroring
    cells equals mirroring pixels, so a flip test needs no shift.

Matrices are (3, 3) and named by frames, right to left. A product is legal when the inner names
    meet: belief_from_image = compose(belief_from_network, network_from_image)

Everything is TensorFlow operations, so the same function runs eagerly, in tf.data and in a
SavedModel. Small products are written out: matrix units, and the matrix kernels of some versions of
TensorFlow, round coordinates or worse.
"""

import math

import tensorflow as tf

# run_benchmark.m: LSP has no person scale at test time, the image's height stands in for it.
IMAGE_SHARE_OF_BOX = 0.8


def network_from_image(
    center, person_height, spec, *, rotation=0.0, scale=1.0, flip=False, shift=(0.0, 0.0)
):
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


def network_from_box(box, spec):
    """Like `network_from_image`, when all you have is a detector's box.

    Args:
        box: (4,) x0, y0, x1, y1 in the image frame. Its centre lands on the middle of the network
            box and its longest side becomes `spec.person_height`.
        spec: `PoseSpec`.

    Returns:
        (3, 3) float32 matrix.
    """
    return network_from_image(*center_and_height(box), spec)


def center_and_height(box):
    """(2,) the middle of a box x0, y0, x1, y1, and its longest side, which counts as the height."""
    box = tf.cast(box, tf.float32)
    return (box[:2] + box[2:]) / 2, tf.reduce_max(box[2:] - box[:2])


def network_from_size(size, spec):
    """Like `network_from_image`, when nothing is known: the release's rule for the LSP test images.

    Args:
        size: (2,) height and width of the image. Its centre lands on the middle of the box and its
            height becomes 0.8 of the box.
        spec: `PoseSpec`.

    Returns:
        (3, 3) float32 matrix.
    """
    return network_from_image(image_center(size), whole_image_height(size, spec), spec)


def image_center(size):
    """(2,) the middle of an image of `size` (height, width)."""
    return (tf.cast(size, tf.float32)[::-1] - 1) / 2


def mirrored(points, size):
    """Points of an image of `size` (height, width), mirrored left-right; the caller swaps parts."""
    return points * (-1.0, 1.0) + (size[1] - 1.0, 0.0)


def whole_image_height(size, spec, *, share=IMAGE_SHARE_OF_BOX):
    """The `person_height` at which an image of `size` (height, width) becomes `share` of the box high."""
    return tf.cast(size, tf.float32)[0] * (spec.person_height / (share * spec.box_size))


def network_from_whole_image(size, spec):
    """For a network that looks at a whole image of any width, `spec.box_size` pixels high.

    Args:
        size: (height, width) of the image.
        spec: `PoseSpec`.

    Returns:
        (3, 3), a resize, and (height, width) of the network input: wide enough for the image, a
        multiple of 8 as the networks' pools ask for.
    """
    height, width = (float(side) for side in tf.cast(size, tf.float32))
    factor = spec.box_size / height
    return resize_matrix(factor), (spec.box_size, 8 * max(1, math.ceil(factor * width / 8 - 1e-6)))


def zoomed_from_network(zoom, spec):
    """(3, 3) the box seen `zoom` times as large, about its middle: for tests at several scales."""
    zoom = tf.cast(zoom, tf.float32)
    return _affine(zoom * tf.eye(2), tf.fill([2], (1.0 - zoom) * spec.center))


def belief_from_network(spec):
    """(3, 3) network pixels to belief cells: a resize by 1 / stride."""
    return resize_matrix(1.0 / spec.stride)


def resize_matrix(factor):
    """(3, 3) the map of a resize by `factor`: x' = s (x + 0.5) - 0.5 on both axes."""
    factor = tf.cast(factor, tf.float32)
    return _affine(factor * tf.eye(2), tf.fill([2], 0.5 * factor - 0.5))


def shift_matrix(offset):
    """(3, 3) the map of a move by `offset` (x, y)."""
    return _affine(tf.eye(2), tf.cast(offset, tf.float32))


def network_from_cells(cells, spec):
    """Belief cells to network pixels, 8 i + 3.5, by plain arithmetic, for any Keras backend."""
    return cells * spec.stride + (spec.stride - 1) / 2


def upright_from_stored(orientation, size):
    """The turn that EXIF asks for.

    Args:
        orientation: scalar int, 1..8 as in EXIF tag 0x0112; anything else counts as 1.
        size: (2,) height and width as stored.

    Returns:
        (3, 3) float32 matrix.
    """
    height, width = tf.unstack(tf.cast(size, tf.float32) - 1)
    by_orientation = tf.stack(
        [
            _rows((1, 0, 0), (0, 1, 0)),  # 1 upright
            _rows((-1, 0, width), (0, 1, 0)),  # 2 mirrored left-right
            _rows((-1, 0, width), (0, -1, height)),  # 3 half a turn
            _rows((1, 0, 0), (0, -1, height)),  # 4 mirrored top-bottom
            _rows((0, 1, 0), (1, 0, 0)),  # 5 transposed
            _rows((0, -1, height), (1, 0, 0)),  # 6 to be turned clockwise
            _rows((0, -1, height), (-1, 0, width)),  # 7 transposed about the other diagonal
            _rows((0, 1, 0), (-1, 0, width)),  # 8 to be turned counter-clockwise
        ]
    )
    known = (orientation >= 1) & (orientation <= 8)
    return tf.gather(by_orientation, tf.where(known, orientation - 1, 0))


def upright_size(size, matrix):
    """(2,) int32 height and width upright, from the stored `size` and `upright_from_stored`."""
    size = tf.cast(size, tf.int32)
    return tf.where(tf.abs(matrix[0, 0]) < 0.5, size[::-1], size)


def compose(*matrices):
    """Product of (..., 3, 3) matrices, the leftmost applied last; neighbouring frame names must meet."""
    product = matrices[0]
    for matrix in matrices[1:]:
        product = tf.reduce_sum(product[..., :, :, None] * matrix[..., None, :, :], axis=-2)
    return product


def invert(matrix):
    """The way back: image_from_network = invert(network_from_image). (..., 3, 3), affine."""
    matrix = tf.cast(matrix, tf.float32)
    (a, b, x), (c, d, y), _ = (tf.unstack(row, axis=-1) for row in tf.unstack(matrix, axis=-2))
    determinant = a * d - b * c
    a, b, c, d = d / determinant, -b / determinant, -c / determinant, a / determinant
    zero, one = tf.zeros_like(a), tf.ones_like(a)
    rows = [[a, b, -(a * x + b * y)], [c, d, -(c * x + d * y)], [zero, zero, one]]
    return tf.stack([tf.stack(row, axis=-1) for row in rows], axis=-2)


def apply(matrix, points):
    """Points through a matrix.

    Args:
        matrix: (3, 3), or (B, 3, 3) for one matrix a sample.
        points: (..., 2), or (B, ..., 2).

    Returns:
        float32, shaped like `points`.
    """
    matrix, points = tf.cast(matrix, tf.float32), tf.cast(points, tf.float32)
    samples = [tf.shape(matrix)[0]] if matrix.shape.rank == 3 else []
    flat = tf.reshape(points, [*samples, -1, 1, 2])
    moved = tf.reduce_sum(matrix[..., None, :2, :2] * flat, axis=-1) + matrix[..., None, :2, 2]
    return tf.reshape(moved, tf.shape(points))


def warp(image, target_from_source, size, *, fill):
    """Samples an image once, bilinearly, into a target of another frame.

    Where the map shrinks by more than two, the image is first halved by averaging as often as
    needed: bilinear sampling alone would skip pixels.

    Args:
        image: (H, W, C), any number type.
        target_from_source: (3, 3).
        size: (height, width) of the target.
        fill: value outside the image.

    Returns:
        (height, width, C) float32.
    """
    image = tf.cast(image, tf.float32)
    matrix = tf.cast(target_from_source, tf.float32)
    image, target_from_source = _halve_until_sampling_is_dense(image, matrix)
    source_from_target = tf.reshape(invert(target_from_source), [9])
    warped = tf.raw_ops.ImageProjectiveTransformV3(
        images=image[None],
        transforms=(source_from_target / source_from_target[8])[None, :8],
        output_shape=tf.cast(size, tf.int32),
        fill_value=tf.cast(fill, tf.float32),
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
    )[0]
    return tf.ensure_shape(warped, [*_static(size), image.shape[-1]])


def crop(pixels, upright_from_stored, network_from_image, spec):
    """The network box of a photograph as it is stored: what every network is shown.

    Args:
        pixels: (H, W, 3) as stored, RGB 0..255.
        upright_from_stored: (3, 3), see `images.read_image`.
        network_from_image: (3, 3).
        spec: `PoseSpec`.

    Returns:
        (box_size, box_size, 3) float32; `spec.pad_value` outside the photograph.
    """
    network_from_stored = compose(network_from_image, upright_from_stored)
    return warp(pixels, network_from_stored, (spec.box_size,) * 2, fill=spec.pad_value)


def belief_axis(spec):
    """(w,) float32 network-frame position of the cells along one axis: 3.5, 11.5, ..."""
    return network_from_cells(tf.range(spec.grid_size, dtype=tf.float32), spec)


def inside_box(points, spec, *, margin=0.0):
    """(...,) bool: which points of the network frame lie in the box, or `margin` pixels from it."""
    low, high = -0.5 - margin, spec.box_size - 0.5 + margin
    return tf.reduce_all((points >= low) & (points <= high), axis=-1)


def zoom_axis(zoom, spec, target_spec):
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
    """
    return _cubic_axis((belief_axis(target_spec) - spec.center) * zoom + spec.center, spec)


def pixel_axis(network_from_image, axis, length, spec, *, cells=None):
    """Cubic resampling of beliefs at the pixels of a photograph, along one axis.

    Args:
        network_from_image: (3, 3), without rotation.
        axis: 0 for columns (x), 1 for rows (y).
        length: pixels of the photograph along that axis, m.
        spec: `PoseSpec` of the beliefs.
        cells: of the beliefs along that axis, n; `None`: those of the box.

    Returns:
        (m, n) float32 weights, zero where the box does not show the pixel, and (m,) bool: whether it
        does.
    """
    pixels = tf.range(tf.cast(length, tf.float32))
    network = network_from_image[axis, axis] * pixels + network_from_image[axis, 2]
    return _cubic_axis(network, spec, cells)


def _cubic_axis(network, spec, cells=None):
    """Positions along one axis, network frame -> (m, n) weights of the cells, (m,) bool in the box."""
    position = (network - (spec.stride - 1) / 2) / spec.stride
    cells = cells or spec.grid_size
    last = cells - 1
    seen = (position >= -0.5) & (position <= last + 0.5)
    taps = tf.floor(position)[:, None] + tf.range(-1.0, 3.0)
    columns = tf.cast(tf.clip_by_value(taps, 0, last), tf.int32)
    weights = tf.one_hot(columns, cells) * _keys_cubic(taps - position[:, None])[..., None]
    return tf.where(seen[:, None], tf.reduce_sum(weights, axis=1), 0.0), seen


def _keys_cubic(distance):
    """Keys' kernel with a = -0.5, the cubic of MATLAB's imresize, which the release uses."""
    d = tf.abs(distance)
    near = (1.5 * d - 2.5) * d * d + 1
    far = ((-0.5 * d + 2.5) * d - 4) * d + 2
    return tf.where(d <= 1, near, tf.where(d < 2, far, 0.0))


def _affine(linear, translation):
    upper = tf.concat([linear, translation[:, None]], axis=1)
    return tf.concat([upper, [[0.0, 0.0, 1.0]]], axis=0)


def _rows(first, second):
    return tf.stack([[tf.cast(v, tf.float32) for v in row] for row in (first, second, (0, 0, 1))])


def _static(size):
    return [int(side) for side in size] if isinstance(size, (tuple, list)) else [None, None]


def num_halvings(target_from_source, size):
    """How often a source of `size` (height, width) is halved until the map shrinks by at most two."""
    (a, b), (c, d) = (tf.unstack(row[:2]) for row in tf.unstack(target_from_source)[:2])
    sides = tf.constant([2**k for k in range(31)])
    shrinks = tf.abs(a * d - b * c) * tf.square(tf.cast(sides, tf.float32)) < 0.25
    # one pixel cannot be halved
    return tf.reduce_sum(tf.cast(shrinks & (tf.reduce_min(size) > sides), tf.int32))


def _halve_until_sampling_is_dense(image, target_from_source):
    shape = tf.TensorShape([None, None, image.shape[-1]])
    count = num_halvings(target_from_source, tf.shape(image)[:2])

    def halve(left, image):
        # "SAME" averages what there is at an odd border
        return left - 1, tf.nn.avg_pool2d(image[None], 2, 2, "SAME")[0]

    _, image = tf.while_loop(
        lambda left, _: left > 0, halve, [count, image], [tf.TensorShape([]), shape]
    )
    return image, compose(target_from_source, resize_matrix(tf.bitwise.left_shift(1, count)))
