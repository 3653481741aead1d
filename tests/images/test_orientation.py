"""EXIF orientation in every place and type in which it may stand, against Pillow."""

import io
import struct
import zlib

import numpy as np
import pytest

from keras_cpm.images import decode, limits

Image = pytest.importorskip("PIL.Image", reason="Pillow knows better")
ImageOps = pytest.importorskip("PIL.ImageOps", reason="Pillow knows better")

RAMP = np.add.outer(np.arange(20) * 8, np.arange(32) * 3).astype(np.uint8)
SHORT, LONG = 3, 4


def picture(kind):
    file = io.BytesIO()
    Image.fromarray(RAMP).save(file, kind, quality=95)
    return file.getvalue()


def tiff(*entries, order=">"):
    """A block of EXIF with entries (tag, type, count, bytes of the value)."""
    block = {"<": b"II*\0", ">": b"MM\0*"}[order]
    block += struct.pack(order + "IH", 8, len(entries))
    for tag, kind, count, value in entries:
        block += struct.pack(order + "HHI", tag, kind, count) + value.ljust(4, b"\0")
    return block + bytes(4)


def turn(value, kind=SHORT, order=">", count=1):
    letter = {1: "B", SHORT: "H", LONG: "I", 6: "b", 8: "h", 9: "i"}[kind]
    return 0x0112, kind, count, struct.pack(order + letter, value)


def segment(marker, content):
    return bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content


def jpeg(*parts):
    """A JPEG file with these bytes before the first of its own segments."""
    data = picture("JPEG")
    return data[:2] + b"".join(parts) + data[2:]


def exif(block):
    return segment(0xE1, b"Exif\0\0" + block)


def chunk(kind, content):
    check = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + check


def png(*parts, after=True):
    """A PNG file with these chunks after the pixels, or before them."""
    data = picture("PNG")
    at = len(data) - 12 if after else 33
    return data[:at] + b"".join(parts) + data[at:]


def is_as_pillow(data):
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        expected = np.asarray(ImageOps.exif_transpose(image).convert("RGB")).astype(int)
    found = decode.upright_array(data)
    return found.shape == expected.shape and np.abs(found - expected).max() <= 2


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", [1, SHORT, LONG, 6, 8, 9])
@pytest.mark.parametrize("count", [0, 1, 2])
def test_types_of_the_value(order, kind, count):
    block = tiff(turn(6, kind, order, count), order=order)
    assert is_as_pillow(jpeg(exif(block)))
    assert is_as_pillow(png(chunk(b"eXIf", block)))


@pytest.mark.parametrize("value", range(1, 9))
def test_long_turns(value):
    data = jpeg(exif(tiff(turn(value, LONG))))
    assert is_as_pillow(data)
    assert decode.upright_array(data).shape[:2] == ((32, 20) if value > 4 else (20, 32))


def test_values_that_are_no_orientation():
    for kind, value in ((LONG, 0x60000), (LONG, 0xFFFFFFFF), (9, -6), (SHORT, 0), (SHORT, 9)):
        assert decode.upright_array(jpeg(exif(tiff(turn(value, kind))))).shape[:2] == (20, 32)


ICC = segment(0xE2, b"ICC_PROFILE\0\1\1" + bytes(65_000))
SIX = exif(tiff(turn(6)))


@pytest.mark.parametrize(
    "parts",
    [
        (b"\xff", SIX),
        (b"\xff" * 1000, SIX),
        (segment(0xFE, b"words"), b"\xff" * 300, SIX),
        (ICC, b"\0stray\0", SIX),
        (ICC,) * 6 + (SIX,),
        (segment(0xFE, b"Exif\0\0" + tiff(turn(3))), SIX),
        (SIX, exif(tiff(turn(3)))),
        (exif(tiff(turn(3), turn(6))),),
        (exif(tiff((0x010F, 2, 4, b"CPM"), turn(8))),),
        (exif(b"junk" + tiff(turn(3))), ICC),
    ],
    ids=range(10),
)
def test_places_before_the_picture(parts):
    assert is_as_pillow(jpeg(*parts))


def test_the_places_are_found():
    for parts in ((b"\xff" * 1000, SIX), (ICC,) * 6 + (SIX,), (ICC, b"\0stray\0", SIX)):
        assert decode.upright_array(jpeg(*parts)).shape[:2] == (32, 20)


def test_between_tables_and_picture():
    data = picture("JPEG")
    for marker in (b"\xff\xc0", b"\xff\xc4", b"\xff\xda"):
        at = data.index(marker)
        assert is_as_pillow(data[:at] + SIX + data[at:])
        assert decode.upright_array(data[:at] + SIX + data[at:]).shape[:2] == (32, 20)


@pytest.mark.parametrize("after", [False, True])
def test_png_chunks(after):
    block = chunk(b"eXIf", tiff(turn(6, LONG)))
    for parts in ((block,), (chunk(b"tEXt", b"a\0" + bytes(300_000)), block)):
        data = png(*parts, after=after)
        assert is_as_pillow(data)
        assert decode.upright_array(data).shape[:2] == (32, 20)
    # a text that only speaks of it
    assert decode.upright_array(png(chunk(b"tEXt", b"a\0" + block))).shape[:2] == (20, 32)


def test_segments_and_chunks_are_bounded():
    many = limits.MAX_BLOCKS + 1
    for data in (
        jpeg(segment(0xFE, b"") * many, SIX),
        jpeg(b"\xff" * 256 * many, SIX),
        png(chunk(b"tEXt", b"a\0") * many, chunk(b"eXIf", tiff(turn(6)))),
    ):
        with pytest.raises(ValueError, match="more than 16,384 blocks of data"):
            decode.open_image(data)


def test_random_blocks_are_as_pillow_reads_them():
    rng = np.random.default_rng(0)
    for _ in range(60):
        order = rng.choice(["<", ">"])
        entries = [
            turn(int(rng.integers(0, 11)), int(rng.choice([SHORT, LONG])), order)
            for _ in range(rng.integers(0, 3))
        ]
        entries += [(int(tag), 3, 1, rng.bytes(4)) for tag in rng.integers(0x200, 0x8000, 2)]
        assert is_as_pillow(jpeg(exif(tiff(*entries, order=order))))
