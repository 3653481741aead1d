"""Records in the JSON format of COCO, for labelling tools, and poses as its results."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...images import marks
from ...pose.pose import Pose
from ...pose.skeleton import COCO17, skeleton_of
from ..records import Person, Record
from .json_file import positive_of


def write_coco(records: Sequence[Record], path: Path | str, *, category: str = "person") -> str:
    """Writes what `load_coco` reads, and labelling tools too.

    Args:
        records: list of `Record`, all of the same parts, with `size`.
        path: of the JSON file. Photographs are named relative to its folder, or to that which holds
            them all where it does not.
        category: its name.

    Returns:
        The folder that photographs are relative to.

    Raises:
        ValueError: no record, other parts, or a record without size.

    Example:
        >>> import tempfile, keras_cpm
        >>> folder = tempfile.mkdtemp()
        >>> animals = keras_cpm.draw_records(folder, 2, figure=keras_cpm.QUADRUPED)
        >>> images = keras_cpm.write_coco(animals, f"{folder}/animals.json", category="animal")
        >>> keras_cpm.load_coco(f"{folder}/animals.json", images)[1].parts == animals[1].parts
        True
    """
    if not records or any(record.parts != records[0].parts for record in records):
        raise ValueError("`records` must hold at least one record, all of the same parts.")
    nowhere = [record.image for record in records if record.size is None]
    if nowhere:
        raise ValueError(
            f"Every record must have the `size` of its image. Received: none of {nowhere[0]}"
        )
    path = Path(path)
    # each photograph once, however many people are in it
    files = {image: os.path.abspath(image) for image in {record.image for record in records}}
    folder = os.path.abspath(path.parent)
    if any(not Path(file).is_relative_to(folder) for file in files.values()):
        folder = os.path.commonpath([os.path.dirname(file) for file in files.values()])
    skeleton = skeleton_of(records[0].parts)
    content = {
        "categories": [
            {
                "id": 1,
                "name": category,
                "keypoints": list(skeleton.parts),
                # COCO counts parts from 1
                "skeleton": [[a + 1, b + 1] for a, b in skeleton.limb_indices],
            }
        ],
        "images": [],
        "annotations": [],
    }
    numbers: dict[str, int] = {}
    for record in records:
        file = files[record.image]
        if file not in numbers:
            numbers[file] = len(numbers) + 1
            height, width = record.size  # type: ignore[misc]
            name = Path(os.path.relpath(file, folder)).as_posix()
            photograph = {"id": numbers[file], "file_name": name, "height": height, "width": width}
            content["images"].append(photograph)
        annotation = annotation_of(record.people[0], numbers[file], len(content["annotations"]) + 1)
        content["annotations"].append(annotation)
    marks.write_json(path, [json.dumps(content)])
    return folder


def coco_results(
    found: dict[str, Sequence[tuple[Pose, float]]], *, category_id: int = 1
) -> list[dict[str, Any]]:
    """Poses as COCO's tools take results: a list of objects, one a person.

    Args:
        found: image path -> (`Pose`, score of the person) of everybody in it. The id of an image is
            the number that its file name is, as COCO's are, else the file name.
        category_id: of the figure.

    Returns:
        list of {"image_id", "category_id", "keypoints": [x, y, 1, ...], "score"}, image frame,
        pixels. Keypoints are COCO's 17 in its order where more than half of the pose's are among
        them, those that it lacks 0, 0, 0; else the pose's own.

    Example:
        >>> import numpy as np, keras_cpm
        >>> from keras_cpm.data.formats.coco_writer import coco_results
        >>> pose = keras_cpm.Pose(np.array([[7.0, 9.0]]), np.array([0.8]), ("nose",))
        >>> (result,) = coco_results({"val/000000000139.jpg": [(pose, 0.8)]})
        >>> result["image_id"], result["keypoints"][:6]
        (139, [7.0, 9.0, 1, 0, 0, 0])
    """
    results = []
    for image, people in found.items():
        image_id = image_id_of(image)
        for pose, score in people:
            results.append(
                {
                    "image_id": image_id,
                    "category_id": category_id,
                    "keypoints": _in_order_of_coco(pose),
                    "score": round(score, 4),
                }
            )
    return results


def image_id_of(image: Path | str) -> int | str:
    """The id of an image in results: the number that its file name is, else the file name.

    Example:
        >>> from keras_cpm.data.formats.coco_writer import image_id_of
        >>> image_id_of("val/000000000139.jpg"), image_id_of("val/a.jpg")
        (139, 'a.jpg')
    """
    name = Path(image).stem
    return int(name) if name.isdecimal() else Path(image).name


def parts_in_results(parts: Sequence[str]) -> tuple[str, ...]:
    """The parts, and their order, that results have of a figure with these: COCO's 17 if more than
    half of them are COCO's, else its own.
    """
    shared = set(parts) & set(COCO17.parts)
    return COCO17.parts if 2 * len(shared) > len(parts) else tuple(parts)


def area_of(person: Person) -> float:
    """A person's area in square pixels: that of the label, `attributes["area"]`, or where there is
    none that of the box, or of the box around the labelled parts.

    Example:
        >>> from keras_cpm import Person
        >>> from keras_cpm.data.formats.coco_writer import area_of
        >>> area_of(Person([(2, 3)], [2], box=(0, 0, 10, 20)))
        200.0
    """
    area = positive_of(person.attributes, "area")
    if area is not None:
        return area
    x0, y0, x1, y1 = _box(person)
    return (x1 - x0) * (y1 - y0)


def _box(person):
    labelled = person.keypoints[person.labelled]
    return person.box or (*labelled.min(0).tolist(), *labelled.max(0).tolist())


def _in_order_of_coco(pose):
    points = dict(zip(pose.parts, pose.keypoints.tolist(), strict=True))
    parts = parts_in_results(pose.parts)
    triples = [(*points[part], 1) if part in points else (0, 0, 0) for part in parts]
    return [round(value, 2) for triple in triples for value in triple]


def annotation_of(person: Person, image: int, number: int) -> dict[str, Any]:
    """A `person` with a label or a box as COCO annotates it, in the image of that id."""
    values = [
        value
        for (x, y), visible in zip(person.keypoints.tolist(), person.visible.tolist(), strict=True)
        for value in ((x, y, int(visible)) if visible else (0, 0, 0))
    ]
    x0, y0, x1, y1 = _box(person)
    return {
        "id": number,
        "image_id": image,
        "category_id": 1,
        "keypoints": values,
        "num_keypoints": int(person.labelled.sum()),
        "bbox": [float(x0), float(y0), float(x1 - x0), float(y1 - y0)],
        "area": area_of(person),
        "iscrowd": 0,
        # none; CVAT refuses an annotation without the field
        "segmentation": [],
    }
