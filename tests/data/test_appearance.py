"""Colours, blur and hidden rectangles of a training sample, each by what it is to do."""

import cv2
import numpy as np
import pytest

from keras_cpm.data import appearance

SAME = {"color": np.float32([1, 1, 1]), "blur": np.float32(0), "erase": np.zeros(7, np.float32)}


@pytest.fixture
def image():
    photograph = np.random.default_rng(0).uniform(0, 255, (48, 48, 3)).astype(np.float32)
    return cv2.GaussianBlur(photograph, (0, 0), 2)


def changed(image, **draw):
    return appearance.change(image, SAME | draw).numpy()


def test_nothing_drawn_changes_nothing(image):
    np.testing.assert_array_equal(changed(image), image)
    np.testing.assert_array_equal(appearance.end(image, [1.0, 0.0, np.inf], 128), image)


def test_brightness_is_a_factor_up_to_white(image):
    found = changed(image, color=np.float32([1.25, 1, 1]))
    np.testing.assert_allclose(found, np.minimum(image * 1.25, 255), atol=1e-3)
    assert changed(image * 2, color=np.float32([2, 1, 1])).max() == 255


def test_no_saturation_is_opencv_s_gray(image):
    found = changed(image, color=np.float32([1, 1, 0]))
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    for channel in range(3):
        np.testing.assert_allclose(found[..., channel], gray, atol=0.01)


def test_contrast_is_around_the_mean_gray(image):
    flat = changed(image, color=np.float32([1, 0, 1]))
    mean = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).mean()
    np.testing.assert_allclose(flat, mean, atol=0.01)
    found = changed(image, color=np.float32([1, 1.1, 1]))
    np.testing.assert_allclose(found, np.clip(mean + (image - mean) * 1.1, 0, 255), atol=0.01)


@pytest.mark.parametrize("sigma", [0.2, 1, 3])
def test_blur_is_opencv_s(image, sigma):
    found = changed(image, blur=np.float32(sigma))
    wanted = cv2.GaussianBlur(image, (19, 19), sigma, borderType=cv2.BORDER_REFLECT)
    np.testing.assert_allclose(found, wanted, atol=0.01)


def test_a_rectangle_hides_what_it_covers_and_nothing_else(image):
    erase = np.float32([1, 0.5, 0.25, 0.3, 0.2, 0.1, 0.9])
    found = changed(image, erase=erase)
    hidden = (found == found[12, 24]).all(axis=-1)
    rows, columns = np.nonzero(hidden)
    # of 47 steps of 1/47: the middle at 23.5 and 11.75, half sides of 7.05 and 4.7
    assert (columns.min(), columns.max(), rows.min(), rows.max()) == (17, 30, 8, 16)
    assert hidden.sum() == 14 * 9
    np.testing.assert_allclose(found[~hidden], image[~hidden], atol=1e-3)
    np.testing.assert_allclose(found[12, 24, :2], [25.5, 229.5], rtol=1e-5)


def test_beyond_a_line_is_one_value():
    image = np.full((4, 6, 3), 9.0, np.float32)
    found = appearance.end(image, [1.0, 0.0, 3.5], 128).numpy()
    assert (found[:, :4] == 9).all() and (found[:, 4:] == 128).all()
    found = appearance.end(image, [0.0, -1.0, -2.0], 128).numpy()
    assert (found[2:] == 9).all() and (found[:2] == 128).all()
