"""Reader of MPII Human Pose, and writer of predictions for its test server.

The people held out for validation are those of Tompson et al. (CVPR 2015), listed in detections.mat
of the paper's release together with Tompson's own predictions for them.
"""

from __future__ import annotations

import dataclasses
from functools import cached_property
from pathlib import Path

import numpy as np

from ...pose.skeleton import MPII16
from ...pose.spec import Progress
from ..photographs import jpeg_size, within
from ..placement import torso_angle, with_others
from ..records import NOT_LABELLED, OCCLUDED, VISIBLE, Person, Record
from .matlab import field, laid_out, number, read_mat, rows, text, write_mat
from .predictions import read_detections

_SPLITS = ("train", "validation", "all", "test", "tompson")
# As getData.sh of the release extracts them.
_RELEASE = ("mpii_human_pose_v1_u12_1", "mpii_human_pose_v1_u12_1.mat")
_DETECTIONS = ("Tompson_valid", "detections.mat")
_PIXELS_OF_SCALE_1 = 200  # `scale` of the annotation is a height in units of 200 pixels
_HEAD_SHARE = 0.6  # SC_BIAS of the evaluation toolkit: 0.8 * 0.75


@laid_out("A .mat file of MPII")
def load_mpii(root: Path | str, split: str, *, progress: Progress | None = None) -> list[Record]:
    """Reads one split of MPII: a record for each person who can be looked at, parts of `MPII16`.

    | split | whom | needs |
    |---|---|---|
    | "train" | labelled people of training images who are not in detections.mat | both .mat files |
    | "validation" | the people of detections.mat, in its order | detections.mat |
    | "all" | "train" and "validation", in the order of the images | both .mat files |
    | "test" | people of test images, who have no labels | mpii_human_pose_v1_u12_1.mat |
    | "tompson" | those of "validation" with Tompson's predictions as labels | detections.mat |

    A primary person needs `objpos` and `scale`, as in the release; who lacks one is only among the
    others of the photograph. People without `annopoints` are left out.

    detections.mat alone knows no image names: "validation" and "tompson" then call an image by its
    number, images/00007.jpg, a file that MPII does not have, and know of the others of an image
    only those who are held out too. With mpii_human_pose_v1_u12_1.mat they know both.

    Args:
        root: folder that holds images/, mpii_human_pose_v1_u12_1.mat, there or in
            mpii_human_pose_v1_u12_1/, and detections.mat, there or in Tompson_valid/. The images
            need not be there: a record without its photograph has size `None`.
        split: one of the table.
        progress: wraps the list of (image, person) as it is gone through, for example `tqdm.tqdm`.

    Returns:
        Records with the primary first, then everybody else who is labelled in the photograph (not
        in "tompson"). Keypoints (16, 2) and center are (x, y) in the image frame, pixels, (0, 0)
        the centre of the top-left one; height is 200 x `scale`, head_size 0.6 of the diagonal of
        the head box, both in pixels. visible is 2, or 1 where `is_visible` is 0, or 0 for a part
        not annotated. `attributes` hold index and person, numbers of image and person in the file,
        from 1, and if the file has them activity, category, single_person; a person's have
        `torso_angle`. `split` is "train", "validation" or "test", `dataset` "mpii".

    Raises:
        ValueError: an unknown split, or files that do not fit together.
        FileNotFoundError: a .mat file that the split needs is not there.

    Example:
        >>> from keras_cpm.data.formats.mpii import load_mpii
        >>> records = load_mpii("path/to/mpii", "validation")  # doctest: +SKIP
        >>> len(records), records[0].people[0].keypoints.shape  # doctest: +SKIP
        (2958, (16, 2))
    """
    if split not in _SPLITS:
        raise ValueError(f"`split` must be one of {list(_SPLITS)}. Received: split={split!r}")
    root = Path(root).absolute()
    held_out = None if split == "test" else read_detections(_need(root, _DETECTIONS))
    if split in ("validation", "tompson") and not _find(root, _RELEASE):
        images = _images_of_detections(root, held_out)
    else:
        images = _images_of_release(root, training=split != "test")
    people = _primaries(images, split, held_out)
    names = dict.fromkeys(held_out.people, "validation") if held_out else {}
    rest = "test" if split == "test" else "train"
    records = [
        images[index].record(index, person, names.get((index, person), rest))
        for index, person in (progress(people) if progress else people)
    ]
    if split == "tompson" and held_out:
        predictions = zip(records, held_out.keypoints, strict=True)
        return [_predicted(record, points, held_out.parts) for record, points in predictions]
    return records


