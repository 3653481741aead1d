"""Records as files: one JSON object a line."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterable
from pathlib import Path

from ..images import marks
from .records import Record

# a record of 100,000 people takes 50 MB
_LONGEST_LINE = 1 << 27


def read_records(path: Path | str) -> list[Record]:
    """Reads a file of records, one JSON object a line.

    Image paths become absolute: they are relative to the folder of `path`. A line ends with a line
    break and may have 2^27 characters; other separators of Unicode may stand in its texts.

    Raises:
        FileNotFoundError: no such file.
        ValueError: naming the file, the line, the person and the part, and what to do.

    Example:
        >>> import tempfile
        >>> from keras_cpm import draw_records, read_records, write_records
        >>> folder = tempfile.mkdtemp()
        >>> write_records(draw_records(folder, 2), f"{folder}/people.jsonl")
        >>> len(read_records(f"{folder}/people.jsonl"))
        2
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"There is no file of records at {path}; `keras-cpm prepare` makes one from a data set."
        )
    records, known = [], {}
    for number, line in enumerate(_lines(path), 1):
        if line.strip():
            record = _read_line(line, f"{path}, line {number}")
            image = os.path.normpath(path.parent.absolute() / record.image)
            # the others of a crowd stand in many lines; in memory each is there once
            several = len(record.people) > 1
            people = [known.setdefault(_content(p), p) if several else p for p in record.people]
            records.append(dataclasses.replace(record, image=image, people=people))
    if not records:
        raise ValueError(
            f"{path} holds no records; `keras-cpm prepare` makes them from a data set."
        )
    return records


def _content(person):
    rest = (person.center, person.height, person.box, person.head_size, str(person.attributes))
    return person.keypoints.tobytes(), person.visible.tobytes(), rest


def _lines(path):
    # editors on Windows put a mark at the beginning
    with path.open(encoding="utf-8-sig") as file:
        try:
            while line := file.readline(_LONGEST_LINE):
                if len(line) == _LONGEST_LINE:
                    raise ValueError(
                        f"{path} has a line of {_LONGEST_LINE} characters or more, which is no "
                        "record; write it again with `write_records`."
                    )
                yield line
        except UnicodeDecodeError:
            raise ValueError(f"{path} is no text in UTF-8; write it again as such.") from None


def _read_line(line, where):
    try:
        return Record.from_dict(json.loads(line))
    except json.JSONDecodeError as error:
        raise ValueError(
            f"{where}: not a JSON object ({error}); the file may be cut off: write it again with "
            "`write_records`."
        ) from None
    except RecursionError:
        raise ValueError(f"{where}: nested too deep for a record.") from None
    except (ValueError, TypeError) as error:
        raise ValueError(f"{where}: {error!s:.1000}") from None


def write_records(records: Iterable[Record], path: Path | str) -> None:
    """Writes records as JSON lines that `read_records` reads.

    Image paths are relative to the folder of `path`. The file appears whole or not at all.

    Example:
        >>> import tempfile
        >>> from keras_cpm import draw_records, read_records, write_records
        >>> folder = tempfile.mkdtemp()
        >>> write_records(draw_records(folder, 2), f"{folder}/people.jsonl")
        >>> len(read_records(f"{folder}/people.jsonl"))
        2
    """
    path = Path(path)
    marks.write_json(path, _written(records, path.parent.absolute()))


def _written(records, folder):
    end = ""
    for record in records:
        fields = record.to_dict() | {"image": _relative(record.image, folder)}
        yield end + json.dumps(fields, allow_nan=False)
        end = "\n"


def _relative(image, folder):
    try:
        return Path(os.path.relpath(image, folder)).as_posix()
    except ValueError:  # another drive on Windows
        return os.path.abspath(image)
