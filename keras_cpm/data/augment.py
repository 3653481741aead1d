"""The random changes of a training sample, as numbers: their ranges (`AugmentSpec`, which needs no
TensorFlow) and the draw. No pixel is touched here.
"""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class AugmentSpec:
    """Ranges of the random changes of a training sample; the defaults are the paper's (Sec. 4.2).

    Args:
        rotation_degrees: turned by up to this much either way.
        scale_range: zoomed by a factor between these.
        flip_probability: how often the sample is mirrored.
        shift: moved by up to this share of the box either way, in x and in y. None in the release.

    Example:
        >>> from keras_cpm import AugmentSpec
        >>> AugmentSpec().scale_range
        (0.7, 1.3)
    """

    rotation_degrees: float = 40.0
    scale_range: tuple[float, float] = (0.7, 1.3)
    flip_probability: float = 0.5
    shift: float = 0.0

    def __post_init__(self):
        if not 0 <= self.rotation_degrees <= 180:
            raise ValueError(
                "`rotation_degrees` must be between 0 and 180. "
                f"Received: rotation_degrees={self.rotation_degrees!r}"
            )
        object.__setattr__(self, "scale_range", tuple(self.scale_range))
        if len(self.scale_range) != 2 or not 0 < self.scale_range[0] <= self.scale_range[1]:
            raise ValueError(
                "`scale_range` must be two positive factors, the smaller first. "
                f"Received: scale_range={self.scale_range!r}"
            )
        for name in ("flip_probability", "shift"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(
                    f"`{name}` must be between 0 and 1. Received: {name}={getattr(self, name)!r}"
                )


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
    import tensorflow as tf

    augment = augment or NO_AUGMENTATION
    draw = tf.random.stateless_uniform([5], seed)
    low, high = augment.scale_range
    return {
        "rotation": (2 * draw[0] - 1) * math.radians(augment.rotation_degrees),
        "scale": low + draw[1] * (high - low),
        "flip": tf.cast(draw[2] < augment.flip_probability, tf.float32),
        "shift": (2 * draw[3:5] - 1) * augment.shift,
    }
