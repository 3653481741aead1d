"""Ways to damage a .caffemodel file that `caffe_files.write_caffemodel` wrote.

Each takes the bytes of a whole file and a random generator, and returns the bytes of another: some
broken, some with another meaning, some with the same meaning written differently.
"""

from functools import lru_cache

import numpy as np

from benchmarks.caffe_files import message, scalar, varint

# mutations of bytes ------------------------------------------------------------------------------


@lru_cache
def headers(data):
    """Positions of the bytes that are no weights: keys, lengths, names and numbers of protobuf."""
    is_header = np.ones(len(data), bool)
    for name, start, stop in nodes(data):
        if name == "values":
            is_header[start:stop] = False
    return np.flatnonzero(is_header)


def flip(data, rng, positions):
    changed = bytearray(data)
    for position in rng.choice(positions, rng.integers(1, 5)):
        changed[position] ^= 1 << rng.integers(8)
    return bytes(changed)


def anywhere(data, rng):
    return flip(data, rng, len(data))


def in_a_header(data, rng):
    return flip(data, rng, headers(data))


def overwrite_a_header(data, rng):
    at = int(rng.choice(headers(data)))
    return data[:at] + rng.bytes(int(rng.integers(1, 9))) + data[at + 8 :]


def cut_out(data, rng):
    at = int(rng.choice(headers(data)))
    return data[:at] + data[at + int(rng.integers(1, 3000)) :]


def insert_bytes(data, rng):
    at = int(rng.choice(headers(data)))
    return data[:at] + rng.bytes(int(rng.integers(1, 30))) + data[at:]


def truncate(data, rng):
    return data[: int(rng.choice(headers(data)))]


# mutations of fields: the file is taken apart, one message changed, and all lengths written anew --

INNER = {
    "net": {2: "v1", 100: "layer"},
    "v1": {6: "blob"},
    "layer": {7: "blob"},
    "blob": {7: "shape", 5: "values"},
}


def fields(data, start, stop):
    """(number, wire type, start of the field, start and end of its payload) for each field."""
    at = start
    while at < stop:
        begin = at
        key, at = number(data, at)
        if key & 7 == 2:
            length, at = number(data, at)
        else:
            length = {1: 8, 5: 4}.get(key & 7) or number(data, at)[1] - at
        yield key >> 3, key & 7, begin, at, at + length
        at += length


def number(data, at):
    value = shift = 0
    while True:
        value |= (data[at] & 127) << shift
        shift, at = shift + 7, at + 1
        if data[at - 1] < 128:
            return value, at


@lru_cache
def nodes(data):
    """(what it is, start, end) of every message and all values, outer ones first."""
    return list(_nodes(data, 0, len(data), "net"))


def _nodes(data, start, stop, kind):
    for field, wire, _, begin, end in fields(data, start, stop):
        inner = (
            INNER[kind].get(field) if wire == 2 else "values" if (field, wire) == (5, 5) else None
        )
        if inner:
            yield inner, begin, end
        if inner in INNER:
            yield from _nodes(data, begin, end, inner)


def rewrite(data, rng, kind, change):
    """Changes the fields of one message of a kind; `change` takes and returns a list of bytes."""
    found = [(start, stop) for name, start, stop in nodes(data) if name == kind]
    target = found[rng.integers(len(found))]

    def encode(start, stop, name):
        parts = []
        for field, wire, begin, inside, end in fields(data, start, stop):
            inner = INNER.get(name, {}).get(field)
            holds = inner in INNER or inner == kind
            if wire == 2 and holds and inside <= target[0] and target[1] <= end:
                parts.append(message(field, encode(inside, end, inner)))
            else:
                parts.append(data[begin:end])
        return b"".join(change(parts) if (start, stop) == target else parts)

    return encode(0, len(data), "net")


def some_field(rng):
    """A field of any number, also of those that mean something, and of any wire type."""
    field, wire = int(rng.choice([1, 2, 3, 4, 5, 6, 7, 8, 9, 100, 2**29 - 1])), rng.integers(4)
    if wire == 0:
        return scalar(field, int(rng.choice([0, 1, 5, 127, 2**31, 2**32 - 1, 2**63, 2**64 - 1])))
    if wire == 1:
        return message(field, rng.bytes(int(rng.choice([0, 4, 8, 12]))))
    return varint(field << 3 | (1 if wire == 2 else 5)) + rng.bytes(8 if wire == 2 else 4)


