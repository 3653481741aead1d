"""The first frame of a GIF file, as Pillow shows it.

TensorFlow's decoder decodes all frames, whatever their sizes, before it gives away the first; it
knows nothing of the place of a frame on its screen, and paints what is transparent black. So it is
given a file of one frame that fills its screen.
"""

from ..pose.arithmetic import tf
from . import fields, limits

_EXTENSION, _CONTROL, _FRAME = 0x21, 0xF9, 0x2C
# So many data blocks of one size are passed over at once.
_RUN = 4096


@fields.apart
def size(data):
    """Height and width, (2,) int32: of the screen, or larger where the first frame is.

    Args:
        data: scalar string tensor, the bytes of a GIF file.

    Raises:
        tf.errors.InvalidArgumentError: more than `limits.MAX_BLOCKS` blocks up to the first frame.
    """
    place, _, _ = _find_frame(data)
    return _canvas(data, place)


@fields.apart
def decode(data):
    """The first frame on its screen, (H, W, 3) uint8 RGB.

    Args:
        data: scalar string tensor, the bytes of a GIF file, whose `size` somebody looked at.

    Raises:
        tf.errors.InvalidArgumentError: no whole first frame.
    """
    place, filling, count = _find_frame(data)
    frame = fields.take(data, place, 10)
    tables = [_table_bytes(fields.take(data, 10, 1)[0]), _table_bytes(frame[9])]
    pixels = place + 10 + tables[1]
    end, count = _skip(data, pixels + 1, count)
    is_whole = (frame[0] == _FRAME) & (end <= tf.strings.length(data))
    sound = [
        tf.debugging.assert_equal(is_whole, True, message="the first frame is not whole"),
        tf.debugging.assert_less_equal(count, limits.MAX_BLOCKS, message=limits.BLOCKS),
    ]
    with tf.control_dependencies(sound):
        # signature, and the frame's size as that of the screen; the flags of the screen
        parts = [(0, 6), (place + 5, 4), (10, 3 + tables[0])]
        # descriptor, and the place of the frame as that of the screen's corner
        parts += [(place, 1), None, (place + 5, end - place - 5)]
        alone = [b"\0" * 4 if part is None else tf.strings.substr(data, *part) for part in parts]
        shown = tf.io.decode_gif(tf.strings.join([*alone, b";"]))[0]
    canvas, (left, top) = _canvas(data, place), _corner(frame)
    after = canvas - tf.shape(shown)[:2] - [top, left]
    # the global table is what a frame without one of its own takes its colours from
    table = tf.where(tables[1] > 0, place + 10, 13)
    color = fields.take(data, table + 3 * filling, 3) * tf.cast(tf.reduce_max(tables) > 0, tf.int32)
    color = tf.cast(color, tf.uint8)
    # padding has one number for all channels
    padding = [[top, after[0]], [left, after[1]], [0, 0]]
    inside = tf.pad(tf.ones_like(shown, tf.bool), padding)
    return tf.where(inside, tf.pad(shown, padding), color)


@fields.apart
def _find_frame(data):
    """Where the first frame's descriptor is, the colour of what it leaves free, and the count."""

    def goes_on(at, filling, count):
        return (fields.take(data, at, 1)[0] == _EXTENSION) & (count <= limits.MAX_BLOCKS)

    def following(at, filling, count):
        head = fields.take(data, at, 7)
        is_transparent = (head[1] == _CONTROL) & (head[3] & 1 > 0)
        filling = tf.where(is_transparent, head[6], filling)
        end, count = _skip(data, at + 2, count)
        return [end, filling, count]

    start = [13 + _table_bytes(fields.take(data, 10, 1)[0]), tf.constant(0), tf.constant(0)]
    place, filling, count = tf.while_loop(goes_on, following, start)
    few = tf.debugging.assert_less_equal(count, limits.MAX_BLOCKS, message=limits.BLOCKS)
    with tf.control_dependencies([few]):
        return tf.identity(place), filling, count


def _skip(data, at, count):
    """What follows a chain of data blocks, past the end of the file where it does not end."""

    def size(at):
        return fields.take(data, at, 1)[0]

    def goes_on(at, count):
        inside = (at < tf.strings.length(data)) & (count <= limits.MAX_BLOCKS)
        return inside & (size(at) > 0)

    def following(at, count):
        step = size(at) + 1
        run = tf.io.decode_raw(tf.strings.substr(data, at, step * _RUN), tf.uint8)[::step]
        differs = tf.concat([tf.cast(run, tf.int32) != step - 1, [True]], axis=0)
        same = tf.argmax(tf.cast(differs, tf.int32), output_type=tf.int32)
        return [at + same * step, count + 1]

    at, count = tf.while_loop(goes_on, following, [at, count])
    return at + 1, count + 1


def _table_bytes(flags):
    return tf.where(flags & 0x80 > 0, tf.bitwise.left_shift(6, flags & 7), 0)


def _corner(frame):
    return [fields.number(frame, start, 2, True) for start in (1, 3)]


def _canvas(data, place):
    frame = fields.take(data, place, 10)
    left, top = _corner(frame)
    width, height = (fields.number(frame, start, 2, True) for start in (5, 7))
    screen = fields.take(data, 0, 10)
    return tf.stack(
        [
            tf.maximum(fields.number(screen, 8, 2, True), top + height),
            tf.maximum(fields.number(screen, 6, 2, True), left + width),
        ]
    )
