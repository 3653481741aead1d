"""Numbers among the bytes of a file, as TensorFlow operations: what headers are read with."""

from ..pose.arithmetic import tf, traced


def apart(function):
    """A function of the bytes of a file that costs a graph nothing where it is not called.

    The operations of a branch that is not taken are passed over one by one; these are a single one.
    """
    return traced(
        function,
        input_signature=lambda: [tf.TensorSpec([], tf.string)],
        autograph=False,
        experimental_attributes={"_noinline": True},
    )


def take(data, start, count):
    """Some bytes of a file as numbers.

    Args:
        data: scalar string tensor.
        start: scalar int, of the first byte.
        count: int, how many.

    Returns:
        (count,) int32, zeros after the end of the file.

    Example:
        >>> import tensorflow as tf
        >>> from keras_cpm.images import fields
        >>> fields.take(tf.constant(b"abc"), 1, 4).numpy().tolist()
        [98, 99, 0, 0]
    """
    start = tf.clip_by_value(start, 0, tf.strings.length(data))
    found = tf.strings.substr(data, start, count) + b"\0" * count
    return tf.ensure_shape(tf.cast(tf.io.decode_raw(found, tf.uint8)[:count], tf.int32), [count])


def at(values, start, count):
    """`count` bytes from `start`, zeros outside.

    Args:
        values: (N,) uint8 or int32.
        start: int32, a scalar or a vector (M,).
        count: int, how many.

    Returns:
        (count,) or (M, count) int32.
    """
    index = tf.expand_dims(tf.cast(start, tf.int32), -1) + tf.range(count)
    end = tf.size(values)
    values = tf.concat([values, tf.zeros([1], values.dtype)], axis=0)
    return tf.cast(tf.gather(values, tf.where((index >= 0) & (index < end), index, end)), tf.int32)


def number(values, start, count, little):
    """The unsigned whole number in `count` bytes; of four, the highest bit turns into the sign.

    Args:
        values: (N,) uint8 or int32.
        start: int32, a scalar or a vector (M,).
        count: int, 1 to 4.
        little: bool, whether the first byte is the lowest.

    Returns:
        int32 of the shape of `start`.

    Example:
        >>> import tensorflow as tf
        >>> from keras_cpm.images import fields
        >>> int(fields.number(tf.constant([9, 1, 2]), 1, 2, little=False))
        258
    """
    found = at(values, start, count)
    found = tf.where(little, found, tf.reverse(found, [-1]))
    total = found[..., 0]
    for i in range(1, count):
        total += tf.bitwise.left_shift(found[..., i], 8 * i)
    return total


def occurrences(data, word, most):
    """How often `word` comes in a file, counted up to `most`: for whether to look closer."""
    return tf.size(tf.strings.split(data, word, maxsplit=most)) - 1


def starts_with(data, word):
    """Whether a file starts with these bytes."""
    return tf.strings.substr(data, 0, len(word)) == word
