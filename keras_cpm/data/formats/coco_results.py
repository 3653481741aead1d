"""Reader of results of COCO's form: poses of any number of people a photograph."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from .json_file import id_of, naming, numbers_of, read_json

_AGAIN = "write results with `keras-cpm predict --people auto --coco`, or export them again"


def read_coco_results(path: Path | str) -> list[dict[str, Any]]:
    """Reads results as COCO's tools take them, of this package or of another.

    Args:
        path: of a JSON file, a list of {"image_id", "category_id", "keypoints", "score"}, one a
            person; what else there is, is left out, but `bbox` where all have it.

    Returns:
        The same list, checked: "image_id" a number or a text, "category_id" as it is there or
        `None`, "keypoints" 3 P finite numbers x, y, anything, image frame, pixels, P the same for
        all, "score" a finite number, "bbox" x, y, width, height.

    Raises:
        ValueError: naming the file, the result and what to do.
        FileNotFoundError: there is no such file.

    Example:
        >>> import json, pathlib, tempfile
        >>> from keras_cpm.data.formats.coco_results import read_coco_results
        >>> path = pathlib.Path(tempfile.mkdtemp(), "results.json")
        >>> person = {"image_id": 139, "category_id": 1, "keypoints": [7, 9, 1], "score": 0.8}
        >>> _ = path.write_text(json.dumps([person]))
        >>> read_coco_results(path) == [person]
        True
    """
    content = read_json(path, _AGAIN)
    if not isinstance(content, list) or not all(isinstance(item, dict) for item in content):
        raise ValueError(f"{path} must hold a list of results, one object a person; {_AGAIN}.")
    if not content:
        raise ValueError(f"{path} holds no result, so nobody was found; {_AGAIN}.")
    boxed = all("bbox" in item for item in content)
    results = []
    for number, item in enumerate(content):
        with naming(f"{path}, result {number}"):
            results.append(_result(item, boxed))
            count, first = len(results[-1]["keypoints"]), len(results[0]["keypoints"])
            if count != first:
                raise ValueError(
                    f"all results must have as many `keypoints`, here {first} numbers; write a "
                    f"file for each figure. Received: {count} numbers"
                )
    return results


def _result(item, boxed):
    image, category = id_of(item, "image_id"), id_of(item, "category_id")
    if image is None:
        raise ValueError("`image_id` must be there: the id of a photograph; export it again.")
    result = {"image_id": image, "category_id": category}
    result["keypoints"] = _finite(item, "keypoints", "x, y, visible of each part", 3)
    result["score"] = _score(item)
    if boxed:
        result["bbox"] = _finite(item, "bbox", "x, y, width, height", 4)
    return result


def _score(item):
    try:
        score = float(item.get("score"))
    except (ValueError, TypeError, OverflowError):
        score = math.nan
    if not math.isfinite(score):
        raise ValueError(
            "`score` must be a finite number, how sure the person is; export it again. "
            f"Received: {item.get('score')!r:.200}"
        )
    return score


def _finite(item, name, what, multiple):
    values = numbers_of(item, name)
    shaped = values is not None and values.ndim == 1 and len(values) % multiple == 0
    if not shaped or not np.isfinite(values).all():
        raise ValueError(
            f"`{name}` must be {what}, all of them finite; export it again. "
            f"Received: {item.get(name)!r:.200}"
        )
    return values.tolist()
