"""Shards: photographs in plain, uncompressed .zip files, which anybody can open.

The path of a photograph in one is `shard-00000.zip/000123.jpg`. A folder may be named `*.zip` too:
what lies in it are files as everywhere, so that a shard can be unpacked in its own place.
"""

import contextlib
import functools
import os
import re
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np

from ..pose import output
from . import limits

# The end of a .zip file, and beside the bytes of a member its two headers.
_END_BYTES, _HEADER_BYTES = 22, 76
# What zipfile raises for bytes that are no whole .zip file, or one that it cannot read.
_DAMAGES = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError)


def split(path):
    """The shard of a path and the name of the member in it, or `None` for the path of a file.

    Example:
        >>> from keras_cpm.images import shards
        >>> shards.split("people/shard-00000.zip/000123.jpg"), shards.split("people/1.jpg")
        (('people/shard-00000.zip', '000123.jpg'), None)
    """
    path = os.fspath(path).replace(os.sep, "/")
    for found in re.finditer(r"\.zip/", path):
        shard, member = path[: found.end() - 1], path[found.end() :]
        if not os.path.isdir(shard):
            return shard, member
    return None


def contains(path):
    """Whether `path` names a member that is there; it is not read."""
    place = split(path)
    if place is None or not os.path.isfile(place[0]):
        return False
    return _has(_members(place[0]), place[1])


def byte_count(path):
    """Bytes of a photograph in a file or in a shard, or `None` where there is none; not read."""
    place = split(path)
    if place is None:
        return os.path.getsize(path) if os.path.isfile(path) else None
    return _members(place[0]).getinfo(place[1]).file_size if contains(path) else None


def read(shard, member):
    """The bytes of a member, whose checksum is verified.

    Args:
        shard: path of a .zip file.
        member: name of a file in it.

    Raises:
        FileNotFoundError: no such shard, or nothing of that name in it.
        ValueError: the shard is damaged, or its member unpacks to more than `limits` says.

    Example:
        >>> import tempfile
        >>> from keras_cpm.images import shards
        >>> path = f"{tempfile.mkdtemp()}/shard-00000.zip"
        >>> with shards.Shard(path) as shard:
        ...     shard.add("000000.jpg", b"a photograph")
        >>> shards.read(path, "000000.jpg")
        b'a photograph'
    """
    info = _info(shard, member)
    try:
        return _members(shard).read(info)
    except _DAMAGES as error:
        raise ValueError(_damage(shard, f"at its member {member!r}: {error}")) from None


def _info(shard, member):
    """What the directory of the shard says of a member; errors as of `read`."""
    if not os.path.isfile(shard):
        raise FileNotFoundError(
            f"There is no shard at {shard}; check the path, or write it with `keras-cpm pack`."
        )
    members = _members(shard)
    if not _has(members, member):
        raise FileNotFoundError(
            f"The shard {shard} has no member {member!r}; check the path, or write the shard again "
            "with `keras-cpm pack`."
        )
    info = members.getinfo(member)
    if not info.file_size <= min(limits.MAX_BYTES, limits.MAX_RATIO * info.compress_size):
        raise ValueError(
            f"The shard {shard} has a member {member!r} of {info.compress_size:,} bytes that "
            f"unpacks to {info.file_size:,}, more than {limits.MAX_BYTES:,} or "
            f"{limits.MAX_RATIO} times as many; write the shard again with `keras-cpm pack`."
        )
    return info


