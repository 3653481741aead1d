"""`Follower`: one person from frame to frame; the last pose says where to look next. `OneEuro`
calms what it finds.
"""

import dataclasses
import math
from dataclasses import dataclass

import numpy as np

from ..pose import geometry
from ..pose.pose import Pose

# A part with less is not looked at to find the person in the next frame.
_SURE = 0.3
# Somebody of whom a smaller share of the parts is sure is lost.
_ENOUGH = 0.35
# Sure parts of a standing person span so many person heights (LSP: median 1.04), and the height
# of a person does not change with the pose, so that it follows what the parts span slowly.
_SPAN, _FOLLOWS = 1.04, 0.15


@dataclass(frozen=True, eq=False)
class Sighting:
    """What is known of the person in one frame.

    Args:
        pose: `Pose`, image frame, pixels; smoothed.
        raw: (P, 2) keypoints before that.
        center: (2,) and
        person_height: where the network looked; `None` for the whole frame.
        followed: whether that is from the frame before; else the person was looked for anew.
    """

    pose: Pose
    raw: np.ndarray
    center: tuple | None
    person_height: float | None
    followed: bool


class Follower:
    """Finds the pose of one person in one frame after the other.

    Args:
        predictor: `Predictor`.
        find: function of a frame to a list of places {"center", "person_height"}, the surest first,
            as `find_people` gives them; `None` looks at the whole frame when nobody is followed.
        smooth: `OneEuro`, or `None` to leave keypoints as they are.

    Example:
        >>> import numpy as np, keras_cpm
        >>> from keras_cpm.inference.tracking import Follower
        >>> spec = keras_cpm.PoseSpec(box_size=64)
        >>> follow = Follower(keras_cpm.Predictor(keras_cpm.build_cpm(1, spec, width=8), spec))
        >>> sighting = follow(np.zeros((48, 64, 3), np.uint8), seconds=0.0)
        >>> sighting.pose.keypoints.shape, sighting.followed
        ((14, 2), False)
    """

    def __init__(self, predictor, *, find=None, smooth=None):
        self.predictor, self.find, self.smooth = predictor, find, smooth
        self.reset()

    def reset(self):
        """Forgets the person, as at a cut."""
        self._place = None
        if self.smooth:
            self.smooth.reset()

    def __call__(self, frame, seconds):
        """The person in one frame.

        Args:
            frame: (H, W, 3) uint8 RGB.
            seconds: of the frame.

        Returns:
            `Sighting`.
        """
        followed = self._place is not None
        place = self._place or self._look_for(frame)
        pose = self.predictor(frame, **place)
        if followed and not _is_seen(pose):
            # lost: look for the person anew, in this very frame
            self.reset()
            followed, place = False, self._look_for(frame)
            pose = self.predictor(frame, **place)
        raw = pose.keypoints
        if not _is_seen(pose):
            self.reset()
        else:
            self._place = _next(pose, place)
            if self.smooth:
                height = self._place["person_height"]
                pose = dataclasses.replace(pose, keypoints=self.smooth(raw, seconds, height))
        return Sighting(pose, raw, place.get("center"), place.get("person_height"), followed)

    def _look_for(self, frame):
        places = self.find(frame) if self.find else []
        return dict(places[0]) if places else {}


def _is_seen(pose):
    return np.mean(pose.scores >= _SURE) >= _ENOUGH


def _next(pose, place):
    """Where to look in the next frame."""
    points = pose.keypoints[pose.scores >= _SURE]
    center, extent = geometry.center_and_height([*points.min(0), *points.max(0)])
    height = float(extent) / _SPAN
    before = place.get("person_height")
    if before:
        height = before + _FOLLOWS * (height - before)
    return {"center": tuple(center.tolist()), "person_height": max(height, 1.0)}


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
        >>> from keras_cpm.inference.tracking import OneEuro
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
