"""BMP files of 1, 4, 8, 16, 24 and 32 bits a pixel, not compressed, as TensorFlow operations.

TensorFlow's own decoder takes the numbers of indexed files for grey and refuses fewer bits.
"""

import functools

import numpy as np

from ..pose.arithmetic import tf
from . import fields

UNREAD = "it is a BMP file that is compressed or of unusual bits; convert it to PNG"
_BITS = (1, 4, 8, 16, 24, 32)
_MASKS_OF_16_BITS = (0x7C00, 0x03E0, 0x001F)
# red, green and blue of 32 bits, as bytes: blue comes first, as where nothing is said
_MASKS_OF_32_BITS = (0, 0, 255, 0, 0, 255, 0, 0, 255, 0, 0, 0)


@fields.apart
def size(data):
    """Height and width as declared, (2,) int32."""
    width, height, *_ = _header(data)
    return tf.abs(tf.stack([height, width]))


@fields.apart
def decode(data):
    """(H, W, 3) uint8 RGB.

    Args:
        data: scalar string tensor, the bytes of a BMP file, whose `size` somebody looked at.

    Raises:
        tf.errors.InvalidArgumentError: cut off, compressed, or of other bits a pixel.
    """
    width, height, bits, start, table, masks = _header(data)
    # a row of many pixels has more bits than 32 bits can say
    width, rows_stored, start = (tf.cast(n, tf.int64) for n in (width, tf.abs(height), start))
    stride = (width * tf.cast(bits, tf.int64) + 31) // 32 * 4
    length = rows_stored * stride
    rest = tf.cast(tf.strings.length(data), tf.int64) - start
    is_whole = (width > 0) & (start >= 14) & (rest >= length)
    with tf.control_dependencies([tf.debugging.assert_equal(is_whole, True, message="cut off")]):
        rows = tf.io.decode_raw(tf.strings.substr(data, start, length), tf.uint8)
    rows = tf.reshape(rows, [rows_stored, stride])

    def of_bytes(count):
        whole = tf.reshape(rows[:, : width * count], [-1, width, count])
        return tf.reverse(whole[..., :3], [-1])

    def of_16_bits():
        low, high = (tf.cast(rows[:, i : 2 * width : 2], tf.int32) for i in (0, 1))
        return tf.gather(_colors_of_16_bits(masks), low + 256 * high)

    def of_table(bits):
        # the leftmost pixel is in the highest bits
        shifts = np.arange(8 - bits, -1, -bits, dtype=np.uint8)
        indices = tf.bitwise.right_shift(rows[..., None], shifts) & np.uint8(2**bits - 1)
        indices = tf.reshape(indices, [-1, stride * 8 // bits])[:, :width]
        return tf.gather(table, tf.cast(indices, tf.int32))

    kinds = [functools.partial(of_table, b) for b in (1, 4, 8)]
    kinds += [of_16_bits, lambda: of_bytes(3), lambda: of_bytes(4)]
    pixels = tf.switch_case(
        tf.argmax(tf.cast(tf.equal(_BITS, bits), tf.int32), output_type=tf.int32), kinds
    )
    return tf.cond(height > 0, lambda: tf.reverse(pixels, [0]), lambda: pixels)


@fields.apart
def _header(data):
    """Width, height (negative: from the top), bits a pixel, where the pixels start, the table of
    colours (256, 3) uint8, and the masks of 16 bits.
    """
    head = fields.take(data, 0, 66)
    # a header of OS/2 has sizes of two bytes and colours of three
    header = fields.number(head, 14, 4, True)
    is_old = header == 12
    old = [fields.number(head, place, 2, True) for place in (18, 20, 24)]
    new = [fields.number(head, *place, True) for place in ((18, 4), (22, 4), (28, 2))]
    width, height, bits = (tf.where(is_old, a, b) for a, b in zip(old, new, strict=True))
    compression = tf.where(is_old, 0, fields.number(head, 30, 4, True))
    in_order = tf.reduce_all(head[54:66] == _MASKS_OF_32_BITS)
    is_known = tf.reduce_any(tf.equal(_BITS, bits)) & (
        (compression == 0) | (compression == 3) & ((bits == 16) | (bits == 32) & in_order)
    )
    with tf.control_dependencies([tf.debugging.assert_equal(is_known, True, message=UNREAD)]):
        start = fields.number(head, 10, 4, True)
    masks = [fields.number(head, place, 4, True) for place in (54, 58, 62)]
    masks = tf.where(compression == 3, tf.stack(masks), _MASKS_OF_16_BITS)
    return width, height, bits, start, _table(data, header, is_old), masks


def _table(data, header, is_old):
    colors = fields.take(data, 14 + header, 1024)
    of_three = tf.reshape(colors[: 3 * 256], [256, 3])
    of_four = tf.reshape(colors, [256, 4])[:, :3]
    return tf.cast(tf.where(is_old, of_three, of_four)[:, ::-1], tf.uint8)


def _colors_of_16_bits(masks):
    """(65536, 3) uint8, the share of each mask's bits."""
    masks = masks & 0xFFFF
    levels = tf.range(1 << 16)[:, None] & masks
    return tf.cast(levels * 255 // tf.maximum(masks, 1), tf.uint8)
