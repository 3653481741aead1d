"""`CrowdFollower`: everybody from frame to frame, and who is who.

As in `tracking` the last pose says where to look next; here the whole frame is searched at times,
and a number goes with each person.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..models.person import MOST_PEOPLE, THRESHOLD
from .people import FoundPerson
from .tracking import SURE, next_place

if TYPE_CHECKING:
    from .smoothing import OneEuro

# Seconds after which a whole frame is searched for people: always, and where somebody is missing;
# just below a half and a fifth, because the times of frames are rounded.
_OFTEN, _SOON = 0.49, 0.19
# Who is lost for so many seconds is somebody new.
_REMEMBERED = 1.0
# Two poses are of one person if that far apart, in heights: in one frame; in two, and how much more
# for each second between them.
_SAME, _REACH, _REACH_A_SECOND = 0.15, 0.4, 0.8
# No newcomer has two parts where somebody else has them, to that share of the height.
_SAME_PARTS, _SAME_PLACE = 2, 0.06
# Who is followed stays so down to this share of the threshold.
_STAYS = 0.6
# Seconds of motion that its speed is a mean of, and for which somebody out of sight keeps it.
_MEAN, _GOES_ON = 0.2, 0.5


@dataclass(frozen=True, eq=False)
class FollowedPerson(FoundPerson):
    """Somebody in one frame of a video.

    Args:
        pose, score, center, person_height: as in `FoundPerson`; the pose is smoothed.
        id: the same number in every frame in which this person is, from 1 on.
        raw: (P, 2) keypoints before they were smoothed.
        followed: whether the person was seen where the frames before let expect it; else in a
            search of the whole frame.

    Example:
        >>> import numpy as np, keras_cpm
        >>> points, scores = np.array([[40.0, 20.0], [44.0, 80.0]]), np.array([0.9, 0.7])
        >>> pose = keras_cpm.Pose(points, scores, ("head", "left_ankle"))
        >>> person = keras_cpm.FollowedPerson(pose, 0.8, (42.0, 50.0), 70.0, 3, points, True)
        >>> list(person.to_dict())
        ['id', 'score', 'box', 'keypoints']
    """

    id: int
    raw: np.ndarray
    followed: bool

    def to_dict(self) -> dict[str, Any]:
        """JSON values: id, score, box, and keypoints as `Pose.to_dict`."""
        return {"id": self.id, **super().to_dict()}


class CrowdFollower:
    """Finds everybody in one frame after the other, and says who is who.

    People are looked at where they are expected, all in one batch. The whole frame is searched when
    somebody is lost, five times a second while somebody is missing or nobody is there, and twice a
    second for newcomers; never while `most` people are in sight. Poses and people are brought
    together so that people move least in all, beside going on as they went: who cross keep their
    ids. Who comes back within a second keeps the id, others get a new one; none is given twice.

    Args:
        look: function of a frame (H, W, 3) and a list of places {"center", "person_height"} to a
            list of `FoundPerson`, as `people.poses_at`.
        search: function of a frame to a list of `FoundPerson`, as `find_poses`.
        threshold: score above which somebody is a person; who is followed stays so down to 0.6
            of it.
        most: people at most in a frame.
        smooth: function that makes a filter for each person, such as the class
            `smoothing.OneEuro`; `None` leaves keypoints as they are.

    Raises:
        ValueError: `most` is not positive.

    Example:
        >>> import numpy as np, keras_cpm
        >>> from keras_cpm.inference.crowd import CrowdFollower
        >>> points = np.array([[40.0, 20.0], [44.0, 80.0]])
        >>> pose = keras_cpm.Pose(points, np.array([0.9, 0.7]), ("head", "left_ankle"))
        >>> person = keras_cpm.FoundPerson(pose, 0.8, (42.0, 50.0), 60.0)
        >>> follow = CrowdFollower(
        ...     look=lambda frame, places: [person for _ in places],
        ...     search=lambda frame: [person],
        ... )
        >>> [[(one.id, one.followed) for one in follow(None, second)] for second in (0.0, 0.1)]
        [[(1, False)], [(1, True)]]
    """

    def __init__(
        self,
        look: Callable[[np.ndarray, list[dict[str, Any]]], list[FoundPerson]],
        search: Callable[[np.ndarray], list[FoundPerson]],
        *,
        threshold: float = THRESHOLD,
        most: int = MOST_PEOPLE,
        smooth: Callable[[], OneEuro] | None = None,
    ) -> None:
        if not most >= 1:
            raise ValueError(f"`most` must be at least 1. Received: {most!r}")
        self.look, self.search, self.smooth = look, search, smooth
        self.threshold, self.most = threshold, most
        self._last_id = 0
        self.reset()

    def reset(self) -> None:
        """Forgets everybody, as at a cut, and when the next frame is of another clip."""
        self._tracks: list[_Track] = []
        self._searched = self._seconds = -np.inf

    def __call__(self, frame: np.ndarray, seconds: float) -> list[FollowedPerson]:
        """Everybody in one frame.

        Args:
            frame: (H, W, 3) uint8 RGB.
            seconds: of the frame, later than that of the last.

        Returns:
            list of `FollowedPerson` by id.

        Raises:
            ValueError: `seconds` goes back.
        """
        if not seconds > self._seconds:
            raise ValueError(
                f"`seconds` must be later than the last, {self._seconds}; `reset` starts anew. "
                f"Received: {seconds}"
            )
        self._seconds = seconds
        tracks = [track for track in self._tracks if seconds - track.seen <= _REMEMBERED]
        looked = self.look(frame, [track.place(seconds) for track in tracks]) if tracks else []
        found = _apart(
            one
            for track, one in zip(tracks, looked, strict=True)
            if one.score > self.threshold * (_STAYS if track.in_sight else 1)
        )
        matched = _matched(tracks, found, seconds)
        if self._must_search(tracks, matched, seconds):
            self._searched = seconds
            anew = (one for one in self.search(frame) if one.score > self.threshold)
            found = _apart([*found, *anew])
            matched = _matched(tracks, found, seconds)
        known = [one for _, one in matched]
        for one in found:
            if one.score > self.threshold and len(known) < self.most and _is_new(one, known):
                self._last_id += 1
                matched.append((_Track(self._last_id, self.smooth), one))
                known.append(one)
        seen = [track for track, _ in matched]
        lost = sorted(set(tracks) - set(seen), key=lambda track: (-track.seen, track.id))
        for track in lost:
            track.in_sight = False
        self._tracks = [*seen, *lost][: self.most]
        people = [track.see(one, seconds, one in looked) for track, one in matched]
        return sorted(people, key=lambda person: person.id)

    def _must_search(self, tracks, matched, seconds):
        if len(matched) >= self.most:
            return False
        seen = {track for track, _ in matched}
        if any(track.in_sight and track not in seen for track in tracks):
            return True
        missing = not seen or len(seen) < len(tracks)
        return seconds - self._searched >= (_SOON if missing else _OFTEN)


class _Track:
    """Somebody with an id: the last pose, and how it moves."""

    def __init__(self, number, smooth):
        self.id, self.make, self.smooth, self.pose = number, smooth, None, None
        self.speed, self.height, self.seen, self.in_sight = np.zeros(2), None, None, False

    def expected(self, seconds):
        """(P, 2) where the parts are by now if the person goes on."""
        return self.pose.keypoints + self._gone(seconds)

    def place(self, seconds):
        """Where to look."""
        center = np.add(self.center, self._gone(seconds))
        return {"center": tuple(center.tolist()), "person_height": self.height}

    def _gone(self, seconds):
        return self.speed * min(seconds - self.seen, _GOES_ON)

    def see(self, one, seconds, followed):
        """Takes the pose of a frame, and gives the person in it."""
        if self.pose is not None:
            step = seconds - self.seen
            sure = _sure_in_both(self.pose, one.pose)
            moved = np.median((one.pose.keypoints - self.pose.keypoints)[sure], axis=0)
            self.speed += (1 - np.exp(-step / _MEAN)) * (moved / step - self.speed)
        place = next_place(one.box, self.height or one.person_height)
        self.center, self.height = place["center"], place["person_height"]
        if not self.in_sight:
            self.smooth = self.make() if self.make else None
        self.pose, self.seen, self.in_sight = one.pose, seconds, True
        points = one.pose.keypoints
        if self.smooth:
            points = self.smooth(points, seconds, self.height)
        pose = dataclasses.replace(one.pose, keypoints=points)
        where = (one.score, one.center, one.person_height)
        return FollowedPerson(pose, *where, self.id, one.pose.keypoints, followed)


def _matched(tracks, found, seconds):
    """Pairs of who was known and what was found, such that people move least in all."""
    from scipy.optimize import linear_sum_assignment

    distances = np.full((len(tracks), len(found)), np.inf)
    for row, track in enumerate(tracks):
        expected = dataclasses.replace(track.pose, keypoints=track.expected(seconds))
        reach = _REACH + _REACH_A_SECOND * (seconds - track.seen)
        for column, one in enumerate(found):
            distance = _distance(expected, one.pose, track.height)
            distances[row, column] = distance if distance < reach else np.inf
    # far is farther than all that is near together
    far = np.isinf(distances)
    pairs = zip(*linear_sum_assignment(np.where(far, 1e6, distances)), strict=True)
    return [(tracks[row], found[column]) for row, column in pairs if not far[row, column]]


def _apart(found):
    """The surest first, and nobody twice."""
    kept = []
    for one in sorted(found, key=lambda one: -one.score):
        if all(_distance(one.pose, other.pose, _taller(one, other)) > _SAME for other in kept):
            kept.append(one)
    return kept


def _is_new(one, known):
    """Whether this is nobody who is known, not even partly: with a head of somebody else."""
    apart = (_apart_by_part(one.pose, other.pose) / _taller(one, other) for other in known)
    return one not in known and all((d < _SAME_PLACE).sum() < _SAME_PARTS for d in apart)


def _taller(one, other):
    return max(one.person_height, other.person_height)


def _distance(pose, other, height):
    """In heights, of most parts that are sure in both: an arm found elsewhere is nobody else."""
    apart = _apart_by_part(pose, other)
    return np.median(apart) / height if len(apart) else np.inf


def _apart_by_part(pose, other):
    """Of the parts that are sure in both, pixels."""
    return np.linalg.norm(pose.keypoints - other.keypoints, axis=-1)[_sure_in_both(pose, other)]


def _sure_in_both(pose, other):
    return (pose.scores >= SURE) & (other.scores >= SURE)
