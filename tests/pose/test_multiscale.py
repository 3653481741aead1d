"""Beliefs of several zooms: added up in the box and on the photograph; every peak of a map."""

import numpy as np
import pytest
import tensorflow as tf

from keras_cpm import FLIC9, PoseSpec, Skeleton
from keras_cpm.pose import codec, geometry, multiscale

TRIO = Skeleton("trio", ("left", "middle", "right"), flip_pairs=(("left", "right"),))
SPEC = PoseSpec(TRIO, box_size=64)
BARE = SPEC.replace(background=False)
DOT = Skeleton("dot", ("dot",))
ZOOMS = (0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3)  # of the release


# in the box -----------------------------------------------------------------------------------


@pytest.mark.parametrize("zooms", [(0.8, 1.0, 1.25), (0.8,), (1.25,)])
@pytest.mark.parametrize("sigma, most", [(7.0, 1.3), (14.0, 0.5)])
@pytest.mark.parametrize("background", [True, False])
def test_merged_zooms_show_one_point(zooms, sigma, most, background):
    spec = PoseSpec(TRIO, part_sigma=sigma, background=background)
    points = 183.5 + np.random.default_rng(0).uniform(-130, 130, (200, 3, 2))
    visible = np.full((200, 1, 3), 2)
    zoomed = [((points - 183.5) * zoom + 183.5)[:, None] for zoom in zooms]
    seen = [codec.encode(points_of_zoom, visible, spec) for points_of_zoom in zoomed]
    merged, fine = multiscale.merge_zooms(seen, zooms, spec)
    assert merged.shape == (200, 4 * 46, 4 * 46, spec.num_channels)
    assert (fine.box_size, fine.stride) == (368, 2)
    error = np.asarray(codec.decode(merged, fine)[0]) - points
    # cubic interpolation of so narrow a peak is drawn to the cells, alike from both sides
    assert np.abs(error).max() < most
    assert np.abs(error.mean(axis=(0, 1))).max() < 0.1


@pytest.mark.parametrize("spec", [SPEC, BARE], ids=["background", "no background"])
def test_cells_that_a_zoom_did_not_see(spec):
    beliefs = np.full((2, 8, 8, spec.num_channels), 0.5, np.float32)
    axis = (np.arange(32) * 2 + 0.5 - 31.5) * 1.25 + 31.5  # where the zoomed box has them
    seen = ((axis >= -0.5) & (axis <= 63.5)).astype(float)
    seen = np.outer(seen, seen)
    assert 0.5 < seen.mean() < 0.8
    merged = np.asarray(multiscale.merge_zooms([beliefs], [1.25], spec)[0])
    np.testing.assert_allclose(
        merged[..., :3], np.tile(0.5 * seen[..., None], (2, 1, 1, 3)), atol=1e-6
    )
    if spec.background:
        np.testing.assert_allclose(merged[0, ..., 3], 1 - 0.5 * seen, atol=1e-6)
    # and the mean with a zoom that saw everything
    both = np.asarray(multiscale.merge_zooms([beliefs, beliefs], [1.25, 1.0], spec)[0])
    np.testing.assert_allclose(both[0, ..., 0], 0.25 + 0.25 * seen, atol=1e-6)


def test_as_many_zooms_as_beliefs():
    with pytest.raises(ValueError):
        multiscale.merge_zooms([np.zeros((1, 8, 8, 4))], [1.0, 1.25], SPEC)


# on the photograph ------------------------------------------------------------------------------


def test_zooms_are_added_up_at_the_pixels():
    """Two zooms that disagree: the sum decides, a pixel that one does not show counts 0 there."""
    spec = PoseSpec(box_size=64, skeleton=DOT)
    # peaks on cells, which cubic enlarging leaves where they are
    near = codec.encode([[[19.5, 19.5]]], [[2]], spec)[None]
    far = codec.encode([[[43.5, 35.5]]], [[2]], spec)[None]
    identity = np.eye(3, dtype=np.float32)
    read = multiscale.decode_on_image
    keypoints, scores = read([near, 2 * far], [identity, identity], (64, 64), spec, refine="log")
    np.testing.assert_allclose(keypoints[0, 0], (43.5, 35.5), atol=0.01)
    np.testing.assert_allclose(scores[0, 0], 1.0, atol=0.02)
    shifted = identity.copy()
    shifted[0, 2] = -50.0  # shows columns 50 to 113 of the photograph only
    keypoints, _ = read([near, 2 * far], [identity, shifted], (64, 120), spec, refine="log")
    np.testing.assert_allclose(keypoints[0, 0], (93.5, 35.5), atol=0.01)
    keypoints, _ = read([2 * near, far], [identity, shifted], (64, 120), spec, refine="log")
    np.testing.assert_allclose(keypoints[0, 0], (19.5, 19.5), atol=0.01)
    keypoints, scores = read([near], [shifted], (64, 40), spec)
    assert np.isnan(keypoints).all() and not np.any(scores)
    one, _ = read([near], [identity], (64, 1), spec, refine="log")
    np.testing.assert_allclose(one[0, 0], (0, 19.5), atol=0.5)


