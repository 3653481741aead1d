"""YOLO pose: data.yaml, and a text file of figures for each photograph, as Ultralytics has them."""

import functools
import os
import warnings
from pathlib import Path

import numpy as np

from ...images import formats
from ...pose.skeleton import COCO17
from ..photographs import upright_size
from ..records import NOT_LABELLED, OCCLUDED, VISIBLE, Person
from .json_file import naming

_SPLITS = {"train": "train", "validation": "val", "test": "test"}
_BOX = 5  # a line begins with the class and x, y, width, height


def read_yolo(path, *, images, frames, split):
    """See `sleap.read_slp`."""
    path = yaml_of(path)
    config = read_yaml(path)
    with naming(path):
        figure, dims = _figure(config)
        asked = [split] if split else [name for name, key in _SPLITS.items() if config.get(key)]
        unknown = [name for name in asked if not config.get(_SPLITS.get(name, ""))]
        if unknown or not asked:
            raise ValueError(
                f"`split` must be one that it has, of {list(_SPLITS)}. Received: split={split!r}"
            )
    folders = [path.parent / str(config.get("path") or ""), path.parent]
    folders = [Path(images), *folders] if images else folders
    read = functools.partial(_read, count=len(figure["parts"]), dims=dims)
    return figure, _items(path, config, asked, folders, chosen=split is not None), read


def yaml_of(path):
    """data.yaml or config.yaml in a folder; any other path as it is.

    Raises:
        FileNotFoundError: neither is in the folder.
    """
    if not path.is_dir():
        return path
    for name in ("data.yaml", "config.yaml"):
        if (path / name).is_file():
            return path / name
    raise FileNotFoundError(
        f"There is neither data.yaml of YOLO nor config.yaml of DeepLabCut in {path}; name a file."
    )


def read_yaml(path):
    """The mapping that a YAML file holds.

    Raises:
        ImportError: the extra `labels` is not installed.
        ValueError: it is no YAML, or no mapping.
    """
    try:
        import yaml
    except ImportError:
        raise ImportError(
            f"{path.name} needs sleap-io and PyYAML: pip install 'keras-cpm[labels]'"
        ) from None
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"{path} is no YAML file ({error!s:.200}); export it again.") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path} must hold names and values, as data.yaml does; export it again.")
    return content


def _figure(config):
    shape = config["kpt_shape"]
    if not _whole(shape) or len(shape) != 2 or shape[0] < 1 or shape[1] not in (2, 3):
        raise ValueError(
            f"`kpt_shape` must be [parts, 2] or [parts, 3]; correct it. Received: {shape!r:.200}"
        )
    count = shape[0]
    order = config.get("flip_idx") or list(range(count))
    if (
        not _whole(order)
        or sorted(order) != list(range(count))
        or any(order[order[i]] != i for i in range(count))
    ):
        raise ValueError(
            f"`flip_idx` must hold the mirror image of each of {count} parts, from 0; correct it. "
            f"Received: {order!r:.200}"
        )
    names = config.get("node_names") or config.get("kpt_names")
    # Ultralytics has a list for each class
    names = next(iter(names.values())) if isinstance(names, dict) else names
    if names is None and tuple(order) == COCO17.flip_permutation:
        names = COCO17.parts
    names = tuple(map(str, names or [f"point_{i}" for i in range(count)]))
    if len(names) != count:
        raise ValueError(f"`kpt_names` must be {count} names. Received: {list(names)!r:.200}")
    limbs = _limbs(config.get("skeleton") or [], names)
    pairs = [(names[i], names[j]) for i, j in enumerate(order) if i < j]
    classes = config.get("names") or {}
    name = next(iter(classes.values() if isinstance(classes, dict) else classes), None)
    figure = {"name": name and str(name), "parts": names, "limbs": limbs, "flip_pairs": pairs}
    return figure, shape[1]


def _whole(values):
    return isinstance(values, list) and all(type(value) is int for value in values)


