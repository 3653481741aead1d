"""A person is followed from frame to frame, and what comes out is calm."""

import numpy as np
import pytest

from keras_cpm.inference.smoothing import OneEuro
from keras_cpm.inference.tracking import Follower
from keras_cpm.pose.pose import Pose


class Seer:
    """A predictor that sees the truth, if it looks near enough to it."""

    parts = ("a", "b", "c", "d")
    shape = np.array([[-20.0, -50.0], [20.0, -50.0], [-20.0, 50.0], [20.0, 50.0]])

    def __init__(self):
        self.truth, self.looked = np.zeros(2), []

    def __call__(self, frame, center=None, person_height=None):
        self.looked.append((center, person_height))
        middle = np.array([160.0, 120.0]) if center is None else np.array(center)
        near = np.hypot(*(middle - self.truth)) < 60
        return Pose(self.truth + self.shape, np.full(4, 0.9 if near else 0.1), self.parts)


FRAME = np.zeros((240, 320, 3), np.uint8)


class TestFollower:
    def test_looks_where_the_person_was(self):
        seer = Seer()
        follow = Follower(seer)
        for number in range(40):
            seer.truth = np.array([150 + 3.0 * number, 120])
            sighting = follow(FRAME, number / 25)
            assert sighting.followed is (number > 0)
            np.testing.assert_array_equal(sighting.raw, seer.truth + seer.shape)
        assert seer.looked[0] == (None, None)
        np.testing.assert_allclose(seer.looked[-1][0], [150 + 3 * 38, 120], atol=1e-6)
        # what stands 100 pixels from part to part is as tall as that says
        assert seer.looked[-1][1] == pytest.approx(100 / 1.04)

    def test_the_height_follows_slowly(self):
        seer = Seer()
        seer.truth = np.array([160.0, 120.0])
        follow = Follower(seer)
        follow(FRAME, 0.0)
        seer.shape = seer.shape * 0.5
        follow(FRAME, 0.1)
        follow(FRAME, 0.2)
        assert 0.8 * 100 / 1.04 < seer.looked[-1][1] < 0.95 * 100 / 1.04

    def test_who_is_lost_is_looked_for_in_the_same_frame(self):
        seer, asked = Seer(), []

        def find(frame):
            asked.append(1)
            return [{"center": tuple(seer.truth), "person_height": 96.0}]

        follow = Follower(seer, find=find, smooth=OneEuro())
        seer.truth = np.array([60.0, 120.0])
        assert follow(FRAME, 0.0).pose.scores[0] > 0.5 and len(asked) == 1
        assert follow(FRAME, 0.1).followed and len(asked) == 1
        seer.truth = np.array([260.0, 120.0])
        sighting = follow(FRAME, 0.2)
        assert len(asked) == 2 and not sighting.followed and sighting.pose.scores[0] > 0.5
        # not smoothed across the jump
        np.testing.assert_allclose(sighting.pose.keypoints, sighting.raw)

    def test_nobody_is_followed_where_nobody_is(self):
        seer = Seer()
        seer.truth = np.array([1000.0, 1000.0])
        follow = Follower(seer)
        assert not any(follow(FRAME, t / 10).followed for t in range(3))
        assert seer.looked == [(None, None)] * 3
