"""Frames, matrices and the one resample: against cv2, Pillow and a slow sampler."""

import cv2
import numpy as np
import pytest
import tensorflow as tf

from keras_cpm import PoseSpec, geometry

SPEC = PoseSpec(box_size=64)
C = 31.5  # middle of its box

# center, height, rotation, scale, flip, shift
PLACES = [
    ((40.0, 30.0), 41.0, 0.0, 1.0, False, (0.0, 0.0)),
    ((52.25, 17.75), 33.0, 0.6, 0.8, False, (0.0, 0.0)),
    ((20.5, 44.0), 37.5, -0.4, 1.2, True, (0.0, 0.0)),
    ((61.0, 29.5), 30.0, 2.8, 0.9, True, (5.5, -3.25)),
]
PLACED = pytest.mark.parametrize("place", PLACES, ids=range(len(PLACES)))


def matrix_of(place, spec=SPEC):
    center, height, rotation, scale, flip, shift = place
    return geometry.network_from_image(
        center, height, spec, rotation=rotation, scale=scale, flip=flip, shift=shift
    )


def smooth_picture(height=70, width=90):
    """(h, w, 3), 0..255, no steeper than 10 levels a pixel along an axis."""
    y, x = np.mgrid[:height, :width].astype(float)
    waves = [np.sin(0.08 * x + 0.05 * y), np.cos(0.06 * x - 0.07 * y), np.sin(0.001 * x * y)]
    return 127.5 + 120 * np.stack(waves, axis=-1)


def blob(size, center, sigma):
    y, x = np.mgrid[: size[0], : size[1]].astype(float)
    d2 = (x - center[0]) ** 2 + (y - center[1]) ** 2
    return (200 * np.exp(-d2 / (2 * sigma**2)))[..., None]


def centroid(image):
    weights = np.asarray(image, float)[..., 0]
    y, x = np.mgrid[: weights.shape[0], : weights.shape[1]]
    return np.array([(weights * x).sum(), (weights * y).sum()]) / weights.sum()


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


# matrices ----------------------------------------------------------------------------------------


@PLACED
def test_invert_is_the_way_back(place):
    points = np.random.default_rng(0).uniform(-100, 200, (20, 2))
    there = matrix_of(place)
    back = geometry.apply(geometry.invert(there), geometry.apply(there, points))
    np.testing.assert_allclose(back, points, atol=1e-3)


def test_compose_applies_the_rightmost_first():
    grow = np.array([[2, 0, 0], [0, 3, 0], [0, 0, 1]], np.float32)
    move = np.array([[1, 0, 10], [0, 1, 20], [0, 0, 1]], np.float32)
    swap = np.array([[0, 1, 0], [1, 0, 0], [0, 0, 1]], np.float32)
    # (1, 2): swapped (2, 1), moved (12, 21), grown (24, 63)
    both = geometry.compose(grow, move, swap)
    assert geometry.apply(both, [1.0, 2.0]).numpy().tolist() == [24, 63]


@PLACED
def test_the_center_lands_on_the_middle_of_the_box(place):
    moved = geometry.apply(matrix_of(place), place[0])
    np.testing.assert_allclose(moved, C + np.array(place[-1]), atol=1e-4)


def test_the_middle_of_the_releases_box():
    spec = PoseSpec()
    matrix = geometry.network_from_image((10.0, 20.0), 123.0, spec)
    np.testing.assert_allclose(geometry.apply(matrix, [10.0, 20.0]), [183.5, 183.5], atol=1e-4)
    # a person of 123 pixels becomes 200 * 41 / 35 of 368
    ends = geometry.apply(matrix, [[10.0, 20.0], [10.0, 143.0]]).numpy()
    assert ends[1, 1] - ends[0, 1] == pytest.approx(234.2857, abs=1e-3)


def test_rotation_is_clockwise_on_screen_and_scale_multiplies():
    matrix = geometry.network_from_image(
        (40.0, 30.0), SPEC.person_height, SPEC, rotation=np.pi / 2, scale=0.5
    )
    # right of the center -> below it
    np.testing.assert_allclose(geometry.apply(matrix, [50.0, 30.0]), [C, C + 5], atol=1e-4)


def test_flip_mirrors_the_rotated_box_and_shift_comes_last():
    plain = {"rotation": 0.7, "scale": 0.9}
    points = np.random.default_rng(0).uniform(0, 90, (9, 2))
    straight = geometry.network_from_image((40.0, 30.0), 30.0, SPEC, **plain)
    flipped = geometry.network_from_image(
        (40.0, 30.0), 30.0, SPEC, **plain, flip=True, shift=(7, -2)
    )
    x, y = geometry.apply(straight, points).numpy().T
    expected = np.stack([63 - x + 7, y - 2], axis=-1)
    np.testing.assert_allclose(geometry.apply(flipped, points), expected, atol=1e-3)


