"""`Follower`: one person from frame to frame; the last pose says where to look next."""

import dataclasses
from dataclasses import dataclass

import numpy as np

from ..pose import geometry
from ..pose.pose import Pose

# A part with less is not looked at to find the person in the next frame.
SURE = 0.3
# Somebody of whom a smaller share of the parts is sure is lost.
ENOUGH = 0.35
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


def next_place(box, before=None):
    """Where to look for a person in the next frame.

    Args:
        box: (4,) x0, y0, x1, y1 around the sure parts, image frame.
        before: the height known so far, which follows slowly; `None` at first.

    Returns:
        {"center": (x, y), "person_height": h}.
    """
    center, extent = geometry.center_and_height(box)
    height = float(extent) / _SPAN
    if before:
        height = before + _FOLLOWS * (height - before)
    return {"center": tuple(center.tolist()), "person_height": max(height, 1.0)}


class Follower:
    """Finds the pose of one person in one frame after the other.

    Args:
        predictor: `Predictor`.
        find: function of a frame to a list of places {"center", "person_height"}, the surest first,
            as `find_people` gives them; `None` looks at the whole frame when nobody is followed.
        smooth: `smoothing.OneEuro`, or `None` to leave keypoints as they are.

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
            self._place = next_place(_box(pose), place.get("person_height"))
            if self.smooth:
                height = self._place["person_height"]
                pose = dataclasses.replace(pose, keypoints=self.smooth(raw, seconds, height))
        return Sighting(pose, raw, place.get("center"), place.get("person_height"), followed)

    def _look_for(self, frame):
        places = self.find(frame) if self.find else []
        return dict(places[0]) if places else {}


def _is_seen(pose):
    return np.mean(pose.scores >= SURE) >= ENOUGH


def _box(pose):
    points = pose.keypoints[pose.scores >= SURE]
    return (*points.min(0), *points.max(0))
