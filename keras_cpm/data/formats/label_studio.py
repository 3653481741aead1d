"""Keypoints of Label Studio: its JSON export, and what sleap-io writes for it."""

import functools
from collections import defaultdict
from urllib.parse import unquote

import numpy as np

from ...images import formats
from ...pose import geometry
from ..photographs import found, upright_size
from ..placement import place_around
from ..records import NOT_LABELLED, VISIBLE, Person
from .json_file import naming, read_json

_POINT, _BOX = "keypointlabels", "rectanglelabels"
_SIDES = ("width", "height")


def read_label_studio(path, *, images, frames, split):
    """See `sleap.read_slp`.

    A figure is a rectangle and the points that a relation, or their `parentID`, ties to it; without
    ties, all points of a task are one figure, and of a single rectangle.
    """
    tasks = read_json(path, "export it from Label Studio as JSON")
    tasks = [tasks] if isinstance(tasks, dict) and "annotations" in tasks else tasks
    if not isinstance(tasks, list) or not all(
        isinstance(task, dict) and ("annotations" in task or "completions" in task)
        for task in tasks
    ):
        raise ValueError(
            f"{path} must hold a list of tasks with `annotations`; export it from Label Studio as "
            "JSON, not JSON-MIN."
        )
    if any("categories" in task for task in tasks):
        raise ValueError(f"{path} is a file of COCO, which `load_coco` and `prepare coco` read.")
    items, names = [], []
    for number, task in enumerate(tasks, 1):
        with naming(f"{path}, task {number}"):
            results = _results(task)
            items.append((number, task, results))
            names += [_name(one) for one in results if one["type"] == _POINT]
    if not names:
        raise ValueError(f"{path} has no keypoints (`{_POINT}`); label some, and export it again.")
    parts = tuple(dict.fromkeys(names))
    folders = [*([images] if images else []), path.parent]
    read = functools.partial(_read, path=path, parts=parts, folders=folders)
    return {"name": None, "parts": parts, "limbs": (), "flip_pairs": ()}, items, read


def _results(task):
    """Of the first annotation that was not cancelled."""
    done = task.get("annotations", task.get("completions"))
    kept = [one for one in done if not one.get("was_cancelled")]
    return [one for one in kept[0]["result"] if "type" in one] if kept else []


def _name(point):
    return str(point["value"][_POINT][0])


def _read(item, *, path, parts, folders):
    number, task, results = item
    with naming(f"{path}, task {number}"):
        groups = _groups(results)
        if not groups:
            return None, None, [], None
        of_sleap_io = (task.get("meta") or {}).get("video")
        image = found(_names_of_image(task, of_sleap_io), folders)
        size = upright_size(image)
        own = None if of_sleap_io else size
        people = [_person(box, points, parts, own) for box, points in groups]
    return image, size, people, None


def _groups(results):
    """list of (rectangle or `None`, its points)."""
    points = {one["id"]: one for one in results if one["type"] == _POINT}
    boxes = {one["id"]: one for one in results if one["type"] == _BOX}
    owners = {i: one["parentID"] for i, one in points.items() if one.get("parentID") in boxes}
    for one in results:
        if one["type"] == "relation":
            ends = one["from_id"], one["to_id"]
            for point, box in (ends, ends[::-1]):
                if point in points and box in boxes:
                    owners[point] = box
    if not owners and len(boxes) == 1:
        owners = dict.fromkeys(points, next(iter(boxes)))
    groups = defaultdict(list)
    for i, point in points.items():
        groups[owners.get(i)].append(point)
    return [(boxes.get(i), group) for i, group in groups.items()]


def _names_of_image(task, of_sleap_io):
    if of_sleap_io:
        name = of_sleap_io["filename"]
        names = [name[of_sleap_io["frame_idx"]] if isinstance(name, list) else name]
    else:
        names = [str(value) for value in task["data"].values()]
    # of a store on this machine: /data/local-files/?d=folder/a.jpg
    names = [unquote(name.rpartition("?d=")[2]) for name in names]
    names = [name for name in names if name.lower().endswith(formats.PHOTOGRAPHS)]
    if not names:
        raise ValueError(
            "it names no photograph; export frames of videos as images first. "
            f"Received: {task.get('data')!r:.200}"
        )
    # an upload has eight digits and a dash before its own name
    return [names[0], names[0].replace("\\", "/").rpartition("/")[2].partition("-")[2] or names[0]]


def _person(box, points, parts, size):
    """`size` (height, width) of the photograph, pixels; `None`: as sleap-io wrote it."""
    keypoints, visible = np.zeros((len(parts), 2)), np.full(len(parts), NOT_LABELLED)
    for point in points:
        part = parts.index(_name(point))
        if visible[part]:
            raise ValueError(
                f"two points of one figure are called {parts[part]!r}; draw a rectangle around "
                "each figure, and a relation from each point to its rectangle."
            )
        if point.get("image_rotation"):
            raise ValueError("a photograph is rotated; rotate the file itself, and label it again.")
        share = np.array([point["value"]["x"], point["value"]["y"]], np.float64) / 100
        if np.isfinite(share).all():
            keypoints[part], visible[part] = _pixels(share, point, size), VISIBLE
    # what sleap-io writes as rectangles are none
    if box is None or size is None:
        center, height = place_around(keypoints[visible > NOT_LABELLED])
        return Person(keypoints, visible, center=center, height=height)
    corner, extent = (
        np.array([box["value"][name] for name in pair]) / 100 for pair in (("x", "y"), _SIDES)
    )
    corners = geometry.from_shares([corner, corner + extent], size)
    return Person(keypoints, visible, box=tuple(corners.ravel()))


def _pixels(share, point, size):
    """(2,); Label Studio counts from edge to edge, sleap-io divides what SLEAP counts by pixels."""
    if size is None:
        return share * (point["original_width"], point["original_height"])
    return geometry.from_shares(share, size)
