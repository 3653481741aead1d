"""The orientation that EXIF asks for, found in the bytes of JPEG and PNG files as by Pillow."""

import numpy as np

from ..pose.arithmetic import tf
from . import fields, jpeg, limits

_EXIF, _PNG_EXIF, _PNG_END = b"Exif\0\0", list(b"eXIf"), list(b"IEND")
_TAG = 0x0112
# The bytes of each type of EXIF values, from type 0 on, that may hold it: short and long, signed
# byte, short and long.
_BYTES_OF_TYPE = (0, 0, 0, 2, 4, 0, 1, 0, 2, 4, 0, 0, 0, 0)
_INDEX = np.arange(4, dtype=np.int32)


@fields.apart
def of_jpeg(data):
    """Orientation 1 to 8, scalar int32, see `geometry.upright_from_stored`; else 1.

    Args:
        data: scalar string tensor, the bytes of a JPEG file.

    Raises:
        tf.errors.InvalidArgumentError: more than `limits.MAX_BLOCKS` segments before the picture.
    """

    def of_segment():
        at = jpeg.find_exif(data)
        return tf.cond(at > 0, lambda: _of_tiff(_block(data, at + 10, _length(data, at) - 8)), _one)

    return tf.cond(fields.occurrences(data, _EXIF, 1) > 0, of_segment, _one)


@fields.apart
def of_png(data):
    """As `of_jpeg`, of a PNG file. The block may stand before or after the pixels."""

    def of_chunk():
        at = _find_chunk(data)
        length = fields.number(fields.take(data, at, 4), 0, 4, False)
        return tf.cond(at > 0, lambda: _of_tiff(_block(data, at + 8, length)), _one)

    return tf.cond(fields.occurrences(data, bytes(_PNG_EXIF), 1) > 0, of_chunk, _one)


def _one():
    return 1


def _length(data, at):
    return fields.number(fields.take(data, at + 2, 2), 0, 2, False)


def _block(data, start, length):
    start = tf.clip_by_value(start, 0, tf.strings.length(data))
    return tf.strings.substr(data, start, tf.maximum(length, 0))


@fields.apart
def _of_tiff(block):
    """The entry of the first directory of an EXIF block, the bytes of a file of TIFF."""
    block = tf.io.decode_raw(block, tf.uint8)
    first = fields.at(block, 0, 4)
    little = tf.reduce_all(first == list(b"II*\0"))
    directory = fields.number(block, 4, 4, little)
    most = tf.size(block) // 12
    count = tf.clip_by_value(fields.number(block, directory, 2, little), 0, most)
    entries = directory + 2 + 12 * tf.range(count)
    kinds = fields.number(block, entries + 2, 2, little)
    counts = fields.number(block, entries + 4, 4, little)
    is_sound = (kinds >= 1) & (kinds <= 13) & (counts > 0)
    is_orientation = fields.number(block, entries, 2, little) == _TAG
    # of several the first counts, and of several values, too
    entry, kind, count = (
        tf.concat([tf.boolean_mask(column, is_sound & is_orientation), [0]], axis=0)[0]
        for column in (entries, kinds, counts)
    )
    size = tf.gather(_BYTES_OF_TYPE, kind)
    far = fields.number(block, entry + 8, 4, little)
    place = tf.where(count > 4 // tf.maximum(size, 1), far, entry + 8)
    found = tf.where(size > _INDEX, fields.at(block, place, 4), 0)
    bits = 8 * tf.where(little, _INDEX, tf.maximum(size - 1 - _INDEX, 0))
    value = tf.reduce_sum(tf.bitwise.left_shift(found, bits))
    is_tiff = little | tf.reduce_all(first == list(b"MM\0*"))
    return tf.where(is_tiff & (value >= 1) & (value <= 8), value, 1)


def _find_chunk(data):
    """Where the chunk of EXIF starts; 0 where there is none."""

    def kind(at):
        return fields.take(data, at + 4, 4)

    def goes_on(at, count):
        inside = (at > 0) & (at + 12 < tf.strings.length(data)) & (count <= limits.MAX_BLOCKS)
        last = tf.reduce_all(kind(at) == _PNG_EXIF) | tf.reduce_all(kind(at) == _PNG_END)
        return inside & ~last

    def following(at, count):
        length = fields.number(fields.take(data, at, 4), 0, 4, False)
        sound = (length >= 0) & (length < tf.strings.length(data))
        return [tf.where(sound, at + 12 + length, 0), count + 1]

    at, count = tf.while_loop(goes_on, following, [tf.constant(8), tf.constant(0)])
    few = tf.debugging.assert_less_equal(count, limits.MAX_BLOCKS, message=limits.BLOCKS)
    with tf.control_dependencies([few]):
        return tf.where(tf.reduce_all(kind(at) == _PNG_EXIF), at, 0)
