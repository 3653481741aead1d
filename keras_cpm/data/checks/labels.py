"""What is wrong with labels: numbers only, no photograph is decoded.

Each finding is (kind, problem): the key of its category, and one sentence with the remedy. What
the numbers cannot tell is not guessed at; the thresholds are set so that Leeds Sports Pose, FLIC
and MPII raise few, see `tests/data/checks/test_labels.py`.
"""

from collections import defaultdict
from functools import cache
from itertools import product

import numpy as np

from ...pose.skeleton import skeleton_of
from ..placement import is_placed, place_of
from ..records import NOT_LABELLED

# a figure smaller than this many pixels, or larger than this many pictures, is a slip of units
_SMALLEST_HEIGHT, _LARGEST_SHARE = 8, 5
# The extent of the labels in heights: at most 3.0 in LSP, whose test heights are those of the
# photographs; a figure with most parts labelled: at least 0.29 (LSPET).
_LARGEST_EXTENT, _SMALLEST_EXTENT, _MOST, _ENOUGH_PARTS = 3.5, 0.2, 0.7, 4
# A center lies inside the box of the labels in nearly all sets; far is this many heights off it.
_FAR_CENTER = 0.75
# Shares of the picture by which a label may stick out: of its sides that were guessed, of any.
_GUESSED, _OUTSIDE = 0.05, 0.5
# Shoulders against hips: opposite by more than 134 degrees, the shorter at least this share of the
# torso. Such are 6 people of LSP train and 168 of LSPET; 16 of these, looked at, are nearly all
# labelled wrongly. Narrower ones are mostly pitchers and dancers.
_OPPOSITE, _CLEAR = -0.7, 0.2
# Pixels by which labels may differ and be the same; a cell and those around it.
_SAME, _AROUND = 0.5, tuple(product((-1, 0, 1), repeat=2))
# Shares of a set, and people that make one: 70 % face the camera in LSP, 95 % in FLIC.
_ENOUGH_PEOPLE, _FACING, _SIDEWAYS = 200, 1 / 3, 0.4


def about_record(record, size, stored=None, *, known=None):
    """What one record's labels say against themselves.

    Args:
        record: `Record`.
        size: (height, width) of the upright photograph, or `None` where it is unknown.
        stored: (height, width) as the file stores it, or `None` where it is unknown.
        known: dict that keeps what is found of each person, for other records that hold the same.

    Returns:
        list of (kind, problem).

    Example:
        >>> from keras_cpm import Person, Record
        >>> from keras_cpm.data.checks.labels import about_record
        >>> person = Person([(10, 20), (10, 900)], [2, 2], center=(11, 30), height=60)
        >>> record = Record("a.jpg", (96, 128), ("head", "tail"), (person,))
        >>> [kind for kind, problem in about_record(record, record.size)]
        ['outside']
    """
    found, known = [], {} if known is None else known
    if not is_placed(record):
        problem = "nothing says where the primary person is; give `center` and `height`"
        found.append(("place", problem))
    for i, person in enumerate(record.people):
        key = person, size, stored, record.parts
        if key not in known:
            known[key] = _about_person(*key)
        found += [(kind, f"person {i}: {problem}") for kind, problem in known[key]]
    return found + _repeated(record.people)


def _about_person(person, size, stored, parts):
    if not person.labelled.any():
        return [("unlabelled", "no labelled part; remove the person or label it")]
    return [
        *_frame(person, parts, size, stored),
        *_scale(person, size),
        *_twist(person, parts),
    ]


def _frame(person, parts, size, stored):
    """Labels that are not in pixels of the upright photograph, the likeliest reason first."""
    points = person.keypoints[person.labelled]
    if size is None:
        return _center(person, points)
    turned = stored is not None and stored == size[::-1]
    if turned and _fit(points, stored).all() and not _fit(points, size, _GUESSED).all():
        problem = (
            f"the labels fit the photograph as it is stored, {stored} (height, width), not the "
            f"upright one, {size}: they were made without regard to EXIF orientation; turn them"
        )
        return [("exif", problem)]
    if _fits_swapped(points, size):
        problem = "parts lie outside, and inside with x and y swapped; write points as (x, y)"
        return [("axes", problem)]
    return _outside(person, parts, size) or _center(person, points)


