"""`OneEuro`: keypoints that stand still when the person does."""

import math

import numpy as np


class OneEuro:
    """A low-pass filter of keypoints whose cut-off grows with their speed.

    Keypoints stand still when the person does, and do not lag when not. Casiez, Roussel and Vogel,
    "1 Euro filter", CHI 2012.

    Args:
        min_cutoff: Hz, of a keypoint at rest; lower is calmer.
        beta: growth of the cut-off, Hz for each person height a second; higher lags less.
        speed_cutoff: Hz, of the speed itself.

    Raises:
        ValueError: an argument that is not positive; `beta` may be 0.

    Example:
        >>> import numpy as np
        >>> from keras_cpm.inference.smoothing import OneEuro
        >>> smooth = OneEuro()
        >>> for second in (0.0, 0.1): calm = smooth(np.full((1, 2), 10 * second), second, 100.0)
        >>> bool(0 < calm[0, 0] < 1)
        True
    """

    def __init__(self, min_cutoff=1.0, beta=2.0, speed_cutoff=0.5):
        for name, value in (("min_cutoff", min_cutoff), ("speed_cutoff", speed_cutoff)):
            if not value > 0:
                raise ValueError(f"`{name}` must be positive. Received: {value!r}")
        if not beta >= 0:
            raise ValueError(f"`beta` must be at least 0. Received: {beta!r}")
        self.min_cutoff, self.beta, self.speed_cutoff = min_cutoff, beta, speed_cutoff
        self.reset()

    def reset(self):
        """Forgets: the next keypoints are taken as they are."""
        self._points = self._speeds = self._seconds = None

    def __call__(self, points, seconds, height):
        """Smooths the keypoints of one frame.

        Args:
            points: (P, 2), pixels.
            seconds: of the frame, later than that of the last.
            height: of the person, pixels; makes speeds those of people, not of pixels.

        Returns:
            (P, 2) float32.

        Raises:
            ValueError: `seconds` goes back, or `height` is not positive.
        """
        points = np.asarray(points, np.float64)
        if not height > 0:
            raise ValueError(f"`height` must be positive. Received: {height!r}")
        if self._points is None:
            self._points, self._speeds = points, np.zeros(len(points))
            self._seconds = seconds
            return points.astype(np.float32)
        step = seconds - self._seconds
        if not step > 0:
            raise ValueError(
                f"`seconds` must be later than the last, {self._seconds}; `reset` starts anew. "
                f"Received: {seconds}"
            )
        speeds = np.hypot(*(points - self._points).T) / (step * height)
        self._speeds += _share(self.speed_cutoff, step) * (speeds - self._speeds)
        share = _share(self.min_cutoff + self.beta * self._speeds, step)[:, None]
        self._points = self._points + share * (points - self._points)
        self._seconds = seconds
        return self._points.astype(np.float32)


def _share(cutoff, step):
    """Of the new value, in a low-pass filter of `cutoff` Hz after `step` seconds."""
    return 1 / (1 + 1 / (2 * math.pi * cutoff * step))
