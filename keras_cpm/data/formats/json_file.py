"""JSON files of others: how they are read, and numbers that some tools write as text."""

import contextlib
import json
import re
from pathlib import Path

import numpy as np

# the keypoints of COCO's training images take 0.25 GB
_LARGEST_BYTES = 4 * 10**9
# also as tables write it that have known a gap
_WHOLE = re.compile(r"\s*([+-]?[0-9]{1,300})(\.0*)?\s*")


def read_json(path, origin):
    """What a JSON file of at most 4 GB holds.

    Args:
        path: of the file.
        origin: where such a file comes from, or what writes it; ends the sentence of an error.

    Raises:
        FileNotFoundError, ValueError: naming the file.

    Example:
        >>> import pathlib, tempfile
        >>> from keras_cpm.data.formats.json_file import read_json
        >>> path = pathlib.Path(tempfile.mkdtemp(), "a.json")
        >>> _ = path.write_text("[1, 2]")
        >>> read_json(path, "export it again")
        [1, 2]
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no annotation file at {path}; {origin}.")
    size = path.stat().st_size
    if size > _LARGEST_BYTES:
        raise ValueError(
            f"{path} has {size} bytes, more than the {_LARGEST_BYTES} that are read; {origin}."
        )
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except RecursionError:
        raise ValueError(f"{path} is nested too deep for annotations; {origin}.") from None
    except ValueError as error:
        raise ValueError(f"{path} is no JSON file ({error}); {origin}.") from None


@contextlib.contextmanager
def naming(where):
    """What is wrong in here is said to be at `where`, in a sentence that a terminal can hold."""
    try:
        yield
    except (ValueError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError(f"{where}: {error!s:.1000}") from None
    except LookupError as error:
        raise ValueError(
            f"{where} is incomplete ({type(error).__name__}: {error!s:.200}); export it again."
        ) from None


def as_number(value):
    """The whole number that a text holds, as tools that make tables write it; else `value`.

    Example:
        >>> from keras_cpm.data.formats.json_file import as_number
        >>> as_number("12"), as_number("000012.0"), as_number("a12"), as_number(1.5)
        (12, 12, 'a12', 1.5)
    """
    whole = _WHOLE.fullmatch(value) if isinstance(value, str) else None
    return int(whole[1]) if whole else value


def is_id(value):
    """Whether `value` may be an id: a number or a text."""
    return isinstance(value, str | int | float) and not isinstance(value, bool)


def id_of(fields, name):
    """An id as a number, also where it is text; `None` where it is absent."""
    value = fields.get(name)
    if value is None or is_id(value):
        return as_number(value)
    raise ValueError(
        f"`{name}` must be a number or a text; export it again. Received: {value!r:.200}"
    )


def flag_of(fields, name):
    """A flag, 0 or 1, also where it is text; `False` where it is absent."""
    value = as_number(fields.get(name) or 0)
    if value not in (0, 1):
        raise ValueError(f"`{name}` must be 0 or 1; correct it. Received: {value!r:.200}")
    return value == 1


def numbers_of(fields, name):
    """The numbers of a list as float64, also where they are text; `None` where it is absent."""
    values = fields.get(name)
    if values is None or values == []:
        return None
    try:
        return np.array(values, np.float64)
    except (ValueError, TypeError, OverflowError):
        raise ValueError(
            f"`{name}` must be a list of numbers; correct it, or leave it out. "
            f"Received: {values!r:.200}"
        ) from None


def positive_of(fields, name):
    """A positive number, also where it is text; `None` where it is absent or no such number.

    Example:
        >>> from keras_cpm.data.formats.json_file import positive_of
        >>> positive_of({"area": "12.5"}, "area"), positive_of({"area": 0}, "area")
        (12.5, None)
    """
    try:
        value = float(fields.get(name))
    except (ValueError, TypeError, OverflowError):
        return None
    return value if 0 < value < float("inf") else None
