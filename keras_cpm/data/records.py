"""`Person` and `Record`: the one annotation format. Readers make it, everything else reads it.

One record is one line of JSON; see `Record`. Coordinates are (x, y) in pixels of the upright
photograph; (0, 0) is the centre of its top-left pixel.
"""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from ..pose.skeleton import Skeleton, built_in, skeleton_of
from ..pose.spec import Array

RECORD_VERSION = 1
NOT_LABELLED, OCCLUDED, VISIBLE = 0, 1, 2


@dataclass(frozen=True, eq=False)
class Person:
    """One annotated figure.

    Args:
        keypoints: (P, 2) points (x, y), image frame, pixels; P and its order are the record's
            `parts`.
        visible: (P,) 0 = not labelled (its point means nothing), 1 = labelled but occluded, 2 =
            visible.
        center: (x, y) of the figure, image frame. `None` where a reader cannot know it.
        height: of the figure in pixels (MPII: 200 x `scale`). `None` where a reader cannot know it.
        box: (x0, y0, x1, y1), image frame, if the data set has one.
        head_size: pixels, the normaliser of PCKh, if the data set has one.
        attributes: anything else, JSON values by name.

    Raises:
        ValueError: naming the part and the remedy.

    Example:
        >>> from keras_cpm import Person
        >>> Person([(10, 20), (0, 0)], [2, 0], center=(10, 20), height=60).labelled.tolist()
        [True, False]
    """

    keypoints: Array
    visible: Array
    center: tuple[float, float] | None = None
    height: float | None = None
    box: tuple[float, float, float, float] | None = None
    head_size: float | None = None
    attributes: dict = field(default_factory=dict)

    def __post_init__(self):
        with np.errstate(over="ignore"):  # what is too large is refused as infinite
            keypoints = _as_floats(self.keypoints).astype(np.float32)
        visible = _as_floats(self.visible)
        if not ((visible == np.rint(visible)) & (abs(visible) < 2**31)).all():
            raise ValueError(f"`visible` must hold 0, 1 or 2. Received: {visible.tolist()!r:.200}")
        visible = visible.astype(np.int32)
        if keypoints.ndim != 2 or keypoints.shape[1] != 2 or visible.shape != keypoints.shape[:1]:
            raise ValueError(
                "`keypoints` must be (P, 2) and `visible` (P,). "
                f"Received: shapes {keypoints.shape} and {visible.shape}"
            )
        _set_optional_numbers(self)
        # What an unlabelled point holds is noise (LSPET: negative numbers); nobody shall use it.
        keypoints[visible == NOT_LABELLED] = 0
        keypoints.flags.writeable = visible.flags.writeable = False
        object.__setattr__(self, "keypoints", keypoints)
        object.__setattr__(self, "visible", visible)

    @property
    def labelled(self) -> np.ndarray:
        """(P,) bool."""
        return self.visible > NOT_LABELLED

    @cached_property
    def _is_sound(self):
        """Whether `_check_person` finds nothing, once for all the records that hold this person."""
        try:
            _check_person(self, range(len(self.keypoints)), "person")
        except ValueError:
            return False
        return True


