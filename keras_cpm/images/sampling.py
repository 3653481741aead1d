"""What is seen at a position of a photograph, read through the matrices of `geometry`.

The line to `geometry`: where a position of one frame lies in another is said there, and only there.
Here is what that position reads: which pixels around it count and how much (the kernels), and how
fine the source must be. What part of it is needed, `crop` says.

Kernels
    bilinear   images, in one go; a source more than twice as fine is halved by averaging first
    Lanczos    photographs that are made smaller to be kept
    cubic      photographs that are brought to one size

Sizes are (height, width), positions those of `geometry`: (0, 0) is the centre of the first pixel.
"""

from ..pose import geometry
from ..pose.arithmetic import is_by_numpy, tf, traced
from . import resampling

# Pixel counts from here on are rounded up to powers of two, so that few shapes are compiled.
_FEWEST_PIXELS = 1 << 16


def warp(image, target_from_source, size, *, fill):
    """Samples an image once, bilinearly, into a target of another frame.

    Where the map shrinks by more than two, the image is first halved by averaging as often as
    needed: bilinear sampling alone would skip pixels.

    Args:
        image: (H, W, C), any number type.
        target_from_source: (3, 3).
        size: (height, width) of the target.
        fill: value outside the image; `None` repeats its edge.

    Returns:
        (height, width, C) float32.

    Example:
        >>> from keras_cpm import geometry
        >>> from keras_cpm.images import sampling
        >>> image = [[[10], [20], [30]]]
        >>> moved = sampling.warp(image, geometry.shift_matrix((1.5, 0.0)), (1, 3), fill=0)
        >>> moved[0, :, 0].numpy().tolist()
        [0.0, 5.0, 15.0]
    """
    image = tf.cast(image, tf.float32)
    matrix = tf.cast(target_from_source, tf.float32)
    image, target_from_source = _halve_until_sampling_is_dense(image, matrix)
    if is_by_numpy():
        source_from_target = geometry.invert(target_from_source)
        return resampling.bilinear(image, source_from_target, size, fill)
    source_from_target = tf.reshape(geometry.invert(target_from_source), [9])
    warped = tf.raw_ops.ImageProjectiveTransformV3(
        images=image[None],
        transforms=(source_from_target / source_from_target[8])[None, :8],
        output_shape=tf.cast(size, tf.int32),
        fill_value=tf.cast(0.0 if fill is None else fill, tf.float32),
        interpolation="BILINEAR",
        fill_mode="NEAREST" if fill is None else "CONSTANT",
    )[0]
    return tf.ensure_shape(warped, [*_static(size), image.shape[-1]])


def warp_compiled(image, target_from_source, size, *, fill):
    """`warp`, compiled where nothing is halved: a third of the time once it is compiled.

    For thousands of images, as in training. It compiles for each power of two of the pixel count;
    for a few images, and in what is exported, `warp` is the one to use.

    Args:
        image: (H, W, C), any number type; uint8 is fastest.
        target_from_source: (3, 3) float32.
        size: (height, width) of the target, Python integers.
        fill: Python number, the value outside the image.

    Returns:
        (height, width, C) float32; `warp`'s, but for the rounding of a position to about 1e-5
        pixels.

    Example:
        >>> import tensorflow as tf
        >>> from keras_cpm import geometry
        >>> from keras_cpm.images import sampling
        >>> image = tf.constant([[[10], [20], [30]]], tf.uint8)
        >>> moved = sampling.warp_compiled(image, geometry.shift_matrix((1.5, 0.0)), (1, 3), fill=0)
        >>> moved[0, :, 0].numpy().tolist()
        [0.0, 5.0, 15.0]
    """
    warped = tf.cond(
        num_halvings(target_from_source, tf.shape(image)[:2]) > 0,
        lambda: warp(image, target_from_source, size, fill=fill),
        lambda: _sample(image, target_from_source, size, fill),
    )
    return tf.ensure_shape(warped, [*size, image.shape[-1]])


