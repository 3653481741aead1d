"""The part of a photograph that is needed, in whole pixels: to be decoded, or to be kept.

Frames and their maps are those of `geometry`; here positions become rows and columns.
"""

import math

import tensorflow as tf

from ..pose import geometry


def seen_window(network_from_pixels, size, spec, *, margin, block):
    """The part of an image that the box shows: all that sampling the box has to be given.

    Args:
        network_from_pixels: (3, 3) float32.
        size: (2,) int32 height and width of the image.
        spec: `PoseSpec`.
        margin: scalar int, pixels that are needed around every one that is shown; bilinear sampling
            needs one.
        block: the window starts at multiples of so many pixels.

    Returns:
        First row and column, and those after the last: (2,) and (2,) int32. Never empty, so that
        there is always something to decode: a box outside the image gets pixels of its border.

    Example:
        >>> from keras_cpm import PoseSpec, geometry
        >>> from keras_cpm.images import windows
        >>> spec, move = PoseSpec(box_size=64), geometry.shift_matrix((-40.0, -8.0))
        >>> start, end = windows.seen_window(move, (480, 640), spec, margin=1, block=16)
        >>> start.numpy().tolist(), end.numpy().tolist()
        ([0, 32], [72, 104])
    """
    source_from_network = geometry.invert(network_from_pixels)
    seen = geometry.apply(source_from_network, geometry.box_corners(spec))[:, ::-1]
    margin, limit = tf.cast(margin, tf.float32), tf.cast(size, tf.float32)
    first = tf.clip_by_value(tf.reduce_min(seen, axis=0) - margin, 0.0, limit - 1)
    end = tf.clip_by_value(tf.reduce_max(seen, axis=0) + margin, 1.0, limit)
    start = tf.cast(first, tf.int32) // block * block
    return start, tf.maximum(tf.cast(tf.math.ceil(end), tf.int32), start + 1)


def crop_from_image(center, person_height, size, spec, *, margin):
    """The frame of a photograph that is cropped around a person, and made smaller where it is fine.

    Args:
        center: (2,) point in the image frame, in the middle of the crop.
        person_height: pixels; where the person is taller than `spec.person_height`, the crop is made
            smaller to that height, to the whole pixel of its own height.
        size: (height, width) of the image; the crop ends where the image does.
        spec: `PoseSpec`.
        margin: side of the crop in network boxes; `math.inf` for the whole image.

    Returns:
        (3, 3), a move and a resize; where nothing is resized, a move by whole pixels. And (height,
        width) of the crop, which may leave out a part of a pixel to the left and to the right.

    Raises:
        ValueError: nothing of the image is there.

    Example:
        >>> from keras_cpm import PoseSpec, geometry
        >>> from keras_cpm.images import windows
        >>> matrix, size = windows.crop_from_image((99.5, 79.5), 100, (300, 400), PoseSpec(), margin=0.5)
        >>> size, geometry.apply(matrix, [99.5, 79.5]).numpy().tolist()
        ((80, 80), [39.5, 39.5])
    """
    reach = margin / 2 * spec.box_size * float(person_height) / spec.person_height
    # edges of pixels, half a pixel before their centres
    starts = [math.floor(max(0.0, float(c) + 0.5 - reach)) for c in center]
    ends = [
        math.ceil(min(n, float(c) + 0.5 + reach)) for c, n in zip(center, size[::-1], strict=True)
    ]
    width, height = (max(0, end - start) for start, end in zip(starts, ends, strict=True))
    if not width * height:
        raise ValueError(
            f"The crop of the person at {tuple(map(float, center))} with height {float(person_height):g} "
            f"lies outside the image of {tuple(size)} (height, width); correct `center` and `height`."
        )
    rows = max(1, round(height * min(1.0, spec.person_height / float(person_height))))
    factor = rows / height
    columns = max(1, math.floor(width * factor + 1e-6))
    left = starts[0] + (width - columns / factor) / 2
    move = geometry.shift_matrix((-left, -float(starts[1])))
    return geometry.compose(geometry.resize_matrix(factor), move), (rows, columns)
