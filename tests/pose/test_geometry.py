"""Frames and matrices: against the release's numbers and Pillow."""

import numpy as np
import pytest
import tensorflow as tf

from keras_cpm import PoseSpec
from keras_cpm.images import sampling
from keras_cpm.pose import geometry
from tests.places import PLACED, PLACES, SPEC, matrix_of

C = 31.5  # middle of its box

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
@pytest.mark.parametrize(
    "spec, share",
    [
        (PoseSpec(), 0.8),
        (SPEC, 0.8),
        # people who fill half the box instead of 234.3 of 368 pixels
        (PoseSpec(box_size=64, person_height=32.0), 0.8 * 0.5 * 368 / 234.2857142857143),
    ],
    ids=["release", "tiny", "short"],
)
def test_network_from_size(size, spec, share):
    """The release's rule for LSP, and the same person in other networks."""
    matrix = geometry.network_from_size(size, spec)
    corners = [[-0.5, -0.5], [size[1] - 0.5, size[0] - 0.5]]
    low, high = geometry.apply(matrix, corners).numpy()
    np.testing.assert_allclose((low + high) / 2, [spec.center] * 2, atol=1e-3)
    assert high[1] - low[1] == pytest.approx(share * spec.box_size, abs=1e-3)
    assert high[0] - low[0] == pytest.approx(share * spec.box_size * size[1] / size[0], abs=1e-3)


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


def test_cells_from_network_is_the_way_back():
    spec = PoseSpec(box_size=64, stride=4)
    cells = np.arange(-3, 20, dtype=np.float32)
    back = geometry.cells_from_network(geometry.network_from_cells(cells, spec), spec)
    np.testing.assert_array_equal(back, cells)


@pytest.mark.parametrize("zoom", [0.7, 1.3])
def test_zoomed_does_what_the_matrix_does(zoom):
    x = np.linspace(-20, 90, 23, dtype=np.float32)
    points = np.stack([x, x[::-1]], axis=-1)
    expected = geometry.apply(geometry.zoomed_from_network(zoom, SPEC), points)[:, 0]
    np.testing.assert_allclose(geometry.zoomed(x, zoom, SPEC), expected, atol=1e-4)


@PLACED
def test_apply_to_grid_is_apply_to_every_pixel(place):
    x, y = geometry.apply_to_grid(matrix_of(place), (4, 7))
    rows, columns = np.mgrid[:4, :7]
    expected = geometry.apply(matrix_of(place), np.stack([columns, rows], axis=-1))
    np.testing.assert_allclose(np.stack([x, y], axis=-1), expected, atol=1e-4)


def test_apply_along_is_one_coordinate_of_apply():
    matrix = matrix_of(PLACES[0])
    points = np.random.default_rng(0).uniform(-100, 200, (20, 2)).astype(np.float32)
    for axis in (0, 1):
        found = geometry.apply_along(matrix, axis, points[:, axis])
        np.testing.assert_allclose(found, geometry.apply(matrix, points)[:, axis], atol=1e-4)


def test_the_corners_of_the_box_are_its_last_pixels():
    corners = geometry.box_corners(SPEC)
    assert sorted(corners.numpy().tolist()) == [[0, 0], [0, 63], [63, 0], [63, 63]]
    assert geometry.inside_box(corners, SPEC).numpy().all()
    assert not geometry.inside_box((corners - C) * 65 / 63 + C, SPEC).numpy().any()


def test_inside_box():
    points = tf.constant([[-0.5, 63.5], [-0.6, 5.0], [5.0, 63.6], [-2.5, 65.5], [-2.6, 9.0]])
    assert geometry.inside_box(points, SPEC).numpy().tolist() == [True, False, False, False, False]
    within = geometry.inside_box(points, SPEC, margin=2.0)
    assert within.numpy().tolist() == [True, True, True, True, False]


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
    np.testing.assert_allclose(sampling.warp(stored, matrix, size, fill=0), expected, atol=1e-3)


@pytest.mark.parametrize("orientation", [0, 9, -1, 1000])
def test_unknown_orientations_are_upright(orientation):
    np.testing.assert_array_equal(geometry.upright_from_stored(orientation, (5, 8)), np.eye(3))


def test_an_image_ends_half_a_pixel_beyond_its_outer_pixels():
    points = [[-0.5, 0], [-0.51, 0], [99.5, 59.5], [99.6, 0], [0, 59.6], [50, 30]]
    inside = geometry.inside_image(np.float32(points), (60, 100)).numpy()
    assert inside.tolist() == [True, False, True, False, False, True]
    assert geometry.inside_image(np.float32([-3, 62]), (60, 100), margin=3.0).numpy()


def test_shares_count_from_edge_to_edge():
    corners = geometry.from_shares([[0.0, 0.0], [1.0, 1.0], [0.5, 0.25]], (4, 10))
    np.testing.assert_array_equal(corners, [[-0.5, -0.5], [9.5, 3.5], [4.5, 0.5]])
    np.testing.assert_array_equal(corners[2] * (1, 0) + (0, 1.5), geometry.image_center((4, 10)))