def shrink(image, target_from_source, size):
    """Makes an image smaller, as sharp as the target allows: for photographs that are kept.

    Args:
        image: (H, W, C), any number type.
        target_from_source: (3, 3), a resize by at most 1 and a move.
        size: (height, width) of the target, inside the image.

    Returns:
        (height, width, C) float32; where nothing is resized, the pixels as they are.

    Example:
        >>> from keras_cpm import geometry
        >>> from keras_cpm.images import sampling
        >>> image = [[[10], [10], [30], [30]]] * 2
        >>> sampling.shrink(image, geometry.resize_matrix(0.5), (1, 2)).shape
        TensorShape([1, 2, 1])
    """
    # the operation counts positions from edges of pixels
    edges = geometry.compose(
        geometry.shift_matrix((0.5, 0.5)), target_from_source, geometry.shift_matrix((-0.5, -0.5))
    )
    return tf.raw_ops.ScaleAndTranslate(
        images=tf.convert_to_tensor(image)[None],
        size=size,
        scale=tf.stack([edges[1, 1], edges[0, 0]]),
        translation=tf.stack([edges[1, 2], edges[0, 2]]),
        kernel_type="lanczos3",
        antialias=True,
    )[0]


def at_side(pixels, upright_from_stored, side):
    """A photograph whose longest side is `side` pixels, whatever it was: the same scene at another
    resolution becomes nearly the same numbers.

    Args:
        pixels: (H, W, 3) as stored, RGB 0..255.
        upright_from_stored: (3, 3), see `decode.read_image`.
        side: pixels.

    Returns:
        pixels (h, w, 3) float32, and (3, 3) from there to the frame of the upright photograph as it
        was.

    Example:
        >>> import numpy as np
        >>> from keras_cpm.images import sampling
        >>> photograph = np.full((30, 40, 3), 9, np.uint8), np.eye(3, dtype=np.float32)
        >>> pixels, upright_from_pixels = sampling.at_side(*photograph, 80)
        >>> pixels.shape.as_list(), float(upright_from_pixels[0, 0])
        ([60, 80, 3], 0.5)
    """
    size = tf.cast(tf.shape(pixels)[:2], tf.float32)
    factor = side / tf.reduce_max(size)
    # no pixel's centre may lie outside, where the operation sees nothing
    resized_size = tf.maximum(1, tf.cast(tf.floor(factor * size + 0.5), tf.int32))
    # and a side of less than a pixel is one
    resized = _resized(pixels, resized_size, tf.maximum(factor, 1 / size))
    stored_from_resized = geometry.resize_matrix(1 / factor)
    upright_from_resized = geometry.compose(upright_from_stored, stored_from_resized)
    return tf.clip_by_value(resized, 0.0, 255.0), upright_from_resized


def _resized(pixels, size, scale):
    if is_by_numpy():
        return resampling.cubic(pixels, size, scale)
    return tf.raw_ops.ScaleAndTranslate(
        images=tf.convert_to_tensor(pixels)[None],
        size=size,
        scale=scale,
        translation=[0.0, 0.0],
        kernel_type="keyscubic",
        antialias=True,
    )[0]


def crop(pixels, upright_from_stored, network_from_image, spec):
    """The network box of a photograph as it is stored: what every network is shown.

    Args:
        pixels: (H, W, 3) as stored, RGB 0..255.
        upright_from_stored: (3, 3), see `decode.read_image`.
        network_from_image: (3, 3).
        spec: `PoseSpec`.

    Returns:
        (box_size, box_size, 3) float32; `spec.pad_value` outside the photograph.

    Example:
        >>> import numpy as np
        >>> from keras_cpm import PoseSpec, geometry
        >>> from keras_cpm.images import sampling
        >>> spec, pixels = PoseSpec(box_size=64), np.full((48, 64, 3), 9, np.uint8)
        >>> matrix = geometry.network_from_size((48, 64), spec)
        >>> box = sampling.crop(pixels, np.eye(3, dtype=np.float32), matrix, spec)
        >>> box[::16, 32, 0].numpy().tolist()
        [128.0, 9.0, 9.0, 9.0]
    """
    network_from_stored = geometry.compose(network_from_image, upright_from_stored)
    return warp(pixels, network_from_stored, (spec.box_size,) * 2, fill=spec.pad_value)


