"""Reader of keypoints in the JSON format of COCO: people, or whatever parts the file defines."""

from __future__ import annotations

import dataclasses
import warnings
from collections import Counter
from pathlib import Path

import numpy as np

from ...pose.skeleton import BUILT_IN, Skeleton, mirror_pairs
from ...pose.spec import Progress
from ..photographs import within
from ..placement import MOST_PEOPLE, place_around, with_others
from ..records import NOT_LABELLED, OCCLUDED, VISIBLE, Person, Record
from .json_file import as_number, flag_of, id_of, is_id, naming, numbers_of, positive_of, read_json

_TORSO = ("left_shoulder", "right_hip")
# why an annotation is not read
_CROWD, _UNLABELLED = "of a crowd (`iscrowd`)", "without a labelled part"
_NO_CATEGORY = "whose `category_id` is none of the file's categories"


def load_coco(
    annotations: Path | str,
    images: Path | str,
    *,
    split: str = "train",
    category: str | None = None,
    progress: Progress | None = None,
) -> list[Record]:
    """Reads keypoint annotations: a record for each figure with a label, in the order of the file.

    Annotations without a labelled part and those with `iscrowd` are left out, also as others; a
    warning counts them. Ids and flags may be numbers or the same numbers as text.

    Args:
        annotations: path of the JSON file, for example person_keypoints_val2017.json.
        images: folder that the file's `file_name` are relative to. The images need not be there.
        split: what to call the records' split; a COCO file does not say.
        category: name of the category to read; needed only where several have keypoints.
        progress: wraps the list of annotations as it is gone through, for example `tqdm.tqdm`.

    Returns:
        Records with the figure first, then the others of the same image and category, the nearest
        31 where there are more, which a warning says. Keypoints
        (P, 2) are (x, y) in the image frame, pixels, as in the file, visible is its 0, 1 or 2, and
        `parts` are the names of the category; `coco_skeleton` tells how they relate. box is (x0,
        y0, x1, y1), from `bbox`, which counts as the place of the figure. Where `bbox` is absent or
        empty, center and height are those of the box around the labelled parts, or `None` where
        that is a single point. `attributes` hold image_id, annotation_id and the plain values in
        the annotation's own `attributes`, those of a person its `area`. `dataset` is "coco".

    Raises:
        ValueError: naming the file, the annotation and what to do.
        FileNotFoundError: there is no such file.

    Example:
        >>> import json, pathlib, tempfile
        >>> from keras_cpm.data.formats.coco import load_coco
        >>> path = pathlib.Path(tempfile.mkdtemp(), "fish.json")
        >>> _ = path.write_text(json.dumps({
        ...     "categories": [{"id": 1, "name": "fish", "keypoints": ["mouth", "tail"]}],
        ...     "images": [{"id": 7, "file_name": "a.jpg", "height": 96, "width": 128}],
        ...     "annotations": [{"id": 1, "image_id": 7, "category_id": 1, "bbox": [9, 9, 50, 20],
        ...                      "keypoints": [10, 20, 2, 58, 22, 1]}],
        ... }))
        >>> record = load_coco(path, path.parent)[0]
        >>> record.parts, record.people[0].box
        (('mouth', 'tail'), (9.0, 9.0, 59.0, 29.0))
    """
    content = _read(annotations)
    chosen = _category(content, annotations, category)
    parts = _skeleton(chosen, annotations).parts
    photographs = _photographs(content["images"], annotations)
    wanted, known = _categories(content, chosen, annotations)
    places: dict = {}
    found, people, left_out = [], {}, Counter()
    for annotation in progress(content["annotations"]) if progress else content["annotations"]:
        with naming(f"{annotations}, annotation {annotation.get('id')!s:.99}"):
            number = id_of(annotation, "category_id")
            if number != wanted:
                left_out[_NO_CATEGORY] += number not in known
                continue
            if flag_of(annotation, "iscrowd"):
                left_out[_CROWD] += 1
                continue
            person = _person(annotation, parts)
            if not person.labelled.any():
                left_out[_UNLABELLED] += 1
                continue
            image, size = _photograph(annotation, photographs, images, places)
            # a record of one tells here what is wrong with it
            record = Record(image, size, parts, (person,), split, "coco", _attributes(annotation))
            found.append(record)
            people.setdefault(record.image, []).append(person)
    _say_left_out(annotations, len(found), left_out, people)
    others = {image: iter(with_others(several)) for image, several in people.items()}
    return [
        Record(r.image, r.size, parts, next(others[r.image]), split, "coco", r.attributes)
        for r in found
    ]


