"""Labels as COCO's metric takes them: of records, or of a COCO file with what it ignores."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..data.formats.coco import coco_skeleton
from ..data.formats.coco_writer import annotation_of, area_of, image_id_of
from ..data.formats.json_file import flag_of, id_of, naming, numbers_of, positive_of, read_json
from ..data.records import Record


class Labels(NamedTuple):
    """What is labelled.

    Photographs are numbered from 1, in the order of their ids where all are numbers: in that order
    COCO's tools count results of equal scores. An annotation is one of COCO, with "measured":
    whether its area is the label's own and not that of its box.
    """

    parts: tuple[str, ...]
    photographs: list[tuple[Any, str]]  # id or None, path
    people: list[dict[str, Any]]  # everybody's annotation
    primary: list[dict[str, Any] | None]  # one for each record; none of a COCO file
    category: Any  # the id of the category, None of records


def labels_of_records(records: Sequence[Record]) -> Labels:
    """The labels of records; who stands in several records of a photograph counts once.

    People without a labelled part are ignored, as COCO does, where they have a box.

    Raises:
        ValueError: records of different parts, or a person without an area.
    """
    parts = records[0].parts if records else ()
    if not all(record.parts == parts for record in records) or not records:
        raise ValueError("`labels` must hold at least one record, all of the same parts.")
    names = {record.image: record.attributes.get("image_id") for record in records}
    photographs = _in_order([(number, image) for image, number in names.items()])
    numbers = {image: number for number, (_, image) in enumerate(photographs, 1)}
    people: dict[Any, dict[str, Any]] = {}
    primary = []
    for record in records:
        number = numbers[record.image]
        for place, person in enumerate(record.people):
            if not person.labelled.any() and person.box is None:
                if place == 0:
                    primary.append(None)
                continue
            content = (number, person.keypoints.tobytes(), person.visible.tobytes(), person.box)
            if place == 0 or content not in people:
                annotation = _of_person(person, number, record.image)
                people.setdefault(content, annotation)
                if place == 0:
                    primary.append(annotation)
    return Labels(parts, photographs, list(people.values()), primary, None)


def _of_person(person, number, image):
    if not area_of(person):
        raise ValueError(
            f"A person in {image} has no area: its labels are one point or lie on a line; give its "
            '`box`, or `attributes` with "area".'
        )
    measured = positive_of(person.attributes, "area") is not None
    return annotation_of(person, number, 0) | {"measured": measured}


def labels_of_file(path: Path | str) -> Labels:
    """The labels of a COCO file, crowds and people without labels too, which the metric ignores.

    Raises:
        ValueError: naming the file, the annotation and what to do.
        FileNotFoundError: there is no such file.
    """
    content = read_json(path, "extract or export the annotations again")
    parts = _one_figure(path, content)
    with naming(f"{path}, categories"):
        (category,) = [id_of(c, "id") for c in content["categories"] if c.get("keypoints")]
    listed = []
    for photograph in content["images"]:
        with naming(f"{path}, image {photograph.get('id')!r:.99}"):
            listed.append((id_of(photograph, "id"), str(photograph.get("file_name", ""))))
    photographs = _in_order(listed)
    numbers = {image: number for number, (image, _) in enumerate(photographs, 1)}
    people = []
    for annotation in content["annotations"]:
        with naming(f"{path}, annotation {annotation.get('id')!s:.99}"):
            if id_of(annotation, "category_id") == category:
                people.append(_of_file(annotation, numbers, len(parts)))
    return Labels(parts, photographs, people, [], category)


def _one_figure(path, content):
    """The parts of the only category with keypoints."""
    categories = content.get("categories") if isinstance(content, dict) else None
    if isinstance(categories, list):
        figures = [c.get("name") for c in categories if isinstance(c, dict) and c.get("keypoints")]
        if len(figures) > 1:
            raise ValueError(
                f"{path} must have one category with `keypoints`; score on records of one of "
                f"them, `keras-cpm prepare coco` takes its name. Received: {figures[:9]}"
            )
    return coco_skeleton(path).parts


def _of_file(annotation, numbers, count):
    image = id_of(annotation, "image_id")
    if image not in numbers:
        raise ValueError(
            "`image_id` must be the id of one of the file's `images`; export both together. "
            f"Received: image_id={image!r:.99}"
        )
    values = numbers_of(annotation, "keypoints")
    values = np.zeros(3 * count) if values is None else values
    box = numbers_of(annotation, "bbox")
    area = positive_of(annotation, "area")
    shapes = values.shape, () if box is None else box.shape
    if shapes != ((3 * count,), (4,)) or not np.isfinite([*values, *box]).all():
        raise ValueError(
            f"`keypoints` must be {3 * count} finite numbers and `bbox` four; export it again. "
            f"Received: {annotation.get('keypoints')!r:.99}, {annotation.get('bbox')!r:.99}"
        )
    size = float(box[2] * box[3]) if area is None else area
    if not size > 0 and values[2::3].any():
        raise ValueError("there must be an `area` or a `bbox` with one; correct it.")
    return {
        "image_id": numbers[image],
        "keypoints": values.tolist(),
        "bbox": box.tolist(),
        "area": size,
        "iscrowd": int(flag_of(annotation, "iscrowd")),
        "measured": area is not None,
    }


def numbers_of_photographs(labels: Labels, found: Sequence[Any]) -> dict[Any, int]:
    """{image id in results: number of the photograph}.

    Results name a photograph by the id that the labels give it, or as `coco_results` does, by its
    file name.

    Args:
        labels: `Labels`.
        found: the ids that results have.

    Raises:
        ValueError: an unknown id, or ids that both readings know, as different photographs.
    """
    by_id, by_name, twice = {}, {}, set()
    for number, (image, path) in enumerate(labels.photographs, 1):
        if image is not None:
            by_id[image] = number
        name = image_id_of(path)
        twice |= {name} & {*by_name}
        by_name[name] = number
    wanted = set(found)
    readings = [names for names in (by_id, by_name) if wanted <= {*names}]
    if not readings:
        strange = next(iter(wanted - {*(by_id or by_name)}))
        raise ValueError(
            "Results must be of the photographs of the labels; score on labels of all photographs "
            f"that were looked at. Received: image_id={strange!r:.99}, which none of the "
            f"{len(labels.photographs)} has"
        )
    differing = {i for i in wanted if len({names[i] for names in readings}) > 1}
    if readings[0] is by_name:
        differing |= wanted & twice
    if differing:
        raise ValueError(
            "An `image_id` of results must be of one photograph, as an id of the labels or as a "
            f"file name; rename the photographs. Received: {sorted(differing, key=str)[:3]}, each "
            "of which is of two"
        )
    return {image: readings[0][image] for image in wanted}


def _in_order(photographs):
    ids = [image_id_of(path) if image is None else image for image, path in photographs]
    if not all(isinstance(image, int) for image in ids):
        return photographs
    return [one for _, one in sorted(zip(ids, photographs, strict=True), key=lambda pair: pair[0])]
