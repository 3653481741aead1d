"""Keypoints to belief maps and back: the release's formula, the round trip, and the mirror."""

import math

import numpy as np
import pytest
import tensorflow as tf

from keras_cpm import CPM14, HAND21, PoseSpec, Skeleton
from keras_cpm.pose import codec

TRIO = Skeleton("trio", ("left", "middle", "right"), flip_pairs=(("left", "right"),))
SPEC = PoseSpec(TRIO, box_size=64)
BARE = SPEC.replace(background=False)
SPECS = pytest.mark.parametrize(
    "spec",
    [
        SPEC,
        BARE,
        PoseSpec(TRIO, box_size=96, stride=4, part_sigma=3.5),
        PoseSpec(TRIO, box_size=80, stride=16, part_sigma=14.0),
    ],
    ids=["release", "no background", "stride 4", "stride 16"],
)
ALL = np.full(3, 2)


def slow_encode(people, spec):
    """cpm-style target of (N, P) points, `None` for a part without label: peaks add, then clip
    at 1.
    """
    maps = np.zeros((spec.grid_size, spec.grid_size, spec.num_parts))
    for row, column, part in np.ndindex(maps.shape):
        for person in people:
            if person[part] is None:
                continue
            x = (spec.stride / 2 - 0.5) + spec.stride * column
            y = (spec.stride / 2 - 0.5) + spec.stride * row
            d2 = (x - person[part][0]) ** 2 + (y - person[part][1]) ** 2
            exponent = d2 / 2 / spec.part_sigma / spec.part_sigma
            if exponent <= 4.6052:
                maps[row, column, part] += math.exp(-exponent)
    maps = np.minimum(maps, 1)
    if spec.background:
        maps = np.concatenate([maps, 1 - maps.max(axis=-1, keepdims=True)], axis=-1)
    return maps


def some_points(count, spec, margin=0.0, seed=0):
    """(count, P, 2) over the box, at least `margin` pixels inside its border."""
    low, high = margin - 0.5, spec.box_size - 0.5 - margin
    return np.random.default_rng(seed).uniform(low, high, (count, spec.num_parts, 2))


def batch(count, points, spec, **options):
    """(count, h, w, C) beliefs of one person each."""
    return codec.encode(points[:, None], np.full((count, 1, spec.num_parts), 2), spec, **options)


# encode ------------------------------------------------------------------------------------------


@SPECS
def test_encode_follows_the_formula(spec):
    points = some_points(4, spec)
    beliefs = codec.encode(points[:, None], np.full((4, 1, 3), 1), spec)
    assert beliefs.shape == (4, spec.grid_size, spec.grid_size, spec.num_channels)
    assert beliefs.dtype == tf.float32
    expected = [slow_encode([person], spec) for person in points]
    np.testing.assert_allclose(beliefs, expected, atol=2e-6)
    # the cut is inside the map, and what it cuts would be seen
    assert (np.asarray(beliefs)[..., :3] == 0).any()
    rest = np.asarray(beliefs)[..., :3]
    assert 0.01 <= rest[rest > 0].min() < 0.02


def test_a_peak_ends_at_21_pixels():
    x, y = 27.5, 27.5  # on the cell (3, 3)
    # 16 px away along both axes: 22.6 px, beyond; 16 and 8 px: 17.9 px, within
    peak = codec.encode([[[x, y]] * 3], [ALL], SPEC).numpy()[..., 0]
    assert peak[3, 3] == 1
    assert peak[5, 5] == 0 and peak[3, 6] == 0
    assert peak[5, 4] == pytest.approx(math.exp(-(16**2 + 8**2) / 98))


def test_peaks_of_several_people_add_and_are_clipped():
    people = np.array([[[20.0, 20], [30, 40], [50, 10]], [[24.0, 22], [30, 41], [5, 60]]])
    beliefs = codec.encode(people, [ALL, ALL], SPEC).numpy()
    np.testing.assert_allclose(beliefs, slow_encode(people, SPEC), atol=2e-6)
    assert beliefs.max() == 1
    single = codec.encode(people[:1], [ALL], SPEC).numpy()
    # neither a maximum nor the first person alone
    assert (beliefs[..., 0] > single[..., 0] + 0.1).any()
    assert beliefs.min() >= 0


def test_background_is_what_the_highest_part_leaves():
    points = [[[20.0, 20], [22, 20], [50, 10]]]
    beliefs = codec.encode(points, [ALL], SPEC).numpy()
    np.testing.assert_allclose(beliefs[..., 3] + beliefs[..., :3].max(axis=-1), 1, atol=1e-6)


