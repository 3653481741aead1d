"""The first frame of a GIF file, where it stands on its screen, and nothing of the others."""

import io
import struct

import numpy as np
import pytest

from keras_cpm.images import decode, limits

Image = pytest.importorskip("PIL.Image", reason="Pillow knows better")

TABLE = bytes([120, 130, 140, 9, 8, 7, 255, 0, 0, 0, 255, 0])
OWN_TABLE = bytes([1, 2, 3, 50, 60, 70, 0, 0, 255, 200, 200, 0])


def blocks(data, size=255):
    parts = [data[i : i + size] for i in range(0, len(data), size)]
    return b"".join(bytes([len(part)]) + part for part in parts) + b"\0"


def frame(width, height, left=0, top=0, table=b"", size=255):
    """A frame of colours 0 to 3, told without compression: every code is one pixel."""
    bits = []
    for i in range(width * height):
        # the table of codes never grows to the next width
        bits += [f"{code:03b}"[::-1] for code in ([4, i % 4] if i % 2 == 0 else [i % 4])]
    bits = "".join([*bits, "101"])
    data = bytes(int(bits[i : i + 8][::-1], 2) for i in range(0, len(bits), 8))
    place = struct.pack("<HHHHB", left, top, width, height, 0x81 if table else 0)
    return b"\x2c" + place + table + b"\x02" + blocks(data, size)


def bomb(width, height):
    """A frame that declares its size and holds next to nothing."""
    return b"\x2c" + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\x02\x01\x2c\0"


def gif(width, height, *parts, table=TABLE, background=1):
    flags = 0x81 if table else 0
    head = b"GIF89a" + struct.pack("<HHBBB", width, height, flags, background, 0)
    return head + table + b"".join(parts) + b";"


def transparent(index):
    return b"\x21\xf9\x04\x01\0\0" + bytes([index]) + b"\0"


def comment(length, size=255):
    return b"\x21\xfe" + blocks(b"c" * length, size)


@pytest.mark.parametrize(
    "parts",
    [
        (frame(10, 8),),
        (frame(4, 5, 3, 2),),
        (transparent(3), frame(4, 5, 3, 2)),
        (transparent(0), frame(10, 8)),
        (frame(20, 12, 3, 2),),
        (frame(4, 5, 3, 2, OWN_TABLE),),
        (comment(1000), transparent(2), comment(5), frame(9, 8, 1, 0, OWN_TABLE)),
        (frame(10, 8, size=254), frame(4, 4), transparent(1), frame(3, 3, 5, 5, OWN_TABLE)),
        (frame(10, 8, size=1), bomb(50_000, 50_000)),
        (frame(10, 8, size=7), b"\x2c cut off"),
    ],
)
def test_the_first_frame_is_pillows(parts):
    data = gif(10, 8, *parts)
    with Image.open(io.BytesIO(data)) as image:
        expected = np.asarray(image.convert("RGB"))
    np.testing.assert_array_equal(decode.upright_array(data), expected)


def test_only_an_own_table():
    data = gif(10, 8, frame(10, 8, table=OWN_TABLE), table=b"")
    with Image.open(io.BytesIO(data)) as image:
        expected = np.asarray(image.convert("RGB"))
    np.testing.assert_array_equal(decode.upright_array(data), expected)


def says(data):
    with pytest.raises(ValueError, match="cannot be decoded") as caught:
        decode.open_image(data)
    return str(caught.value)


def test_the_pixels_of_the_frame_are_bounded_and_not_only_the_screen():
    assert limits.PIXELS in says(gif(10, 10, bomb(20_000, 20_000)))
    assert limits.PIXELS in says(gif(60_000, 60_000, frame(2, 2)))
    assert limits.PIXELS in says(gif(10, 10, frame(2, 2, 40_000, 40_000)))


def test_later_frames_cost_nothing():
    """2,500 frames of 16 megapixels each: 40 gigapixels, of which none is decoded."""
    data = gif(4, 4, frame(4, 4), *[bomb(4000, 4000)] * 2500)
    assert decode.open_image(data)[0].shape == (4, 4, 3)


def test_blocks_are_bounded():
    # two sizes in turn: no two can be passed over at once
    chain = (b"\x01a" + b"\x02ab") * limits.MAX_BLOCKS + b"\0"
    assert limits.BLOCKS in says(gif(4, 4, b"\x21\xfe" + chain, frame(4, 4)))
    assert limits.BLOCKS in says(gif(4, 4, b"\x2c\0\0\0\0\x04\0\x04\0\0\x02" + chain))
    assert limits.BLOCKS in says(gif(4, 4, *[comment(1)] * limits.MAX_BLOCKS, frame(4, 4)))


@pytest.mark.parametrize("end", [14, 20, 26, 30, 36, 40])
def test_a_first_frame_that_is_cut_off(end):
    assert "cut off or damaged" in says(gif(10, 8, frame(10, 8))[:end])
