"""The one resample: against cv2 and a slow sampler."""

import cv2
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_cpm.images import sampling
from keras_cpm.pose import geometry
from tests.places import PLACED, PLACES, SPEC, matrix_of, smooth_picture


def blob(size, center, sigma):
    y, x = np.mgrid[: size[0], : size[1]].astype(float)
    d2 = (x - center[0]) ** 2 + (y - center[1]) ** 2
    return (200 * np.exp(-d2 / (2 * sigma**2)))[..., None]


def centroid(image):
    weights = np.asarray(image, float)[..., 0]
    y, x = np.mgrid[: weights.shape[0], : weights.shape[1]]
    return np.array([(weights * x).sum(), (weights * y).sum()]) / weights.sum()


@pytest.mark.parametrize("size", [(60, 96), (301, 602), (512, 256), (200, 1)])
def test_a_photograph_is_brought_to_one_size_as_by_pillow(size):
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    ours, image_from_ours = sampling.at_side(pixels, np.eye(3, dtype=np.float32), 128)
    factor = 128 / max(size)
    height, width = (max(1, round(factor * side)) for side in size)
    # of floats Pillow rounds nothing in between
    channels = [Image.fromarray(np.float32(pixels[..., c])) for c in range(3)]
    theirs = [c.resize((width, height), Image.Resampling.BICUBIC) for c in channels]
    np.testing.assert_allclose(ours, np.clip(np.stack(theirs, axis=-1), 0, 255), atol=0.01)
    # the middle of the whole is the middle of the whole
    middle = geometry.apply(image_from_ours, geometry.image_center(ours.shape[:2]))
    np.testing.assert_allclose(
        middle, geometry.image_center(size), atol=0.51 / factor * (1 in size) + 1e-3
    )


def test_a_turned_photograph_stays_turned_at_another_size():
    pixels = smooth_picture()
    turned = geometry.upright_from_stored(6, pixels.shape[:2])
    _, upright_from_ours = sampling.at_side(pixels, turned, 2 * max(pixels.shape))
    point = geometry.apply(upright_from_ours, [[2 * 5 + 0.5, 2 * 9 + 0.5]])
    np.testing.assert_allclose(point, geometry.apply(turned, [[5.0, 9.0]]), atol=1e-3)


def sample(image, source_from_target, size, fill):
    """Bilinear sampling in float64, pixel by pixel; a neighbour outside counts as `fill`."""

    def pixel(x, y):
        inside = 0 <= x < image.shape[1] and 0 <= y < image.shape[0]
        return image[y, x] if inside else np.full(image.shape[2], float(fill))

    target = np.zeros((*size, image.shape[2]))
    for row in range(size[0]):
        for column in range(size[1]):
            x, y, _ = source_from_target @ (column, row, 1)
            x0, y0 = int(np.floor(x)), int(np.floor(y))
            for dx, wx in ((0, 1 - (x - x0)), (1, x - x0)):
                for dy, wy in ((0, 1 - (y - y0)), (1, y - y0)):
                    target[row, column] += wx * wy * pixel(x0 + dx, y0 + dy)
    return target


# warp --------------------------------------------------------------------------------------------


@PLACED
def test_warp_equals_a_slow_sampler(place):
    image, matrix = smooth_picture(), matrix_of(place)
    matrix64 = np.linalg.inv(matrix.numpy().astype(float))
    expected = sample(image, matrix64, (64, 64), 128)
    warped = sampling.warp(image, matrix, (64, 64), fill=128).numpy()
    assert warped.dtype == np.float32
    # where a pixel straddles the edge of the picture the slope is that of the step, not of the
    # picture
    np.testing.assert_allclose(warped, expected, atol=0.01)
    assert (expected == 128).any() or place is PLACES[0]


@PLACED
def test_warp_equals_opencv_on_a_smooth_picture(place):
    image, matrix = smooth_picture().astype(np.float32), matrix_of(place)
    options = {"borderMode": cv2.BORDER_REPLICATE, "flags": cv2.INTER_LINEAR}
    expected = cv2.warpAffine(image, matrix.numpy()[:2].astype(float), (64, 64), **options)
    warped = sampling.warp(image, matrix, (64, 64), fill=0).numpy()
    x, y = np.moveaxis(geometry.apply(geometry.invert(matrix), np.mgrid[:64, :64].T).numpy(), -1, 0)
    inside = (x >= 0) & (x <= 89) & (y >= 0) & (y <= 69)
    assert inside.mean() > 0.4
    # cv2 rounds each coordinate to 1/32 pixel: at most 1/64 along two axes of at most 10 levels a
    # pixel
    assert np.abs(warped - expected)[inside].max() < 20 / 64


@PLACED
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_a_painted_dot_lands_where_apply_says(place, dtype):
    dot = np.add(place[0], (4.3, -5.7))
    image = np.round(blob((80, 100), dot, 3.0)).astype(dtype)
    matrix = matrix_of(place)
    found = centroid(sampling.warp(image, matrix, (64, 64), fill=0))
    np.testing.assert_allclose(found, geometry.apply(matrix, centroid(image)), atol=0.01)


