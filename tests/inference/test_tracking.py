"""A person is followed from frame to frame, and what comes out is calm."""

import numpy as np
import pytest

from keras_cpm.data.synthetic.walking import walking_frames
from keras_cpm.inference.tracking import Follower, OneEuro
from keras_cpm.pose.pose import Pose


class TestOneEuro:
    times = np.arange(0, 4, 0.04)

    def run(self, tracks, smooth=None, height=100.0):
        smooth = smooth or OneEuro()
        return np.array(
            [smooth(points, t, height) for points, t in zip(tracks, self.times, strict=True)]
        )

    def test_what_rests_stays(self):
        tracks = np.tile([[3.0, 4.0], [50.0, 60.0]], (len(self.times), 1, 1))
        np.testing.assert_array_equal(self.run(tracks), tracks)

    def test_jitter_of_a_person_at_rest_is_a_fraction(self):
        noise = np.random.default_rng(0).normal(0, 0.5, (len(self.times), 14, 2))
        calm = self.run(50 + noise)
        assert np.abs(np.diff(calm, axis=0)).mean() < 0.4 * np.abs(np.diff(noise, axis=0)).mean()

    def test_a_walk_lags_by_less_than_two_frames(self):
        """A body height a second, which is a brisk walk."""
        x = 100 * self.times
        tracks = np.stack([x, np.zeros_like(x)], -1)[:, None]
        behind = (tracks - self.run(tracks))[-25:, 0, 0] / 100
        assert 0 < behind.max() < 2 * 0.04

    def test_a_noisy_walk_of_ten_seconds_is_calmed(self):
        """Half the jitter at most; what a network adds is about a hundredth of a person."""
        walk = list(walking_frames(10, 25, (96, 128)))
        truth = np.array([person.keypoints for _, _, person in walk])
        height = walk[0][2].height
        raw = truth + np.random.default_rng(0).normal(0, 0.01 * height, truth.shape)
        smooth = OneEuro()
        calm = np.array(
            [smooth(points, t, height) for points, (t, *_) in zip(raw, walk, strict=True)]
        )
        jitter = [np.abs(np.diff(points - truth, 2, axis=0)).mean() for points in (calm, raw)]
        assert jitter[0] <= 0.5 * jitter[1]
        # nearest to the walk of less than two frames ago
        late = [np.abs(calm[4:] - truth[4 - by : len(truth) - by]).mean() for by in range(5)]
        assert np.argmin(late) < 2

    def test_size_of_the_picture_does_not_matter(self):
        tracks = np.random.default_rng(1).normal(0, 5, (len(self.times), 3, 2)).cumsum(0)
        np.testing.assert_allclose(
            3 * self.run(tracks), self.run(3 * tracks, height=300.0), atol=1e-3
        )

    def test_reset_takes_the_next_as_it_is(self):
        smooth = OneEuro()
        smooth(np.zeros((1, 2)), 0.0, 1.0)
        smooth.reset()
        assert smooth(np.full((1, 2), 9.0), 0.0, 1.0).tolist() == [[9, 9]]

    def test_errors(self):
        smooth = OneEuro()
        smooth(np.zeros((1, 2)), 1.0, 1.0)
        with pytest.raises(ValueError, match=r"`seconds` must be later than the last, 1\.0"):
            smooth(np.zeros((1, 2)), 1.0, 1.0)
        with pytest.raises(ValueError, match="`height` must be positive"):
            smooth(np.zeros((1, 2)), 2.0, 0.0)
        for arguments in ({"min_cutoff": 0}, {"beta": -1}, {"speed_cutoff": 0}):
            with pytest.raises(ValueError, match=f"`{next(iter(arguments))}` must be"):
                OneEuro(**arguments)


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