def message_kind(data, rng):
    layer = "layer" if data[5:7] == b"\xa2\x06" else "v1"
    return str(
        rng.choice([layer, "blob", "blob", "shape"] if has_shapes(data) else [layer, "blob"])
    )


@lru_cache
def has_shapes(data):
    return any(name == "shape" for name, *_ in nodes(data))


def insert_field(data, rng):
    def change(parts):
        at = int(rng.integers(len(parts) + 1))
        return [*parts[:at], some_field(rng), *parts[at:]]

    return rewrite(data, rng, message_kind(data, rng), change)


def shuffle_fields(data, rng):
    def change(parts):
        return [parts[i] for i in rng.permutation(len(parts))]

    return rewrite(data, rng, message_kind(data, rng), change)


def repeat_or_drop_field(data, rng):
    def change(parts):
        at = int(rng.integers(max(1, len(parts))))
        return [*parts[:at], *parts[at : at + 1] * int(rng.integers(0, 3)), *parts[at + 1 :]]

    return rewrite(data, rng, message_kind(data, rng), change)


def other_wire_type(data, rng):
    def change(parts):
        at = int(rng.integers(len(parts)))
        first = bytes([parts[at][0] & 0xF8 | int(rng.integers(8))])
        return [*parts[:at], first + parts[at][1:], *parts[at + 1 :]]

    return rewrite(data, rng, message_kind(data, rng), change)


def other_dimensions(data, rng):
    """The same number of values in another shape, or a shape that no values fit."""
    dims = [
        int(rng.choice([0, 1, 2, 8, 2**31 - 1, 2**31, 2**32, 2**63, 2**64 - 1])) for _ in range(4)
    ]
    if has_shapes(data):
        return rewrite(data, rng, "shape", lambda parts: [message(1, b"".join(map(varint, dims)))])
    legacy = [scalar(i, n) for i, n in enumerate(dims[:2], 1)]
    return rewrite(data, rng, "blob", lambda parts: [*parts, *legacy])


def other_length(data, rng):
    """One message or run of values declares another length, whatever surrounds it."""
    starts = [start for name, start, stop in nodes(data) if stop - start > 127]
    at = starts[rng.integers(len(starts))]
    width = 2  # bytes of the length: all of these are longer than 127 bytes
    while data[at - width - 1] & 128:
        width += 1
    length = number(data, at - width)[0]
    new = int(
        rng.choice(
            [
                0,
                1,
                length - 1,
                length + 1,
                length - 4,
                length + 4,
                2 * length,
                2**31 - 1,
                2**32,
                2**63,
            ]
        )
    )
    return data[: at - width] + varint(new) + data[at:]


def values_in_pieces(data, rng):
    """What a blob holds in several packed pieces and single values: means the same."""

    def change(parts):
        pieces = []
        for part in parts:
            (field, wire, _, begin, end), *_ = fields(part, 0, len(part))
            if field != 5 or wire != 2:
                pieces.append(part)
                continue
            middle = begin + 4 * int(rng.integers((end - begin) // 4 + 1))
            pieces += [message(5, part[begin:middle]), message(6, b"???")]
            few = min(end, middle + 4 * int(rng.integers(40)))
            pieces += [b"\x2d" + part[i : i + 4] for i in range(middle, few, 4)]
            pieces.append(message(5, part[few:end]))
        return pieces

    return rewrite(data, rng, "blob", change)


MUTATIONS = [
    anywhere,
    in_a_header,
    overwrite_a_header,
    cut_out,
    insert_bytes,
    truncate,
    insert_field,
    shuffle_fields,
    repeat_or_drop_field,
    other_wire_type,
    other_dimensions,
    other_length,
    values_in_pieces,
]
# another order, or the same values in other pieces: no reason to refuse the file
WELL_FORMED = [shuffle_fields, values_in_pieces]
