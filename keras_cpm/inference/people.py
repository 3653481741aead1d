"""The poses of everybody in a photograph: people found, looked at, and confirmed by the pose, as
`pose.search` says.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..images import decode, sampling
from ..models.person import MOST_PEOPLE, THRESHOLD
from ..pose import geometry, search
from ..pose.arithmetic import tf
from ..pose.pose import Pose
from ..pose.spec import Array

if TYPE_CHECKING:
    from .predictor import Predictor


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
        around = search.boxes_around(self.pose.keypoints, self.pose.scores)
        return tuple(np.asarray(around).tolist())


def find_poses(
    image: Path | str | bytes | Array,
    predictor: Predictor,
    find: Callable[[np.ndarray], list[dict[str, Any]]],
    *,
    threshold: float = THRESHOLD,
    most: int = MOST_PEOPLE,
) -> list[FoundPerson]:
    """Finds everybody in a photograph, and their poses. Whatever its resolution, it is brought to
    `pose.search.SIDE` pixels first, so that the answer does not depend on it.

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
    upright = decode.upright_array(image)
    size = upright.shape[:2]
    pixels, image_from_pixels = sampling.at_side(upright, tf.eye(3), search.SIDE)
    looks: list[Pose] = []

    def looking(predictor):
        def look(centers, heights):
            places = _in_sizes(np.asarray(centers), np.asarray(heights))
            looks[:] = predictor.predict_opened(pixels, image_from_pixels, size, places)
            shape = (*heights.shape, predictor.spec.num_parts)
            keypoints = np.float32([pose.keypoints for pose in looks]).reshape(*shape, 2)
            return keypoints, np.float32([pose.scores for pose in looks]).reshape(shape)

        return look

    found = find(upright)
    if not found:
        return []
    places = search.Places(
        np.asarray([one["center"] for one in found], np.float32),
        np.asarray([one["person_height"] for one in found], np.float32),
        np.zeros(len(found), np.float32),  # `find` does not say; they come the surest first
    )
    looks_in = looking(predictor), looking(_averaging(predictor))
    seen = search.everybody(*looks_in, places, size, threshold=threshold, most=most)
    return [
        FoundPerson(looks[number], score, tuple(center), height)
        for number, score, center, height in zip(
            *(np.asarray(column).tolist() for column in (seen.looks, *seen[2:5])), strict=True
        )
    ]


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


def as_json(people: Sequence[FoundPerson], size: Sequence[int]) -> dict[str, Any]:
    """JSON values of everybody in a photograph: an entry of `keras-cpm predict --people --json`.

    Args:
        people: the ids are their order, from 1.
        size: (height, width) of the upright photograph.

    Example:
        >>> from keras_cpm.inference.people import as_json
        >>> as_json([], (60, 80))
        {'size': [60, 80], 'people': []}
    """
    entries = [{"id": i, **one.to_dict()} for i, one in enumerate(people, 1)]
    return {"size": list(size), "people": entries}


def found_person(pose: Pose, score: float) -> FoundPerson:
    """Somebody of whom nothing but the pose and the score is known: where to look is its box."""
    center, height = geometry.center_and_height(FoundPerson(pose, score, (0.0, 0.0), 0.0).box)
    return FoundPerson(pose, score, tuple(center.tolist()), float(height))


def _found(pose, size, center=None, person_height=None, box=None):
    if box is not None:
        center, person_height = geometry.center_and_height(tuple(box))
    score = float(search.person_scores(pose.keypoints, pose.scores, size))
    return FoundPerson(pose, score, (float(center[0]), float(center[1])), float(person_height))


def _in_sizes(centers, heights):
    """Places of K centers and heights, or of each center one in each of (K, S) heights."""
    return [
        {"center": tuple(center), "person_height": height}
        for center, sizes in zip(centers.tolist(), heights.tolist(), strict=True)
        for height in (sizes if heights.ndim == 2 else [sizes])
    ]


def _averaging(predictor):
    """The predictor in several sizes, unless it looks in its own."""
    if predictor.scales != (1.0,):
        return predictor
    return type(predictor)(
        predictor.model,
        predictor.spec,
        scales=search.LAST,
        flip=predictor.flip,
        refine=predictor.refine,
        merge=predictor.merge,
    )
