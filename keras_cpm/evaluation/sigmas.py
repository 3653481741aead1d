"""How far people differ who label the same part: the sigmas of COCO's metric."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ..data.formats.coco_writer import area_of
from ..data.records import Record
from ..pose.skeleton import COCO17

# cocodataset.org/#keypoints-eval, where they were measured on 5,000 photographs labelled twice or
# more; the numbers are in `Params.setKpParams` of COCO's own cocoeval.py
_FACE = (0.026, 0.025, 0.025, 0.035, 0.035)
_BODY = (0.079, 0.079, 0.072, 0.072, 0.062, 0.062, 0.107, 0.107, 0.087, 0.087, 0.089, 0.089)
COCO_SIGMAS = dict(zip(COCO17.parts, _FACE + _BODY, strict=True))
# people whom several labelled; of fewer an estimate is off by a sixth and more
_FEWEST = 10
# less is the rounding of equal labels
_SAME = 1e-9


def estimate_sigmas(labellings: Sequence[Sequence[Record]]) -> dict[str, float]:
    """Sigmas of COCO's metric from the same people labelled twice or more.

    COCO's definition: the square of a part's sigma is the mean over people of d^2 / area, where d
    is how far a label is from where people put it on average. Of K labels of a person's part, d^2
    is the sum of their squared distances (pixels) from their mean, divided by K - 1; the area is
    that of the first labelling. One set of labels cannot say it: nothing in it differs.

    Args:
        labellings: two or more lists of records: the same people in the same order, labelled
            independently. The primary people are compared.

    Returns:
        part -> sigma, a share of the square root of the area.

    Raises:
        ValueError: one labelling, other people, the same labels again, or a part that fewer than
            10 people have in two labellings.

    Example:
        >>> import dataclasses, numpy as np, tempfile, keras_cpm
        >>> once = keras_cpm.draw_records(tempfile.mkdtemp(), 12, others=0)
        >>> def again(record):
        ...     person = record.people[0]
        ...     moved = dataclasses.replace(person, keypoints=person.keypoints + [3.0, 0.0])
        ...     return dataclasses.replace(record, people=(moved,))
        >>> sigmas = keras_cpm.estimate_sigmas([once, [again(record) for record in once]])
        >>> 0.01 < sigmas["head"] < 0.1
        True
    """
    parts = _checked(labellings)
    people = [[record.people[0] for record in records] for records in labellings]
    points = np.array([[person.keypoints for person in several] for several in people], np.float64)
    known = np.array([[person.labelled for person in several] for several in people])
    counts = known.sum(axis=0)
    mean = np.where(known[..., None], points, 0).sum(axis=0) / np.maximum(counts, 1)[..., None]
    squares = np.where(known, np.square(points - mean).sum(axis=-1), 0).sum(axis=0)
    areas = np.array([area_of(person) if person.labelled.any() else 0.0 for person in people[0]])
    usable = (counts > 1) & (areas > 0)[:, None]
    shares = squares / np.maximum(counts - 1, 1) / np.where(areas > 0, areas, 1)[:, None]
    seen = usable.sum(axis=0)
    sigmas = np.sqrt(np.where(usable, shares, 0).sum(axis=0) / np.maximum(seen, 1))
    found = list(zip(parts, sigmas.tolist(), seen.tolist(), strict=True))
    same = [part for part, sigma, count in found if count and sigma < _SAME]
    if same:
        raise ValueError(
            f"The labellings are equal in {same}: one set of labels cannot say how far people "
            "differ; give `sigmas` by name, or the labels of somebody else for the same people."
        )
    few = [part for part, _, count in found if count < _FEWEST]
    if few:
        raise ValueError(
            f"An estimate of `sigmas` takes {_FEWEST} people or more whom two labelled; give "
            f"sigmas by name, or label more of {few}."
        )
    return {part: sigma for part, sigma, _ in found}


def _checked(labellings):
    if len(labellings) < 2 or not labellings[0]:
        raise ValueError(
            "One set of labels cannot say how far people differ; give `sigmas` by name, or the "
            f"labels of somebody else for the same people. Received: {len(labellings)} labellings"
        )
    first, *others = labellings
    for records in [first, *others]:
        if len(records) != len(first):
            raise ValueError(
                "Labellings must hold the same people in the same order; prepare them from the "
                f"same photographs. Received: {len(first)} and {len(records)} people"
            )
        for number, (a, b) in enumerate(zip(first, records, strict=True)):
            if Path(a.image).name != Path(b.image).name or b.parts != first[0].parts:
                raise ValueError(
                    f"Labellings must hold the same people and parts in the same order; record "
                    f"{number} is of {a.image} and {b.image}. Received: parts {list(b.parts)}"
                )
    return first[0].parts


def read_sigmas(path: Path | str) -> dict[str, float]:
    """Reads {"part": sigma, ...} from a JSON file.

    Raises:
        FileNotFoundError, ValueError: naming the file and what to do.

    Example:
        >>> import pathlib, tempfile
        >>> from keras_cpm.evaluation.sigmas import read_sigmas
        >>> path = pathlib.Path(tempfile.mkdtemp(), "fish.json")
        >>> _ = path.write_text('{"mouth": 0.03, "tail": 0.09}')
        >>> read_sigmas(path)["tail"]
        0.09
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"There is no file of sigmas at {path}.")
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f'{path} must be JSON: {{"part": sigma, ...}}; correct it. {error!s:.200}'
        ) from None
    if not isinstance(content, dict):
        raise ValueError(f'{path} must hold {{"part": sigma, ...}}. Received: {content!r:.200}')
    return content


def sigmas_of(
    parts: Sequence[str], shared: Sequence[str], given: Mapping[str, float] | None
) -> dict[str, float]:
    """The sigmas of the parts that count.

    Args:
        parts: of the labels.
        shared: those of them that are predicted.
        given: part -> sigma, of those that count; `None`: all, with COCO's sigmas.

    Raises:
        ValueError: COCO has no sigma for a part; or what is given is no positive number, or no
            part of the labels, or nothing is left.

    Example:
        >>> from keras_cpm.evaluation.sigmas import sigmas_of
        >>> sigmas_of(("nose", "left_hip", "tail"), ("nose", "left_hip"), None)
        {'nose': 0.026, 'left_hip': 0.107}
    """
    if given is None:
        unknown = [part for part in shared if part not in COCO_SIGMAS]
        if unknown:
            raise ValueError(
                f"COCO has no sigma for {unknown}; give `sigmas` by name for the parts that count."
            )
        given = {part: COCO_SIGMAS[part] for part in shared}
    for part, sigma in given.items():
        number = isinstance(sigma, int | float) and not isinstance(sigma, bool)
        if not number or not 0 < sigma < float("inf"):
            raise ValueError(
                "`sigmas` must be positive numbers, shares of the square root of a person's area. "
                f"Received: {sigma!r:.99} for {part!r:.99}"
            )
    strange = [part for part in given if part not in parts]
    if strange:
        raise ValueError(
            f"`sigmas` must be of parts that the labels have, {list(parts)}. Received: {strange}"
        )
    counted = {part: float(given[part]) for part in shared if part in given}
    if not counted:
        raise ValueError(
            "Labels, predictions and `sigmas` must share parts. Received: labels of "
            f"{list(parts)}, of which {list(shared)} are predicted, sigmas of {list(given)}"
        )
    return counted
