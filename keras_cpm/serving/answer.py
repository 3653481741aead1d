"""What a server may answer: everything that is taken from one is checked here, and bounded.

A server is somebody else's program. Its numbers must fit the request and the spec, its texts are
shown to people, and neither may cost more than a pose can.
"""

import time

import numpy as np

from ..export.artefact import MAX_ROWS

NAMES = ("keypoints", "scores", "error")
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
