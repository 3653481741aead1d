"""Who is looked at again, who is a person, and who is the same person twice; by hand-made looks."""

import numpy as np
import pytest

from keras_cpm import PoseSpec
from keras_cpm.pose import lattice, search

SIZE = (200, 300)
# around the middle of a person of height 1
PARTS = np.float32([[0, -0.5], [0.2, 0], [-0.2, 0], [0, 0.5]])
NOBODY = search.Places(np.zeros((0, 2), np.float32), *[np.zeros(0, np.float32)] * 2)


def places(*triples):
    """Of (x, y, height), the surest first."""
    columns = np.float32(triples).reshape(-1, 3)
    beliefs = np.linspace(1, 0.5, len(columns)).astype(np.float32)
    return search.Places(columns[:, :2], columns[:, 2], beliefs)


class Looks:
    """A pose network that sees `people`, (x, y, height, sureness), if it looks near enough."""

    def __init__(self, *people):
        self.people, self.asked = people, []

    def __call__(self, centers, heights):
        centers, heights = np.asarray(centers), np.asarray(heights)
        self.asked.append((centers, heights))
        rows = heights.reshape(len(heights), *heights.shape[1:] or [1])
        seen = [[self.one(c, h) for h in row] for c, row in zip(centers, rows, strict=True)]
        seen = np.float32(seen).reshape(*heights.shape, len(PARTS), 3)
        return seen[..., :2], seen[..., 2]

    def one(self, center, height):
        x, y, tall, sureness = min(self.people, key=lambda p: np.hypot(*(center - p[:2])))
        # less sure, the less its size fits
        scores = np.full(len(PARTS), sureness - 0.3 * abs(np.log(height / tall)))
        return np.column_stack([np.float32([x, y]) + tall * PARTS, scores])


def everybody(look, found, threshold=0.4, most=9):
    return search.everybody(look, look, found, SIZE, threshold=threshold, most=most)


def on_lattice(x, y, height):
    centers, heights = lattice.nearest([[x, y]], [height], SIZE)
    return centers[0].numpy(), float(heights[0])


def test_a_person_is_looked_at_in_sizes_and_again_where_the_pose_is():
    look = Looks((100, 90, 60, 0.8))
    seen = everybody(look, places((110, 95, 36)))
    (start, first), (center, then), (_, last) = look.asked
    near, tall = on_lattice(110, 95, 36)
    np.testing.assert_allclose(start, [near], rtol=1e-5)
    np.testing.assert_allclose(first, [tall * np.float32(search.FIRST)], rtol=1e-5)
    # of these the tallest fits best
    middle, tall = on_lattice(100, 90, tall * search.FIRST[3])
    np.testing.assert_allclose(center, [middle], rtol=1e-5)
    np.testing.assert_allclose(then, [tall * np.float32(search.THEN)], rtol=1e-5)
    np.testing.assert_allclose(seen.keypoints, [np.float32([100, 90]) + 60 * PARTS], atol=1e-4)
    assert float(seen.heights[0]) == float(last[0]) and seen.looks.numpy().tolist() == [0]


@pytest.mark.parametrize("tall", [43, 52, 57, 60, 66, 80])
def test_the_height_is_the_lattice_s_nearest(tall):
    """From half the height or twice as much, too."""
    for expected in (tall / 2, tall, 2 * tall):
        seen = everybody(Looks((100, 90, tall, 0.8)), places((110, 95, expected)))
        assert float(seen.heights[0]) == pytest.approx(on_lattice(100, 90, tall)[1])


def test_where_one_looks_does_not_depend_on_small_differences_of_what_is_found():
    asked = []
    for found in ((110, 95, 50), (111, 94, 52), (108, 95.5, 47)):
        look = Looks((100.3, 90.2, 60, 0.8))
        everybody(look, places(found))
        asked.append(look.asked[-1])
    for centers, heights in asked:
        np.testing.assert_allclose(centers, asked[0][0], rtol=1e-6)
        np.testing.assert_allclose(heights, asked[0][1], rtol=1e-6)


