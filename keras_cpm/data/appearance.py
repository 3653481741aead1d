"""What a training sample looks like: colours, blur and rectangles that hide.

The numbers are drawn in `augment.draw_augmentation`; nothing here moves a pixel.
"""

from functools import partial

import tensorflow as tf

# of three standard deviations on either side of the largest blur, 3 pixels
_REACH = 9


def change(image, draw):
    """Changes the colours of a box as drawn.

    Args:
        image: (H, W, 3) float32 RGB 0..255, a network box.
        draw: dict of `augment.draw_augmentation`: `color`, `blur`, `erase`.

    Returns:
        (H, W, 3) float32 RGB 0..255.

    Example:
        >>> import tensorflow as tf
        >>> from keras_cpm import AugmentSpec
        >>> from keras_cpm.data import appearance, augment
        >>> draw = augment.draw_augmentation(AugmentSpec(gray_probability=1.0), [1, 2])
        >>> image = tf.ones((64, 64, 3)) * [0.0, 100.0, 200.0]
        >>> appearance.change(image, draw)[0, 0].numpy().round(1).tolist()
        [81.5, 81.5, 81.5]
    """
    image = tf.cast(image, tf.float32)
    # most samples have none of some: what changes nothing would cost as much as what does
    for name, is_drawn, changed in (
        ("color", tf.reduce_any(draw["color"] != 1), _recolored),
        ("blur", draw["blur"] > 0, _blurred),
        ("erase", draw["erase"][0] > 0, _erased),
    ):
        image = tf.cond(is_drawn, partial(changed, image, draw[name]), partial(tf.identity, image))
    return tf.clip_by_value(image, 0.0, 255.0)


def end(image, line, value):
    """(H, W, 3) of a box, `value` beyond a line of `placement.end_of_photograph`, network frame."""
    rows, columns = tf.unstack(tf.cast(tf.shape(image)[:2], tf.float32))
    x, y = tf.range(columns), tf.range(rows)[:, None]
    beyond, image = line[0] * x + line[1] * y > line[2], tf.cast(image, tf.float32)
    filled = partial(tf.where, beyond[..., None], tf.cast(value, tf.float32), image)
    return tf.cond(tf.reduce_any(beyond), filled, partial(tf.identity, image))


def _recolored(image, factors):
    brightness, contrast, saturation = tf.unstack(factors)
    image = image * brightness
    image = _between(tf.reduce_mean(_gray(image)), image, contrast)
    return _between(_gray(image), image, saturation)


def _between(start, end, share):
    """`start` for 0, `end` for 1, and beyond."""
    return start + (end - start) * share


def _gray(image):
    """(H, W, 1) luma of ITU-R BT.601, as JPEG has it."""
    return tf.reduce_sum(image * [0.299, 0.587, 0.114], axis=-1, keepdims=True)


def _blurred(image, sigma):
    offset = tf.range(-_REACH, _REACH + 1, dtype=tf.float32)
    profile = tf.exp(-tf.square(offset / sigma) / 2)
    profile = tf.tile((profile / tf.reduce_sum(profile))[:, None, None, None], [1, 1, 3, 1])
    edges = [[_REACH, _REACH], [_REACH, _REACH], [0, 0]]
    image = tf.pad(image, edges, "SYMMETRIC")[None]
    for kernel in (profile, tf.transpose(profile, [1, 0, 2, 3])):
        image = tf.nn.depthwise_conv2d(image, kernel, [1, 1, 1, 1], "VALID")
    return image[0]


def _erased(image, erase):
    """With a rectangle of one colour."""
    shape, middle, sides = tf.shape(image), erase[1:3], erase[3:5]
    across = tf.abs(tf.linspace(0.0, 1.0, shape[1]) - middle[0]) < sides[0] / 2
    down = tf.abs(tf.linspace(0.0, 1.0, shape[0]) - middle[1]) < sides[1] / 2
    return tf.where((down[:, None] & across[None])[..., None], _color(erase[5:]), image)


def _color(numbers):
    """Any colour from two numbers 0..1: the third is the first's last digits."""
    return 255.0 * tf.stack([numbers[0], numbers[1], tf.math.floormod(1000 * numbers[0], 1.0)])
