"""Protobuf's wire format, bounded: the bytes of a file as numbered fields.

Knows nothing of any message. Meant for files from strangers: no length, depth or number of fields
that a file declares makes reading it slow or large.
"""

from typing import NamedTuple

import numpy as np

# wire types; 3 and 4 are the deprecated groups, which no writer of today writes
VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
_NOUNS = {VARINT: "a varint", FIXED64: "8 bytes", LENGTH: "a length", FIXED32: "4 bytes"}

AGAIN = "download or copy it again"

_LONGEST_TEXT = 256
_LONGEST_NUMBER = 10  # 64 bits
_LONGEST_KEY = 5  # 32 bits; also of a length


class Field(NamedTuple):
    """A field: a varint's value is `value`; of others, the payload is bytes `value` to `stop`.

    Fields of 4 or 8 bytes come as runs: `stop` ends the last of equal fields that follow each
    other, each one key byte and its payload long.
    """

    number: int
    wire: int
    value: int
    stop: int
    begin: int


class Wire:
    """The bytes of a file as protobuf fields.

    Args:
        path: of the file, for messages.
        data: bytes of the file.
        left: how many more of each kind ("fields", ...) it may hold; a dict, counted down.
    """

    def __init__(self, path, data, left):
        self.path, self.data = path, data
        self.bytes = np.frombuffer(data, np.uint8)
        self.left = left

    def error(self, offset, found, remedy=AGAIN):
        return ValueError(
            f"{self.path} is damaged or no caffemodel: {found} at byte {offset}; {remedy}."
        )

    def count(self, what, offset):
        self.left[what] -= 1
        if self.left[what] < 0:
            raise self.error(offset, f"more {what} than any network has")

    def varint(self, at, end, longest=_LONGEST_NUMBER):
        """The number that begins at byte `at`, and the byte after it."""
        if at < end and self.data[at] < 128:
            return self.data[at], at + 1  # most numbers
        number = 0
        for i, byte in enumerate(self.data[at : min(at + longest, end)]):
            number |= (byte & 127) << 7 * i
            if byte < 128:
                if number >> 64:
                    raise self.error(at, "a number of more than 64 bits")
                return number, at + i + 1
        if end - at < longest:
            raise self.error(at, f"a number that reaches past the end, byte {end},")
        raise self.error(at, f"a number of more than {longest} bytes")

    def fields(self, at, end):
        """Yields a `Field` for each field, or run of fields, from byte `at` to `end`."""
        data = self.data
        while at < end:
            begin = at
            self.count("fields", begin)
            key, at = (data[at], at + 1) if data[at] < 128 else self.varint(at, end, _LONGEST_KEY)
            number, wire = key >> 3, key & 7
            if not 0 < number < 2**29:
                raise self.error(begin, f"a field of number {number}")
            if wire == VARINT:
                value, at = self.varint(at, end)
                yield Field(number, wire, value, at, begin)
                continue
            if wire == LENGTH:
                length, at = self.varint(at, end, _LONGEST_KEY)
            elif wire in (FIXED32, FIXED64):
                length = 4 if wire == FIXED32 else 8
                if at == begin + 1:
                    length += (self.run(begin, end, length + 1) - 1) * (length + 1)
            else:
                raise self.error(begin, f"a field of wire type {wire}")
            if length > end - at:
                raise self.error(
                    begin, f"a field of {length} bytes that reaches past the end, byte {end},"
                )
            yield Field(number, wire, at, at + length, begin)
            at += length

    def run(self, begin, end, step):
        """How many fields of `step` bytes with the first one's key are in a row, 1 or more."""
        key, most = self.data[begin], (end - begin) // step
        near = begin + min(8, most) * step
        if most < 8 or self.data[begin:near:step] != bytes([key]) * 8:
            return 1  # a lone field must not cost an array
        count, window = 8, 64
        while count < most:
            window = min(2 * window, 65_536, most - count)
            start = begin + count * step
            others = np.flatnonzero(self.bytes[start : start + window * step : step] != key)
            if others.size:
                return count + int(others[0])
            count += window
        return count

    def expect(self, field, what, *wires):
        if field.wire not in wires:
            found = f"{what} as {_NOUNS[field.wire]} instead of {_NOUNS[wires[0]]}"
            raise self.error(field.begin, found)

    def text(self, field, what):
        self.expect(field, what, LENGTH)
        if field.stop - field.value > _LONGEST_TEXT:
            raise self.error(field.begin, f"{what} of {field.stop - field.value} bytes")
        try:
            return str(self.data[field.value : field.stop], "utf-8")
        except UnicodeDecodeError:
            raise self.error(field.begin, f"{what} that is no UTF-8") from None


class Values:
    """Numbers of a repeated field that may come in pieces; a single packed piece is not copied.

    Args:
        wire: `Wire`.
        dtype: of the numbers in the file.
        unpacked: wire type of a single number.
    """

    def __init__(self, wire, dtype, unpacked):
        self.wire, self.dtype, self.unpacked = wire, np.dtype(dtype), unpacked
        self.packed = None
        self.copied = bytearray()

    def __len__(self):
        packed = self.packed[1] - self.packed[0] if self.packed else 0
        return (packed + len(self.copied)) // self.dtype.itemsize

    def add(self, field):
        wire, size = self.wire, self.dtype.itemsize
        wire.expect(field, "values", LENGTH, self.unpacked)
        length = field.stop - field.value
        if field.wire == LENGTH and length % size:
            raise wire.error(field.begin, f"{length} bytes of values of {size} bytes each")
        if self.packed is None and field.wire == LENGTH and not self.copied:
            self.packed = field.value, field.stop
            return
        if self.packed:
            self.copied += memoryview(wire.data)[slice(*self.packed)]
            self.packed = None
        if field.wire == LENGTH or length == size:
            self.copied += memoryview(wire.data)[field.value : field.stop]
        else:
            records = wire.bytes[field.value - 1 : field.stop].reshape(-1, size + 1)
            self.copied += records[:, 1:].tobytes()

    def array(self):
        """float32, flat; a view of the file where possible."""
        if not len(self):
            return np.zeros(0, np.float32)
        source, start = (self.wire.data, self.packed[0]) if self.packed else (self.copied, 0)
        # what overflows becomes infinite, which readers look for
        with np.errstate(over="ignore", invalid="ignore"):
            numbers = np.frombuffer(source, self.dtype, len(self), start).astype("f4", copy=False)
        numbers.flags.writeable = False
        return numbers


def signed(number, bits):
    """int32 and int64 of protobuf: the lowest bits, as a two's complement."""
    number &= 2**bits - 1
    return number - 2**bits if number >> (bits - 1) else number
