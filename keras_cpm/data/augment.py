"""The draw of a sample's random changes; numbers only, no pixel is touched here."""

import math

import tensorflow as tf

from ..recipes import AugmentSpec

NO_AUGMENTATION = AugmentSpec(rotation_degrees=0.0, scale_range=(1.0, 1.0), flip_probability=0.0)


def draw_augmentation(augment, seed):
    """Draws one sample's random changes. Stateless: the same seed gives the same draw.

    Args:
        augment: `AugmentSpec`, or `None` for no randomness.
        seed: (2,) int32.

    Returns:
        dict of float32 tensors: `rotation` (radians), `scale`, `flip` (0 or 1), `shift` (2,) share
            of the box.
    """
    augment = augment or NO_AUGMENTATION
    draw = tf.random.stateless_uniform([5], seed)
    low, high = augment.scale_range
    return {
        "rotation": (2 * draw[0] - 1) * math.radians(augment.rotation_degrees),
        "scale": low + draw[1] * (high - low),
        "flip": tf.cast(draw[2] < augment.flip_probability, tf.float32),
        "shift": (2 * draw[3:5] - 1) * augment.shift,
    }