class Members:
    """Members of shards that are read one by one, by number: of each 32 bytes stay in memory.

    Args:
        places: shard and member of each, as `split` gives them.

    Raises:
        FileNotFoundError, ValueError: as of `read`; a member that is compressed.

    Example:
        >>> import tempfile
        >>> from keras_cpm.images import shards
        >>> path = f"{tempfile.mkdtemp()}/shard-00000.zip"
        >>> with shards.Shard(path) as shard:
        ...     shard.add("000000.jpg", b"a photograph")
        >>> shards.Members([(path, "000000.jpg")]).read(0)
        b'a photograph'
    """

    def __init__(self, places):
        self._shards = [*dict.fromkeys(shard for shard, _ in places)]
        numbers = {shard: number for number, shard in enumerate(self._shards)}
        self._rows = np.zeros((len(places), 4), np.int64)
        for row, (shard, member) in zip(self._rows, places, strict=True):
            info = _info(shard, member)
            if info.compress_type != zipfile.ZIP_STORED:
                raise ValueError(
                    f"The shard {shard} has a compressed member {member!r}, which cannot be read "
                    "by itself; write the shard again with `keras-cpm pack`."
                )
            row[:] = numbers[shard], info.header_offset, info.file_size, info.CRC

    def read(self, number):
        """The bytes of a member, whose checksum is verified.

        Raises:
            ValueError: the shard has been damaged, or is gone.
        """
        number, start, size, checksum = self._rows[number].tolist()
        shard = self._shards[number]
        try:
            with open(shard, "rb") as file:
                file.seek(start)
                # a header has a name and extras of any length
                file.seek(sum(struct.unpack("<26x2H", file.read(30))), os.SEEK_CUR)
                data = file.read(size)
        except (OSError, struct.error) as error:
            raise ValueError(_damage(shard, f"({error})")) from None
        if zlib.crc32(data) != checksum:
            raise ValueError(_damage(shard, f"at byte {start:,}"))
        return data


def checked(shard, member):
    """As `read`, once every member of the shard has been read and its checksum verified."""
    with contextlib.suppress(*_DAMAGES):
        if _members(shard).testzip() is None and _has(_members(shard), member):
            return read(shard, member)
    raise ValueError(_damage(shard, "at one of its members"))


def comment(shard):
    """The bytes that the shard says about itself; errors as of `read`."""
    return _members(shard).comment


class Shard:
    """A shard that is being written: it appears whole when the `with` block ends, or not at all.

    Args:
        path: of the .zip file.
        comment: bytes that it will say about itself.
        limit: most bytes of the file, or `None`.
    """

    def __init__(self, path, comment=b"", limit=None):
        self.path, self.limit = Path(path), limit
        self._partial = output.hidden(self.path)
        with output.naming(self.path):
            self._zip = zipfile.ZipFile(self._partial, "w")
        self._zip.comment = comment
        self._empty, self._bytes = True, _END_BYTES + len(comment)

    def takes(self, sizes):
        """Whether members, their bytes by name, can still be added; to an empty shard they can."""
        total = self._bytes + sum(_stored_bytes(*member) for member in sizes.items())
        return self._empty or not self.limit or total <= self.limit

    def add(self, name, data):
        # the same bytes every time: the time of writing is left at the start of 1980
        with output.naming(self.path):
            self._zip.writestr(zipfile.ZipInfo(name), data)
        self._empty, self._bytes = False, self._bytes + _stored_bytes(name, len(data))

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        try:
            if kind is None:
                with output.naming(self.path):
                    self._zip.close()
                    output.replace(self._partial, self.path)
        finally:
            # what was not finished only takes room
            with contextlib.suppress(OSError):
                self._zip.close()
            output.remove(self._partial)


def _stored_bytes(name, size):
    return _HEADER_BYTES + 2 * len(name.encode()) + size


def _has(members, name):
    with contextlib.suppress(KeyError):
        return bool(members.getinfo(name))
    return False


def _members(shard):
    state = os.stat(shard)
    try:
        return _opened(os.path.abspath(shard), state.st_mtime_ns, state.st_size)
    except _DAMAGES as error:
        raise ValueError(_damage(shard, f"({error})")) from None


@functools.lru_cache(maxsize=32)
def _opened(shard, changed, size):
    """The open file: its directory is read once, not for every member; anew once it has changed."""
    return zipfile.ZipFile(shard)


def _damage(shard, where):
    return f"The shard {shard} is damaged {where}; copy it again, or delete it and pack it again."
