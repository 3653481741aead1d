"""The segments of a JPEG file: where its EXIF block is, and how often the picture is gone over."""

from ..pose.arithmetic import tf
from . import fields, limits

_SCAN = b"\xff\xda"
# So many bytes are looked through at once for the next marker: filling may stand before it.
_STRIDE = 256


@fields.apart
def find_exif(data):
    """Where the segment of EXIF starts, before the picture; scalar int32, 0 where there is none.

    Args:
        data: scalar string tensor, the bytes of a JPEG file.

    Raises:
        tf.errors.InvalidArgumentError: more than `limits.MAX_BLOCKS` segments before the picture.
    """

    def is_exif(at):
        head = fields.take(data, at, 10)
        return (head[1] == 0xE1) & tf.reduce_all(head[4:] == list(b"Exif\0\0"))

    def goes_on(at, count):
        inside = (at > 0) & (count <= limits.MAX_BLOCKS)
        marker = fields.take(data, at + 1, 1)[0]
        return inside & (marker != 0xDA) & (marker != 0xD9) & ~is_exif(at)

    def following(at, count):
        return _next_marker(data, at + _segment_bytes(fields.take(data, at, 4)), count)

    at, count = tf.while_loop(goes_on, following, _next_marker(data, 2, 0))
    few = tf.debugging.assert_less_equal(count, limits.MAX_BLOCKS, message=limits.BLOCKS)
    with tf.control_dependencies([few]):
        return tf.where((at > 0) & is_exif(at), at, 0)


def has_few_scans(data, size):
    """Whether decoding goes over the picture only as often as `limits` says.

    Args:
        data: scalar string tensor, the bytes of a JPEG file.
        size: (2,) int32 declared height and width.
    """
    # thumbnails, and what follows the picture, have such bytes too: only then are scans counted
    few = _are_few(fields.occurrences(data, _SCAN, limits.MAX_SCANS + 1), size)
    return tf.cond(few, lambda: True, lambda: _are_few(_count_scans(data), size))


def _are_few(scans, size):
    pixels = tf.reduce_prod(tf.cast(size, tf.int64)) * tf.cast(scans, tf.int64)
    return (scans <= 1) | (scans <= limits.MAX_SCANS) & (pixels <= limits.MAX_SCANNED_PIXELS)


@fields.apart
def _count_scans(data):
    """Scans up to the end marker; one more than is allowed where there are too many segments."""
    values = tf.io.decode_raw(data, tf.uint8)
    # in the data of a scan 0 follows, or the marker of a restart
    is_restart = (values[1:] >= 0xD0) & (values[1:] <= 0xD7)
    is_marker = (values[:-1] == 0xFF) & (values[1:] != 0) & (values[1:] != 0xFF) & ~is_restart
    places = tf.cast(tf.where(is_marker)[:, 0], tf.int32)
    end = tf.size(places)

    def head(i):
        return fields.at(values, places[i], 4)

    def goes_on(i, scans, count):
        few = (scans <= limits.MAX_SCANS) & (count <= limits.MAX_BLOCKS)
        return tf.cond(few & (i < end), lambda: head(i)[1] != 0xD9, lambda: False)

    def following(i, scans, count):
        after = places[i] + _segment_bytes(head(i))
        scans += tf.cast(head(i)[1] == 0xDA, tf.int32)
        return [tf.searchsorted(places, after[None])[0], scans, count + 1]

    start = [tf.constant(0), tf.constant(0), tf.constant(0)]
    _, scans, count = tf.while_loop(goes_on, following, start)
    return tf.where(count > limits.MAX_BLOCKS, limits.MAX_SCANS + 1, scans)


def _segment_bytes(head):
    """Bytes from a marker, the first two of (4,) int32, to what follows its segment."""
    alone = (head[1] >= 0xD0) & (head[1] <= 0xD9) | (head[1] == 1)
    return 2 + tf.where(alone, 0, tf.maximum(fields.number(head, 2, 2, False), 1))


def _next_marker(data, at, count):
    """Where the next marker starts, over filling and stray bytes, 0 at the end of the file; and the
    count of all that was looked at.
    """

    def in_sight(at):
        values = fields.take(data, at, _STRIDE)
        return (values[:-1] == 0xFF) & (values[1:] != 0) & (values[1:] != 0xFF)

    def goes_on(at, count):
        inside = (at < tf.strings.length(data)) & (count <= limits.MAX_BLOCKS)
        return inside & ~tf.reduce_any(in_sight(at))

    start = [tf.convert_to_tensor(at), tf.convert_to_tensor(count) + 1]
    at, count = tf.while_loop(goes_on, lambda at, count: [at + _STRIDE - 1, count + 1], start)
    at += tf.argmax(in_sight(at), output_type=tf.int32)
    return [tf.where(at < tf.strings.length(data), at, 0), count]
