"""What `sampling` asks of TensorFlow's kernels, by NumPy and OpenCV, see `pose.arithmetic`.

The same pixels count with the same weights; sums differ by rounding.
"""

from __future__ import annotations

import cv2
import numpy as np

from ..pose import geometry, multiscale


def halved(image, count):
    """(H, W, C) float32, `count` times averaged over 2x2 pixels, at an odd border over what there
    is.
    """
    for _ in range(int(count)):
        height, width, channels = image.shape
        if height % 2 or width % 2:
            # the mean of a pixel and its copy is the pixel
            more = (0, height % 2, 0, width % 2)
            image = cv2.copyMakeBorder(image, *more, cv2.BORDER_REPLICATE)
        half = ((width + 1) // 2, (height + 1) // 2)
        image = cv2.resize(image, half, interpolation=cv2.INTER_AREA)
        image = image.reshape(*half[::-1], channels)
    return image


def bilinear(image, source_from_target, size, fill):
    """`sampling.warp` without halving.

    Args:
        image: (H, W, C), any number type.
        source_from_target: (3, 3).
        size: (height, width) of the target.
        fill: value outside the image; `None` repeats its edge.

    Returns:
        (height, width, C) float32.

    Example:
        >>> import numpy as np
        >>> from keras_cpm.images import resampling
        >>> image = np.float32([[[10], [20], [30]]])
        >>> source_from_target = np.float32([[1, 0, 0.5], [0, 1, 0], [0, 0, 1]])
        >>> resampling.bilinear(image, source_from_target, (1, 3), 0)[0, :, 0].tolist()
        [15.0, 25.0, 15.0]
    """
    height, width = (int(side) for side in size)
    matrix = np.asarray(source_from_target, np.float32)
    if not matrix[0, 0] and not matrix[1, 1]:
        # a photograph that lies on its side
        image, matrix = image.swapaxes(0, 1), matrix[[1, 0, 2]]
    if matrix[0, 1] or matrix[1, 0]:
        return _gathered(image, matrix, (height, width), fill)
    # x and y apart: a row is made of two rows, a pixel of two of its pixels
    x, y = geometry.apply_to_grid(matrix, (height, width))
    rows, columns = (_taps(y[:, 0], image.shape[0], fill), _taps(x[0], image.shape[1], fill))
    first, end = columns[1].min(), columns[1].max() + 1
    lines = sum(
        image[index, first:end] * weight[:, None, None] for weight, index in zip(*rows, strict=True)
    )
    warped = sum(
        lines[:, index - first] * weight[:, None] for weight, index in zip(*columns, strict=True)
    )
    inside = rows[0].sum(0)[:, None] * columns[0].sum(0)
    return warped + (1 - inside)[..., None] * np.float32(fill or 0)


def _gathered(image, matrix, size, fill):
    x, y = geometry.apply_to_grid(matrix, size)
    rows, columns = _taps(y, image.shape[0], fill), _taps(x, image.shape[1], fill)
    total = (1 - rows[0].sum(0) * columns[0].sum(0))[..., None] * np.float32(fill or 0)
    for down, row in zip(*rows, strict=True):
        for right, column in zip(*columns, strict=True):
            total = total + (down * right)[..., None] * image[row, column]
    return total


def _taps(position, length, fill):
    """Weights and indices, (2, ...) each, of the two pixels around positions; outside the weight is
    zero, or the edge is read where there is no `fill`.
    """
    if fill is None:
        position = np.clip(position, 0, length - 1)
    first = np.floor(position)
    taps = np.stack([first, first + 1])
    weights = np.stack([first + 1 - position, position - first])
    weights = np.where((taps >= 0) & (taps <= length - 1), weights, 0).astype(np.float32)
    return weights, np.clip(taps, 0, length - 1).astype(np.int32)


def cubic(image, size, scale):
    """An image brought to another size, as TensorFlow's `ScaleAndTranslate` does with its cubic
    kernel and `antialias`.

    Args:
        image: (H, W, C), any number type.
        size: (height, width) of the result.
        scale: (2,) of rows and of columns.

    Returns:
        (height, width, C) float32.
    """
    image = np.asarray(image, np.float32)
    # first where less is left
    for axis in sorted((0, 1), key=lambda axis: float(scale[axis])):
        image = _along(image, axis, int(size[axis]), np.float32(scale[axis]))
    return image


def _along(image, axis, length, scale):
    source = image.shape[axis]
    reach = max(np.float32(1), 1 / scale)
    position = (np.arange(length, dtype=np.float32) + np.float32(0.5)) / scale
    first = np.ceil(position - 2 * reach - np.float32(0.5)).astype(np.int32)
    taps = first[:, None] + np.arange(int(np.ceil(4 * reach)) + 1)
    weights = multiscale.keys_cubic((taps + np.float32(0.5) - position[:, None]) / reach)
    weights = np.where((taps >= 0) & (taps < source), weights, 0)
    weights = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    taps = np.clip(taps, 0, source - 1)
    total = np.zeros((*image.shape[:axis], length, *image.shape[axis + 1 :]), np.float32)
    for tap, weight in zip(taps.T, weights.T, strict=True):
        if weight.any():
            total += np.take(image, tap, axis) * weight.reshape((-1, *(1,) * (2 - axis)))
    return total
