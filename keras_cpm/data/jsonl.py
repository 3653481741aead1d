"""Records as files: one JSON object a line."""

import dataclasses
import json
import os
from pathlib import Path

from .records import Record


def read_records(path) -> list[Record]:
    """Reads a file of records, one JSON object a line.

    Image paths become absolute: they are relative to the folder of `path`.

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
    try:
        # editors on Windows put a mark at the beginning
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise ValueError(f"{path} is no text in UTF-8; write it again as such.") from None
    records = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            record = _read_line(line, f"{path}, line {number}")
            image = os.path.normpath(path.parent.absolute() / record.image)
            records.append(dataclasses.replace(record, image=image))
    if not records:
        raise ValueError(
            f"{path} holds no records; `keras-cpm prepare` makes them from a data set."
        )
    return records


def _read_line(line, where):
    try:
        return Record.from_dict(json.loads(line))
    except json.JSONDecodeError as error:
        raise ValueError(
            f"{where}: not a JSON object ({error}); the file may be cut off: write it again with "
            "`write_records`."
        ) from None
    except (ValueError, TypeError, OverflowError) as error:
        raise ValueError(f"{where}: {error}") from None


def write_records(records, path):
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
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = path.parent.absolute()
    partial = path.with_name(path.name + ".partial")
    with partial.open("w", encoding="utf-8") as file:
        for record in records:
            fields = record.to_dict() | {"image": _relative(record.image, folder)}
            file.write(json.dumps(fields, allow_nan=False) + "\n")
    os.replace(partial, path)


def _relative(image, folder):
    try:
        return Path(os.path.relpath(image, folder)).as_posix()
    except ValueError:  # another drive on Windows
        return os.path.abspath(image)
