"""Files that we wrote are known as ours.

Standard library only. A file of ours carries a mark where its format has room for one that nobody
sees: a chunk of a picture or a video, the header of a .mat file, white space at the end of JSON,
which says its checksum, so that what was changed by hand is ours no longer; tables are known by
their first line.
"""

import json
import math
import os
import struct
import zlib
from pathlib import Path

from ..pose import output

MARK = b"keras_cpm"
# how the tables that we write begin: of videos, of curves, of the paper's experiments
TABLES = (
    *(("frame", "seconds", "part", "x", "y", "score"), ("row", "column")),
    *(("receptive_field_pixels", "parameters"), ("epoch", "layer", "std_with")),
    *(("threshold", "joint"), ("threshold", "stage1"), ("threshold", "machine_stage1")),
    ("image", "part", "stage"),
)
# what stands at the two ends of a file tells whose it is
_HEAD, _TAIL = 128, 64
# spaces and tabs, a bit each, and the line break
_WHITE = 33


def marked(data, suffix):
    """The bytes of a picture or a video with the mark in them, where its format has room.

    Args:
        data: bytes of the whole file.
        suffix: of its name, such as ".png".
    """
    suffix = suffix.lower()
    if suffix == ".png":
        chunk = b"tEXtSoftware\0" + MARK
        length, check = struct.pack(">I", len(chunk) - 4), struct.pack(">I", zlib.crc32(chunk))
        # before the last chunk, which is empty
        return data[:-12] + length + chunk + check + data[-12:]
    if suffix == ".bmp":
        # what stands there is the program's own
        return data[:6] + MARK[:4] + data[10:]
    if suffix in (".jpg", ".jpeg"):
        return data[:-2] + b"\xff\xfe" + struct.pack(">H", len(MARK) + 2) + MARK + data[-2:]
    return data + tail(suffix)


def tail(suffix):
    """What may follow a file of this kind: a chunk that readers pass over, with the mark."""
    if suffix.lower() in (".mp4", ".mov", ".m4v"):
        return struct.pack(">I", len(MARK) + 8) + b"free" + MARK
    if suffix.lower() in (".avi", ".webp"):
        return b"JUNK" + struct.pack("<I", len(MARK) + 1) + MARK + b"\0"
    if suffix.lower() == ".mkv":
        return b"\xec" + bytes([0x80 | len(MARK)]) + MARK
    return MARK


def write_marked(path, data):
    """Writes the bytes of a picture, with the mark in them, whole or not at all."""
    output.write_bytes(path, marked(data, Path(path).suffix))


def write_json(path, pieces):
    """Writes the text of JSON, whole or not at all, and the mark after it.

    Args:
        path: of the file.
        pieces: iterable of texts.
    """
    check = 0
    with output.whole(path) as partial, partial.open("wb") as file:
        for piece in pieces:
            data = piece.encode()
            check = zlib.crc32(data, check)
            file.write(data)
        file.write(_white(check))


def write_values(path, value):
    """Writes JSON values as `write_json`; what is no number is null: JSON has no NaN."""
    write_json(path, [json.dumps(_finite(value), indent=2, allow_nan=False)])


def _finite(value):
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _white(check):
    return f"{check:032b}\n".replace("0", " ").replace("1", "\t").encode()


def _ends_with_its_checksum(path):
    check, left = 0, os.path.getsize(path) - _WHITE
    with open(path, "rb") as file:
        while left > 0:
            data = file.read(min(left, 2**20))
            if not data:
                return False
            check, left = zlib.crc32(data, check), left - len(data)
        return file.read() == _white(check)


def is_ours(path):
    """Whether we wrote a file, by its mark.

    Example:
        >>> import tempfile
        >>> from keras_cpm import draw_records, write_records
        >>> from keras_cpm.images import marks
        >>> folder = tempfile.mkdtemp()
        >>> write_records(draw_records(folder, 1), f"{folder}/people.jsonl")
        >>> marks.is_ours(f"{folder}/people.jsonl")
        True
    """
    with open(path, "rb") as file:
        head = file.read(_HEAD)
        file.seek(max(0, os.path.getsize(path) - _TAIL))
        end = file.read()
    suffix = Path(path).suffix.lower()
    if suffix == ".bmp":
        return head[6:10] == MARK[:4]
    if suffix in (".json", ".jsonl"):
        return _ends_with_its_checksum(path)
    is_table = head.startswith(tuple(",".join(names).encode() for names in TABLES))
    if suffix == ".csv":
        return is_table
    if suffix == ".mat":
        return MARK in head
    # records and tables are called what their writer likes
    return MARK in end or is_table or _ends_with_its_checksum(path)