def test_the_flipped_crop_is_the_mirrored_crop():
    image = smooth_picture()
    for rotation in (0.0, 0.5):
        crops = [
            sampling.warp(
                image,
                geometry.network_from_image(
                    (44.2, 33.3), 41.0, SPEC, rotation=rotation, scale=1.1, flip=flip
                ),
                (64, 64),
                fill=128,
            ).numpy()
            for flip in (False, True)
        ]
        np.testing.assert_allclose(crops[1], crops[0][:, ::-1], atol=0.01)


def test_a_traced_warp_equals_the_eager_one():
    image = smooth_picture().astype(np.float32)
    matrices = tf.stack([matrix_of(place) for place in PLACES])

    def crop(matrix):
        points = geometry.apply(matrix, [[3.0, 4.0]])
        return sampling.warp(image, matrix, (64, 64), fill=128), points

    dataset = tf.data.Dataset.from_tensor_slices(matrices).map(crop)
    assert dataset.element_spec[0].shape.as_list() == [64, 64, 3]
    for matrix, (warped, points) in zip(matrices, dataset, strict=True):
        np.testing.assert_array_equal(warped, crop(matrix)[0])
        np.testing.assert_array_equal(points, crop(matrix)[1])


def test_warp_to_a_size_known_only_at_run_time():
    image = smooth_picture()
    size = tf.constant([5, 9])
    assert sampling.warp(image, tf.eye(3), size, fill=0).shape == (5, 9, 3)


@pytest.mark.parametrize("shrink", [2.5, 7.0, 15.0])
def test_a_strong_shrink_keeps_the_place(shrink):
    size, place = (701, 999), np.array([433.3, 287.7])
    image = blob(size, place, 3 * shrink)
    matrix = geometry.network_from_image(
        (450.0, 300.0), SPEC.person_height * shrink, SPEC, rotation=0.3
    )
    found = centroid(sampling.warp(image, matrix, (64, 64), fill=0))
    np.testing.assert_allclose(found, geometry.apply(matrix, place), atol=0.05)


@pytest.mark.parametrize("shrink", [4.0, 10.0])
def test_a_strong_shrink_averages(shrink):
    noise = np.random.default_rng(0).uniform(0, 255, (int(70 * shrink), int(70 * shrink), 3))
    matrix = geometry.network_from_image(
        np.array(noise.shape[1::-1]) / 2, SPEC.person_height * shrink, SPEC
    )
    small = sampling.warp(noise, matrix, (64, 64), fill=128).numpy()
    # sampling alone would keep two thirds of the deviation; the mean of `shrink`^2 pixels has 1 /
    # shrink
    assert small.std() < 1.5 * noise.std() / shrink
    assert small.mean() == pytest.approx(noise.mean(), abs=1)


@pytest.mark.parametrize("size", [(640, 480), (333, 217), (1, 900), (900, 3)])
def test_a_shrunken_constant_stays_constant(size):
    matrix = geometry.resize_matrix(0.11)
    flat = np.full((*size, 3), 77, np.uint8)
    np.testing.assert_allclose(sampling.warp(flat, matrix, (40, 40), fill=77), 77, atol=1e-3)


def test_a_shrink_keeps_the_last_row_and_column_of_odd_sizes():
    for side in ("row", "column"):
        picture = np.zeros((51, 51, 1))
        picture[(-1,) if side == "row" else (slice(None), -1)] = 255
        small = sampling.warp(picture, geometry.resize_matrix(0.45), (23, 23), fill=0)
        assert np.max(small) > 100


# the compiled warp, and what it is given ----------------------------------------------------------


@PLACED
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_the_compiled_warp_equals_warp(place, dtype):
    image, matrix = np.round(smooth_picture()).astype(dtype), matrix_of(place)
    compiled = sampling.warp_compiled(image, matrix, (64, 64), fill=128).numpy()
    assert compiled.dtype == np.float32
    warped = sampling.warp(image, matrix, (64, 64), fill=128)
    # a coordinate is rounded to 1e-5 pixels or so, of up to 128 levels a pixel at the edge
    np.testing.assert_allclose(compiled, warped, atol=0.02)


@pytest.mark.parametrize("channels", [1, 2])
def test_the_compiled_warp_halves_where_warp_does_and_takes_any_channels(channels):
    image = smooth_picture(170, 150)[..., :channels].astype(np.float32)
    for factor in (0.8, 0.3):
        matrix = geometry.resize_matrix(factor)
        compiled = sampling.warp_compiled(image, matrix, (40, 30), fill=0)
        assert compiled.shape == (40, 30, channels)
        warped = sampling.warp(image, matrix, (40, 30), fill=0)
        np.testing.assert_allclose(compiled, warped, atol=0.02)


@pytest.mark.parametrize("factor, count", [(1.0, 0), (0.5, 0), (0.49, 1), (0.24, 2), (0.01, 6)])
def test_num_halvings(factor, count):
    assert sampling.num_halvings(geometry.resize_matrix(factor), (65, 99)) == count
    # one pixel cannot be halved
    assert sampling.num_halvings(geometry.resize_matrix(factor), (1, 900)) == 0
