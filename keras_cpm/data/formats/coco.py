"""Reader of keypoints in the JSON format of COCO: people, or whatever parts the file defines."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
from pathlib import Path

import numpy as np

from ...pose import geometry
from ...pose.skeleton import BUILT_IN, Skeleton
from ..records import NOT_LABELLED, OCCLUDED, VISIBLE, Person, Record

_TORSO = ("left_shoulder", "right_hip")

# What makes a name the right one of a pair: the word, or its initial on its own or before a
# capital, as in R_Eye and RShoulder; and what its left twin has in the same place.
_RIGHT = re.compile(r"right|Right|RIGHT|(?<![A-Za-z0-9])[Rr](?![a-z0-9])")
_LEFT = {"right": "left", "Right": "Left", "RIGHT": "LEFT", "R": "L", "r": "l"}


def load_coco(annotations, images, *, split="train", category=None, progress=None) -> list[Record]:
    """Reads keypoint annotations: a record for each figure with a label, in the order of the file.

    Annotations without a labelled part and those with `iscrowd` are left out, also as others.

    Args:
        annotations: path of the JSON file, for example person_keypoints_val2017.json.
        images: folder that the file's `file_name` are relative to. The images need not be there.
        split: what to call the records' split; a COCO file does not say.
        category: name of the category to read; needed only where several have keypoints.
        progress: wraps the list of annotations as it is gone through, for example `tqdm.tqdm`.

    Returns:
        Records with the figure first, then the others of the same image and category. Keypoints
        (P, 2) are (x, y) in the image frame, pixels, as in the file, visible is its 0, 1 or 2, and
        `parts` are the names of the category; `coco_skeleton` tells how they relate. box is (x0,
        y0, x1, y1), from `bbox`, which counts as the place of the figure. Where `bbox` is absent or
        empty, center and height are those of the box around the labelled parts, or `None` where
        that is a single point. `attributes` hold image_id, annotation_id and the plain values in
        the annotation's own `attributes`. `dataset` is "coco".

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
    photographs = {photograph.get("id"): photograph for photograph in content["images"]}
    folder = Path(os.path.abspath(images))
    records, people = [], {}
    for annotation in progress(content["annotations"]) if progress else content["annotations"]:
        if annotation.get("category_id") == chosen.get("id") and not annotation.get("iscrowd"):
            with _naming(f"{annotations}, annotation {annotation.get('id')}"):
                person = _person(annotation, parts)
                if person.labelled.any():
                    image, size = _photograph(annotation, photographs, folder)
                    attributes = _attributes(annotation)
                    records.append(Record(image, size, parts, (person,), split, "coco", attributes))
                    people.setdefault(image, []).append(person)
    return [_with_others(record, people[record.image]) for record in records]