def coco_skeleton(annotations: Path | str, category: str | None = None) -> Skeleton:
    """The skeleton that a file's category defines.

    A built-in one, such as `COCO17`, if it has the same parts in the same order; else the parts are
    the category's `keypoints`, the limbs its `skeleton`, and parts whose names differ in right and
    left (right_eye, Right Eye, R_Eye, eye.R) are each other's mirror images, see
    `skeleton.mirror_pairs`. The torso, which normalises PCK, goes from left_shoulder to right_hip
    where both exist.

    `skeleton` should hold pairs of numbers from 1. Pairs of names and numbers from 0 are understood
    too; of anything else no limbs are made. A warning says so.

    Args:
        annotations: path of the JSON file.
        category: name of the category; needed only where several have keypoints.

    Raises:
        ValueError: naming the file, the category and what to do.
        FileNotFoundError: there is no such file.

    Example:
        >>> import json, pathlib, tempfile
        >>> from keras_cpm.data.formats.coco import coco_skeleton
        >>> path = pathlib.Path(tempfile.mkdtemp(), "fish.json")
        >>> names = ["mouth", "right fin", "left fin"]
        >>> _ = path.write_text(json.dumps({
        ...     "categories": [{"id": 1, "name": "fish", "keypoints": names, "skeleton": [[1, 2]]}],
        ...     "images": [], "annotations": [],
        ... }))
        >>> skeleton = coco_skeleton(path)
        >>> skeleton.limbs, skeleton.flip_pairs
        ((('mouth', 'right fin'),), (('right fin', 'left fin'),))
    """
    chosen = _category(_read(annotations), annotations, category)
    return _skeleton(chosen, annotations, with_limbs=True)


def _read(path):
    content = read_json(path, "extract or export the annotations again")
    for name in ("categories", "images", "annotations"):
        found = content.get(name) if isinstance(content, dict) else None
        if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
            raise ValueError(
                f"{path} must hold {name!r}, a list of objects, as COCO's annotations do; export "
                "it in that format."
            )
    return content


def _say_left_out(path, count, left_out, people):
    left = ", ".join(f"{number} {why}" for why, number in left_out.items() if number)
    if left:
        warnings.warn(f"{path}: {count} annotations are read; left out: {left}.", stacklevel=3)
    crowds = sum(len(several) > MOST_PEOPLE for several in people.values())
    if crowds:
        warnings.warn(
            f"{path}: images with more than {MOST_PEOPLE} people: {crowds}; a record holds its "
            f"person and the nearest {MOST_PEOPLE - 1} others.",
            stacklevel=3,
        )


def _category(content, path, name):
    """The category called `name`, or the only one with keypoints."""
    known = [category for category in content["categories"] if category.get("keypoints")]
    if not known:
        raise ValueError(
            f"{path} must have a category with `keypoints`; take a file of keypoints, such as "
            "person_keypoints_val2017.json. "
            f"Received: categories {[category.get('name') for category in content['categories']]}"
        )
    names = [category.get("name") for category in known]
    if name not in names and (name is not None or len(known) > 1):
        raise ValueError(
            f"`category` must be one of those with keypoints in {path}: {names}. "
            f"Received: category={name!r}"
        )
    return known[0 if name is None else names.index(name)]


def _categories(content, chosen, path):
    """The id of the chosen category, and those of all."""
    with naming(f"{path}, categories"):
        return id_of(chosen, "id"), {id_of(category, "id") for category in content["categories"]}


def _skeleton(category, path, *, with_limbs=False):
    name = str(category.get("name"))
    with naming(f"{path}, category {name!r:.99}"):
        if not isinstance(category["keypoints"], list) or not all(
            isinstance(part, str) for part in category["keypoints"]
        ):
            raise ValueError(
                f"`keypoints` must be names of parts. Received: {category['keypoints']!r:.200}"
            )
        parts = tuple(category["keypoints"])
        for skeleton in BUILT_IN.values():
            if skeleton.parts == parts:
                return skeleton
        torso = _TORSO if set(_TORSO) <= set(parts) else None
        skeleton = Skeleton(name, parts, flip_pairs=mirror_pairs(parts), torso=torso)
        limbs = _limbs(category.get("skeleton"), parts, path) if with_limbs else ()
        return dataclasses.replace(skeleton, limbs=limbs)