def _fits_swapped(points, size):
    """Upright people whose feet were guessed below the picture fit too, but they do not lie."""
    lies = np.ptp(points[:, 0]) > np.ptp(points[:, 1])
    outside = (~_fit(points, size)).mean(), (~_fit(points, size, _GUESSED)).mean()
    sticks_out = outside[0] > 0.4 or (lies and outside[1] > 0.1)
    return sticks_out and _fit(points[:, ::-1], size).all()


def _fit(points, size, margin=0.0):
    """(N,) bool: inside a picture of `size`, or outside by at most `margin` of its sides."""
    sides = np.array(size[::-1])
    return ((points >= -margin * sides) & (points <= (1 + margin) * sides)).all(axis=1)


def _outside(person, parts, size):
    outside = np.flatnonzero(person.labelled & ~_fit(person.keypoints, size, _OUTSIDE))
    if not len(outside):
        return []
    names = ", ".join(parts[i] for i in outside[:3]) + (", ..." if len(outside) > 3 else "")
    x, y = person.keypoints[outside[0]]
    problem = (
        f"{len(outside)} parts lie far outside the image of {size} (height, width), {names} at "
        f"({x:g}, {y:g}); correct them or give them visible 0"
    )
    return [("outside", problem)]


def _center(person, points):
    place = place_of(person)
    if place is None:
        return []
    center, height = place
    field = "center" if center is person.center else "box"
    distance = _distance(center, points)
    if distance <= _FAR_CENTER * max(height, np.ptp(points, axis=0).max()):
        return []
    x, y = center
    if _distance(center, points[:, ::-1]) == 0:
        problem = (
            f"the middle of its `{field}`, ({x:g}, {y:g}), lies among its labels with x and y "
            "swapped; write both as (x, y)"
        )
        return [("axes", problem)]
    form = "(x, y)" if field == "center" else "(x0, y0, x1, y1)"
    problem = (
        f"the middle of its place, ({x:g}, {y:g}), is {distance:.0f} pixels off its labels; write "
        f"`{field}` as {form}, pixels of the upright image"
    )
    return [("place", problem)]


def _distance(point, points):
    """Of a point from the box around `points`, along the farther axis; 0 inside."""
    low, high = points.min(axis=0), points.max(axis=0)
    return np.maximum(np.maximum(low - point, point - high), 0).max()


def _scale(person, size):
    place = place_of(person)
    height = person.height if place is None else place[1]
    if height is None:
        return []
    if height < _SMALLEST_HEIGHT or (size is not None and height > _LARGEST_SHARE * max(size)):
        problem = f"a height of {height:g} pixels is impossible here; heights are image pixels"
        return [("scale", problem)]
    points = person.keypoints[person.labelled]
    if size is not None:
        points = points[_fit(points, size, _OUTSIDE)]
    if len(points) < 2:
        return []
    extent = np.ptp(points, axis=0).max()
    most = len(points) >= max(_ENOUGH_PARTS, _MOST * len(person.labelled))
    if (_SMALLEST_EXTENT * height if most else 0) <= extent <= _LARGEST_EXTENT * height:
        return []
    problem = (
        f"its labels span {extent:.0f} pixels and its height is {height:g}; heights are image "
        "pixels, 200 x `scale` in MPII"
    )
    return [("scale", problem)]


@cache
def _torso_indices(parts):
    """Of right and left shoulder, right and left hip; `None` where the parts have no such pairs."""
    pairs = skeleton_of(parts).flip_pairs
    found = [[p for p in pairs if word in p[0].lower()] for word in ("shoulder", "hip")]
    if any(len(pairs) != 1 for pairs in found):
        return None
    return [parts.index(part) for ((right, left),) in found for part in (right, left)]


def _torso(person, parts):
    """(3, 2) vectors: right to left shoulder, right to left hip, shoulders to hips; or `None`."""
    indices = _torso_indices(parts)
    if indices is None or not person.labelled[indices].all():
        return None
    shoulders, hips = person.keypoints[indices].astype(float).reshape(2, 2, 2)
    return np.array(
        [shoulders[1] - shoulders[0], hips[1] - hips[0], hips.mean(0) - shoulders.mean(0)]
    )