@pytest.mark.parametrize("box", [(10, 20, 40, 90), (5.5, 7.5, 95.5, 27.5)])
def test_network_from_box(box):
    box = np.array(box, float)
    low, high = geometry.apply(geometry.network_from_box(box, SPEC), box.reshape(2, 2)).numpy()
    np.testing.assert_allclose((low + high) / 2, [C, C], atol=1e-4)
    assert (high - low).max() == pytest.approx(SPEC.person_height, abs=1e-4)
    # the shape of the box stays
    assert np.divide(*(high - low)) == pytest.approx(np.divide(*(box[2:] - box[:2])), abs=1e-4)


@pytest.mark.parametrize("size", [(100, 60), (33, 201)])
@pytest.mark.parametrize("spec", [SPEC, PoseSpec(person_height=100.0)], ids=["tiny", "short"])
def test_network_from_size(size, spec):
    matrix = geometry.network_from_size(size, spec)
    corners = [[-0.5, -0.5], [size[1] - 0.5, size[0] - 0.5]]
    low, high = geometry.apply(matrix, corners).numpy()
    np.testing.assert_allclose((low + high) / 2, [spec.center] * 2, atol=1e-3)
    assert high[1] - low[1] == pytest.approx(0.8 * spec.box_size, abs=1e-3)
    assert high[0] - low[0] == pytest.approx(0.8 * spec.box_size * size[1] / size[0], abs=1e-3)


def test_apply_takes_one_matrix_a_sample():
    matrices = tf.stack([matrix_of(place) for place in PLACES])
    points = np.random.default_rng(0).uniform(0, 90, (len(PLACES), 3, 5, 2))
    singly = np.stack([geometry.apply(m, p) for m, p in zip(matrices, points, strict=True)])
    np.testing.assert_allclose(geometry.apply(matrices, points), singly, atol=1e-3)
    np.testing.assert_allclose(geometry.apply(matrices, points[:, 0]), singly[:, 0], atol=1e-3)
    one_each = geometry.apply(matrices, points[:, 0, 0])
    np.testing.assert_allclose(one_each, singly[:, 0, 0], atol=1e-3)


@pytest.mark.parametrize("stride, box", [(8, 64), (4, 48), (1, 16)])
def test_cells_are_a_resize_of_the_box(stride, box):
    spec = PoseSpec(box_size=box, stride=stride)
    cells = np.arange(spec.grid_size)
    position = stride * cells + (stride - 1) / 2  # middle of the pixels that a cell covers
    np.testing.assert_array_equal(geometry.belief_axis(spec), position)
    grid = np.stack(np.meshgrid(position, position), axis=-1)
    back = geometry.apply(geometry.belief_from_network(spec), grid).numpy()
    np.testing.assert_allclose(back[..., 0], np.tile(cells, (len(cells), 1)), atol=1e-5)
    np.testing.assert_allclose(back[..., 1], np.tile(cells[:, None], (1, len(cells))), atol=1e-5)
    # an image spans -0.5 .. width - 0.5, whatever its resolution
    edges = geometry.apply(geometry.belief_from_network(spec), [[-0.5, box - 0.5]])
    np.testing.assert_allclose(edges, [[-0.5, spec.grid_size - 0.5]], atol=1e-5)


def test_inside_box():
    points = tf.constant([[-0.5, 63.5], [-0.6, 5.0], [5.0, 63.6], [-2.5, 65.5], [-2.6, 9.0]])
    assert geometry.inside_box(points, SPEC).numpy().tolist() == [True, False, False, False, False]
    within = geometry.inside_box(points, SPEC, margin=2.0)
    assert within.numpy().tolist() == [True, True, True, True, False]


# warp --------------------------------------------------------------------------------------------


@PLACED
def test_warp_equals_a_slow_sampler(place):
    image, matrix = smooth_picture(), matrix_of(place)
    matrix64 = np.linalg.inv(matrix.numpy().astype(float))
    expected = sample(image, matrix64, (64, 64), 128)
    warped = geometry.warp(image, matrix, (64, 64), fill=128).numpy()
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
    warped = geometry.warp(image, matrix, (64, 64), fill=0).numpy()
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
    found = centroid(geometry.warp(image, matrix, (64, 64), fill=0))
    np.testing.assert_allclose(found, geometry.apply(matrix, centroid(image)), atol=0.01)


