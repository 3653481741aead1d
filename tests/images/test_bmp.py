"""BMP files of every kind that is read, against Pillow."""

import io
import struct

import numpy as np
import pytest

from keras_cpm.images import decode

Image = pytest.importorskip("PIL.Image", reason="Pillow knows better")

RNG = np.random.default_rng(0)
HEIGHT, WIDTH = 7, 11


def bmp(bits, *, top_down=False, compression=0, masks=b"", colors=None, old=False, height=HEIGHT):
    """Noise of so many bits a pixel."""
    stride = (WIDTH * bits + 31) // 32 * 4
    table = RNG.bytes((3 if old else 4) * (colors or 0))
    if old:
        header = struct.pack("<IHHHH", 12, WIDTH, height, 1, bits)
    else:
        sizes = (40, WIDTH, -height if top_down else height, 1, bits, compression)
        header = struct.pack("<IiiHHIIiiII", *sizes, 0, 0, 0, colors or 0, 0)
    start = 14 + len(header) + len(masks) + len(table)
    data = header + masks + table + RNG.bytes(stride * height)
    return b"BM" + struct.pack("<IHHI", 14 + len(data), 0, 0, start) + data


MASKS_565 = struct.pack("<III", 0xF800, 0x07E0, 0x001F)
MASKS_555 = struct.pack("<III", 0x7C00, 0x03E0, 0x001F)
MASKS_888 = struct.pack("<III", 0xFF0000, 0xFF00, 0xFF)


@pytest.mark.parametrize(
    "options",
    [
        {"bits": 1, "colors": 2},
        {"bits": 4, "colors": 16},
        {"bits": 8, "colors": 256},
        {"bits": 8, "colors": 256, "top_down": True},
        {"bits": 1, "colors": 2, "old": True},
        {"bits": 4, "colors": 16, "old": True},
        {"bits": 8, "colors": 256, "old": True},
        {"bits": 24, "old": True},
        {"bits": 16},
        {"bits": 16, "compression": 3, "masks": MASKS_565},
        {"bits": 16, "compression": 3, "masks": MASKS_555, "top_down": True},
        {"bits": 24},
        {"bits": 24, "top_down": True},
        {"bits": 32},
        {"bits": 32, "compression": 3, "masks": MASKS_888},
        {"bits": 24, "height": 1},
    ],
    ids=str,
)
def test_pixels_are_pillows(options):
    data = bmp(**options)
    with Image.open(io.BytesIO(data)) as image:
        expected = np.asarray(image.convert("RGB")).astype(int)
    found = decode.upright_array(data)
    # shares of 31 and of 63 are rounded differently
    np.testing.assert_allclose(found, expected, atol=1 if options["bits"] == 16 else 0)
    assert np.ptp(found) > 50


@pytest.mark.parametrize(
    "options",
    [
        {"bits": 8, "colors": 256, "compression": 1},
        {"bits": 4, "colors": 16, "compression": 2},
        {"bits": 2, "colors": 4},
        {"bits": 64},
        {"bits": 32, "compression": 3, "masks": struct.pack("<III", 0xFF, 0xFF00, 0xFF0000)},
    ],
    ids=str,
)
def test_other_kinds_are_refused_by_name(options):
    with pytest.raises(ValueError, match="BMP file that is compressed or of unusual bits"):
        decode.open_image(bmp(**options))


@pytest.mark.parametrize("bits", [1, 4, 8, 16, 24, 32])
def test_a_file_that_is_cut_off(bits):
    data = bmp(bits, colors=2 ** min(bits, 8) if bits < 16 else 0)
    for end in (20, 60, len(data) - 1):
        with pytest.raises(ValueError, match="cannot be decoded: "):
            decode.open_image(data[:end])


def test_sizes_whose_rows_overflow():
    data = bytearray(bmp(32))
    for width, height in ((1 << 30, 1), (-11, 7), (250_000_000, 1), (11, -(1 << 31)), (0, 7)):
        data[18:26] = struct.pack("<ii", width, height)
        with pytest.raises(ValueError, match="cannot be decoded: "):
            decode.open_image(bytes(data))
