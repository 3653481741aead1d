"""`pack`: records to a folder of shards with small photographs, cropped around their people.

A fast training waits for its photographs: for files to be opened, and for pixels to be decoded that
no network box shows. A pack is small enough to be held in memory, see `data.photographs`.
"""

import dataclasses
import errno
import hashlib
import json
import os
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ..images import shards
from ..pose.spec import PoseSpec
from .crop import crop_photograph
from .jsonl import write_records
from .records import Record

# Beside the shards, and in each of them for its own members.
RECORDS_FILE = "records.jsonl"
_SHARD, _MEMBER = "shard-{:05d}.zip", "{:06d}.jpg"


def pack(
    records, folder, *, size=552, margin=2.25, quality=92, shard_megabytes=256, progress=None
) -> list[Record]:
    """Writes records and their photographs, cropped, upright and small, into `folder`.

    A record stays a record, in order; all of its people move into the frame of its crop. The same
    call again goes on after the last whole shard.

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
            refuses; a folder that holds something else.
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
    folder, spec = Path(os.path.abspath(folder)), PoseSpec(box_size=size)
    try:
        packed = _found(folder, settings)
        crops = _crops(records[len(packed) :], spec, margin, quality)
        left = range(len(packed), len(records))
        numbers = progress(left) if progress and left else left
        packed += _write(folder, settings, ((number, *next(crops)) for number in numbers))
        write_records(packed, folder / RECORDS_FILE)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise OSError(
            f"There is no room left for the pack in {folder}; make some and run the same again, "
            "which goes on after the last whole shard."
        ) from error
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
    """The records of the whole shards that the same `pack` has left in `folder`."""
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"`folder` must be a folder. Received the file: folder={str(folder)!r}")
    folder.mkdir(parents=True, exist_ok=True)
    names = sorted(path.name for path in folder.iterdir() if path.suffix != ".partial")
    whole = [name for name in names if re.fullmatch(r"shard-\d{5}\.zip", name)]
    others = sorted(set(names) - {*whole, *([RECORDS_FILE] if whole else [])})
    if others:
        raise ValueError(
            "`folder` must be empty, or hold what the same `pack` began; name another one. "
            f"Received: folder={str(folder)!r}, which holds {others[0]!r}"
        )
    if whole != [_SHARD.format(number) for number in range(len(whole))]:
        raise ValueError(
            f"A shard is missing in {folder} before {whole[-1]}; delete those that come after the "
            "missing one, and run the same again."
        )
    return [record for name in whole for record in _records_of(folder / name, settings)]


def _records_of(shard, settings):
    try:
        began = json.loads(shards.comment(shard))
    except json.JSONDecodeError:
        began = {}
    for name, value in settings.items():
        if began.get(name) != value:
            raise ValueError(
                f"The pack in {shard.parent} began with other `{name}`; go on with the same, or "
                f"name another folder. Received: {name}={value!r}, began with: {began.get(name)!r}"
            )
    lines = shards.read(shard, RECORDS_FILE).decode().splitlines()
    records = [Record.from_dict(json.loads(line)) for line in lines]
    return [dataclasses.replace(record, image=shard / record.image) for record in records]


def _crops(records, spec, margin, quality):
    """Each record in its crop and its JPEG, in order, by all cores."""

    def crop(record):
        return crop_photograph(record, spec, margin, quality)

    workers = os.cpu_count() or 1
    with ThreadPoolExecutor(workers) as pool:
        # a few at a time: what is ready waits in memory
        for first in range(0, len(records), 4 * workers):
            yield from pool.map(crop, records[first : first + 4 * workers])


def _write(folder, settings, crops):
    """Fills shard after shard with (number, record, JPEG).

    Returns:
        The records; their images are paths into the shards.
    """
    comment, limit = json.dumps(settings).encode(), int(1e6 * settings["shard_megabytes"])
    packed, coming = [], next(crops, None)
    while coming:
        path = folder / _SHARD.format(len(list(folder.glob("shard-*.zip"))))
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
