"""Hand-made features against what is known of simple pictures."""

import cv2
import numpy as np
import pytest

from keras_cpm import PoseSpec
from keras_cpm.paper import hand_features

SPEC, SMALL = PoseSpec(box_size=64, stride=4), PoseSpec(box_size=16, stride=4)


def stripes(degrees, size=64, period=16.0):
    """Waves whose gradient points `degrees` from x towards y."""
    angle = np.deg2rad(degrees)
    y, x = np.mgrid[:size, :size]
    wave = np.sin(2 * np.pi * (x * np.cos(angle) + y * np.sin(angle)) / period)
    return np.repeat((127 + 100 * wave)[..., None], 3, axis=-1)


@pytest.mark.parametrize("number", range(hand_features.ORIENTATIONS))
def test_orientation_is_the_gradients(number):
    features, _ = hand_features.cell_features(stripes(30 * number), SPEC)
    votes = features[4:12, 4:12, : hand_features.ORIENTATIONS].astype(float).mean(axis=(0, 1))
    assert votes.argmax() == number and votes[number] > 0.6 * votes.sum()


def test_contrast_hardly_counts():
    strong, weak = (
        hand_features.cell_features(127 + factor * (stripes(60) - 127), SPEC)[0]
        for factor in (1.0, 0.5)
    )
    histograms = [found[2:-2, 2:-2, :6].astype(float) for found in (strong, weak)]
    # levels of 255; the square root of the image is what is left of the contrast
    assert abs(histograms[0] - histograms[1]).max() < 60
    assert strong[8, 8, 6] > 1.5 * weak[8, 8, 6]


def test_colour_is_opencvs():
    colour = np.float32([200, 40, 90])
    features, _ = hand_features.cell_features(np.tile(colour, (16, 16, 1)), SMALL)
    luv = cv2.cvtColor((colour / 255).reshape(1, 1, 3), cv2.COLOR_RGB2LUV)[0, 0]
    expected = 255 * (luv + [0, 134, 140]) / [100, 354, 262]
    # a byte is rounded
    np.testing.assert_allclose(features[1, 2, 7:], expected, atol=0.51)
    assert not features[..., :7].any()


def test_the_end_of_the_photograph_is_no_edge():
    box = np.full((64, 64, 3), 128.0)
    box[10:50, 20:] = 30
    features, covered = hand_features.cell_features(box, SPEC)
    assert not features[..., :7].any()
    # the middle of cell i is pixel 4 i + 1.5
    rows, columns = np.nonzero(covered)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (3, 11, 5, 15)


def test_an_empty_box_is_covered():
    _, covered = hand_features.cell_features(np.full((16, 16, 3), 128.0), SMALL)
    assert covered.all()


def test_windows_read_what_is_there():
    maps = np.random.default_rng(0).integers(0, 255, (9, 9, 2), np.uint8)
    padded = np.pad(maps, ((4, 4), (4, 4), (0, 0)))
    found = hand_features.windows(padded, np.array([4, 0]), np.array([3, 8]), size=5, step=2)
    found = found.reshape(2, 5, 5, 2)
    np.testing.assert_array_equal(found[0, :, 1:4], maps[0:9:2, 1:6:2])
    assert not found[1, :2].any() and not found[1, :, 3:].any()
    assert (found[1, 2, 2] == maps[0, 8]).all()


def test_pools_are_means():
    features = np.zeros((16, 16, hand_features.CHANNELS), np.uint8)
    features[8, 8] = 250
    levels = hand_features.pyramid(features)
    for level, pool in zip(levels, hand_features.POOLS, strict=True):
        assert level.max() == round(250 / pool**2) and (level[..., 0] > 0).sum() == pool**2
