"""What comes out of the filter is calm, and not late."""

import numpy as np
import pytest

from keras_cpm.data.synthetic.walking import walking_frames
from keras_cpm.inference.smoothing import OneEuro


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
