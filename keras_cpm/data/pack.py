"""`pack`: records to a folder of shards with small photographs, cropped around their people.

A fast training waits for its photographs: for files to be opened, and for pixels to be decoded that
no network box shows. A pack is small enough to be held in memory, see `data.photographs`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
import os
import re
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ..images import shards
from ..images.one_writer import one_writer
from ..pose import output, schema
from ..pose.spec import PoseSpec, Progress
from .crop import crop_photograph
from .jsonl import write_records
from .records import Record

# Beside the shards, and in each of them for its own members.
RECORDS_FILE = "records.jsonl"
_SHARD, _MEMBER = "shard-{:05d}.zip", "{:06d}.jpg"
_LOCK = "pack.lock"
# what a shard says about itself: how `pack` was called
_SETTINGS = {
    "size": schema.whole(8, 8192),
    "margin": schema.number(1, 1e6),
    "quality": schema.whole(1, 100),
    "shard_megabytes": schema.number(0, 1e12),
    "records": schema.TEXT,
}


def pack(
    records: Sequence[Record],
    folder: Path | str,
    *,
    size: int = 552,
    margin: float = 2.25,
    quality: int = 92,
    shard_megabytes: float = 256,
    progress: Progress | None = None,
) -> list[Record]:
    """Writes records and their photographs, cropped, upright and small, into `folder`.

    A record stays a record, in order; all of its people move into the frame of its crop. The same
    call again goes on after the last whole shard, and packs again what is damaged or missing.

    Args:
        records: list of `Record`.
        folder: gets the shards and records.jsonl. Each shard holds the records of its members, too:
            unpacked, it is a folder of photographs with their records.jsonl.
        size: pixels that the side of the network box takes in a crop at most, a multiple of 8;
            where a person is larger, the crop is made smaller. 552 is 1.5 x 368: room to zoom in.
        margin: side of the crop in network boxes. 2.25 has all that boxes show which are turned,
            zoomed out to 0.7 and moved by 0.05.
        quality: of the JPEG encoder, 1..100.
        shard_megabytes: the most that a shard takes, in 10^6 bytes.
        progress: callable that wraps the iteration over the records, to show it.

    Returns:
        list of `Record`, see `crop.crop_record`; their images are paths into the shards.

    Raises:
        ValueError: a setting out of range; a record or a photograph that `crop.crop_photograph`
            refuses; a folder that holds something else, or in which another `pack` runs.
        FileNotFoundError: a photograph is missing.
        OSError: no room.

    Example:
        >>> import keras_cpm, tempfile
        >>> from keras_cpm.data.pack import pack
        >>> records = keras_cpm.draw_records(tempfile.mkdtemp(), 2)
        >>> packed = pack(records, tempfile.mkdtemp())
        >>> packed[1].image.split("/")[-2:]
        ['shard-00000.zip', '000001.jpg']
    """
    _check(records, size, margin, quality, shard_megabytes)
    settings = {
        "size": size,
        "margin": margin,
        "quality": quality,
        "shard_megabytes": shard_megabytes,
        "records": _digest(records),
    }
    folder = Path(os.path.abspath(folder))
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"`folder` must be a folder. Received the file: folder={str(folder)!r}")
    with one_writer(folder, _LOCK, what="pack", argument="folder"):
        return _pack(records, folder, settings, progress)


def _pack(records, folder, settings, progress):
    spec = PoseSpec(box_size=settings["size"])

    def crop(record):
        return crop_photograph(record, spec, settings["margin"], settings["quality"])

    try:
        packed, first = _found(folder, settings)
        left = range(len(packed), len(records))
        numbers = progress(left) if progress and left else left
        # ended here, also by an error: a pool that is left to the garbage ends in any thread, which
        # may hold a lock that its workers wait for
        with ThreadPoolExecutor(_workers()) as pool:
            crops = _in_order(pool, crop, records[len(packed) :])
            coming = ((number, *next(crops)) for number in numbers)
            packed += _write(folder, first, settings, coming)
        write_records(packed, folder / RECORDS_FILE)
    except OSError as error:
        # of a photograph
        if not isinstance(error.__cause__, OSError):
            raise
        raise OSError(f"{error} The same call again goes on after the last whole shard.") from error
    return packed


def _check(records, size, margin, quality, shard_megabytes):
    if not records:
        raise ValueError("`records` must hold at least one record. Received: none")
    if not isinstance(size, int) or size < 8 or size % 8:
        raise ValueError(f"`size` must be a positive multiple of 8. Received: size={size!r}")
    if not 1 <= margin < float("inf"):
        raise ValueError(f"`margin` must be at least 1 network box. Received: margin={margin!r}")
    if not isinstance(quality, int) or not 1 <= quality <= 100:
        raise ValueError(
            f"`quality` must be a whole number, 1 to 100. Received: quality={quality!r}"
        )
    if not shard_megabytes > 0:
        raise ValueError(
            f"`shard_megabytes` must be positive. Received: shard_megabytes={shard_megabytes!r}"
        )


def _digest(records):
    """What tells these records from others."""
    digest = hashlib.sha256()
    for record in records:
        digest.update(json.dumps(record.to_dict(), sort_keys=True).encode())
    return digest.hexdigest()


def _found(folder, settings):
    """What the same `pack` has left in `folder`: the records of its first whole shards, and how
    many those are. What it left after them is deleted: it does not go on from there.
    """
    output.sweep(folder)
    # `.partial`: of earlier versions that were killed; the rest file managers leave unasked
    names = sorted(path.name for path in folder.iterdir() if path.suffix != ".partial")
    names = [name for name in names if not name.startswith(".") and name != "Thumbs.db"]
    ours = [name for name in names if re.fullmatch(r"shard-\d{5}\.zip", name)]
    others = sorted(set(names) - {*ours, _LOCK, *([RECORDS_FILE] if ours else [])})
    if others:
        raise ValueError(
            "`folder` must be empty, or hold what the same `pack` began; name another one. "
            f"Received: folder={str(folder)!r}, which holds {others[0]!r}"
        )
    packed, whole = [], 0
    for name in ours:
        _check_settings(folder / name, settings)
    while whole < len(ours) and ours[whole] == _SHARD.format(whole):
        try:
            packed += _records_of(folder / ours[whole], len(packed))
        except ValueError as error:
            warnings.warn(f"{error} It is packed again, with what follows.", stacklevel=4)
            break
        whole += 1
    for name in ours[whole:]:
        (folder / name).unlink()
    return packed, whole


def _check_settings(shard, settings):
    """Refuses a shard of another pack; one that cannot be read is nobody's."""
    try:
        comment = shards.comment(shard)
    except ValueError:
        return
    try:
        began = schema.check(schema.parse(comment), _SETTINGS, more=True)
    except ValueError:
        began = {}
    for name, value in settings.items():
        if began.get(name) != value:
            raise ValueError(
                f"The pack in {shard.parent} began with other `{name}`; go on with the same, or "
                f"name another folder. Received: {name}={value!r}, began with: {began.get(name)!r}"
            )


