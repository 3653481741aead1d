"""The part of a photograph that the network box shows, from the bytes of its file.

`geometry.crop` of `images.read_image` decodes and converts every pixel of the photograph; for
training that is most of the work. Here a JPEG is decoded only where the box can see it, at the
smallest size that is still as fine as the box, and the one resample is compiled.
"""

import functools

import tensorflow as tf

from . import geometry, images

# A window starts at multiples of it: the largest block that JPEG files decode in one go, and the
# halvings of a window are those of the whole photograph.
_BLOCK = 16
# Pixel counts from here on are rounded up to powers of two, so that few shapes are compiled.
_FEWEST_PIXELS = 1 << 16


def read_box(data, network_from_image, spec):
    """The network box from an image file: `geometry.crop` of `images.read_image`, in less time.

    Args:
        data: scalar string tensor, the bytes of a file.
        network_from_image: (3, 3).
        spec: `PoseSpec`.

    Returns:
        (box_size, box_size, 3) float32 RGB; `spec.pad_value` outside the photograph. Where the box
        is more than twice as coarse as a JPEG, the decoder halves it, not an average: every pixel
        stays in its place and differs by less than a level in the mean.

    Raises:
        tf.errors.InvalidArgumentError: as `images.read_image`.

    Example:
        >>> import tensorflow as tf
        >>> from keras_cpm import PoseSpec, cutout, geometry
        >>> spec = PoseSpec(box_size=64)
        >>> data = tf.io.encode_jpeg(tf.fill([480, 640, 3], tf.constant(9, tf.uint8)))
        >>> matrix = geometry.network_from_image((320.0, 240.0), 300.0, spec)
        >>> cutout.read_box(data, matrix, spec)[32, 32].numpy().tolist()
        [9.0, 9.0, 9.0]
    """
    pixels, network_from_pixels = _decode(data, network_from_image, spec)
    box = (spec.box_size,) * 2
    image = tf.cond(
        geometry.num_halvings(network_from_pixels, tf.shape(pixels)[:2]) > 0,
        lambda: geometry.warp(pixels, network_from_pixels, box, fill=spec.pad_value),
        lambda: _sample(pixels, network_from_pixels, box, fill=spec.pad_value),
    )
    return tf.ensure_shape(image, [*box, 3])


def _decode(data, network_from_image, spec):
    """The pixels that the box sees, (h, w, 3) uint8, and network_from_pixels of these."""
    data, size, orientation = images.read_header(data)
    in_parts = images.is_whole_jpeg(data)
    whole = tf.cond(in_parts, lambda: tf.zeros([1, 1, 3], tf.uint8), lambda: images.decode(data))
    size = tf.where(in_parts, size, tf.shape(whole)[:2])
    upright_from_stored = geometry.upright_from_stored(orientation, size)
    network_from_stored = geometry.compose(network_from_image, upright_from_stored)
    halvings = geometry.num_halvings(network_from_stored, size)
    by_decoder = tf.where(in_parts, tf.minimum(halvings, len(images.JPEG_RATIOS) - 1), 0)
    ratio = tf.bitwise.left_shift(1, by_decoder)
    matrix = geometry.compose(network_from_stored, geometry.resize_matrix(ratio))
    # the decoder rounds sizes up
    start, end = _window(matrix, -(-size // ratio), halvings - by_decoder, spec)
    window = tf.concat([start, end - start], axis=0)
    cuts = [functools.partial(images.decode_window, data, window, r) for r in images.JPEG_RATIOS]
    cuts.append(lambda: whole[start[0] : end[0], start[1] : end[1]])
    pixels = tf.switch_case(tf.where(in_parts, by_decoder, len(images.JPEG_RATIOS)), cuts)
    network_from_pixels = geometry.compose(matrix, geometry.shift_matrix(start[::-1]))
    return tf.ensure_shape(pixels, [None, None, 3]), network_from_pixels


def _window(network_from_pixels, size, halvings, spec):
    """First row and column that the box sees, and those after the last: (2,) and (2,) int32.

    Never empty, so that there is always something to decode.
    """
    last = spec.box_size - 1.0
    corners = [[0.0, 0.0], [last, 0.0], [0.0, last], [last, last]]
    seen = geometry.apply(geometry.invert(network_from_pixels), corners)[:, ::-1]
    # bilinear sampling asks for a neighbour, each halving for twice as many, and the colours of a
    # JPEG are smoothed across one pixel more
    margin = tf.cast(tf.bitwise.left_shift(3, halvings), tf.float32)
    limit = tf.cast(size, tf.float32)
    first = tf.clip_by_value(tf.reduce_min(seen, axis=0) - margin, 0.0, limit - 1)
    end = tf.clip_by_value(tf.reduce_max(seen, axis=0) + margin, 1.0, limit)
    start = tf.cast(first, tf.int32) // _BLOCK * _BLOCK
    return start, tf.maximum(tf.cast(tf.math.ceil(end), tf.int32), start + 1)


def _sample(pixels, network_from_pixels, size, *, fill):
    """`geometry.warp` without halving, compiled."""
    shape = tf.shape(pixels)
    flat = tf.reshape(pixels, [-1, 3])
    count = tf.shape(flat)[0]
    powers = tf.constant([2**k for k in range(31) if 2**k >= _FEWEST_PIXELS])
    room = tf.reduce_min(tf.boolean_mask(powers, powers >= count))
    # faster than tf.pad
    flat = tf.concat([flat, tf.zeros([room - count, 3], pixels.dtype)], axis=0)
    pixels_from_network = geometry.invert(network_from_pixels)
    return _sample_flat(flat, shape[0], shape[1], pixels_from_network, float(fill), size)


@tf.function(jit_compile=True)
def _sample_flat(flat, height, width, matrix, fill, size):
    """Bilinear sampling of (N, 3) pixels, of which the first `height` x `width` count.

    ImageProjectiveTransformV3 computes each position anew for every channel and takes floats; as
    one compiled loop it is a third of the time.
    """
    x, y = tf.range(size[1], dtype=tf.float32), tf.range(size[0], dtype=tf.float32)[:, None]
    left, columns = _taps(matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2], width)
    upper, rows = _taps(matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2], height)
    total = fill * (1 - (left[0] + left[1]) * (upper[0] + upper[1]))[..., None]
    for row_weight, row in zip(upper, rows, strict=True):
        for column_weight, column in zip(left, columns, strict=True):
            value = tf.cast(tf.gather(flat, row * width + column), tf.float32)
            total += (row_weight * column_weight)[..., None] * value
    return total


def _taps(position, length):
    """Weights and indices of the two pixels around each position; outside the weight is zero."""
    first = tf.floor(position)
    weights, indices = [], []
    for tap, weight in ((first, first + 1 - position), (first + 1, position - first)):
        last = tf.cast(length, tf.float32) - 1
        weights.append(tf.where((tap >= 0) & (tap <= last), weight, 0.0))
        indices.append(tf.cast(tf.clip_by_value(tap, 0.0, last), tf.int32))
    return weights, indices
