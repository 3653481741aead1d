"""Reader of Leeds Sports Pose (LSP) and its extended training set (LSPET).

Where a figure stands and how tall it is follows the release of the paper: `insertMPILikeScale` of
genJSON.m for training, run_benchmark.m for testing.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from ...pose import geometry
from ...pose.skeleton import LSP14
from ...pose.spec import Progress
from ..photographs import jpeg_size
from ..records import NOT_LABELLED, OCCLUDED, VISIBLE, Person, Record
from .matlab import read_mat

_SPLITS = {  # data set, 1-based numbers of its images
    "train": ("lsp", range(1, 1001)),
    "test": ("lsp", range(1001, 2001)),
    "extended": ("lspet", range(1, 10001)),
}
# shape of `joints` in joints.mat, its axes as (image, part, x y flag), name of an image
_LAYOUTS = {
    "lsp": ((3, 14, 2000), (2, 1, 0), "im{:04d}.jpg"),
    "lspet": ((14, 3, 10000), (2, 0, 1), "im{:05d}.jpg"),
}

# whose left and right; the observer's have a file of their own, in the layout of "lsp"
_SIDES = ("person", "observer")
_OBSERVER = "LSP-joints-OC.mat"
# pixels: between them and the person's labels no coordinate of 684 of the 1000 test people differs
# as much
_AGREE = 20

# (part, parent, length in head lengths): the median over the images of LSP train and LSPET in which
# the limb and neck-head are visible; 0/0 left out, x/0 kept. The pairs are `pa` of genJSON.m: its
# left side is listed the other way round, so two limbs stand twice, left ankle and left wrist hang
# on the neck.
LIMB_RATIOS = (
    ("right_ankle", "right_knee", 1.694952),
    ("right_knee", "right_hip", 1.671665),
    ("right_hip", "neck", 2.356146),
    ("left_hip", "left_knee", 1.633446),
    ("left_knee", "left_hip", 1.633446),
    ("left_ankle", "neck", 4.300568),
    ("neck", "head", 1.0),
    ("right_wrist", "right_elbow", 1.085102),
    ("right_elbow", "right_shoulder", 1.192468),
    ("right_shoulder", "neck", 0.702987),
    ("left_shoulder", "left_elbow", 1.188436),
    ("left_elbow", "left_shoulder", 1.188436),
    ("left_wrist", "neck", 2.309502),
)
_LIMBS = np.array([(LSP14.index(part), LSP14.index(parent)) for part, parent, _ in LIMB_RATIOS])
_RATIOS = np.array([ratio for *_, ratio in LIMB_RATIOS])

# Pixels of the 368 box in which the release shows a figure: genJSON.m, run_benchmark.m.
_NOMINAL_HEIGHT = 200 * (41 / 35)
_HEAD_LENGTH = 41
_LARGEST_EXTENT = 368 - 64

# Pixels of the photograph; "roughly 150 pixels in length", README.txt of both data sets.
_TYPICAL_HEIGHT = 150.0


def load_lsp(
    root: Path | str,
    split: str,
    *,
    sides: str = "person",
    observer_labels: Path | str | None = None,
    progress: Progress | None = None,
) -> list[Record]:
    """Reads one split of LSP or LSPET, in the order of the images; parts are those of `LSP14`.

    Labels come from joints.mat, sizes from the headers of the photographs, which need not be there:
    a record without its photograph has size `None`, and what follows from the photograph is `None`
    too.

    | split | images | center | height |
    |---|---|---|---|
    | "train" | LSP 1-1000 | of the photograph | from the limbs |
    | "test" | LSP 1001-2000 | of the photograph | from the height of the photograph |
    | "extended" | LSPET, all 10 000 | of the box around the labelled parts | from the limbs |

    Height from the limbs: each visible limb tells the length of the head; the 0.75 quantile of what
    they tell is shown as 41 pixels in the network box, or less where the visible parts would be
    wider or taller than 304 there. Where no visible limb has a length, the height is 150 pixels,
    usual in both data sets, under the same cap. A figure without any label has no box and so the
    center `None`.

    LSP was also labelled anew with left and right as the observer sees them, and the benchmark page
    of MPI scored methods on either: LSP-joints-OC.mat. It says where the parts are and what they
    are called; where a person stands and how tall it is follows joints.mat all the same.

    Args:
        root: folder that holds lsp_dataset/ and lspet_dataset/, each with joints.mat and images/.
        split: "train", "test" or "extended".
        sides: "person" for joints.mat, the labels of the paper, or "observer".
        observer_labels: path of LSP-joints-OC.mat; `None`: in `root`, if it is there.
        progress: wraps the list of image paths as it is gone through, for example `tqdm.tqdm`.

    Returns:
        One record a photograph, one person each. Keypoints (14, 2) and center are (x, y) in the
        image frame, pixels, (0, 0) the centre of the top-left one; height is in the same pixels, in
        the sense of MPII (200 x `scale`). LSP: visible is 1 where occluded, else 2. LSPET: 2 where
        labelled, else 0. `split` is "train" or "test", `dataset` "lsp" or "lspet",
        `attributes["index"]` the number of the image, from 1. With LSP-joints-OC.mat
        `attributes["sides"]` is "agree" where no coordinate differs by 20 pixels between the two
        labels, else "differ".

    Raises:
        ValueError: unknown `split` or `sides`, a joints.mat of another shape, an image that is no
            JPEG file, or the observer's sides of "extended", which have none.
        FileNotFoundError: there is no joints.mat, or no LSP-joints-OC.mat for the observer's sides.

    Example:
        >>> from keras_cpm.data.formats.lsp import load_lsp
        >>> records = load_lsp("path/to/lsp", "test")  # doctest: +SKIP
        >>> len(records), records[0].people[0].keypoints.shape  # doctest: +SKIP
        (1000, (14, 2))
    """
    for name, value, known in (("split", split, _SPLITS), ("sides", sides, _SIDES)):
        if value not in known:
            raise ValueError(f"`{name}` must be one of {list(known)}. Received: {name}={value!r}")
    dataset, numbers = _SPLITS[split]
    folder = Path(root).absolute() / f"{dataset}_dataset"
    labels = _read_labels(folder / "joints.mat", dataset, root)
    seen = _read_observer_labels(root, split, sides, observer_labels)
    paths = [folder / "images" / _LAYOUTS[dataset][2].format(number) for number in numbers]
    records = []
    for number, path in zip(numbers, progress(paths) if progress else paths, strict=True):
        size = jpeg_size(path) if path.is_file() else None
        person = _person(labels[number - 1], split, size)
        attributes: dict[str, int | str] = {"index": number}
        if seen is not None:
            differs = np.abs(seen[number - 1] - labels[number - 1])[:, :2].max() >= _AGREE
            attributes["sides"] = "differ" if differs else "agree"
        if sides == "observer":
            person = _labelled_anew(person, seen[number - 1])
        records.append(
            Record(
                image=path,
                size=size,
                parts=LSP14.parts,
                people=(person,),
                split="test" if split == "test" else "train",
                dataset=dataset,
                attributes=attributes,
            )
        )
    return records


def _read_labels(path, dataset, root):
    """(images, 14, 3) x, y from 1 and the flag as in the file."""
    if not path.is_file():
        raise FileNotFoundError(
            f"`root` must hold {dataset}_dataset/joints.mat; extract {dataset}_dataset.zip there. "
            f"Received: root={str(root)!r}"
        )
    return _joints(path, dataset, f"extract {dataset}_dataset.zip again")


def _read_observer_labels(root, split, sides, path):
    """As `_read_labels`, or `None` where they are neither there nor asked for."""
    if split == "extended":
        if sides == "observer" or path is not None:
            raise ValueError(
                "LSPET has no labels with the observer's sides; leave out `sides` and "
                f"`observer_labels`. Received: split={split!r}"
            )
        return None
    found = Path(root) / _OBSERVER if path is None else Path(path)
    if not found.is_file():
        if sides == "person" and path is None:
            return None
        raise FileNotFoundError(
            f"The observer's sides need {_OBSERVER} of MPI's benchmark; put it into `root`, or "
            f"name it with `observer_labels`. Received: {found}"
        )
    return _joints(found, "lsp", f"give {_OBSERVER} of MPI's benchmark")


def _joints(path, dataset, remedy):
    shape, axes, _ = _LAYOUTS[dataset]
    joints = read_mat(path).get("joints")
    if np.shape(joints) != shape or joints.dtype.kind not in "biuf":
        raise ValueError(
            f"`joints` in {path} must be {shape}; {remedy}. Received: shape {np.shape(joints)}"
        )
    return joints.transpose(axes).astype(np.float64)


def _labelled_anew(person, labels):
    visible = np.where(labels[:, 2] == 1, OCCLUDED, VISIBLE)
    return dataclasses.replace(person, keypoints=labels[:, :2] - 1, visible=visible)


def _person(labels, split, size):
    points = labels[:, :2] - 1  # MATLAB counts pixels from 1
    flag = labels[:, 2] == 1
    if split == "extended":
        visible = np.where(flag, VISIBLE, NOT_LABELLED)
        center = _box_center(points[flag])
    else:
        visible = np.where(flag, OCCLUDED, VISIBLE)
        center = _image_center(size)
    height = _test_height(size) if split == "test" else _height(points, visible == VISIBLE)
    return Person(points, visible, center=center, height=height)


def _image_center(size):
    return None if size is None else np.asarray(geometry.image_center(size))


def _box_center(points):
    return (points.min(axis=0) + points.max(axis=0)) / 2 if len(points) else None


def _test_height(size):
    """The photograph is shown 0.8 of the box tall, whatever is on it: run_benchmark.m."""
    return None if size is None else float(geometry.whole_image_height(size))


def _height(points, visible):
    """Pixels, from (14, 2) points and (14,) bool: insertMPILikeScale of genJSON.m."""
    limbs = visible[_LIMBS].all(axis=1)
    ends = points[_LIMBS[limbs]]
    heads = np.linalg.norm(ends[:, 0] - ends[:, 1], axis=1) / _RATIOS[limbs]
    # MATLAB's quantile interpolates at (i - 0.5) / n, which NumPy calls hazen.
    head = np.quantile(heads, 0.75, method="hazen") if limbs.any() else 0
    height = _NOMINAL_HEIGHT * head / _HEAD_LENGTH if head > 0 else _TYPICAL_HEIGHT
    extent = np.ptp(points[visible], axis=0).max() if visible.any() else 0
    return max(height, _NOMINAL_HEIGHT * extent / _LARGEST_EXTENT)