def _records_of(shard, first):
    """The records of a whole shard whose photographs go on with number `first`.

    Raises:
        ValueError: it is none.
    """
    # bytes, because texts in JSON may hold other separators of lines
    lines = shards.checked(shard, RECORDS_FILE).splitlines()
    try:
        records = [Record.from_dict(schema.parse(line)) for line in lines]
    except (ValueError, TypeError) as error:
        raise ValueError(f"The shard {shard} is damaged at its {RECORDS_FILE} ({error}).") from None
    members = [record.image for record in records]
    if not members or members != [_MEMBER.format(first + i) for i in range(len(members))]:
        raise ValueError(f"The shard {shard} does not go on with {_MEMBER.format(first)}.")
    return [dataclasses.replace(record, image=shard / record.image) for record in records]


def _workers():
    return os.cpu_count() or 1


def _in_order(pool, function, values):
    """The function of each value, by all cores."""
    # a few at a time: what is ready waits in memory
    for first in range(0, len(values), 4 * _workers()):
        yield from pool.map(function, values[first : first + 4 * _workers()])


def _write(folder, first, settings, crops):
    """Fills shard after shard, from number `first`, with (number, record, JPEG).

    Returns:
        The records; their images are paths into the shards.
    """
    comment, limit = json.dumps(settings).encode(), int(1e6 * settings["shard_megabytes"])
    packed, coming, numbers = [], next(crops, None), itertools.count(first)
    while coming:
        path = folder / _SHARD.format(next(numbers))
        lines = bytearray()
        with shards.Shard(path, comment, limit) as shard:
            while coming:
                number, record, data = coming
                member = _MEMBER.format(number)
                fields = record.to_dict() | {"image": member}
                line = json.dumps(fields, allow_nan=False).encode() + b"\n"
                if not shard.takes({member: len(data), RECORDS_FILE: len(lines) + len(line)}):
                    break
                shard.add(member, data)
                lines += line
                packed.append(dataclasses.replace(record, image=path / member))
                coming = next(crops, None)
            shard.add(RECORDS_FILE, bytes(lines))
    return packed
