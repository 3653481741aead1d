"""Numbers among the bytes of a file, as TensorFlow operations: what headers are read with."""

import numpy as np

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
    found = tf.io.decode_raw(tf.strings.substr(data, start, count), tf.uint8, fixed_length=count)
    return tf.cast(found, tf.int32)


def at(values, start, count):
    """`count` bytes from `start`, zeros outside.

    Args:
        values: (N,) uint8 or int32.
        start: int32, a scalar or a vector (M,).
        count: int, how many.

    Returns:
        (count,) or (M, count) int32.
    """
    known = values.shape[0]
    if isinstance(start, int) and known is not None and start + count <= known:
        return tf.cast(values[start : start + count], tf.int32)
    index = tf.expand_dims(tf.cast(start, tf.int32), -1) + np.arange(count, dtype=np.int32)
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
    upwards = np.arange(count, dtype=np.int32) * 8
    bits = tf.where(little, upwards, upwards[::-1])
    return tf.reduce_sum(tf.bitwise.left_shift(at(values, start, count), bits), axis=-1)


def occurrences(data, word, most):
    """How often `word` comes in a file, counted up to `most`: for whether to look closer."""
    return tf.size(tf.strings.split(data, word, maxsplit=most)) - 1


def starts_with(data, word):
    """Whether a file starts with these bytes."""
    return tf.strings.substr(data, 0, len(word)) == word
