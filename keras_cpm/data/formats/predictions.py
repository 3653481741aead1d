"""Prediction files: what others predicted, and what we did, in the layout of the release or of
MPI's benchmark page; and detections.mat, with whom Tompson et al. (CVPR 2015) held out of MPII for
validation.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ...pose.skeleton import FLIC9, LSP14, MPII16
from ...pose.spec import Array
from ..jsonl import read_records
from .matlab import field, laid_out, read_mat, rows, write_mat

_NAME = "prediction_all"
# by name its axes, as (P, 2, images): the release's, and that of MPI's benchmark page
_AXES = {_NAME: (0, 1, 2), "pred": (1, 0, 2)}
# ours only: the names of its rows
_PARTS = "prediction_parts"
_SKELETONS = {skeleton.num_parts: skeleton for skeleton in (LSP14, FLIC9, MPII16)}
# FLIC with the eyes, as MPI's benchmark page has it
_FLIC11 = (*FLIC9.parts[:8], "left_eye", "right_eye", FLIC9.parts[8])
_NAMES = {count: skeleton.parts for count, skeleton in _SKELETONS.items()} | {11: _FLIC11}
_DETECTIONS = (
    "RELEASE_img_index",
    "RELEASE_person_index",
    "annolist",
    "keypointsAll",
    "output_joints",
)

# `output_joints` calls a part rank, lwri, neck, head.
_TOMPSON_SIDES = {"r": "right", "l": "left"}
_TOMPSON_PARTS = {
    "ank": "ankle",
    "kne": "knee",
    "hip": "hip",
    "wri": "wrist",
    "elb": "elbow",
    "sho": "shoulder",
}


def read_predictions(
    path: Path | str, parts: Sequence[str] | None = None
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Reads the predicted keypoints of S images.

    | file | holds | parts |
    |---|---|---|
    | .mat | `prediction_all` (P, 2, S), pixels from 1 | `LSP14`, `FLIC9` or `MPII16` by P |
    | .mat | the same with `prediction_parts`, as `write_predictions` writes it | as named there |
    | .mat | `pred` (2, P, S), pixels from 1: MPI's benchmark page | the same by P; 11 of FLIC |
    | .mat | `keypointsAll` and `output_joints`: detections.mat of MPII | as named there |
    | .jsonl | records, of which the primary people are taken | of the records |

    The 11 parts of FLIC are those of `FLIC9` and, before the nose, both eyes. In `pred` a part at
    (0, 0) in all images was not predicted, and is left out.

    Args:
        path: of the file.
        parts: P names, where `prediction_all` or `pred` has parts of its own or in another order;
            the other files name theirs.

    Returns:
        Keypoints (S, P, 2) float64, (x, y) in the image frame, pixels, (0, 0) the centre of the
        top-left one; NaN where nothing is predicted. And the P names of the parts, their order.

    Raises:
        ValueError: naming the file, what was found in it, and what to do.
        FileNotFoundError: there is no such file.

    Example:
        >>> import tempfile
        >>> from keras_cpm import FLIC9
        >>> from keras_cpm.data.formats.predictions import read_predictions, write_predictions
        >>> path = tempfile.mkdtemp() + "/predictions.mat"
        >>> write_predictions(path, [[[10.5, 20.0]] * 9])
        >>> keypoints, parts = read_predictions(path)
        >>> keypoints[0, 0].tolist(), parts == FLIC9.parts
        ([10.5, 20.0], True)
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no file of predictions at {path}.")
    if path.suffix == ".mat":
        content = read_mat(path)
        for name in _AXES:
            if name in content and content[name].dtype.kind in "iuf":
                with laid_out(path):
                    own = tuple(str(np.ravel(n)[0]) for n in np.ravel(content.get(_PARTS, [])))
                    names = _named(own, parts, path) if own else parts
                    return _matrix(content[name], name, path, names)
        if "keypointsAll" in content:
            detections = read_detections(path)
            return detections.keypoints, _named(detections.parts, parts, path)
        found = {name: np.shape(value) for name, value in content.items()}
        raise ValueError(
            f"{path} must hold `{_NAME}` (P, 2, images), `pred` (2, P, images), or `keypointsAll` "
            "as detections.mat of MPII does; write it with `write_predictions`. "
            f"Received: {found}"
        )
    if path.suffix != ".jsonl":
        raise ValueError(
            "A file of predictions must end in .mat or .jsonl; write it with `write_predictions` "
            f"or `write_records`. Received: {path}"
        )
    keypoints, own = _records(path)
    return keypoints, _named(own, parts, path)


def write_predictions(
    path: Path | str, keypoints: Array, parts: Sequence[str] | None = None
) -> None:
    """Writes predicted keypoints as the release does, for others' tools: `prediction_all`.

    Args:
        path: of the .mat file to write.
        keypoints: (S, P, 2) points (x, y), image frame, pixels, from 0. In the file they are (P, 2,
            S), pixels from 1, and not rounded, as the release's are.
        parts: P names. Where they are those of `LSP14`, `FLIC9` or `MPII16`, the file has them in
            that order, as others expect them; the names go into the file too. `None`: they are in
            such an order already.

    Raises:
        ValueError: another shape, or a path that does not end in .mat.

    Example:
        >>> import tempfile
        >>> from keras_cpm.data.formats.predictions import read_predictions, write_predictions
        >>> path = tempfile.mkdtemp() + "/hands.mat"
        >>> write_predictions(path, [[[10.5, 20.0], [8.0, 9.0]]], ("thumb", "wrist"))
        >>> keypoints, parts = read_predictions(path)
        >>> keypoints.tolist(), parts
        ([[[10.5, 20.0], [8.0, 9.0]]], ('thumb', 'wrist'))
    """
    keypoints = np.asarray(keypoints, np.float64)
    if keypoints.ndim != 3 or keypoints.shape[2] != 2:
        raise ValueError(
            f"`keypoints` must be (images, parts, 2). Received: shape {keypoints.shape}"
        )
    if Path(path).suffix != ".mat":
        raise ValueError(f"`path` must end in .mat. Received: path={str(path)!r}")
    content = {}
    if parts is not None:
        known = [k.parts for k in _SKELETONS.values() if set(k.parts) == set(parts)]
        ordered = known[0] if known else tuple(parts)
        keypoints = keypoints[:, [list(parts).index(part) for part in ordered]]
        content[_PARTS] = np.array(ordered, object)
    write_mat(path, content | {_NAME: keypoints.transpose(1, 2, 0) + 1})


def _matrix(values, name, path, parts):
    # MATLAB drops a last axis of one: the predictions for a single image.
    values = values[..., None] if values.ndim == 2 else values
    axes = _AXES[name]
    if values.ndim != 3 or values.shape[axes[1]] != 2:
        layout = ", ".join(np.array(["P", "2", "images"])[list(axes)])
        raise ValueError(
            f"`{name}` in {path} must be ({layout}); transpose it. Received: shape {values.shape}"
        )
    matrix = values.transpose(axes)
    if parts is None and len(matrix) not in _NAMES:
        raise ValueError(
            f"`{name}` in {path} has {len(matrix)} parts, which is none of {list(_NAMES)}; "
            "name them with `parts`."
        )
    parts = _NAMES[len(matrix)] if parts is None else tuple(parts)
    if len(parts) != len(matrix):
        raise ValueError(
            f"`parts` must name the {len(matrix)} parts of {path}. Received: {list(parts)}"
        )
    if name != _NAME:
        predicted = matrix.any(axis=(1, 2))
        matrix, parts = matrix[predicted], tuple(np.array(parts, object)[predicted])
    return matrix.transpose(2, 0, 1).astype(np.float64) - 1, parts


def _named(own, parts, path):
    if parts is not None and tuple(parts) != own:
        raise ValueError(
            f"{path} names its parts itself, {list(own)}; leave out `parts`. "
            f"Received: {list(parts)}"
        )
    return own


def _records(path):
    records = read_records(path)
    for record in records:
        if record.parts != records[0].parts:
            raise ValueError(
                f"all records of {path} must have the same parts, {list(records[0].parts)}; write "
                f"one file for each kind. Received: {list(record.parts)} for {record.image}"
            )
    people = [record.people[0] for record in records]
    keypoints = [np.where(p.labelled[:, None], p.keypoints, np.nan) for p in people]
    return np.stack(keypoints).astype(np.float64), records[0].parts


class Detections(NamedTuple):
    """S people, numbered by image and person of MPII from 1."""

    people: list  # (image, person) of each
    rects: list  # its element of `annorect`, as MPII annotates it
    keypoints: np.ndarray  # (S, P, 2) predictions, image frame, pixels, (0, 0) the first one
    parts: tuple  # P names of MPII16


def read_detections(path) -> Detections:
    """Reads detections.mat: Tompson's validation people of MPII, and what their network predicted.

    The file comes with the training code of the paper's release.

    Raises:
        ValueError: a damaged file or another one.

    Example:
        >>> from keras_cpm.data.formats.predictions import read_detections
        >>> detections = read_detections("path/to/mpii/detections.mat")  # doctest: +SKIP
        >>> detections.people[0], detections.keypoints.shape  # doctest: +SKIP
        ((7, 1), (2958, 14, 2))
    """
    content = read_mat(path)
    missing = [name for name in _DETECTIONS if name not in content]
    if missing:
        raise ValueError(
            f"{path} must hold {missing[0]!r}, as detections.mat of the release does; put that "
            f"file there. Received: {sorted(content)}"
        )
    images, people, annolist, keypoints, names = (content[name] for name in _DETECTIONS)
    with laid_out(path):
        return Detections(
            people=list(zip(images.ravel().tolist(), people.ravel().tolist(), strict=True)),
            rects=[rows(field(image, "annorect"))[0] for image in rows(annolist)],
            keypoints=np.stack(list(keypoints.ravel())).astype(np.float64) - 1,  # counted from 1
            parts=tuple(_tompson_part(name.item()) for name in names.ravel()),
        )


def _tompson_part(name):
    part = _TOMPSON_PARTS.get(name[1:])
    return f"{_TOMPSON_SIDES[name[0]]}_{part}" if part else name
