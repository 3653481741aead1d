"""The poses of everybody in a photograph: people found, looked at, and confirmed by the pose.

A person network says roughly where somebody is and how tall; the pose network, which looks closer,
says better, and whether anybody is there at all. So each find is looked at in several sizes, again
where its surest pose is, and kept if that pose is sure and nobody else's.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..images import decode
from ..models.person import MOST_PEOPLE, THRESHOLD
from ..pose import geometry
from ..pose.pose import Pose
from ..pose.spec import Array

if TYPE_CHECKING:
    from .predictor import Predictor

# heights that are tried of a find, as factors: first far from each other, then near the best
_FIRST, _THEN = (0.6, 0.8, 1.1, 1.5), (0.85, 1.0, 1.18)
# so many places are looked at, the surest: their boxes are in memory at once, 0.2 GB of 192 pixels
_MOST_PLACES = 120
# a find of a lower score, in shares of the threshold, is not looked at again
_WORTH_A_LOOK = 0.5
# a part with a lower score says nothing of where a person is
_SURE = 0.25
# of one person are two poses of which so many parts lie within that share of the height
_SAME_PARTS, _SAME_PLACE = 0.4, 0.1


@dataclass(frozen=True, eq=False)
class FoundPerson:
    """Somebody in a photograph.

    Args:
        pose: `Pose`, image frame, pixels.
        score: 0 to about 1, how sure it is that this is a person: the mean score of all parts, of
            which those outside the photograph count 0.
        center: (x, y) and
        person_height: where the network looked, image frame, pixels.

    Example:
        >>> import numpy as np, keras_cpm
        >>> points, scores = np.array([[40.0, 20.0], [44.0, 80.0]]), np.array([0.9, 0.7])
        >>> pose = keras_cpm.Pose(points, scores, ("head", "left_ankle"))
        >>> keras_cpm.FoundPerson(pose, 0.8, (42.0, 50.0), 70.0).box
        (40.0, 20.0, 44.0, 80.0)
    """

    pose: Pose
    score: float
    center: tuple[float, float]
    person_height: float

    def to_dict(self) -> dict[str, Any]:
        """JSON values: score, box, and keypoints as `Pose.to_dict`."""
        box = [round(x, 2) for x in self.box]
        return {"score": round(self.score, 4), "box": box, **self.pose.to_dict()}

    @property
    def box(self) -> tuple[float, float, float, float]:
        """x0, y0, x1, y1 around the sure parts, image frame, pixels."""
        return _box_around(self.pose)


def find_poses(
    image: Path | str | bytes | Array,
    predictor: Predictor,
    find: Callable[[np.ndarray], list[dict[str, Any]]],
    *,
    threshold: float = THRESHOLD,
    most: int = MOST_PEOPLE,
) -> list[FoundPerson]:
    """Finds everybody in a photograph, and their poses.

    Args:
        image: path, bytes of an image file, or array (H, W, 3) RGB 0..255.
        predictor: `Predictor` of poses.
        find: function of the upright photograph (H, W, 3) to a list of places {"center",
            "person_height"}, the surest first, such as `find_people` with a low threshold; the
            first 120 are looked at.
        threshold: score above which somebody is a person.
        most: people at most, the surest.

    Returns:
        list of `FoundPerson`, the surest first.

    Raises:
        FileNotFoundError, ValueError: one sentence about the image.

    Example:
        >>> import numpy as np, keras_cpm
        >>> spec = keras_cpm.PoseSpec(box_size=64)
        >>> predictor = keras_cpm.Predictor(keras_cpm.build_cpm(2, spec, width=8), spec)
        >>> def in_the_middle(photograph): return [{"center": (40, 30), "person_height": 50}]
        >>> keras_cpm.find_poses(np.zeros((60, 80, 3)), predictor, in_the_middle, threshold=0.99)
        []
    """
    pixels = decode.upright_array(image)
    tries = [_in_sizes(place, _FIRST) for place in find(pixels)[:_MOST_PLACES]]
    found = _surest(pixels, predictor, tries)
    found = _apart([one for one in found if one.score > _WORTH_A_LOOK * threshold])
    found = _surest(pixels, predictor, [_in_sizes(_looked_at(one), _THEN) for one in found])
    return _apart([one for one in found if one.score > threshold])[:most]


def poses_at(
    image: Path | str | bytes | Array, predictor: Predictor, places: Sequence[dict[str, Any]]
) -> list[FoundPerson]:
    """The poses of people of whom it is known where they are, whatever their scores.

    Args:
        image: path, bytes of an image file, or array (H, W, 3) RGB 0..255.
        predictor: `Predictor`.
        places: of `Predictor.predict_people`, each with "box", or "center" and "person_height".

    Returns:
        list of `FoundPerson`, in the order of `places`.

    Example:
        >>> import numpy as np, keras_cpm
        >>> from keras_cpm.inference.people import poses_at
        >>> spec = keras_cpm.PoseSpec(box_size=64)
        >>> predictor = keras_cpm.Predictor(keras_cpm.build_cpm(2, spec, width=8), spec)
        >>> (person,) = poses_at(np.zeros((60, 80, 3)), predictor, [{"box": (10, 5, 30, 55)}])
        >>> person.center, person.person_height
        ((20.0, 30.0), 50.0)
    """
    pixels = decode.upright_array(image)
    poses = predictor.predict_people(pixels, places)
    size = pixels.shape[:2]
    return [_found(pose, size, **place) for pose, place in zip(poses, places, strict=True)]


def _found(pose, size, center=None, person_height=None, box=None):
    if box is not None:
        center, person_height = geometry.center_and_height(tuple(box))
    # nobody sees what lies outside the photograph
    inside = geometry.inside_image(pose.keypoints, size).numpy()
    score = float(np.where(inside, pose.scores, 0.0).mean())
    return FoundPerson(pose, score, (float(center[0]), float(center[1])), float(person_height))


def _in_sizes(place, factors):
    height = place["person_height"]
    return [place | {"person_height": factor * height} for factor in factors]


def _surest(pixels, predictor, tries):
    """Of each list of places the one with the surest pose."""
    found = iter(poses_at(pixels, predictor, [place for places in tries for place in places]))
    return [max(itertools.islice(found, len(places)), key=_score) for places in tries]


def _score(person):
    return person.score


def _looked_at(person):
    """Where to look again: in the middle of the parts, in the size in which they were found."""
    middle, _ = geometry.center_and_height(person.box)
    return {"center": tuple(middle.tolist()), "person_height": person.person_height}


def _box_around(pose):
    sure = pose.scores >= min(_SURE, float(pose.scores.max()))
    points = pose.keypoints[sure]
    return (*points.min(axis=0).tolist(), *points.max(axis=0).tolist())


def _apart(found):
    """The surest first, and nobody twice."""
    kept: list[FoundPerson] = []
    for one in sorted(found, key=_score, reverse=True):
        if not any(_is_same(one, other) for other in kept):
            kept.append(one)
    return kept


def _is_same(one, other):
    sure = (one.pose.scores >= _SURE) & (other.pose.scores >= _SURE)
    distance = np.linalg.norm(one.pose.keypoints - other.pose.keypoints, axis=-1)
    near = distance < _SAME_PLACE * max(one.person_height, other.person_height)
    return (near & sure).sum() >= _SAME_PARTS * max(1, (one.pose.scores >= _SURE).sum())
