"""The random changes of a training sample, as numbers: their ranges (`AugmentSpec`, which needs no
TensorFlow) and the draw. No pixel is touched here.
"""

import math
from dataclasses import dataclass

# shares of the box
_ERASED_SIDES = (0.1, 0.4)
_MOST = {
    "rotation_degrees": 180,
    "flip_probability": 1,
    "shift": 1,
    "half_body_probability": 1,
    "cut_probability": 1,
    "color": 1,
    "gray_probability": 1,
    "blur": 3,
    "erase_probability": 1,
}


@dataclass(frozen=True)
class AugmentSpec:
    """Ranges of the random changes of a training sample; the defaults are the paper's (Sec. 4.2).

    Args:
        rotation_degrees: turned by up to this much either way.
        scale_range: zoomed by a factor between these.
        flip_probability: how often the sample is mirrored.
        shift: moved by up to this share of the box either way, in x and in y. None in the release.
        half_body_probability: how often the box shows half of the person: the parts around one of
            them, drawn at random. This and what follows is not in the paper.
        cut_probability: how often the photograph ends within the person, mostly below: beyond a
            line is padding, and the parts that were there are nowhere.
        color: brightness, contrast and saturation change by a factor of up to 1 plus this, or by
            its inverse.
        gray_probability: how often all colour is taken away.
        blur: blurred by a Gaussian of up to this many network pixels.
        erase_probability: how often a rectangle of one colour hides a part of the box.

    Example:
        >>> from keras_cpm import AugmentSpec
        >>> AugmentSpec().scale_range
        (0.7, 1.3)
    """

    rotation_degrees: float = 40.0
    scale_range: tuple[float, float] = (0.7, 1.3)
    flip_probability: float = 0.5
    shift: float = 0.0
    half_body_probability: float = 0.0
    cut_probability: float = 0.0
    color: float = 0.0
    gray_probability: float = 0.0
    blur: float = 0.0
    erase_probability: float = 0.0

    def __post_init__(self):
        object.__setattr__(self, "scale_range", tuple(self.scale_range))
        if len(self.scale_range) != 2 or not 0 < self.scale_range[0] <= self.scale_range[1]:
            raise ValueError(
                "`scale_range` must be two positive factors, the smaller first. "
                f"Received: scale_range={self.scale_range!r}"
            )
        for name, most in _MOST.items():
            if not 0 <= getattr(self, name) <= most:
                raise ValueError(
                    f"`{name}` must be between 0 and {most}. "
                    f"Received: {name}={getattr(self, name)!r}"
                )

    @property
    def changes_color(self) -> bool:
        """Whether a pixel can get another colour than a move of it brings."""
        return any((self.color, self.gray_probability, self.blur, self.erase_probability))


NO_AUGMENTATION = AugmentSpec(rotation_degrees=0.0, scale_range=(1.0, 1.0), flip_probability=0.0)


def draw_augmentation(augment, seed):
    """Draws one sample's random changes. Stateless: the same seed gives the same draw.

    Args:
        augment: `AugmentSpec`, or `None` for no randomness.
        seed: (2,) int32.

    Returns:
        dict of float32 tensors: `rotation` (radians), `scale`, `flip` (0 or 1), `shift` (2,) share
            of the box; where the spec has a half body, `half` (0 or 1) and `half_around`, 0 to 1,
            which of the labelled parts; where it cuts, `cut` (3,), see
            `placement.end_of_photograph`; where it changes colours, `color` (3,) factors of
            brightness, contrast and saturation, `blur` (network pixels), `erase` (7,): 0 or 1, the
            middle (x, y), the sides (w, h) in shares of the box, two of them for the colour.
    """
    import tensorflow as tf

    augment = augment or NO_AUGMENTATION
    draw = tf.random.stateless_uniform([5], seed)
    low, high = augment.scale_range
    found = {
        "rotation": (2 * draw[0] - 1) * math.radians(augment.rotation_degrees),
        "scale": low + draw[1] * (high - low),
        "flip": tf.cast(draw[2] < augment.flip_probability, tf.float32),
        "shift": (2 * draw[3:5] - 1) * augment.shift,
    }

    if augment.half_body_probability:
        draw = tf.random.stateless_uniform([2], _fold_in(seed, 1))
        found |= {
            "half": tf.cast(draw[0] < augment.half_body_probability, tf.float32),
            "half_around": draw[1],
        }
    if augment.cut_probability:
        draw = tf.random.stateless_uniform([3], _fold_in(seed, 3))
        here = tf.cast(draw[:1] < augment.cut_probability, tf.float32)
        found["cut"] = tf.concat([here, draw[1:]], 0)
    if augment.changes_color:
        found |= _draw_colors(augment, tf.random.stateless_uniform([12], _fold_in(seed, 2)))
    return found


def _draw_colors(augment, draw):
    import tensorflow as tf

    factors = tf.exp((2 * draw[:3] - 1) * math.log(1 + augment.color))
    gray = tf.cast(draw[3] < augment.gray_probability, tf.float32)
    erase = tf.cast(draw[5] < augment.erase_probability, tf.float32)
    low, high = _ERASED_SIDES
    sides = low + draw[8:10] * (high - low)
    return {
        "color": factors * [1.0, 1.0, 1.0 - gray],
        "blur": draw[4] * augment.blur,
        "erase": tf.concat([[erase], draw[6:8], sides, draw[10:12]], 0),
    }


def _fold_in(seed, number):
    import tensorflow as tf

    return tf.random.experimental.stateless_fold_in(seed, number)
