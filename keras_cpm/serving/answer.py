"""What a server may answer: everything that is taken from one is checked here, and bounded.

A server is somebody else's program. Its numbers must fit the request and the spec, its texts are
shown to people, and neither may cost more than a pose can.
"""

import time

import numpy as np

from ..export.artefact import MAX_ROWS

NAMES = ("keypoints", "scores", "person_scores", "count", "error")
_TEXT = 300


class Busy(ConnectionError):
    """A server that may be asked again."""


class Unfit(ValueError):
    """An answer that is none; the message continues "The server ..."."""


def largest_reply(parts):
    """Bytes of the longest answer to a request of `MAX_ROWS` rows, generously.

    Args:
        parts: P, of the spec.
    """
    # three numbers a part, which JSON writes a line each, and a sentence a row
    return (1 << 20) + MAX_ROWS * ((parts << 10) + 4096)


def left(deadline):
    """Seconds up to a moment of `time.monotonic()`.

    Raises:
        TimeoutError: it has passed.
    """
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise TimeoutError("the time is over")
    return seconds


def clean(text):
    """A text of strangers on one line of a terminal: no control characters, and not too long."""
    text = str(text)[: 4 * _TEXT]
    shown = " ".join("".join(one if one.isprintable() else " " for one in text).split())
    return shown if len(shown) <= _TEXT else f"{shown[:_TEXT]} ..."


def poses(outputs, rows, parts):
    """The rows of an answer.

    Args:
        outputs: dict of name -> array, of numbers or of objects, as the server sent them.
        rows: how many were asked.
        parts: P, of the spec.

    Returns:
        keypoints (rows, P, 2) float32, scores (rows, P) float32, and a list of `rows` texts, empty
        where the keypoints hold.

    Raises:
        Unfit: an output is missing, or of another shape or type, or keypoints are not finite where
            the server names no error.
    """
    shapes = {"keypoints": (rows, parts, 2), "scores": (rows, parts), "error": (rows,)}
    for name, shape in shapes.items():
        found = outputs[name].shape if name in outputs else "none"
        if found != shape:
            raise Unfit(
                f"gives no poses of this spec: `{name}` must have the shape {shape}. Received: "
                f"{found}; check the client's `spec` and `model`"
            )
    keypoints, scores = (_numbers(name, outputs[name]) for name in ("keypoints", "scores"))
    errors = [_text(one) for one in outputs["error"]]
    good = np.array([not error for error in errors])
    if not (np.isfinite(keypoints[good]).all() and np.isfinite(scores[good]).all()):
        raise Unfit("gives keypoints or scores that are not finite, and names no error")
    return keypoints, scores, errors


def people(outputs, parts):
    """The one row of an answer of the signature "people", as `poses` checks rows.

    Args:
        outputs: dict of name -> array.
        parts: P, of the spec.

    Returns:
        keypoints (N, P, 2), scores (N, P), person_scores (N,), float32, and a text, empty where
        they hold.

    Raises:
        Unfit: as `poses`, or more people than an answer has room for.
    """
    shape = np.shape(outputs.get("person_scores"))
    if len(shape) != 2 or shape[0] != 1 or shape[1] > MAX_ROWS:
        raise Unfit(
            "names nobody: `person_scores` must have the shape (1, N). Received: "
            f"{shape if 'person_scores' in outputs else 'none'}; check that it was exported with "
            "`person`"
        )
    rows = {
        name: outputs[name][0] for name in ("keypoints", "scores") if np.ndim(outputs.get(name)) > 1
    }
    keypoints, scores, _ = poses(rows | {"error": np.full(shape[1], b"")}, shape[1], parts)
    sureness = _numbers("person_scores", outputs["person_scores"][0])
    count, error = (np.ravel(outputs.get(name, ())).tolist() for name in ("count", "error"))
    if len(count) != 1 or type(count[0]) is not int or not 0 <= count[0] <= shape[1]:
        raise Unfit(f"names nobody: `count` must be 0 to {shape[1]}. Received: {clean(count)}")
    if len(error) != 1 or not np.isfinite(sureness).all():
        raise Unfit("names nobody: `error` must be one text, and `person_scores` finite")
    found = slice(count[0])
    return keypoints[found], scores[found], sureness[found], _text(error[0])


def _numbers(name, array):
    # JSON's, whatever they were; a bool is an int to Python
    loose = array.dtype == object and all(type(one) in (int, float) for one in array.flat)
    if array.dtype.kind != "f" and not loose:
        raise Unfit(f"gives no poses of this spec: `{name}` must be numbers of type float")
    try:
        with np.errstate(over="ignore"):
            return array.astype(np.float64).astype(np.float32)
    except OverflowError:
        raise Unfit(f"gives no poses of this spec: `{name}` holds a number without end") from None


def _text(one):
    if isinstance(one, bytes):
        return clean(one.decode("utf-8", "replace"))
    if isinstance(one, str):
        return clean(one)
    raise Unfit(f"gives no poses of this spec: `error` must be texts. Received: {clean(repr(one))}")
