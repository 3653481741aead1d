"""Views of whole photographs in which everybody is labelled: what a person network learns from,
beside the pictures of `synthetic.groups`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..pose import geometry
from ..pose.spec import PoseSpec, Progress
from .placement import place_of
from .records import NOT_LABELLED, VISIBLE, Person, Record
from .synthetic.groups import FOUND, PARTS

# how often somebody is there to be found, and how far from the middle, in shares of the view
_SHARE_FOUND, _FROM_MIDDLE = 0.7, 0.35
# else a network that looks at the whole photograph in a zoom between these looks at the view
_ZOOMS = (0.35, 2.0)


def draw_scenes(
    records: Sequence[Record],
    spec: PoseSpec,
    *,
    views: int = 4,
    seed: int = 0,
    progress: Progress | None = None,
) -> list[Record]:
    """Chooses views of photographs, near and far; no picture is written.

    Args:
        records: of photographs in which everybody is labelled, with boxes, or centres and heights,
            or of nobody; several records of one photograph are one photograph.
        spec: `PoseSpec` of the person network: people to be found stand 0.71 to 1.42
            `person_height` tall; smaller and larger ones in sight are to be found in another zoom.
        views: of each photograph.
        seed: of the choice.
        progress: wraps the list of photographs.

    Returns:
        list of `Record` of the one part "center", an entry in `people` a person to be found; where
        there is none, one that is not labelled. To be trained on with `missing="zero"`.

    Raises:
        ValueError: a record does not say the size of its photograph.

    Example:
        >>> from keras_cpm import Person, PoseSpec, Record
        >>> from keras_cpm.data.scenes import draw_scenes
        >>> from keras_cpm.pose.skeleton import skeleton_of
        >>> spec = PoseSpec(skeleton_of(("center",)), box_size=96, background=False)
        >>> one = Person([(50, 40)], [2], box=(30, 20, 60, 80))
        >>> scenes = draw_scenes([Record("a.jpg", (90, 100), ("nose",), (one,))], spec)
        >>> len(scenes), scenes[0].parts, scenes[0].people[0].keypoints.tolist()
        (4, ('center',), [[45.0, 50.0]])
    """
    photographs: dict[str, list[Record]] = {}
    for record in records:
        if record.size is None:
            raise ValueError(
                "`records` must say how large each photograph is; `keras-cpm prepare` writes it. "
                f"Received: no size of {record.image}"
            )
        photographs.setdefault(record.image, []).append(record)
    found = []
    for number, (image, of_image) in enumerate((progress or iter)(list(photographs.items()))):
        places = _places(of_image)
        for view in range(views):
            rng = np.random.default_rng([seed, number, view])
            people = _people(places, *_choose(places, of_image[0].size, spec, rng))
            found.append(Record(image, of_image[0].size, PARTS, people, dataset="scenes"))
    return found


def _places(records):
    """(centre, height) of everybody in a photograph, once."""
    there = [
        person
        for record in records
        for person in record.people
        if not person.labelled.any() or _is_in_sight(person, record.size)
    ]
    return list(dict.fromkeys(place for place in map(place_of, there) if place is not None))


def _is_in_sight(person, size):
    """Not so in a photograph of nobody, see `formats.nobody`."""
    inside = np.asarray(geometry.inside_image(person.keypoints, size))
    return bool((inside & person.labelled).any())


def _choose(places, size, spec, rng):
    """The middle of a view, and the height of people to be found in it, image frame, pixels."""
    if places and rng.random() < _SHARE_FOUND:
        center, height = places[rng.integers(len(places))]
        height = height / np.exp(rng.uniform(*np.log(FOUND)))
        side = height * spec.box_size / spec.person_height
        return center + rng.uniform(-_FROM_MIDDLE, _FROM_MIDDLE, 2) * side, height
    zoom = np.exp(rng.uniform(*np.log(_ZOOMS)))
    height = float(geometry.height_in_whole_image(size, spec, zoom=zoom))
    return rng.uniform(0, 1, 2) * size[::-1], height


def _people(places, middle, height):
    where = {"center": tuple(middle.tolist()), "height": float(height)}
    people = [
        Person([center], [VISIBLE], **where)
        for center, tall in places
        if FOUND[0] <= tall / height <= FOUND[1]
    ]
    return tuple(people) or (Person([(0, 0)], [NOT_LABELLED], **where),)
