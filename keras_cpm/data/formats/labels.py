"""Labels of other tools: DeepLabCut, SLEAP, YOLO and Label Studio."""

from __future__ import annotations

from pathlib import Path

from ...pose.skeleton import BUILT_IN, Skeleton, mirror_pairs
from ...pose.spec import Progress
from ..photographs import upright_size
from ..placement import with_others
from ..records import Record
from . import label_studio, sleap, yolo
from .json_file import naming

_READ = (
    "SLEAP's .slp, the config.yaml or a CollectedData CSV of DeepLabCut, the data.yaml of YOLO "
    "pose, or Label Studio's JSON"
)
_TORSO = ("left_shoulder", "right_hip")


def load_labels(
    path: Path | str,
    *,
    images: Path | str | None = None,
    frames: Path | str | None = None,
    split: str | None = None,
    progress: Progress | None = None,
) -> list[Record]:
    """Reads what was labelled in another tool: a record for each figure with a label.

    SLEAP and DeepLabCut are read by sleap-io, and YOLO's data.yaml by PyYAML, which comes with it:
    the extra `labels`. A point that the tool holds for missing or hidden is not labelled; YOLO's
    flag 1 is occluded. Predictions of a tool are not read as labels.

    Args:
        path: a .slp file; config.yaml of a DeepLabCut project, its folder, or one CollectedData
            file, .csv or the .h5 with such a .csv beside it; data.yaml of YOLO pose, whatever its
            name, or its folder; a JSON file of Label Studio (not JSON-MIN).
        images: folder of the photographs, where they are not beside the labels.
        frames: folder to write those frames of videos into, as PNG files, that .slp labels.
        split: of YOLO the one to read, "train", "validation" or "test", unless given all that are
            there; of the others what to call it, "train" unless given.
        progress: wraps the list of photographs as it is gone through, for example `tqdm.tqdm`.

    Returns:
        Records with the figure first, then the others of the same photograph, the nearest 31 where
        there are more. Keypoints (P, 2) are (x, y) in the image frame, pixels, as the tool has
        them; `labels_skeleton` tells how `parts` relate. box is that of YOLO or Label Studio; else
        center and height are those of the box around the labelled parts, or `None` where that is a
        single point. `dataset` is "sleap", "deeplabcut", "yolo" or "label_studio".

    Raises:
        FileNotFoundError: there are no labels, or a photograph is missing.
        ValueError: naming the file, what is wrong in it and what to do.
        ImportError: the extra `labels` is needed and not installed.

    Example:
        >>> import cv2, json, numpy, pathlib, tempfile
        >>> from keras_cpm import load_labels
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> _ = cv2.imwrite(str(folder / "a.png"), numpy.zeros((50, 100, 3), numpy.uint8))
        >>> point = {"x": 25.0, "y": 40.0, "keypointlabels": ["mouth"]}
        >>> result = {"id": "1", "type": "keypointlabels", "value": point,
        ...           "original_width": 100, "original_height": 50}
        >>> task = {"data": {"image": "a.png"}, "annotations": [{"result": [result]}]}
        >>> _ = (folder / "tasks.json").write_text(json.dumps([task]))
        >>> load_labels(folder / "tasks.json")[0].people[0].keypoints.tolist()
        [[24.5, 19.5]]
    """
    path = Path(path)
    kind, reader = _reader(path)
    figure, items, read = reader(path, images=images, frames=frames, split=split)
    parts, records = _skeleton(figure, path).parts, []
    for item in progress(items) if progress else items:
        image, size, people, own = read(item)
        people = [person for person in people if person.labelled.any()]
        if people:
            size = size or upright_size(image)
        for several in with_others(people):
            with naming(f"{path}, {image}"):
                records.append(Record(image, size, parts, several, own or split or "train", kind))
    if not records:
        raise ValueError(f"{path} has no labelled figure; label some, or export the labels again.")
    return records


def labels_skeleton(path: Path | str) -> Skeleton:
    """The skeleton of labels that `load_labels` reads.

    A built-in one, such as `COCO17`, if it has the same parts in the same order; else limbs are the
    tool's edges, and mirror pairs its symmetries (SLEAP) or `flip_idx` (YOLO). Where it has none,
    they are told by names, see `skeleton.mirror_pairs`. The torso, which normalises PCK, goes from
    left_shoulder to right_hip where both exist.

    Args:
        path: as in `load_labels`.

    Raises:
        FileNotFoundError, ValueError, ImportError: as `load_labels`.

    Example:
        >>> import json, pathlib, tempfile
        >>> from keras_cpm import labels_skeleton
        >>> points = [{"id": name, "type": "keypointlabels", "value": {"keypointlabels": [name]}}
        ...           for name in ("mouth", "fin.R", "fin.L")]
        >>> path = pathlib.Path(tempfile.mkdtemp(), "tasks.json")
        >>> _ = path.write_text(json.dumps([{"data": {}, "annotations": [{"result": points}]}]))
        >>> labels_skeleton(path).flip_pairs
        (('fin.R', 'fin.L'),)
    """
    path = Path(path)
    figure, _, _ = _reader(path)[1](path, images=None, frames=None, split=None)
    return _skeleton(figure, path)


def _reader(path):
    """What to call the tool, and who reads it."""
    if not path.exists():
        raise FileNotFoundError(f"There are no labels at {path}; name {_READ}.")
    suffix = path.suffix.lower()
    if suffix == ".slp":
        return "sleap", sleap.read_slp
    if suffix in (".csv", ".h5"):
        return "deeplabcut", sleap.read_deeplabcut
    if suffix == ".json":
        return "label_studio", label_studio.read_label_studio
    if path.is_dir() or suffix in (".yaml", ".yml"):
        content = yolo.read_yaml(yolo.yaml_of(path))
        if "kpt_shape" in content:
            return "yolo", yolo.read_yolo
        if "bodyparts" in content or "multianimalbodyparts" in content:
            return "deeplabcut", sleap.read_deeplabcut
    raise ValueError(f"{path} holds no labels that are read here; name {_READ}.")


def _skeleton(figure, path):
    parts = figure["parts"]
    for skeleton in BUILT_IN.values():
        if skeleton.parts == parts:
            return skeleton
    with naming(path):
        return Skeleton(
            figure["name"] or "custom",
            parts,
            limbs=tuple(dict.fromkeys(figure["limbs"])),
            flip_pairs=tuple(figure["flip_pairs"]) or mirror_pairs(parts),
            torso=_TORSO if set(_TORSO) <= set(parts) else None,
        )