def write_mpii_predictions(path, records, keypoints, *, root, parts=MPII16.parts):
    """Writes predictions for the test images of MPII, to be sent to its authors for evaluation.

    The file holds `pred`: all test images of RELEASE.annolist in their order, and in them the
    predicted people have `annopoints.point` with x, y from 1 and the id of the part. So ask README
    and evaluatePCKh.m of http://human-pose.mpi-inf.mpg.de/results/mpii_human_pose/evalMPII.zip,
    which compares RELEASE.single_person on all parts but pelvis (id 6) and thorax (id 7).

    Args:
        path: of the .mat file to write; the authors ask for pred_keypoints_mpii.mat.
        records: S records of `load_mpii(root, "test")`; those with `single_person` are enough.
        keypoints: (S, P, 2) points (x, y) of their primary people, image frame, pixels, from 0. A
            part whose point is NaN is left out, which counts as wrong.
        root: folder that holds mpii_human_pose_v1_u12_1.mat, as for `load_mpii`.
        parts: P names of `MPII16`, the order of `keypoints`.

    Raises:
        ValueError: shapes that do not fit, an unknown part, a record of another split, or a single
            person of the test images without a prediction.
        FileNotFoundError: there is no mpii_human_pose_v1_u12_1.mat.

    Example:
        >>> from keras_cpm.data.formats.mpii import load_mpii, write_mpii_predictions
        >>> records = load_mpii("mpii", "test")  # doctest: +SKIP
        >>> write_mpii_predictions("pred.mat", records, points, root="mpii")  # doctest: +SKIP
    """
    keypoints, wanted = np.asarray(keypoints, np.float64), (len(records), len(parts), 2)
    if keypoints.shape != wanted:
        raise ValueError(f"`keypoints` must be {wanted}. Received: shape {keypoints.shape}")
    check_test_records(records, root)
    ids = [MPII16.index(part) for part in parts]
    points = {}
    for record, person in zip(records, keypoints, strict=True):
        points[record.attributes["index"], record.attributes["person"]] = _annopoints(person, ids)
    release, is_training = _read_release(Path(root).absolute())
    indices = np.flatnonzero(~is_training)
    _check_complete(release, indices, points)
    predicted = field(release, "annolist").ravel()[indices].copy()
    for i, index in enumerate(indices):
        predicted["annorect"][i] = _with_points(predicted["annorect"][i], int(index) + 1, points)
    write_mat(path, {"pred": predicted[None]})


def check_test_records(records, root):
    """Raises where `write_mpii_predictions` could not write predictions for these records."""
    _need(Path(root).absolute(), _RELEASE)
    if any((r.dataset, r.split) != ("mpii", "test") for r in records):
        raise ValueError('`records` must be those of load_mpii(root, "test"). Received: others')


class _Image:
    """One photograph of the annotation; `rects` maps its people, numbered from 1, to `annorect`."""

    def __init__(self, path, rects, attributes, single=None):
        self.path, self.rects, self.attributes, self.single = path, rects, attributes, single

    @cached_property
    def size(self):
        return jpeg_size(self.path) if self.path.is_file() else None

    @cached_property
    def groups(self):
        people = [_person(rect) for rect in self.rects.values()]
        return dict(zip(self.rects, with_others(people), strict=True))

    def record(self, index, person, split):
        attributes = {"index": index, "person": person, **self.attributes}
        if self.single is not None:
            attributes["single_person"] = person in self.single
        return Record(
            image=self.path,
            size=self.size,
            parts=MPII16.parts,
            people=self.groups[person],
            split=split,
            dataset="mpii",
            attributes=attributes,
        )


def _find(root, name):
    """Path of a file of the data set, or `None`."""
    return next((path for path in (root / name[1], root.joinpath(*name)) if path.is_file()), None)


def _need(root, name):
    path = _find(root, name)
    if path is None:
        raise FileNotFoundError(
            f"`root` must hold {name[1]}, there or in {name[0]}/; put the file of the data set "
            f"there. Received: root={str(root)!r}"
        )
    return path


def _read_release(root):
    """The struct RELEASE, and (images,) bool: whether an image is for training."""
    path = _need(root, _RELEASE)
    release = (rows(read_mat(path).get("RELEASE")) or [None])[0]
    training, images = field(release, "img_train"), rows(field(release, "annolist"))
    if training is None or training.size != len(images):
        raise ValueError(
            f"{path} must hold the struct RELEASE with `annolist` and as many `img_train`; extract "
            f"the annotation of MPII again. Received: {len(images)} images in `annolist`"
        )
    return release, training.ravel() != 0