def test_the_flipped_crop_is_the_mirrored_crop():
    image = smooth_picture()
    for rotation in (0.0, 0.5):
        crops = [
            geometry.warp(
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
        return geometry.warp(image, matrix, (64, 64), fill=128), points

    dataset = tf.data.Dataset.from_tensor_slices(matrices).map(crop)
    assert dataset.element_spec[0].shape.as_list() == [64, 64, 3]
    for matrix, (warped, points) in zip(matrices, dataset, strict=True):
        np.testing.assert_array_equal(warped, crop(matrix)[0])
        np.testing.assert_array_equal(points, crop(matrix)[1])


def test_warp_to_a_size_known_only_at_run_time():
    image = smooth_picture()
    size = tf.constant([5, 9])
    assert geometry.warp(image, tf.eye(3), size, fill=0).shape == (5, 9, 3)


@pytest.mark.parametrize("shrink", [2.5, 7.0, 15.0])
def test_a_strong_shrink_keeps_the_place(shrink):
    size, place = (701, 999), np.array([433.3, 287.7])
    image = blob(size, place, 3 * shrink)
    matrix = geometry.network_from_image(
        (450.0, 300.0), SPEC.person_height * shrink, SPEC, rotation=0.3
    )
    found = centroid(geometry.warp(image, matrix, (64, 64), fill=0))
    np.testing.assert_allclose(found, geometry.apply(matrix, place), atol=0.05)


@pytest.mark.parametrize("shrink", [4.0, 10.0])
def test_a_strong_shrink_averages(shrink):
    noise = np.random.default_rng(0).uniform(0, 255, (int(70 * shrink), int(70 * shrink), 3))
    matrix = geometry.network_from_image(
        np.array(noise.shape[1::-1]) / 2, SPEC.person_height * shrink, SPEC
    )
    small = geometry.warp(noise, matrix, (64, 64), fill=128).numpy()
    # sampling alone would keep two thirds of the deviation; the mean of `shrink`^2 pixels has 1 /
    # shrink
    assert small.std() < 1.5 * noise.std() / shrink
    assert small.mean() == pytest.approx(noise.mean(), abs=1)


@pytest.mark.parametrize("size", [(640, 480), (333, 217), (1, 900), (900, 3)])
def test_a_shrunken_constant_stays_constant(size):
    matrix = geometry.resize_matrix(0.11)
    flat = np.full((*size, 3), 77, np.uint8)
    np.testing.assert_allclose(geometry.warp(flat, matrix, (40, 40), fill=77), 77, atol=1e-3)


def test_a_shrink_keeps_the_last_row_and_column_of_odd_sizes():
    for side in ("row", "column"):
        picture = np.zeros((51, 51, 1))
        picture[(-1,) if side == "row" else (slice(None), -1)] = 255
        small = geometry.warp(picture, geometry.resize_matrix(0.45), (23, 23), fill=0)
        assert np.max(small) > 100


# EXIF --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", range(1, 9))
def test_upright_from_stored_equals_pillow(orientation):
    pytest.importorskip("PIL", reason="Pillow turns the pictures to compare with")
    from PIL import Image, ImageOps

    stored = np.random.default_rng(0).integers(0, 256, (5, 8, 3), np.uint8)
    picture = Image.fromarray(stored)
    picture.getexif()[0x0112] = orientation
    expected = np.asarray(ImageOps.exif_transpose(picture))
    assert orientation == 1 or expected.shape != stored.shape or (expected != stored).any()

    matrix = geometry.upright_from_stored(orientation, stored.shape[:2])
    size = geometry.upright_size(stored.shape[:2], matrix)
    assert tuple(size.numpy()) == expected.shape[:2]
    np.testing.assert_allclose(geometry.warp(stored, matrix, size, fill=0), expected, atol=1e-3)


@pytest.mark.parametrize("orientation", [0, 9, -1, 1000])
def test_unknown_orientations_are_upright(orientation):
    np.testing.assert_array_equal(geometry.upright_from_stored(orientation, (5, 8)), np.eye(3))


# zooms -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("zoom", [0.7, 1.0, 1.3])
@pytest.mark.parametrize("stride", [8, 2])
def test_zoom_axis_reads_constants_and_ramps(zoom, stride):
    spec = PoseSpec(box_size=128)
    fine = spec.replace(stride=stride)
    weights, seen = geometry.zoom_axis(zoom, spec, fine)
    assert weights.shape == (fine.grid_size, 16)
    # where the cells of `fine` are in the zoomed box
    position = (np.arange(stride / 2 - 0.5, 128, stride) - 63.5) * zoom + 63.5
    np.testing.assert_array_equal(seen, (position >= -0.5) & (position <= 127.5))
    np.testing.assert_allclose(tf.reduce_sum(weights, 1), seen, atol=1e-5)
    # cells whose four neighbours exist
    inner = (position >= 8 + 3.5) & (position < 128 - 8 - 4.5)
    assert inner.sum() > 4
    ramp = tf.linalg.matvec(weights, 8 * np.arange(16, dtype=np.float32) + 3.5).numpy()
    np.testing.assert_allclose(ramp[inner], position[inner], atol=1e-3)


def test_zoom_axis_of_the_same_grid_is_the_identity():
    weights, seen = geometry.zoom_axis(1.0, SPEC, SPEC)
    np.testing.assert_allclose(weights, np.eye(8), atol=1e-6)
    assert seen.numpy().all()


def test_zoom_axis_is_keys_cubic_between_cells():
    spec = PoseSpec(box_size=128)
    weights, _ = geometry.zoom_axis(1.0, spec, spec.replace(stride=4))
    # cell 17 of the finer grid is at pixel 69.5: a quarter of a cell after cell 8, which is at 67.5
    expected = [-0.0703125, 0.8671875, 0.2265625, -0.0234375]
    np.testing.assert_allclose(weights[17, 7:11], expected, atol=1e-6)
    assert np.count_nonzero(np.abs(weights[17]) > 1e-6) == 4
