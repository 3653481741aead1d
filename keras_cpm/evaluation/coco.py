"""COCO's metric of keypoints, by faster-coco-eval: average precision and recall over OKS."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..data.formats.coco_writer import parts_in_results
from ..data.records import Record
from ..pose.spec import Array
from .coco_labels import Labels, labels_of_file, labels_of_records, numbers_of_photographs
from .sigmas import sigmas_of

# in the order of the library: over OKS 0.50 to 0.95, at one threshold, of people of 32^2 to 96^2
# square pixels and of larger ones
NUMBERS = ("AP", "AP50", "AP75", "APM", "APL", "AR", "AR50", "AR75", "ARM", "ARL")
_CATEGORY = 1


@dataclass(frozen=True, eq=False)
class CocoScores:
    """What COCO's metric says.

    Args:
        rows: name of a row -> the ten numbers in percent, "AP", "AP50", "AP75", "APM", "APL", and
            the same of "AR"; `None` where nobody is of that size.
        sigmas: part -> sigma, of the parts that counted.
        parts: of the labels.
        people: how many were to be found, at most over the rows; without those that are ignored.
        measured: of how many of these the labels say the area; for the others it is that of the
            box.

    Example:
        >>> import keras_cpm
        >>> scores = keras_cpm.CocoScores({"mine": {"AP": 71.5}}, {"nose": 0.026}, ("nose",), 9, 0)
        >>> scores.rows["mine"]["AP"]
        71.5
    """

    rows: dict[str, dict[str, float | None]]
    sigmas: dict[str, float]
    parts: tuple[str, ...]
    people: int
    measured: int


def evaluate_coco(
    labels: Sequence[Record] | Path | str,
    predictions: Mapping[str, Sequence[dict[str, Any]] | tuple[Any, ...]],
    *,
    sigmas: Mapping[str, float] | None = None,
) -> CocoScores:
    """Average precision and recall over object keypoint similarity, as COCO's tools give them.

    A person's OKS is the mean over labelled parts of exp(-d^2 / (2 area (2 sigma)^2)).

    Args:
        labels: list of `Record`, or the path of a COCO file. A file has what COCO's benchmark
            ignores, crowds and people without labels; records do not.
        predictions: name of a row -> results as `read_coco_results` reads them, any number of
            people a photograph, against everybody who is labelled; or a tuple of keypoints (S, P,
            2) image frame, pixels, NaN where nothing is predicted, P part names and, if known,
            scores (S,), against the S records' primary people.
        sigmas: part -> sigma of the parts that count; `None`: COCO's, for all parts that labels and
            all predictions share. See `estimate_sigmas`.

    Returns:
        `CocoScores`.

    Raises:
        ValueError: labels, predictions or sigmas that do not fit each other.
        ImportError: the extra `coco` is not installed.

    Example:
        >>> import numpy as np, tempfile, keras_cpm
        >>> records = keras_cpm.draw_records(tempfile.mkdtemp(), 3)
        >>> perfect = np.stack([record.people[0].keypoints for record in records])
        >>> sigmas = dict.fromkeys(records[0].parts, 0.05)
        >>> mine = {"mine": (perfect, records[0].parts)}
        >>> scores = keras_cpm.evaluate_coco(records, mine, sigmas=sigmas)
        >>> round(scores.rows["mine"]["AP"], 6)
        100.0
    """
    if not predictions:
        raise ValueError("`predictions` must have at least one row. Received: none")
    library = _library()
    read = labels_of_file(labels) if isinstance(labels, Path | str) else labels_of_records(labels)
    rows = {name: _row(name, found, read) for name, found in predictions.items()}
    shared = [part for part in read.parts if all(part in parts for _, _, parts in rows.values())]
    counted = sigmas_of(read.parts, shared, sigmas)
    scores, people, measured = {}, 0, 0
    for name, (truth, found, parts) in rows.items():
        dataset = _dataset(read, truth, list(counted))
        columns = [parts.index(part) for part in counted]
        results = [one | {"keypoints": _chosen(one["keypoints"], columns)} for one in found]
        scores[name] = _ten(library, dataset, results, list(counted.values()))
        looked_for = [a["measured"] for a in dataset["annotations"] if _counts(a)]
        people, measured = max((people, measured), (len(looked_for), sum(looked_for)))
    return CocoScores(scores, counted, read.parts, people, measured)


def _row(name, found, labels: Labels):
    """Annotations, results by number of photograph, and the parts of these."""
    if isinstance(found, tuple):
        return _one_a_record(name, *found, labels=labels)
    parts = _parts_of(name, found, labels.parts)
    category = labels.category
    if category is not None:
        chosen = [one for one in found if one["category_id"] in (None, category)]
    else:
        chosen = list(found)
    if not chosen or len({one["category_id"] for one in chosen}) > 1:
        wanted = "one `category_id`" if category is None else f"the `category_id` {category!r:.99}"
        raise ValueError(
            f"The results {name!r} must have {wanted}; export those of one figure. "
            f"Received: {sorted({str(one['category_id']) for one in found})[:9]}"
        )
    numbers = numbers_of_photographs(labels, [one["image_id"] for one in chosen])
    results = [_result(one, numbers[one["image_id"]]) for one in chosen]
    return labels.people, results, parts


def _parts_of(name, found, parts):
    if not found:
        raise ValueError(f"The results {name!r} must hold somebody. Received: an empty list")
    count = len(found[0]["keypoints"])
    usual = parts_in_results(parts)
    for known in (parts, usual):
        if count == 3 * len(known):
            return tuple(known)
    raise ValueError(
        f"The results {name!r} must have {3 * len(parts)} numbers a person, x, y, visible of "
        f"{list(parts)}. Received: {count} numbers"
    )


def _result(one, number):
    kept = {key: one[key] for key in ("keypoints", "score", "bbox") if key in one}
    return kept | {"image_id": number, "category_id": _CATEGORY}


def _one_a_record(
    name: str, points: Array, parts: Sequence[str], scores: Array | None = None, *, labels: Labels
):
    if not labels.primary:
        raise ValueError(
            f"The predictions {name!r} are one pose a record; prepare records of the labels with "
            "`keras-cpm prepare coco`, or give results, a list of everybody in each photograph."
        )
    points, count = np.asarray(points, np.float64), len(labels.primary)
    scores = np.ones(count) if scores is None else np.asarray(scores, np.float64)
    if points.shape != (count, len(parts), 2) or scores.shape != (count,):
        raise ValueError(
            f"The predictions {name!r} must be {(count, len(parts), 2)}, one pose a record, and "
            f"scores ({count},). Received: {points.shape} and {scores.shape}; prepare the records "
            "of the split that was predicted."
        )
    triples = np.concatenate([points, np.ones((*points.shape[:2], 1))], axis=-1)
    triples[~np.isfinite(points).all(axis=-1)] = 0
    asked, results = [], []
    for annotation, values, score in zip(labels.primary, triples, scores.tolist(), strict=True):
        if annotation is not None:
            asked.append(annotation)
            one = {"keypoints": values.ravel().tolist(), "score": score}
            results.append(_result(one, annotation["image_id"]))
    return asked, results, tuple(parts)


def _dataset(labels, annotations, parts):
    columns = [labels.parts.index(part) for part in parts]
    chosen = []
    for number, annotation in enumerate(annotations, 1):
        points = _chosen(annotation["keypoints"], columns)
        own = {"id": number, "category_id": _CATEGORY, "keypoints": points}
        labelled = sum(visible > 0 for visible in points[2::3])
        chosen.append(annotation | own | {"num_keypoints": labelled})
    images = [{"id": number} for number in range(1, len(labels.photographs) + 1)]
    category = {"id": _CATEGORY, "name": "figure", "keypoints": parts}
    return {"images": images, "annotations": chosen, "categories": [category]}


def _counts(annotation):
    return annotation["num_keypoints"] and not annotation["iscrowd"]


def _chosen(values, columns):
    """x, y, visible of the parts in `columns`, of a flat list of all."""
    return np.reshape(values, (-1, 3))[columns].ravel().tolist()


def _ten(library, dataset, results, sigmas):
    truth = library.COCO(dataset)
    evaluator = library.COCOeval_faster(
        truth,
        truth.loadRes(results),
        iouType="keypoints",
        kpt_oks_sigmas=np.array(sigmas),
        print_function=lambda *_: None,
    )
    evaluator.evaluate()
    evaluator.accumulate()
    evaluator.summarize()
    # -1 where there is nobody to find
    values = [float(value) for value in evaluator.stats[: len(NUMBERS)]]
    return {
        name: None if value < 0 else 100 * value
        for name, value in zip(NUMBERS, values, strict=True)
    }


def _library():
    try:
        import faster_coco_eval
    except ImportError:
        raise ImportError(
            "COCO's metric needs faster-coco-eval: pip install 'keras-cpm[coco]'"
        ) from None
    return faster_coco_eval