def _limbs(pairs, parts, path):
    """Pairs of names from what a category calls its `skeleton`; none where it cannot be read."""
    numbers, limbs = {part: number for number, part in enumerate(parts, 1)}, []
    for pair in pairs if isinstance(pairs, list) else [pairs] if pairs else []:
        ends = pair if isinstance(pair, list) and len(pair) == 2 else [None, None]
        # a part may be called "1"
        limbs.append([numbers.get(end, as_number(end)) if is_id(end) else None for end in ends])
    ends = [end for limb in limbs for end in limb]
    first = 0 if 0 in ends else 1
    if any(end is None or end not in range(first, len(parts) + first) for end in ends):
        warnings.warn(
            f"{path}: `skeleton` should hold pairs of numbers of keypoints, 1 to {len(parts)}, or "
            f"of their names; no limbs are read, the labels are. Received: {pairs!r:.200}",
            stacklevel=4,
        )
        return ()
    if first == 0:
        warnings.warn(
            f"{path}: `skeleton` counts the keypoints from 0 and is read so; COCO counts from 1.",
            stacklevel=4,
        )
    return tuple((parts[a - first], parts[b - first]) for a, b in limbs)


def _person(annotation, parts):
    values = numbers_of(annotation, "keypoints")
    values = np.zeros(3 * len(parts)) if values is None else values
    if values.shape != (3 * len(parts),):
        raise ValueError(
            f"`keypoints` must hold x, y, visible of each of the {len(parts)} parts, "
            f"{3 * len(parts)} numbers; export it again. Received: shape {values.shape}"
        )
    points, visible = values.reshape(-1, 3)[:, :2], values[2::3]
    known = (visible == NOT_LABELLED) | (visible == OCCLUDED) | (visible == VISIBLE)
    if not known.all():
        raise ValueError(
            f"visible must be 0, 1 or 2; correct it. Received: {visible.tolist()!r:.200}"
        )
    labelled = points[visible > NOT_LABELLED]
    if not np.isfinite(labelled).all():
        raise ValueError(
            "the points of labelled parts must be finite; correct them, or set their visible to 0. "
            f"Received: {labelled.tolist()!r:.200}"
        )
    box = _box(annotation)
    center, height = place_around(labelled) if box is None else (None, None)
    area = positive_of(annotation, "area")
    own = {} if area is None else {"area": area}
    return Person(points, visible, center, height, box, attributes=own)


def _box(annotation):
    """(x0, y0, x1, y1), or `None` where it is absent or empty."""
    box = numbers_of(annotation, "bbox")
    if box is None:
        return None
    if box.shape != (4,) or not np.isfinite(box).all():
        raise ValueError(
            f"`bbox` must be four finite numbers x, y, width, height; correct it, or leave it out. "
            f"Received: {annotation['bbox']!r:.200}"
        )
    return [*box[:2], *(box[:2] + box[2:])] if (box[2:] > 0).all() else None


def _photographs(images, path):
    """The file's images by id."""
    photographs = {}
    for photograph in images:
        with naming(f"{path}, image {photograph.get('id')!r:.99}"):
            first = photographs.setdefault(id_of(photograph, "id"), photograph)
            if first.get("file_name") != photograph.get("file_name"):
                raise ValueError(
                    "two images have this id; export it again. Received: "
                    f"{first.get('file_name')!r:.99} and {photograph.get('file_name')!r:.99}"
                )
    return photographs


def _photograph(annotation, photographs, folder, places):
    """Path and size of the photograph of an annotation; `places` keeps those that were asked."""
    number = id_of(annotation, "image_id")
    if number is None or number not in photographs:
        raise ValueError(
            "`image_id` must be the id of one of the file's `images`; export both together. "
            f"Received: image_id={annotation.get('image_id')!r:.200}"
        )
    if number not in places:
        places[number] = _place_of_file(photographs[number], folder)
    return places[number]


def _place_of_file(photograph, folder):
    size = as_number(photograph.get("height")), as_number(photograph.get("width"))
    path = within(folder, photograph.get("file_name"), "file_name")
    return path, None if None in size else size


def _attributes(annotation):
    own = annotation.get("attributes")
    plain = {
        name: value
        for name, value in (own.items() if isinstance(own, dict) else ())
        if isinstance(value, str | int | float)
    }
    ids = {"image_id": id_of(annotation, "image_id"), "annotation_id": id_of(annotation, "id")}
    return plain | ids