def _limbs(pairs, names):
    if not isinstance(pairs, list) or not all(
        _whole(pair) and len(pair) == 2 and 0 <= min(pair) <= max(pair) < len(names)
        for pair in pairs
    ):
        raise ValueError(
            f"`skeleton` must hold pairs of numbers of the {len(names)} parts, from 0; correct it. "
            f"Received: {pairs!r:.200}"
        )
    return [(names[a], names[b]) for a, b in pairs]


def _there(path, config, names, folders):
    """The splits whose places are there: many a data.yaml names a test split that nobody made.

    Raises:
        FileNotFoundError: a place of "train" is missing, or one of each split.
    """
    missing = {}
    for name in names:
        try:
            _places(path, config, name, folders)
        except FileNotFoundError as error:
            missing[name] = error
    if "train" in missing or len(missing) == len(names):
        raise next(iter(missing.values()))
    for name, reason in missing.items():
        warnings.warn(f"{name} is left out: {reason}", stacklevel=4)
    return [name for name in names if name not in missing]


def _places(path, config, split, folders):
    entries = config[_SPLITS[split]]
    entries = entries if isinstance(entries, list) else [entries]
    return [_place(path, str(entry), folders) for entry in entries]


def _items(path, config, asked, folders, chosen):
    """Yields (photograph, split) of all; only then the photographs must be there."""
    for split in asked if chosen else _there(path, config, asked, folders):
        for place in _places(path, config, split, folders):
            if place.is_dir():
                photographs = sorted(
                    p for p in place.rglob("*") if p.suffix.lower() in formats.PHOTOGRAPHS
                )
            else:  # a list of files
                lines = place.read_text(encoding="utf-8").split("\n")
                photographs = [
                    _place(path, line.strip(), folders) for line in lines if line.strip()
                ]
            yield from ((photograph, split) for photograph in photographs)


def _place(path, entry, folders):
    # Roboflow writes ../train/images for train/images
    names = (entry, entry.removeprefix("../"), entry.removeprefix("./"))
    for place in (Path(folder) / name for folder in folders for name in names):
        if place.exists():
            return Path(os.path.abspath(place))
    raise FileNotFoundError(
        f"There is no {entry} of {path} in {folders[0]}; name the folder that it starts from with "
        "`images`."
    )


def _read(item, *, count, dims):
    photograph, split = item
    steps = list(photograph.with_suffix(".txt").parts)
    if "images" in steps:
        steps[len(steps) - 1 - steps[::-1].index("images")] = "labels"
    text = Path(*steps)
    lines = text.read_text(encoding="utf-8").split("\n") if text.is_file() else []
    # sleap-io, too, passes over comments
    lines = [
        (number, line)
        for number, line in enumerate(lines, 1)
        if line.strip() and not line.lstrip().startswith("#")
    ]
    size, people = upright_size(photograph) if lines else None, []
    for number, line in lines:
        with naming(f"{text}, line {number}"):
            people.append(_person(np.array(line.split(), np.float64), count, dims, size[::-1]))
    return str(photograph), size, people, split


def _person(values, count, dims, scale):
    """Of a line; `scale` is (width, height), pixels: the file has shares of it."""
    if len(values) != _BOX + count * dims or not np.isfinite(values).all():
        raise ValueError(
            f"a figure is {_BOX + count * dims} numbers: class, box and {count} parts of {dims}; "
            f"export it again, or correct `kpt_shape`. Received: {len(values)} numbers"
        )
    middle, extent = values[1:3] * scale, values[3:5] * scale
    points = values[_BOX:].reshape(count, dims)
    if dims == 3:
        visible = points[:, 2]
    else:
        visible = np.where((points > 0).all(axis=1), VISIBLE, NOT_LABELLED)
    if not np.isin(visible, (NOT_LABELLED, OCCLUDED, VISIBLE)).all():
        raise ValueError(f"visible must be 0, 1 or 2. Received: {visible.tolist()!r:.200}")
    box = (*(middle - extent / 2), *(middle + extent / 2)) if (extent > 0).all() else None
    return Person(points[:, :2] * scale, visible, box=box)