@SPECS
def test_parts_without_label(spec):
    people = [[(20.0, 20.0), None, (50.0, 10.0)], [(40.0, 30.0), (5.0, 60.0), None]]
    points = [[point or (31.0, 31.0) for point in person] for person in people]
    visible = [[2, 0, 1], [1, 2, 0]]
    expected = slow_encode(people, spec)
    zero = codec.encode(points, visible, spec, missing="zero")
    np.testing.assert_allclose(zero, expected, atol=2e-6)
    # one person's lack hides the channel, of the other's peak too, and the background that needs it
    expected[..., 1:] = codec.IGNORE
    np.testing.assert_allclose(codec.encode(points, visible, spec), expected, atol=2e-6)


def test_ignore_stays_within_its_sample():
    visible = np.full((2, 1, 3), 2)
    visible[1, 0, 2] = 0
    beliefs = codec.encode(some_points(2, SPEC)[:, None], visible, SPEC).numpy()
    assert (beliefs[0] >= 0).all()
    ignored = (beliefs[1] == codec.IGNORE).all(axis=(0, 1))
    assert ignored.tolist() == [False, False, True, True]
    assert (beliefs[1, ..., :2] >= 0).all()


def test_unknown_missing():
    with pytest.raises(ValueError, match=r"`missing` must be .*Received: missing='nan'"):
        codec.encode([[[1.0, 1]] * 3], [ALL], SPEC, missing="nan")


def test_encode_center():
    spec = SPEC.replace(center_sigma=9.0)
    centers = np.array([[31.5, 31.5], [10.25, 50.0]])
    maps = codec.encode_center(centers, spec).numpy()
    assert maps.shape == (2, 64, 64, 1) and maps.dtype == np.float32
    for center, found in zip(centers, maps, strict=True):
        expected = [
            [math.exp(-((x - center[0]) ** 2 + (y - center[1]) ** 2) / 162) for x in range(64)]
            for y in range(64)
        ]
        np.testing.assert_allclose(found[..., 0], expected, atol=1e-6)
    # sigma 21 of the release, and no cut-off: the far corner of its box
    corner = codec.encode_center([100.0, 100.0], PoseSpec()).numpy()[180, 200, 0]
    assert corner == pytest.approx(math.exp(-(100**2 + 80**2) / (2 * 21**2)), rel=1e-4)


# decode ------------------------------------------------------------------------------------------


@SPECS
@pytest.mark.parametrize("refine, cells", [("none", 0.5), ("quarter", 2.05 / 8), ("log", 0.01 / 8)])
def test_round_trip(spec, refine, cells):
    points = some_points(200, spec, margin=spec.stride)
    beliefs = batch(200, points, spec)
    found, scores = codec.decode(beliefs, spec, refine=refine)
    assert found.shape == (200, 3, 2) and scores.shape == (200, 3)
    error = np.abs(found - points).max()  # Chebyshev
    assert error <= cells * spec.stride + 1e-4
    # the bounds are tight
    assert refine == "log" or error > 0.9 * cells * spec.stride
    np.testing.assert_allclose(scores, np.asarray(beliefs)[..., :3].max(axis=(1, 2)))


def test_log_is_the_default():
    beliefs = batch(5, some_points(5, SPEC), SPEC)
    default, _ = codec.decode(beliefs, SPEC)
    np.testing.assert_array_equal(default, codec.decode(beliefs, SPEC, refine="log")[0])


@pytest.mark.parametrize("refine", ["none", "quarter", "log"])
def test_cells_sit_at_eight_times_plus_three_and_a_half(refine):
    beliefs = np.zeros((1, 8, 8, 4), np.float32)
    for part, (row, column) in enumerate([(0, 0), (2, 5), (7, 3)]):
        beliefs[0, row, column, part] = 1
    found, scores = codec.decode(beliefs, SPEC, refine=refine)
    assert np.asarray(found)[0].tolist() == [[3.5, 3.5], [43.5, 19.5], [27.5, 59.5]]
    assert np.asarray(scores)[0].tolist() == [1, 1, 1]


@pytest.mark.parametrize("refine", ["none", "quarter", "log"])
def test_of_equal_cells_the_first_in_row_order_wins(refine):
    beliefs = np.zeros((1, 8, 8, 3), np.float32)
    beliefs[0, [1, 4, 4], [6, 1, 4]] = 0.5
    found, _ = codec.decode(beliefs, BARE, refine=refine)
    assert np.asarray(found)[0].tolist() == [[51.5, 11.5]] * 3


@pytest.mark.parametrize("refine, cells", [("none", 0.5), ("quarter", 0.5), ("log", 0.5)])
def test_peaks_in_border_and_corner_cells(refine, cells):
    edge = np.array([-0.4, 3.5, 7.0, 30.0, 58.0, 61.3, 63.4])
    points = np.stack(np.meshgrid(edge, edge), axis=-1).reshape(-1, 1, 2).repeat(3, axis=1)
    found, _ = codec.decode(batch(len(points), points, SPEC), SPEC, refine=refine)
    assert np.abs(found - points).max() <= cells * 8
    if refine == "log":
        # along the border the refinement is as good as inside
        y_inside = np.abs(points[:, 0, 1] - 30) < 1
        assert np.abs(found - points)[y_inside, 0, 1].max() < 0.01


