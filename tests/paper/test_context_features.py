"""Patches and offsets of belief maps."""

import numpy as np

from keras_cpm.paper import context_features
from keras_cpm.paper.context_features import PATCH, PEAKS, POOL, Context


def maps_of(*dots, side=20, channels=2):
    """Maps with (channel, row, column, height)."""
    maps = np.zeros((side, side, channels), np.uint8)
    for channel, row, column, height in dots:
        maps[row, column, channel] = height
    return maps


def test_peaks_by_height_then_row():
    maps = maps_of((0, 9, 2, 80), (0, 3, 5, 80), (0, 15, 15, 90), (0, 1, 1, 10), (1, 4, 4, 7))
    # beside a higher one
    maps[15, 16, 0] = 89
    assert context_features.peaks(maps).tolist() == [
        [[15, 15], [3, 5], [9, 2]],
        [[4, 4], [4, 4], [4, 4]],
    ]


def test_a_map_of_nothing_has_peaks_all_the_same():
    assert context_features.peaks(maps_of()).shape == (2, PEAKS, 2)


def test_patches_are_maxima_around_the_cell():
    found = Context(maps_of((0, 10, 12, 200), (1, 0, 0, 50))).at(np.array([9]), np.array([9]))
    patch = found[0, : PATCH * PATCH * 2].reshape(PATCH, PATCH, 2)
    # one down and three to the right: the first place to the right of the middle
    middle = PATCH // 2
    assert patch[middle, middle + 1, 0] == 200 and (patch[..., 0] > 0).sum() == 1
    assert patch[0, 0, 1] == 50 and POOL == 3


def test_offsets_lead_from_the_cell_to_the_peaks():
    rows, columns = np.array([2, 19]), np.array([7, 0])
    found = Context(maps_of((0, 4, 6, 9), (1, 19, 19, 9))).at(rows, columns)
    offsets = found[:, PATCH * PATCH * 2 :].reshape(2, 2, PEAKS, 2).astype(int) - 128
    assert (offsets[0, 0] == [2, -1]).all() and (offsets[1, 1] == [0, 19]).all()


def test_bytes_tell_small_beliefs_apart():
    beliefs = np.array([0.0, 0.001, 0.002, 0.5, 1.0])
    assert (np.diff(context_features.as_bytes(beliefs).astype(int)) > 0).all()