def test_many_finds_of_one_person_are_one_person():
    look = Looks((100, 90, 60, 0.8), (220, 90, 60, 0.7))
    seen = everybody(look, places((225, 90, 60), (105, 95, 50), (95, 85, 70), (90, 90, 40)))
    np.testing.assert_allclose(seen.keypoints[:, 0, 0], [100, 220])
    assert len(look.asked[0][0]) == 4 and len(look.asked[1][0]) == 2


def test_who_is_not_sure_is_nobody():
    look = Looks((100, 90, 60, 0.5), (220, 90, 60, 0.39))
    found = places((100, 90, 60), (220, 90, 60))
    assert len(everybody(look, found).looks) == 1
    assert len(everybody(look, found, threshold=0.3).looks) == 2
    assert len(everybody(look, found, threshold=0.3, most=1).looks) == 1
    assert len(everybody(look, found, threshold=0.9).looks) == 0
    assert len(everybody(look, NOBODY).looks) == 0


def test_what_lies_outside_the_photograph_counts_nothing():
    look = Looks((0, 90, 60, 0.8))
    seen = everybody(look, places((0, 90, 60)))
    # one of four parts is outside
    assert float(seen.person_scores[0]) == pytest.approx(0.75 * float(seen.scores[0, 0]))


def test_two_who_share_few_parts_are_two():
    """Of five parts, two lie together: one is 0.4 of the sure ones of a person, so the same."""
    one = np.float32([[10, 10], [20, 20], [30, 30], [40, 40], [50, 50]])
    scores = np.full((2, 5), 0.9, np.float32)
    for shared, people in ((1, 2), (2, 1)):
        other = one + np.float32([200, 0])
        other[:shared] = one[:shared]
        poses = np.stack([one, other])

        def look(centers, heights, poses=poses):
            shape = (*heights.shape, *[1] * (2 - len(heights.shape)))
            found = np.repeat(poses[: len(centers), None], shape[1], axis=1)
            sureness = np.repeat(scores[: len(centers), None], shape[1], axis=1)
            return found.reshape(*heights.shape, 5, 2), sureness.reshape(*heights.shape, 5)

        seen = everybody(look, places((30, 30, 40), (200, 30, 40)), threshold=0.5)
        assert len(seen.looks) == people


def test_boxes_go_around_the_sure_parts():
    keypoints = np.float32([[[1, 2], [30, 4], [5, 60]], [[1, 2], [3, 4], [5, 6]]])
    scores = np.float32([[0.9, 0.2, 0.3], [0.1, 0.2, 0.05]])
    boxes = search.boxes_around(keypoints, scores)
    np.testing.assert_allclose(boxes, [[1, 2, 5, 60], [3, 4, 3, 4]])


def test_of_zooms_the_surest_counts_and_of_one_zoom_every_peak():
    one_zoom = places((50, 50, 40), (60, 50, 40))
    other = places((55, 50, 60), (150, 50, 60))
    merged = search.surest_places([one_zoom, other])
    # (55, 50) of the second zoom is as sure as (50, 50), which comes first; near it, it is gone
    np.testing.assert_allclose(merged.centers, [[50, 50], [60, 50], [150, 50]])
    assert len(search.surest_places([NOBODY, NOBODY]).heights) == 0


def test_a_place_is_where_the_peak_is_in_the_photograph():
    spec = PoseSpec(box_size=64, person_height=30.0)
    beliefs = np.zeros((16, 24), np.float32)
    beliefs[4, 10] = 0.9
    found = search.places_in_zoom(beliefs, (64, 96), spec, zoom=2.0, threshold=0.5)
    # cell 10 is pixel 83.5 of the network's 192, a half of that in the photograph; of two equal
    # pixels at its middle the first is the peak
    np.testing.assert_allclose(found.centers, [[(83 + 0.5) / 2 - 0.5, (35 + 0.5) / 2 - 0.5]])
    np.testing.assert_allclose(found.heights, [15.0])
    assert float(found.beliefs[0]) == pytest.approx(0.9, abs=0.05)
