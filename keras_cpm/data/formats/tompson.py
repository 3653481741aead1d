"""detections.mat: whom Tompson et al. (CVPR 2015) held out of MPII for validation, and what their
network predicted for them. The file comes with the training code of the paper's release.
"""

from typing import NamedTuple

import numpy as np

from .matlab import field, read_mat, rows

_FIELDS = ("RELEASE_img_index", "RELEASE_person_index", "annolist", "keypointsAll", "output_joints")

# `output_joints` calls a part rank, lwri, neck, head.
_SIDES = {"r": "right", "l": "left"}
_PARTS = {
    "ank": "ankle",
    "kne": "knee",
    "hip": "hip",
    "wri": "wrist",
    "elb": "elbow",
    "sho": "shoulder",
}


class Detections(NamedTuple):
    """S people, numbered by image and person of MPII from 1."""

    people: list  # (image, person) of each
    rects: list  # its element of `annorect`, as MPII annotates it
    keypoints: np.ndarray  # (S, P, 2) predictions, image frame, pixels, (0, 0) the first one
    parts: tuple  # P names of MPII16


def read_detections(path) -> Detections:
    """Reads the people and Tompson's predictions for them.

    Raises:
        ValueError: a damaged file or another one.

    Example:
        >>> from keras_cpm.data.formats.tompson import read_detections
        >>> detections = read_detections("path/to/mpii/detections.mat")  # doctest: +SKIP
        >>> detections.people[0], detections.keypoints.shape  # doctest: +SKIP
        ((7, 1), (2958, 14, 2))
    """
    content = read_mat(path)
    missing = [name for name in _FIELDS if name not in content]
    if missing:
        raise ValueError(
            f"{path} must hold {missing[0]!r}, as detections.mat of the release does; put that "
            f"file there. Received: {sorted(content)}"
        )
    images, people, annolist, keypoints, names = (content[name] for name in _FIELDS)
    return Detections(
        people=list(zip(images.ravel().tolist(), people.ravel().tolist(), strict=True)),
        rects=[rows(field(image, "annorect"))[0] for image in rows(annolist)],
        keypoints=np.stack(list(keypoints.ravel())).astype(np.float64) - 1,  # counted from 1
        parts=tuple(_part(name.item()) for name in names.ravel()),
    )


def _part(name):
    part = _PARTS.get(name[1:])
    return f"{_SIDES[name[0]]}_{part}" if part else name
