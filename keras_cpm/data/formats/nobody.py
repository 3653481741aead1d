"""Photographs of nobody: what a pose network is not to take for people."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ...images import decode, formats
from ...pose.skeleton import CPM14
from ...pose.spec import Progress
from ..records import VISIBLE, Person, Record

# Shares of the photograph: where somebody might be, and how tall.
_MIDDLES, _HEIGHTS = (0.2, 0.8), (0.3, 1.1)
# far outside of every box, so that there the belief in every part is 0 everywhere
_NOWHERE = -1e4


def load_nobody(
    root: Path | str,
    *,
    parts: Sequence[str] = CPM14.parts,
    seed: int = 0,
    progress: Progress | None = None,
) -> list[Record]:
    """A record for each photograph, of a place in which there is nobody.

    Its person has a centre and a height, as if somebody stood there, and all its parts are labelled
    far outside: so a training learns that no part is in sight, where a part without label would
    teach nothing. Not for evaluation.

    Args:
        root: folder or .zip of photographs without people.
        parts: P names, those of the network to be trained.
        seed: of the places.
        progress: wraps the list of photographs.

    Returns:
        list of `Record`.

    Raises:
        FileNotFoundError, ValueError: there is no photograph, or one cannot be decoded.

    Example:
        >>> import tempfile
        >>> from keras_cpm import draw_records
        >>> from keras_cpm.data.formats.nobody import load_nobody
        >>> folder = tempfile.mkdtemp()
        >>> pictures = draw_records(folder, 2)
        >>> len(load_nobody(folder)), load_nobody(folder)[0].people[0].keypoints[0].tolist()
        (2, [-10000.0, -10000.0])
    """
    images = _images(Path(root))
    if not images:
        raise FileNotFoundError(f"There is no photograph in {root}; name a folder or a .zip file.")
    keypoints = np.full((len(parts), 2), _NOWHERE)
    visible = np.full(len(parts), VISIBLE)
    records = []
    for number, image in enumerate((progress or iter)(images)):
        height, width = decode.upright_array(image).shape[:2]
        rng = np.random.default_rng([seed, number])
        middle = rng.uniform(*_MIDDLES, 2) * (width, height)
        tall = float(rng.uniform(*_HEIGHTS) * height)
        person = Person(keypoints, visible, center=tuple(middle.tolist()), height=tall)
        records.append(Record(str(image), (height, width), tuple(parts), (person,)))
    return records


def _images(root):
    if zipfile.is_zipfile(root):
        names = zipfile.ZipFile(root).namelist()
        return [root / name for name in names if name.lower().endswith(formats.PHOTOGRAPHS)]
    return formats.list_photographs(root)[0] if root.is_dir() else []