def coco_skeleton(annotations, category=None) -> Skeleton:
    """The skeleton that a file's category defines.

    A built-in one, such as `COCO17`, if it has the same parts in the same order; else the parts are
    the category's `keypoints`, the limbs its `skeleton`, and parts whose names differ in right and
    left (right_eye, Right Eye, R_Eye, eye.R) are each other's mirror images. The torso, which
    normalises PCK, goes from left_shoulder to right_hip where both exist.

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
    return _skeleton(_category(_read(annotations), annotations, category), annotations)


@contextlib.contextmanager
def _naming(where):
    try:
        yield
    except (ValueError, TypeError) as error:
        raise ValueError(f"{where}: {error}") from None


def _read(path):
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"There is no annotation file at {path}; extract the archive of the annotations."
        )
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise ValueError(f"{path} is no JSON file ({error}); extract or export it again.") from None
    for name in ("categories", "images", "annotations"):
        found = content.get(name) if isinstance(content, dict) else None
        if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
            raise ValueError(
                f"{path} must hold {name!r}, a list of objects, as COCO's annotations do; export "
                "it in that format."
            )
    return content


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


def _skeleton(category, path):
    parts, name = tuple(category["keypoints"]), str(category.get("name"))
    with _naming(f"{path}, category {name!r}"):
        if not all(isinstance(part, str) for part in parts):
            raise ValueError(f"`keypoints` must be names of parts. Received: {list(parts)}")
        for skeleton in BUILT_IN.values():
            if skeleton.parts == parts:
                return skeleton
        limbs = category.get("skeleton") or []
        if not all(1 <= end <= len(parts) for limb in limbs for end in limb):
            raise ValueError(
                f"`skeleton` must hold pairs of numbers of keypoints, 1 to {len(parts)}. "
                f"Received: {limbs}"
            )
        return Skeleton(
            name,
            parts,
            limbs=tuple(tuple(parts[end - 1] for end in limb) for limb in limbs),
            flip_pairs=_twins(parts),
            torso=_TORSO if set(_TORSO) <= set(parts) else None,
        )


def _twins(parts):
    pairs = [(part, _RIGHT.sub(lambda match: _LEFT[match[0]], part)) for part in parts]
    return tuple((right, left) for right, left in pairs if left != right and left in parts)


def _person(annotation, parts):
    values = np.array(annotation.get("keypoints") or [0] * 3 * len(parts), np.float64)
    if values.shape != (3 * len(parts),):
        raise ValueError(
            f"`keypoints` must hold x, y, visible of each of the {len(parts)} parts, "
            f"{3 * len(parts)} numbers; export it again. Received: shape {values.shape}"
        )
    points, visible = values.reshape(-1, 3)[:, :2], values[2::3]
    if not np.isin(visible, (NOT_LABELLED, OCCLUDED, VISIBLE)).all():
        raise ValueError(f"visible must be 0, 1 or 2; correct it. Received: {visible.tolist()}")
    labelled = points[visible > NOT_LABELLED]
    if not np.isfinite(labelled).all():
        raise ValueError(
            "the points of labelled parts must be finite; correct them, or set their visible to 0. "
            f"Received: {labelled.tolist()}"
        )
    box = _box(annotation)
    center, height = _place(labelled) if box is None else (None, None)
    return Person(points, visible, center=center, height=height, box=box)


def _box(annotation):
    """(x0, y0, x1, y1), or `None` where it is absent or empty."""
    values = annotation.get("bbox") or (0, 0, 0, 0)
    box = np.array(values, np.float64)
    if box.shape != (4,) or not np.isfinite(box).all():
        raise ValueError(
            f"`bbox` must be four finite numbers x, y, width, height; correct it, or leave it out. "
            f"Received: {values}"
        )
    return [*box[:2], *(box[:2] + box[2:])] if (box[2:] > 0).all() else None


def _place(labelled):
    """Center and height of the box around labelled points (N, 2); `None` without an extent."""
    if not len(labelled) or not np.ptp(labelled, axis=0).any():
        return None, None
    center, height = geometry.center_and_height([*labelled.min(axis=0), *labelled.max(axis=0)])
    return center.numpy(), height.numpy()


def _photograph(annotation, photographs, folder):
    """Path and size of the photograph of an annotation."""
    photograph = photographs.get(annotation.get("image_id"))
    if photograph is None:
        raise ValueError(
            "`image_id` must be the id of one of the file's `images`; export both together. "
            f"Received: image_id={annotation.get('image_id')!r}"
        )
    name = photograph.get("file_name")
    # Some tools write the file on Windows.
    path = Path(os.path.normpath(folder / str(name).replace("\\", "/")))
    if not isinstance(name, str) or not path.is_relative_to(folder) or path == folder:
        raise ValueError(
            "the `file_name` of its image must be a path within the folder of the images, "
            f"{folder}; correct it. Received: file_name={name!r}"
        )
    size = photograph.get("height"), photograph.get("width")
    return str(path), None if None in size else size


def _with_others(record, people):
    (primary,) = record.people
    others = [person for person in people if person is not primary]
    return dataclasses.replace(record, people=(primary, *others))


def _attributes(annotation):
    own = annotation.get("attributes")
    plain = {
        name: value
        for name, value in (own.items() if isinstance(own, dict) else ())
        if isinstance(value, str | int | float)
    }
    return {**plain, "image_id": annotation["image_id"], "annotation_id": annotation.get("id")}
