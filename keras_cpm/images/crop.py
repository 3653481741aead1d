"""The network box of a photograph: `cut_box` for one, `read_box` for thousands.

`sampling.crop` of `decode.read_image` decodes and converts every pixel of the photograph; for
training that is most of the work. `read_box` decodes a JPEG only where the box can see it, at the
smallest size that is still as fine as the box, and its one resample is compiled.
"""

import functools

import numpy as np

from ..pose import geometry
from ..pose.arithmetic import tf
from . import decode, sampling

# A window starts at multiples of it: the largest block that JPEG files decode in one go, and the
# halvings of a window are those of the whole photograph.
_BLOCK = 16
# Pixels around one that the box shows: bilinear sampling asks for a neighbour, and the colours of a
# JPEG are smoothed across one more.
_MARGIN = 3


def cut_box(image, network_from_image, spec):
    """The network box of a photograph, to be looked at or kept.

    Args:
        image: path, bytes of an image file, or array (H, W, 3) RGB 0..255.
        network_from_image: (3, 3).
        spec: `PoseSpec`.

    Returns:
        (box_size, box_size, 3) uint8 RGB; `spec.pad_value` outside the photograph.

    Raises:
        FileNotFoundError, ValueError: as `decode.open_image`.

    Example:
        >>> import numpy as np
        >>> from keras_cpm import PoseSpec, geometry
        >>> from keras_cpm.images import crop
        >>> spec, image = PoseSpec(box_size=64), np.full((48, 64, 3), 9, np.uint8)
        >>> box = crop.cut_box(image, geometry.network_from_size((48, 64), spec), spec)
        >>> box[::16, 32, 0].tolist()
        [128, 9, 9, 9]
    """
    pixels, upright_from_stored = decode.open_image(image)
    box = sampling.crop(pixels, upright_from_stored, np.float32(network_from_image), spec)
    return np.rint(box).astype(np.uint8)


def read_box(data, network_from_image, spec):
    """The network box from an image file: `sampling.crop` of `decode.read_image`, in less time.

    Args:
        data: scalar string tensor, the bytes of a file.
        network_from_image: (3, 3).
        spec: `PoseSpec`.

    Returns:
        (box_size, box_size, 3) float32 RGB; `spec.pad_value` outside the photograph. Where the box
        is more than twice as coarse as a JPEG, the decoder halves it, not an average: every pixel
        stays in its place and differs by less than a level in the mean.

    Raises:
        tf.errors.InvalidArgumentError: as `decode.read_image`.

    Example:
        >>> import tensorflow as tf
        >>> from keras_cpm import PoseSpec, geometry
        >>> from keras_cpm.images import crop
        >>> spec = PoseSpec(box_size=64)
        >>> data = tf.io.encode_jpeg(tf.fill([480, 640, 3], tf.constant(9, tf.uint8)))
        >>> matrix = geometry.network_from_image((320.0, 240.0), 300.0, spec)
        >>> crop.read_box(data, matrix, spec)[32, 32].numpy().tolist()
        [9.0, 9.0, 9.0]
    """
    pixels, network_from_pixels = _decode(data, network_from_image, spec)
    box = (spec.box_size,) * 2
    return sampling.warp_compiled(pixels, network_from_pixels, box, fill=spec.pad_value)


def seen_window(network_from_pixels, size, spec, *, margin, block):
    """The part of an image that the box shows: all that sampling the box has to be given.

    Args:
        network_from_pixels: (3, 3) float32.
        size: (2,) int32 height and width of the image.
        spec: `PoseSpec`.
        margin: scalar int, pixels that are needed around every one that is shown; bilinear sampling
            needs one.
        block: the window starts at multiples of so many pixels.

    Returns:
        First row and column, and those after the last: (2,) and (2,) int32. Never empty, so that
        there is always something to decode: a box outside the image gets pixels of its border.

    Example:
        >>> from keras_cpm import PoseSpec, geometry
        >>> from keras_cpm.images import crop
        >>> spec, move = PoseSpec(box_size=64), geometry.shift_matrix((-40.0, -8.0))
        >>> start, end = crop.seen_window(move, (480, 640), spec, margin=1, block=16)
        >>> start.numpy().tolist(), end.numpy().tolist()
        ([0, 32], [72, 104])
    """
    source_from_network = geometry.invert(network_from_pixels)
    seen = geometry.apply(source_from_network, geometry.box_corners(spec))[:, ::-1]
    margin, limit = tf.cast(margin, tf.float32), tf.cast(size, tf.float32)
    first = tf.clip_by_value(tf.reduce_min(seen, axis=0) - margin, 0.0, limit - 1)
    end = tf.clip_by_value(tf.reduce_max(seen, axis=0) + margin, 1.0, limit)
    start = tf.cast(first, tf.int32) // block * block
    return start, tf.maximum(tf.cast(tf.math.ceil(end), tf.int32), start + 1)


def _decode(data, network_from_image, spec):
    """The pixels that the box sees, (h, w, 3) uint8, and network_from_pixels of these."""
    data, size, orientation = decode.read_header(data)
    in_parts = decode.is_whole_jpeg(data)
    whole = tf.cond(in_parts, lambda: tf.zeros([1, 1, 3], tf.uint8), lambda: decode.decode(data))
    size = tf.where(in_parts, size, tf.shape(whole)[:2])
    upright_from_stored = geometry.upright_from_stored(orientation, size)
    network_from_stored = geometry.compose(network_from_image, upright_from_stored)
    halvings = sampling.num_halvings(network_from_stored, size)
    by_decoder = tf.where(in_parts, tf.minimum(halvings, len(decode.JPEG_RATIOS) - 1), 0)
    ratio = tf.bitwise.left_shift(1, by_decoder)
    matrix = geometry.compose(network_from_stored, geometry.resize_matrix(ratio))
    # each halving that is left asks for twice as many neighbours
    margin = tf.bitwise.left_shift(_MARGIN, halvings - by_decoder)
    # the decoder rounds sizes up
    size = -(-size // ratio)
    start, end = seen_window(matrix, size, spec, margin=margin, block=_BLOCK)
    window = tf.concat([start, end - start], axis=0)
    cuts = [functools.partial(decode.decode_window, data, window, r) for r in decode.JPEG_RATIOS]
    cuts.append(lambda: whole[start[0] : end[0], start[1] : end[1]])
    pixels = tf.switch_case(tf.where(in_parts, by_decoder, len(decode.JPEG_RATIOS)), cuts)
    network_from_pixels = geometry.compose(matrix, geometry.shift_matrix(start[::-1]))
    return tf.ensure_shape(pixels, [None, None, 3]), network_from_pixels