@dataclass(frozen=True, eq=False)
class Record:
    """One sample: a photograph and the people in it; `people[0]` is the primary person.

    In a file it is one line of JSON, shown here in three; a keypoint is a row x, y, visible, and
    what has a default may be left out:

        {"image": "a.jpg", "size": [96, 128], "parts": ["head", "tail"],
         "people": [{"keypoints": [[10, 20, 2], [12, 40, 1]], "center": [11, 30], "height": 60}],
         "split": "train"}

    Args:
        image: path of the photograph. In a file it is relative to that file's folder;
            `read_records` makes it absolute.
        size: (height, width) of the upright photograph, or `None` where a reader cannot know it.
        parts: P part names, the order of all keypoints of this record.
        people: the primary person first, then everybody else who is annotated in the photograph.
        split: "train", "validation" or "test", or whatever the data set says.
        dataset: its name.
        attributes: anything else, JSON values by name.

    Example:
        >>> from keras_cpm import Person, Record
        >>> person = Person([(10, 20), (12, 40)], [2, 1], center=(11, 30), height=60)
        >>> record = Record("a.jpg", (96, 128), ("head", "tail"), (person,))
        >>> record.people[0].labelled.tolist()
        [True, True]
    """

    image: str
    size: tuple[int, int] | None
    parts: tuple[str, ...]
    people: tuple[Person, ...]
    split: str = "train"
    dataset: str = ""
    attributes: dict = field(default_factory=dict)
    version: int = RECORD_VERSION

    def __post_init__(self):
        object.__setattr__(self, "image", os.fspath(self.image))
        object.__setattr__(self, "parts", tuple(self.parts))
        object.__setattr__(self, "people", tuple(self.people))
        names = all(isinstance(part, str) for part in self.parts)
        if not names or len(set(self.parts)) < len(self.parts):
            raise ValueError(f"`parts` must be unique names. Received: {list(self.parts)!r:.200}")
        if self.size is not None:
            object.__setattr__(self, "size", _checked_size(self.size))
        if not self.people:
            raise ValueError("`people` must hold at least the primary person. Received: none")
        for i, person in enumerate(self.people):
            if len(person.keypoints) != len(self.parts):
                raise ValueError(
                    f"person {i} must have one keypoint for each of the {len(self.parts)} parts. "
                    f"Received: {len(person.keypoints)} keypoints"
                )
            if not person._is_sound:
                _check_person(person, self.parts, f"person {i}")

    def to_dict(self) -> dict:
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        fields["people"] = [_person_to_dict(person) for person in self.people]
        return fields

    @classmethod
    def from_dict(cls, fields: dict) -> Record:
        """The record that `to_dict` described; raises `ValueError` with the remedy."""
        if not isinstance(fields, dict):
            raise ValueError("a record must be a JSON object; write one with `write_records`.")
        known = {f.name for f in dataclasses.fields(cls)}
        _check_names(fields, known, {"image", "parts", "people"}, "a record")
        for name in ("parts", "people"):
            if not isinstance(fields[name], list):
                raise ValueError(f"`{name}` must be a list. Received: {fields[name]!r:.200}")
        for name, what in (("image", "path"), ("split", "text"), ("dataset", "text")):
            value = fields.get(name, "")
            if not isinstance(value, str) or "\0" in value:
                raise ValueError(f"`{name}` must be a {what}. Received: {value!r:.200}")
        if fields.get("version", RECORD_VERSION) != RECORD_VERSION:
            raise ValueError(
                f"records of version {RECORD_VERSION} are read; install the keras_cpm that wrote "
                f"this one. Received: version={fields['version']!r}"
            )
        parts = tuple(fields["parts"])
        people = tuple(_person_from_dict(p, parts, i) for i, p in enumerate(fields["people"]))
        return cls(**{"size": None, **fields, "parts": parts, "people": people})


def skeleton_of_records(records, name=None, preferred=None) -> Skeleton:
    """The skeleton that is named, or the one that the records' parts make.

    Args:
        records: list of `Record`.
        name: of a built-in skeleton, or the path of a JSON file as `Skeleton.to_dict` describes it.
        preferred: `Skeleton` to take if it has the same parts.

    Raises:
        ValueError: an unknown name, or records of different parts and no name.
    """
    if name is not None:
        return Skeleton.load(name) if str(name).endswith(".json") else built_in(name)
    kinds = {frozenset(record.parts): record.parts for record in records}
    if len(kinds) > 1:
        raise ValueError(
            "The records have different parts; name the `skeleton` to train. "
            f"Received: {[list(parts) for parts in kinds.values()]}"
        )
    return skeleton_of(records[0].parts, preferred)


def _checked_size(size):
    if not _numbers(size, 2) or not all(1 <= side < 2**31 for side in size):
        raise ValueError(
            "`size` must be (height, width) in pixels, or null where it is unknown. "
            f"Received: size={size!r:.200}"
        )
    return tuple(int(side) for side in size)


def _set_optional_numbers(person):
    for name, length in (("center", 2), ("box", 4)):
        value = getattr(person, name)
        if value is None:
            continue
        if not _numbers(value, length):
            raise ValueError(f"`{name}` must be {length} numbers. Received: {name}={value!r:.200}")
        object.__setattr__(person, name, tuple(_as_floats(value).tolist()))
    for name in ("height", "head_size"):
        value = getattr(person, name)
        if value is not None and not _numbers([value], 1):
            raise ValueError(f"`{name}` must be a number. Received: {name}={value!r:.200}")
        object.__setattr__(person, name, None if value is None else float(_as_floats(value)))


def _numbers(values, count):
    if isinstance(values, str | dict) or not hasattr(values, "__len__"):
        return False
    # an array of none, one or more axes has a length of its own, if any
    fits = getattr(values, "ndim", 1) == 1 and len(values) == count
    return fits and all(isinstance(value, (int, float, np.number)) for value in values)