@pytest.mark.parametrize("refine", ["none", "quarter", "log"])
@pytest.mark.parametrize("level", [-3.0, 0.0, 1e-30, 0.7, 1e6])
def test_flat_beliefs_give_the_first_cell(refine, level):
    found, scores = codec.decode(np.full((2, 8, 8, 4), level, np.float32), SPEC, refine=refine)
    assert np.asarray(found).tolist() == [[[3.5, 3.5]] * 3] * 2
    np.testing.assert_allclose(scores, level)


def test_negative_beliefs_give_the_centre_of_the_highest_cell():
    beliefs = -np.random.default_rng(0).uniform(0.1, 1, (4, 8, 8, 4)).astype(np.float32)
    found, scores = codec.decode(beliefs, SPEC)
    flat = beliefs[..., :3].reshape(4, 64, 3)
    row, column = np.divmod(flat.argmax(axis=1), 8)
    np.testing.assert_array_equal(found, 8 * np.stack([column, row], axis=-1) + 3.5)
    np.testing.assert_array_equal(scores, flat.max(axis=1))


@pytest.mark.parametrize("refine, cells", [("quarter", 0.25), ("log", 0.5)])
def test_a_refined_peak_stays_in_its_cell(refine, cells):
    beliefs = np.random.default_rng(0).normal(size=(50, 8, 8, 4)).astype(np.float32)
    centre, _ = codec.decode(beliefs, SPEC, refine="none")
    moved = np.abs(codec.decode(beliefs, SPEC, refine=refine)[0] - centre)
    assert np.isfinite(moved).all()
    assert 0 < moved.max() <= cells * 8 + 1e-4


def test_decode_does_not_read_the_background():
    beliefs = np.array(batch(3, some_points(3, SPEC), SPEC))
    expected, _ = codec.decode(beliefs, SPEC)
    beliefs[..., 3] = np.random.default_rng(0).normal(size=beliefs.shape[:3])
    np.testing.assert_array_equal(codec.decode(beliefs, SPEC)[0], expected)


def test_decode_of_half_precision():
    points = some_points(9, SPEC, margin=8)
    found, scores = codec.decode(tf.cast(batch(9, points, SPEC), tf.bfloat16), SPEC)
    assert found.dtype == scores.dtype == tf.float32
    assert np.abs(found - points).max() < 0.2


def test_unknown_refinement():
    with pytest.raises(ValueError, match=r"'none', 'quarter', 'log'.* Received: refine='best'"):
        codec.decode(np.zeros((1, 8, 8, 4)), SPEC, refine="best")


def test_a_skeleton_without_torso_and_pairs():
    spec = PoseSpec(HAND21, box_size=96)
    points = some_points(3, spec, margin=8)
    beliefs = codec.encode(points[:, None], np.full((3, 1, 21), 2), spec)
    assert beliefs.shape == (3, 12, 12, 22)
    np.testing.assert_allclose(codec.decode(beliefs, spec)[0], points, atol=0.01)
    np.testing.assert_array_equal(codec.swap_left_right(points, HAND21, 1), points)


# mirror ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("as_tensor", [False, True])
def test_swap_left_right(as_tensor):
    names = np.array([3.0, 1, 4, 1.5])  # left, middle, right, background
    array = tf.constant(names) if as_tensor else names
    swapped = codec.swap_left_right(array, TRIO, 0)
    assert np.asarray(swapped).tolist() == [4, 1, 3, 1.5]
    np.testing.assert_array_equal(codec.swap_left_right(array[:3], TRIO, 0), [4, 1, 3])
    np.testing.assert_array_equal(codec.swap_left_right(swapped, TRIO, 0), names)


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_swap_twice_is_the_identity(axis):
    shape = [2, 2, 2]
    shape[axis] = 15
    array = np.random.default_rng(0).normal(size=shape)
    once = codec.swap_left_right(array, CPM14, axis)
    assert (np.asarray(once) != array).any()
    np.testing.assert_array_equal(codec.swap_left_right(once, CPM14, axis), array)


@SPECS
def test_mirrored_beliefs_are_the_beliefs_of_mirrored_points(spec):
    # no shift of a cell, of half a cell or of a pixel: equal to the last bit
    points = np.round(some_points(20, spec) * 16) / 16
    mirrored = points[:, [2, 1, 0]].copy()
    mirrored[..., 0] = spec.box_size - 1 - mirrored[..., 0]
    there = codec.mirror(batch(20, points, spec), spec)
    np.testing.assert_array_equal(there, batch(20, mirrored, spec))
    np.testing.assert_array_equal(codec.mirror(there, spec), batch(20, points, spec))


def test_a_mirrored_center_map_is_that_of_the_mirrored_center():
    there = codec.encode_center([20.25, 40.0], SPEC).numpy()[:, ::-1]
    np.testing.assert_allclose(there, codec.encode_center([63 - 20.25, 40.0], SPEC), atol=1e-7)
