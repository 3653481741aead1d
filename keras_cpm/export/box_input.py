"""What a LiteRT or ONNX file is given: one network box. Needs numpy alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..pose.spec import Array


def as_box(image: Array, shape: Sequence[int], dtype: str | type) -> np.ndarray:
    """One network box in the file's type.

    Args:
        image: (1, H, W, 3) RGB 0..255.
        shape: (1, H, W, 3) that the file takes.
        dtype: that the file takes.

    Raises:
        ValueError: `image` is of another shape.

    Example:
        >>> from keras_cpm.export.box_input import as_box
        >>> as_box([[[[0, 128, 255]]]], (1, 1, 1, 3), "float32").dtype
        dtype('float32')
    """
    box = np.asarray(image, dtype)
    if box.shape != tuple(shape):
        raise ValueError(
            f"`image` must be one network box of shape {tuple(shape)}. Received: {box.shape}"
        )
    return box
