"""How far the keypoints of an export may be from those that it should give. numpy only."""

import numpy as np

# A peak less sure than this may stand anywhere, so displacements are those of the others.
SURE = 0.3
# Largest displacement from the Keras model, pixels; None where only the median counts.
BOUNDS = {"none": 0.05, "float16": 0.5, "dynamic": None, "int8": None}
MEDIAN_BOUND = 1.0
# Where the Keras model has two peaks of one height, rounding decides which is the higher, and the
# keypoint may be at either. By how much the other may be lower: float16 moves the beliefs of
# cpm-light-lsp by up to 0.004, and two of them by twice that against each other.
TIES = {"float16": 0.01}
# Pixels, and scores, between what a file gives on one machine and what it gave where it was made:
# another processor rounds otherwise, and 8 bits round hard.
ELSEWHERE = {
    "none": (0.05, 1e-3),
    "float16": (0.05, 1e-3),
    "dynamic": (1.0, 0.05),
    "int8": (1.0, 0.05),
}


def displacements(found, expected, scores):
    """How far the sure keypoints have moved.

    Args:
        found, expected: (..., 2) points (x, y) of one frame.
        scores: (...) of those that are expected.

    Returns:
        (K,) pixels of that frame, of the points whose score is at least `SURE`; infinite where a
        point is not a number, for what is nowhere is as far as can be.

    Example:
        >>> import numpy as np
        >>> from keras_cpm.export.displacement import displacements
        >>> found, expected = np.array([[3.0, 4.0], [9.0, 9.0]]), np.zeros((2, 2))
        >>> displacements(found, expected, np.array([0.9, 0.1])).tolist()
        [5.0]
    """
    moved = np.hypot(*np.moveaxis(np.asarray(found) - expected, -1, 0))
    return np.where(np.isfinite(moved), moved, np.inf)[np.asarray(scores) >= SURE]