def _twist_of(torsos):
    """Cosine between shoulders and hips of (..., 3, 2), and the shorter as a share of the torso."""
    lengths = np.maximum(np.linalg.norm(torsos, axis=-1), 1e-6)
    cosine = (torsos[..., 0, :] * torsos[..., 1, :]).sum(-1) / (lengths[..., 0] * lengths[..., 1])
    return cosine, lengths[..., :2].min(-1) / lengths.max(-1)


def _twist(person, parts):
    torso = _torso(person, parts)
    if torso is None:
        return []
    # bending forward leaves right and left where they are, seen from anywhere: only a turn of
    # the spine opposes them
    cosine, width = _twist_of(torso)
    if cosine >= _OPPOSITE or width <= _CLEAR:
        return []
    degrees = np.degrees(np.arccos(max(cosine, -1)))
    problem = (
        f"left and right shoulders or hips are exchanged, the torso is twisted by {degrees:.0f} "
        "degrees; swap the names of arms or legs"
    )
    return [("sides", problem)]


def _repeated(people):
    """People who stand twice in one record: stage 1 would learn double peaks."""
    if len(people) == 1:
        return []
    visible = np.stack([person.visible for person in people])
    labelled = visible > NOT_LABELLED
    points = np.stack([person.keypoints for person in people]).astype(float)
    # looked up by the mean of the labels, in cells as wide as two of the same may differ
    counts = labelled.sum(1)
    cells = np.floor(points.sum(1) / np.maximum(counts, 1)[:, None] / _SAME)
    found, known = [], defaultdict(list)
    for i, (x, y) in enumerate(cells.tolist()):
        if not counts[i]:
            continue
        near = sorted(j for dx, dy in _AROUND for j in known.get((x + dx, y + dy), ()))
        if near:
            same = (labelled[near] == labelled[i]).all(1) & (
                abs(points[near] - points[i]).max((1, 2)) <= _SAME
            )
            if same.any():
                problem = f"person {i} is person {near[same.argmax()]} again; remove one"
                found.append(("duplicate", problem))
                continue
        known[x, y].append(i)
    return found


def about_set(records):
    """What no single record shows: all sides exchanged, or all of x and y.

    People are mostly photographed upright and from the front. Half a set with exchanged sides shows
    in no count; `duplicates.find` finds it where both halves are one mirrored.

    Args:
        records: list of `Record`.

    Returns:
        list of (kind, problem), empty for sets of fewer than 200 people with a clear torso.

    Example:
        >>> from keras_cpm import Person, Record
        >>> from keras_cpm.data.checks.labels import about_set
        >>> parts = ("right_shoulder", "left_shoulder", "right_hip", "left_hip")
        >>> away = Person([(20, 0), (0, 0), (17, 30), (3, 30)], [2] * 4)
        >>> [kind for kind, problem in about_set([Record("a.jpg", None, parts, (away,))] * 200)]
        ['sides']
    """
    torsos = [_torso(record.people[0], record.parts) for record in records]
    torsos = np.array([torso for torso in torsos if torso is not None]).reshape(-1, 3, 2)
    cosine, width = _twist_of(torsos)
    torsos = torsos[(cosine > -_OPPOSITE) & (width > _CLEAR)]
    if len(torsos) < _ENOUGH_PEOPLE:
        return []
    across, down = torsos[:, 0] + torsos[:, 1], torsos[:, 2]
    sideways = (down[:, 0] > abs(down[:, 1])).mean()
    facing = (across[:, 0] * down[:, 1] > across[:, 1] * down[:, 0]).mean()
    if sideways > _SIDEWAYS:
        problem = (
            f"{sideways:.0%} of {len(torsos)} people have their hips to the right of their "
            "shoulders; write points as (x, y), or turn photographs that lie on their side"
        )
        return [("axes", problem)]
    if facing < _FACING:
        problem = (
            f"{1 - facing:.0%} of {len(torsos)} people are seen from behind by their right and left"
            "; if they are not, the names are exchanged or the observer's: name parts as the "
            "person would"
        )
        return [("sides", problem)]
    return []