def test_adding_up_is_the_sum_of_what_each_zoom_shows():
    """Step by step, one zoom and one part after the other, gives the same highest pixels."""
    spec = PoseSpec(box_size=64, skeleton=FLIC9)
    random = np.random.default_rng(4)
    beliefs = [random.uniform(0, 1, (2, 8, 8, 10)).astype("float32") for _ in ZOOMS]
    matrix = geometry.network_from_image((60.0, 40.0), 50.0, spec)
    matrices = [
        geometry.compose(geometry.zoomed_from_network(zoom, spec), matrix) for zoom in ZOOMS
    ]
    found, scores = multiscale.decode_on_image(beliefs, matrices, (90, 130), spec)
    for stage in range(2):
        for part in range(9):
            total = np.zeros((90, 130))
            for zoom, one in zip(beliefs, matrices, strict=True):
                columns, _ = multiscale.pixel_axis(one, 0, 130, spec)
                rows, _ = multiscale.pixel_axis(one, 1, 90, spec)
                total += rows.numpy() @ zoom[stage, :, :, part] @ columns.numpy().T
            row, column = np.unravel_index(np.argmax(total), total.shape)
            np.testing.assert_array_equal(found[stage, part], (column, row))
            np.testing.assert_allclose(scores[stage, part], total.max() / 7, rtol=1e-5)


def test_equal_pixels_go_to_the_first_column():
    spec = PoseSpec(box_size=64, skeleton=DOT)
    beliefs = np.ones((1, 8, 8, 2), np.float32)
    keypoints, _ = multiscale.decode_on_image(
        [beliefs], [np.eye(3, dtype=np.float32)], (64, 64), spec
    )
    assert keypoints[0, 0].numpy()[0] <= 1


# peaks of one map -------------------------------------------------------------------------------


def test_peaks_of_one_map():
    spec = PoseSpec(skeleton=DOT, box_size=96)
    points = np.array([[19.5, 27.5], [75.5, 67.5]], np.float32)
    beliefs = codec.encode(points[:, None], np.full((2, 1), 2), spec)[..., 0].numpy()
    beliefs[3, 2] *= 0.9
    found, heights = multiscale.find_peaks(beliefs, spec, threshold=0.5)
    # a cubic through symmetric neighbours peaks between pixels 75 and 76, 19 and 20
    np.testing.assert_allclose(found, points[::-1], atol=0.51)
    np.testing.assert_allclose(heights, [1.0, 0.9], atol=0.02)
    wide, _ = multiscale.find_peaks(np.pad(beliefs, ((0, 0), (5, 20))), spec, threshold=0.5)
    np.testing.assert_allclose(wide, points[::-1] + [40, 0], atol=0.51)
    fine = spec.replace(stride=4)  # 5 cells of 4 pixels are no box of a network
    assert multiscale.find_peaks(np.eye(5), fine, threshold=0.5)[0].shape == (5, 2)


def test_a_plateau_is_one_peak():
    spec = PoseSpec(skeleton=DOT, box_size=64)
    found, _ = multiscale.find_peaks(np.ones((8, 8)), spec, threshold=0.5)
    assert found.numpy().tolist() == [[0.0, 0.0]]


# along one axis ---------------------------------------------------------------------------------


@pytest.mark.parametrize("zoom", [0.7, 1.0, 1.3])
@pytest.mark.parametrize("stride", [8, 2])
def test_zoom_axis_reads_constants_and_ramps(zoom, stride):
    spec = PoseSpec(box_size=128)
    fine = spec.replace(stride=stride)
    weights, seen = multiscale.zoom_axis(zoom, spec, fine)
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
    weights, seen = multiscale.zoom_axis(1.0, SPEC, SPEC)
    np.testing.assert_allclose(weights, np.eye(8), atol=1e-6)
    assert seen.numpy().all()


def test_zoom_axis_is_keys_cubic_between_cells():
    spec = PoseSpec(box_size=128)
    weights, _ = multiscale.zoom_axis(1.0, spec, spec.replace(stride=4))
    # cell 17 of the finer grid is at pixel 69.5: a quarter of a cell after cell 8, which is at 67.5
    expected = [-0.0703125, 0.8671875, 0.2265625, -0.0234375]
    np.testing.assert_allclose(weights[17, 7:11], expected, atol=1e-6)
    assert np.count_nonzero(np.abs(weights[17]) > 1e-6) == 4