def num_halvings(target_from_source, size):
    """How often a source of `size` (height, width) is halved until the map shrinks by at most two.

    Args:
        target_from_source: (3, 3) float32.
        size: (2,) int32.

    Returns:
        scalar int32.

    Example:
        >>> from keras_cpm import geometry
        >>> from keras_cpm.images import sampling
        >>> matrices = [geometry.resize_matrix(scale) for scale in (0.6, 0.3, 0.2)]
        >>> [int(sampling.num_halvings(matrix, (480, 640))) for matrix in matrices]
        [0, 1, 2]
    """
    (a, b), (c, d) = (tf.unstack(row[:2]) for row in tf.unstack(target_from_source)[:2])
    sides = tf.constant([2**k for k in range(31)])
    shrinks = tf.abs(a * d - b * c) * tf.square(tf.cast(sides, tf.float32)) < 0.25
    # one pixel cannot be halved
    return tf.reduce_sum(tf.cast(shrinks & (tf.reduce_min(size) > sides), tf.int32))


def _halve_until_sampling_is_dense(image, target_from_source):
    count = num_halvings(target_from_source, tf.shape(image)[:2])
    if is_by_numpy():
        source_from_halved = geometry.resize_matrix(2.0**count)
        return resampling.halved(image, count), geometry.compose(
            target_from_source, source_from_halved
        )
    shape = tf.TensorShape([None, None, image.shape[-1]])

    def halve(left, image):
        # "SAME" averages what there is at an odd border
        return left - 1, tf.nn.avg_pool2d(image[None], 2, 2, "SAME")[0]

    _, image = tf.while_loop(
        lambda left, _: left > 0, halve, [count, image], [tf.TensorShape([]), shape]
    )
    source_from_halved = geometry.resize_matrix(tf.bitwise.left_shift(1, count))
    return image, geometry.compose(target_from_source, source_from_halved)


def _sample(image, target_from_source, size, fill):
    """Bilinear sampling without halving, of an image whose size is known only at run time."""
    shape, channels = tf.shape(image), image.shape[-1]
    flat = tf.reshape(image, [-1, channels])
    count = tf.shape(flat)[0]
    powers = tf.constant([2**k for k in range(31) if 2**k >= _FEWEST_PIXELS])
    room = tf.reduce_min(tf.boolean_mask(powers, powers >= count))
    # faster than tf.pad
    flat = tf.concat([flat, tf.zeros([room - count, channels], image.dtype)], axis=0)
    source_from_target = geometry.invert(target_from_source)
    return _sample_flat(flat, shape[0], shape[1], source_from_target, float(fill), size)


@traced(jit_compile=True, autograph=False)
def _sample_flat(flat, height, width, source_from_target, fill, size):
    """Bilinear sampling of (N, C) pixels, of which the first `height` x `width` count.

    ImageProjectiveTransformV3 computes each position anew for every channel and takes floats; as
    one compiled loop it is a third of the time.
    """
    x, y = geometry.apply_to_grid(source_from_target, size)
    (left, columns), (upper, rows) = _bilinear_taps(x, width), _bilinear_taps(y, height)
    total = fill * (1 - (left[0] + left[1]) * (upper[0] + upper[1]))[..., None]
    for row_weight, row in zip(upper, rows, strict=True):
        for column_weight, column in zip(left, columns, strict=True):
            value = tf.cast(tf.gather(flat, row * width + column), tf.float32)
            total += (row_weight * column_weight)[..., None] * value
    return total


def _bilinear_taps(position, length):
    """Weights and indices of the two pixels around each position; outside the weight is zero."""
    first = tf.floor(position)
    weights, indices = [], []
    for tap, weight in ((first, first + 1 - position), (first + 1, position - first)):
        last = tf.cast(length, tf.float32) - 1
        weights.append(tf.where((tap >= 0) & (tap <= last), weight, 0.0))
        indices.append(tf.cast(tf.clip_by_value(tap, 0.0, last), tf.int32))
    return weights, indices


def _static(size):
    return [int(side) for side in size] if isinstance(size, (tuple, list)) else [None, None]
