"""Reader of the JSON files that the training code of the paper's release writes, genJSON.m."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ...pose.skeleton import FLIC9, MPII16
from ..photographs import within
from ..records import NOT_LABELLED, OCCLUDED, VISIBLE, Person, Record
from .json_file import naming, read_json

_DATASETS = {"MPI": "mpii", "LEEDS": "lsp", "FLIC": "flic"}
_SKELETONS = {skeleton.num_parts: skeleton for skeleton in (MPII16, FLIC9)}
_SPLITS = ("train", "validation")
_OTHERS = ("joint_others", "objpos_other", "scale_provided_other")
_FIELDS = (
    *("dataset", "isValidation", "img_paths", "img_width", "img_height", "joint_self", "objpos"),
    *("scale_provided", "annolist_index", "people_index", "numOtherPeople"),
)
_PIXELS_OF_SCALE_1 = 200  # `scale_provided` is a height in units of 200 pixels


def load_release(path: Path | str, images: Path | str, *, split: str | None = None) -> list[Record]:
    """Reads MPI_annotations.json, LEEDS_annotations.json, FLIC_annotations.json, or one like them.

    The labels mean what the release's trainer takes them for: a part is labelled if its point lies
    in the photograph, whatever the file's flag says, and then visible if the flag is 1, occluded if
    it is 0. So a missing part, (0, 0) in pixels from 1, is not labelled.

    Args:
        path: of the JSON file; its records are the root list or the list called "root".
        images: folder that its `img_paths` are relative to: images/ of MPII, the folder of
            lsp_dataset/ and lspet_dataset/, the folder of FLIC's images/. The images need not be
            there.
        split: "train" or "validation" for the records whose `isValidation` says so; `None` for all.

    Returns:
        One record for each of the file's, the primary person first, then the others. Keypoints
        (P, 2) and center are (x, y) in the image frame, pixels, (0, 0) the centre of the top-left
        one; parts are those of `MPII16` or, for nine rows, of `FLIC9`; height is 200 x
        `scale_provided`, in pixels. `split` is "train" or "validation", `dataset` "mpii", "lsp",
        "flic" or what else the file says. `attributes` hold annolist_index and people_index, from
        1.

    Raises:
        ValueError: naming the file, the record and what to do.
        FileNotFoundError: there is no such file.

    Example:
        >>> import json, pathlib, tempfile
        >>> from keras_cpm.data.formats.release_json import load_release
        >>> path = pathlib.Path(tempfile.mkdtemp(), "FLIC_annotations.json")
        >>> _ = path.write_text(json.dumps({"root": [{
        ...     "dataset": "FLIC", "isValidation": 0, "img_paths": "images/a.jpg",
        ...     "img_width": 720, "img_height": 480, "objpos": [300, 200], "scale_provided": 1.5,
        ...     "joint_self": [[310 - i, 200, 1] for i in range(9)],
        ...     "annolist_index": 1, "people_index": 1, "numOtherPeople": 0,
        ... }]}))
        >>> person = load_release(path, path.parent)[0].people[0]
        >>> person.center, person.height, person.keypoints[0].tolist()
        ((299.0, 199.0), 300.0, [309.0, 199.0])
    """
    if split not in (None, *_SPLITS):
        raise ValueError(f"`split` must be one of {[None, *_SPLITS]}. Received: split={split!r}")
    records = []
    for number, fields in enumerate(_read(path), 1):
        with naming(f"{path}, record {number}"):
            records.append(_record(fields, images))
    return [record for record in records if split in (None, record.split)]


def _read(path):
    content = read_json(path, "genJSON.m writes it")
    records = content.get("root") if isinstance(content, dict) else content
    # jsonlab writes a list of one as the one.
    records = [records] if isinstance(records, dict) else records
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise ValueError(
            f'{path} must hold a list of records, or one called "root", as genJSON.m writes it; '
            "COCO's format is read by load_coco."
        )
    return records


def _record(fields, images):
    _need(fields, _FIELDS)
    size = int(fields["img_height"]), int(fields["img_width"])
    num_parts = len(fields["joint_self"])
    if num_parts not in _SKELETONS:
        raise ValueError(
            "`joint_self` must have 16 rows, or 9 for FLIC; write the file again with genJSON.m. "
            f"Received: {num_parts} rows"
        )
    people = [(fields["joint_self"], fields["objpos"], fields["scale_provided"]), *_others(fields)]
    return Record(
        image=within(images, fields["img_paths"], "img_paths"),
        size=size,
        parts=_SKELETONS[num_parts].parts,
        people=[_person(*person, num_parts, size) for person in people],
        split=_SPLITS[bool(fields["isValidation"])],
        dataset=_DATASETS.get(fields["dataset"], fields["dataset"]),
        attributes={name: int(fields[name]) for name in ("annolist_index", "people_index")},
    )


def _need(fields, names):
    for name in names:
        if name not in fields:
            raise ValueError(f"needs the field {name!r}; write the file again with genJSON.m.")


def _others(fields):
    """(labels, place, scale) of each other person."""
    count = int(fields["numOtherPeople"])
    if count == 0:  # then jsonlab writes one thing or another for "empty"
        return []
    _need(fields, _OTHERS)
    columns = [fields[name] for name in _OTHERS]
    if count == 1:  # jsonlab writes a list of one as the one
        return [columns]
    if any(not isinstance(column, list) or len(column) != count for column in columns):
        raise ValueError(
            "`joint_others`, `objpos_other` and `scale_provided_other` must be lists of as many "
            "people as `numOtherPeople` says; write the file again with genJSON.m. "
            f"Received: numOtherPeople={count}"
        )
    return list(zip(*columns, strict=True))


def _person(labels, place, scale, num_parts, size):
    # genJSON.m lets the labels of others end with the last part that is annotated.
    rows = np.zeros((num_parts, 3))
    labels = np.array(labels, np.float64).reshape(-1, 3)
    rows[: len(labels)] = labels
    points = rows[:, :2] - 1  # MATLAB counts pixels from 1
    inside = ((points >= 0) & (points < size[::-1])).all(axis=1)
    visible = np.where(rows[:, 2] == 1, VISIBLE, OCCLUDED)
    return Person(
        points,
        np.where(inside, visible, NOT_LABELLED),
        center=np.array(place, np.float64).ravel() - 1,
        height=_PIXELS_OF_SCALE_1 * np.array(scale, np.float64).item(),
    )
