"""How often a JPEG goes over its picture is counted before it is decoded, and bounded."""

import io
import re
import struct

import numpy as np
import pytest

from keras_cpm.images import decode, limits

Image = pytest.importorskip("PIL.Image", reason="Pillow writes the files")


def progressive(side, extra=0, **options):
    """A grey progressive JPEG whose last scan comes so many times more."""
    file = io.BytesIO()
    picture = Image.fromarray(np.full((side, side), 128, np.uint8))
    picture.save(file, "JPEG", progressive=True, **options)
    data = file.getvalue()
    last = data.rindex(b"\xff\xda")
    return data[:-2] + data[last:-2] * extra + data[-2:]


def declared(data, side):
    """The same data, which declare a larger picture."""
    at = data.index(b"\xff\xc2") + 5
    return data[:at] + struct.pack(">HH", side, side) + data[at + 4 :]


def test_scans_are_bounded():
    for data in (
        progressive(16, limits.MAX_SCANS),
        declared(progressive(16, 100), 8000),
        declared(progressive(16), 15_000),
    ):
        with pytest.raises(ValueError, match=re.escape(limits.SCANS)):
            decode.open_image(data)


def test_usual_progressive_files_are_read():
    assert decode.open_image(progressive(1000))[0].shape == (1000, 1000, 3)
    assert decode.open_image(progressive(16, 90))[0].shape == (16, 16, 3)


def test_what_looks_like_a_scan_and_is_none():
    """The bytes of scans in metadata, and after the picture, as the film of a moving photograph."""
    data = progressive(1000)
    fake = b"\xff\xda\0\x08" * 2000
    comment = b"\xff\xfe" + struct.pack(">H", len(fake) + 2) + fake
    assert decode.open_image(data[:2] + comment + data[2:] + fake)[0].shape == (1000, 1000, 3)


def test_an_end_marker_in_a_comment_hides_no_scans():
    data = progressive(16)
    last = data.rindex(b"\xff\xda")
    comment = b"\xff\xfe\0\x06\xff\xd9\xff\xd9"
    many = data[:last] + (comment + data[last:-2]) * (limits.MAX_SCANS + 1) + data[-2:]
    with pytest.raises(ValueError, match=re.escape(limits.SCANS)):
        decode.open_image(many)
