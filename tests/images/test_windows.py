"""What of an image is needed: all that a warp reads, and never nothing. Crops are in test_packs."""

import numpy as np
import pytest

from keras_cpm.images import sampling, windows
from keras_cpm.pose import geometry
from tests.places import PLACED, SPEC, matrix_of, smooth_picture


@PLACED
@pytest.mark.parametrize("block", [1, 16])
def test_the_seen_window_is_all_that_a_warp_reads(place, block):
    image, matrix = smooth_picture(140, 160).astype(np.float32), matrix_of(place)
    start, end = windows.seen_window(matrix, image.shape[:2], SPEC, margin=1, block=block)
    assert not np.any(start % block)
    part = image[start[0] : end[0], start[1] : end[1]]
    assert part.size < image.size
    from_part = geometry.compose(matrix, geometry.shift_matrix(start[::-1]))
    seen = sampling.warp(part, from_part, (64, 64), fill=128)
    np.testing.assert_allclose(seen, sampling.warp(image, matrix, (64, 64), fill=128), atol=0.02)


@pytest.mark.parametrize("move", [(-1e4, 0), (1e4, 0), (0, -1e4), (0, 1e4), (-1e6, 1e6)])
def test_the_window_of_a_box_that_sees_nothing_is_not_empty(move):
    matrix = geometry.shift_matrix(move)
    start, end = windows.seen_window(matrix, (30, 50), SPEC, margin=1, block=16)
    assert np.all(start >= 0) and np.all(start < end) and np.all(end <= [30, 50])