def _images_of_release(root, *, training):
    """Training or test images by their number from 1."""
    release, is_training = _read_release(root)
    singles, acts = field(release, "single_person"), rows(field(release, "act"))
    images = {}
    for i, image in enumerate(rows(field(release, "annolist"))):
        if is_training[i] == training:
            (file,) = rows(field(image, "image"))
            act = acts[i] if acts else None
            attributes = {"activity": text(act, "act_name"), "category": text(act, "cat_name")}
            images[i + 1] = _Image(
                Path(within(root / "images", text(file, "name"), "name")),
                dict(enumerate(rows(field(image, "annorect")), 1)),
                {name: value for name, value in attributes.items() if value is not None},
                None if singles is None else set(singles.ravel()[i].ravel().tolist()),
            )
    return images


def _images_of_detections(root, detections):
    images = {}
    for (index, person), rect in zip(detections.people, detections.rects, strict=True):
        path = root / "images" / f"{index:05d}.jpg"
        images.setdefault(index, _Image(path, {}, {})).rects[person] = rect
    return images


def _primaries(images, split, held_out):
    """(image, person) numbers of the primary people, in the order of the records."""
    if split in ("validation", "tompson"):
        for index, person in held_out.people:
            if index not in images or person not in images[index].rects:
                raise ValueError(
                    "detections.mat must name training people of RELEASE; take both files of the "
                    f"same version of MPII. Received: person {person} of image {index}"
                )
        return held_out.people
    people = [
        (index, number)
        for index, image in images.items()
        for number, (person, *_) in image.groups.items()
        if person.center is not None and person.height is not None
        if split == "test" or person.labelled.any()
    ]
    excluded = set(held_out.people) if split == "train" else ()
    return [person for person in people if person not in excluded]


def _person(rect):
    points, visible = _no_labels()
    for point in [p for a in rows(field(rect, "annopoints")) for p in rows(field(a, "point"))]:
        part = int(number(point, "id"))
        if part < 0:  # which is an index, too
            raise IndexError(f"part {part}")
        points[part] = _xy(point)
        # Absent for some, also for whole people: then seen, as in genJSON.m.
        visible[part] = OCCLUDED if number(point, "is_visible") == 0 else VISIBLE
    place, scale = rows(field(rect, "objpos")), number(rect, "scale")
    return Person(
        points,
        visible,
        center=_xy(place[0]) if place else None,
        height=None if scale is None else _PIXELS_OF_SCALE_1 * scale,
        head_size=_head_size(rect),
        attributes=torso_angle(points, visible, MPII16),
    )


def _xy(point):
    return number(point, "x") - 1, number(point, "y") - 1  # MATLAB counts pixels from 1


def _no_labels():
    return np.zeros((MPII16.num_parts, 2)), np.full(MPII16.num_parts, NOT_LABELLED)


def _head_size(rect):
    corners = [number(rect, name) for name in ("x1", "y1", "x2", "y2")]
    sides = (0, 0) if None in corners else np.subtract(corners[2:], corners[:2])
    return _HEAD_SHARE * float(np.hypot(*sides)) or None


def _predicted(record, keypoints, parts):
    """The record with predictions (P, 2) of `parts` as labels of its primary, and nobody else."""
    points, visible = _no_labels()
    for part, point in zip(parts, keypoints, strict=True):
        points[MPII16.index(part)], visible[MPII16.index(part)] = point, VISIBLE
    person = dataclasses.replace(record.people[0], keypoints=points, visible=visible)
    return dataclasses.replace(record, people=(person,))


def _annopoints(keypoints, ids):
    """The struct `annopoints` of one person, from (P, 2) points and the ids of their parts."""
    points = [(x + 1, y + 1, part) for (x, y), part in zip(keypoints, ids, strict=True)]
    points = [point for point in points if np.isfinite(point).all()]
    return {"point": np.array([points], [("x", object), ("y", object), ("id", object)])}


def _check_complete(release, indices, points):
    """Whether every single person of the test images, numbers from 0, has a prediction."""
    singles, images = field(release, "single_person").ravel(), rows(field(release, "annolist"))
    missing = [
        (int(index) + 1, int(person))
        for index in indices
        for person in singles[index].ravel()
        if field(rows(field(images[index], "annorect"))[int(person) - 1], "objpos") is not None
        if (index + 1, int(person)) not in points
    ]
    if missing:
        raise ValueError(
            f"`records` must hold every single person of the test images; {len(missing)} have no "
            f"prediction, the first is person {missing[0][1]} of image {missing[0][0]}."
        )


def _with_points(rects, index, points):
    """`annorect` of image `index` with the field `annopoints` as predicted, else empty."""
    if not rows(rects):
        return rects
    names = [*(name for name in rects.dtype.names if name != "annopoints"), "annopoints"]
    filled = np.empty((1, rects.size), [(name, object) for name in names])
    for name in names[:-1]:
        filled[name] = rects[name].ravel()
    for person in range(rects.size):
        filled["annopoints"][0, person] = points.get((index, person + 1), np.zeros((0, 0)))
    return filled
