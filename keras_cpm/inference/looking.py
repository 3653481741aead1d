"""What a worker of `bulk` does: it opens a model once, and makes a table of poses of each block."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

from .blocks import store_of, write_parquet

# A photograph at which so many workers died is not looked at again: one that takes more memory
# than there is, say, would otherwise stop everything for ever. Not the first, which may be chance.
_DEATHS = 3
_SIGNATURE = "1/saved_model.pb"
# outputs of the signature `people` -> columns
_OF_A_PERSON = {
    "keypoints": "keypoints",
    "scores": "scores",
    "person_scores": "person_score",
    "boxes": "box",
}


class Looker:
    """Opens a model at the first block, and looks at one block after the other.

    Args:
        folder: of the answers; a path, or a URL.
        root: where relative paths begin.
        model, people, person_model: as `bulk.predict_many` takes them.
        threads: of TensorFlow, in one operation; `None` leaves them to it.
    """

    def __init__(self, folder, root, model, people, person_model, threads):
        self._folder, self._root = folder, root
        self._model = (model, people, person_model, threads)
        self._look = None

    def __call__(self, blocks: Any) -> Any:
        """Looks at blocks and writes what is seen.

        Args:
            blocks: `pyarrow.Table` with a column `block`, JSON of `Block`.

        Returns:
            `pyarrow.Table`: `photographs`, `people`, `errors` are counts, `refusal` says why the
            model cannot be used, or "".
        """
        import pyarrow as pa

        counts = []
        for block in map(json.loads, blocks["block"].to_pylist()):
            try:
                self._look = self._look or _opened(*self._model)
            except (ValueError, OSError, ImportError) as error:
                counts.append(_count([], str(error)))
                continue
            rows = self._rows(**block)
            write_parquet(pa.Table.from_pylist(rows, _schema()), self._folder, block["name"])
            counts.append(_count(rows))
        return pa.Table.from_pylist(counts)

    def _rows(self, name, paths, boxes):
        rows, attempts = [], _Attempts(self._folder, name)
        for number, (path, places) in enumerate(zip(paths, boxes, strict=True)):
            deaths = attempts.begin(number)
            if deaths < _DEATHS:
                rows += _seen(self._look, path, self._root, places)
            else:
                error = f"{deaths} workers died while they looked at it; look at it by itself."
                rows.append(_nobody(path, error))
        attempts.end()
        return rows


class _Attempts:
    """Which photograph of a block is looked at, where the next worker reads it if this one dies: a
    line a worker, whose last number is where it was.
    """

    def __init__(self, folder, name):
        self._path = None if "://" in folder else Path(folder) / f".{name}.attempts"
        self._deaths = Counter()
        if self._path:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with open(self._path, "a+") as file:
                file.seek(0)
                self._deaths.update(line.split()[-1] for line in file if line.strip())
                file.write("\n")

    def begin(self, number):
        """How many workers died at this photograph."""
        if self._path:
            with open(self._path, "a") as file:
                file.write(f"{number} ")
        return self._deaths[str(number)]

    def end(self):
        if self._path:
            self._path.unlink(missing_ok=True)


def _seen(look, path, root, boxes):
    """The rows of one photograph, however bad it is."""
    import tensorflow as tf

    try:
        people = look(_source(path, root), boxes)
    except (MemoryError, tf.errors.ResourceExhaustedError):
        return [_nobody(path, f"There is not enough memory for {path}; make it smaller.")]
    except (ValueError, tf.errors.OpError) as error:
        return [_nobody(path, str(error).splitlines()[0])]
    except OSError as error:
        # ours are sentences, those of the system have a number
        reason = f"{path} cannot be read ({error.strerror})." if error.errno else str(error)
        return [_nobody(path, reason)]
    return [
        {"path": path, "person": number, **person} for number, person in enumerate(people, 1)
    ] or [_nobody(path, "")]


def _source(path, root):
    if "://" not in path:
        return os.path.join(root, path)
    store, inner = store_of(path)
    with store.open_input_stream(inner) as file:
        return file.read()


def _nobody(path, error):
    return {"path": path, "person": 0, "keypoints": [], "scores": [], "error": error}


def _count(rows, refusal=""):
    return {
        "photographs": sum(row["person"] <= 1 for row in rows),
        "people": sum(row["person"] > 0 and not row.get("error") for row in rows),
        "errors": sum(bool(row.get("error")) for row in rows),
        "refusal": refusal,
    }


def _schema():
    import pyarrow as pa

    return pa.schema(
        {
            "path": pa.string(),
            "person": pa.int32(),
            "keypoints": pa.list_(pa.list_(pa.float32())),
            "scores": pa.list_(pa.float32()),
            "person_score": pa.float32(),
            "box": pa.list_(pa.float32()),
            "error": pa.string(),
        }
    )


def _opened(model, people, person_model, threads):
    """A function of a path or bytes and a list of boxes to a list of rows, one a person."""
    if threads is not None:
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    if model is not None and os.path.isfile(os.path.join(model, _SIGNATURE)):
        return _of_served(model, people)
    return _of_bundle(model, people, person_model)


def _of_bundle(model, people, person_model):
    from ..images import decode
    from ..models import bundle
    from ..pose import search
    from . import people as everybody
    from .person_finder import load_finder
    from .predictor import Predictor

    predictor = Predictor(*bundle.load(model or bundle.default_bundle()))
    if people == "auto":
        find = load_finder(person_model)

    def persons(source, boxes):
        pixels = decode.upright_array(source)
        if boxes:
            yield from (_boxed(everybody.poses_at, pixels, predictor, box) for box in boxes)
        elif people == "auto":
            yield from everybody.find_poses(pixels, predictor, find)
        else:
            pose = predictor(pixels)
            score = search.person_scores(pose.keypoints, pose.scores, pixels.shape[:2])
            yield everybody.found_person(pose, float(score))

    def look(source, boxes):
        return [
            one if isinstance(one, dict) else _person(one.pose, one.score, one.box)
            for one in persons(source, boxes)
        ]

    return look


def _boxed(poses_at, pixels, predictor, box):
    """A box that is none does not cost the other people of its photograph."""
    try:
        (found,) = poses_at(pixels, predictor, [{"box": box}])
    except ValueError as error:
        return {"keypoints": [], "scores": [], "box": box, "error": str(error)}
    return _person(found.pose, found.score, box)


def _person(pose, score, box):
    return {
        "keypoints": pose.keypoints.tolist(),
        "scores": pose.scores.tolist(),
        "person_score": score,
        "box": list(box),
        "error": "",
    }


def _of_served(folder, people):
    import tensorflow as tf

    from ..images import decode, transcode
    from ..pose import search

    loaded = tf.saved_model.load(os.path.join(folder, "1"))
    signatures = loaded.signatures
    needed = "people" if people == "auto" else "serving_default"
    if needed not in signatures or "boxes" not in signatures:
        raise ValueError(
            f"{folder} must have the signatures {needed} and boxes; export it again, for "
            f"people='auto' with a person network. Received: {', '.join(sorted(signatures))}"
        )

    def look(source, boxes):
        data = source if isinstance(source, bytes) else decode.encoded(source)
        image = tf.reshape(transcode.readable(tf.constant(data)), [1])
        if boxes:
            at = signatures["boxes"]
            return [
                {**_first(at(image=image, box=tf.constant([b], tf.float32))), "box": b}
                for b in boxes
            ]
        if people == "whole":
            row = _first(signatures["serving_default"](image=image))
            if row["error"]:
                raise ValueError(row["error"])
            around = search.boxes_around(row["keypoints"], row["scores"])
            return [{**row, "box": around.numpy().tolist()}]
        found = {
            name: value.numpy()[0] for name, value in signatures["people"](image=image).items()
        }
        if found["error"]:
            raise ValueError(_sentence(found["error"]))
        columns = zip(*(found[name].tolist() for name in _OF_A_PERSON), strict=True)
        rows = [dict(zip(_OF_A_PERSON.values(), row, strict=True)) for row in columns]
        return [{**row, "error": ""} for row in rows[: found["count"]]]

    # the functions of `signatures` die with what they were loaded from
    look.model = loaded
    return look


def _first(found):
    found = {name: value.numpy()[0] for name, value in found.items()}
    error = _sentence(found["error"])
    names = ("keypoints", "scores")
    return {**{name: [] if error else found[name].tolist() for name in names}, "error": error}


def _sentence(error):
    text = error.decode()
    return f"{text[0].upper()}{text[1:]}." if text else ""