def _as_floats(numbers):
    try:
        return np.array(numbers, np.float64)
    except OverflowError:  # JSON has integers without end; they are refused as infinite
        numbers = np.array(numbers, object)
        return np.where(abs(numbers) < 2**1000, numbers, np.inf).astype(np.float64)


def _check_person(person, parts, who):
    sound = (person.visible >= NOT_LABELLED) & (person.visible <= VISIBLE)
    sound &= np.isfinite(person.keypoints).all(axis=1)
    for i in np.flatnonzero(~sound):
        part, point, visible = parts[i], person.keypoints[i], person.visible[i]
        if visible not in (NOT_LABELLED, OCCLUDED, VISIBLE):
            raise ValueError(
                f"{who}, part {part!r}: visible must be 0 (not labelled), 1 (occluded) or 2 "
                f"(visible). Received: {int(visible)}"
            )
        raise ValueError(
            f"{who}, part {part!r}: the point is {point.tolist()}; give finite pixels, or "
            "visible 0 for a part without label."
        )
    for name in ("height", "head_size"):
        value = getattr(person, name)
        if value is not None and not 0 < value < np.inf:
            raise ValueError(
                f"{who}: `{name}` must be a positive number of pixels, or null where it is "
                f"unknown. Received: {name}={value}"
            )
    for name in ("center", "box"):
        value = getattr(person, name)
        if value is not None and not all(-np.inf < v < np.inf for v in value):
            raise ValueError(f"{who}: `{name}` must be finite pixels. Received: {name}={value}")
    box = person.box
    if box is not None and not (box[0] < box[2] and box[1] < box[3]):
        raise ValueError(
            f"{who}: `box` must be (x0, y0, x1, y1) with x0 < x1 and y0 < y1. Received: {box}"
        )


def _check_names(fields, known, needed, what):
    unknown, missing = sorted(set(fields) - known), sorted(needed - set(fields))
    if unknown:
        raise ValueError(
            f"{what} has no field {unknown[0]!r}; put other values under `attributes`. "
            f"Known: {sorted(known)}"
        )
    if missing:
        raise ValueError(f"{what} needs the field {missing[0]!r}.")
    own = fields.get("attributes", {})
    if not isinstance(own, dict):
        raise ValueError(f"{what}: `attributes` must be a JSON object. Received: {own!r:.200}")


def _person_to_dict(person):
    # the shortest decimals that give the same float32 again: rounder ones would move a keypoint
    # across a threshold of PCK
    points = [[float(str(x)), float(str(y))] for x, y in person.keypoints]
    return {
        "keypoints": [[x, y, int(v)] for (x, y), v in zip(points, person.visible, strict=True)],
        "center": person.center,
        "height": person.height,
        "box": person.box,
        "head_size": person.head_size,
        "attributes": person.attributes,
    }


def _person_from_dict(fields, parts, number):
    who = f"person {number}"
    if not isinstance(fields, dict):
        raise ValueError(f"{who} must be a JSON object. Received: {fields!r:.200}")
    if "visible" in fields:
        raise ValueError(f"{who}: in a file `visible` is the third number of each keypoint row.")
    known = {f.name for f in dataclasses.fields(Person)} - {"visible"}
    _check_names(fields, known, {"keypoints"}, who)
    rows = fields["keypoints"]
    if not isinstance(rows, list):
        raise ValueError(f"{who}: `keypoints` must be a list. Received: {rows!r:.200}")
    if len(rows) != len(parts):
        raise ValueError(
            f"{who} must have one keypoint for each of the {len(parts)} parts. "
            f"Received: {len(rows)} keypoints"
        )
    for part, row in zip(parts, rows, strict=True):
        if not (isinstance(row, list) and len(row) == 3 and {*map(type, row)} <= {int, float}):
            raise ValueError(
                f"{who}, part {part!r}: a keypoint is three numbers [x, y, visible]. "
                f"Received: {row!r:.200}"
            )
    values = _as_floats(rows).reshape(-1, 3)
    sound = np.isfinite(values).all(axis=1)
    if not sound.all():
        part, row = parts[sound.argmin()], rows[sound.argmin()]
        raise ValueError(
            f"{who}, part {part!r}: the point is {row!r:.200}; give finite pixels, or [0, 0, 0] "
            "for a part without label."
        )
    return Person(
        values[:, :2], values[:, 2], **{k: v for k, v in fields.items() if k != "keypoints"}
    )
