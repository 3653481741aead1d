"""JPEG and PNG files read by OpenCV, to the same pixels as by TensorFlow; of the plain ones only.

What is unusual or damaged is left to TensorFlow, which takes seconds to load and knows what to say.
"""

from __future__ import annotations

import struct

import cv2
import numpy as np

# markers that declare the size of a picture: not those of tables, 0xC4, 0xC8, 0xCC
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_ALONE = {0x01, *range(0xD0, 0xD8)}
_GREY, _COLOR = 0, 2


def jpeg_frame(data):
    """Height, width and channels that a JPEG declares; `None` where that is hard to find.

    Args:
        data: bytes of the file.

    Example:
        >>> import cv2, numpy as np
        >>> from keras_cpm.images import opencv
        >>> data = cv2.imencode(".jpg", np.zeros((4, 6, 3), np.uint8))[1].tobytes()
        >>> opencv.jpeg_frame(data)
        (4, 6, 3)
    """
    at = 2
    while at + 10 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker in _FRAMES:
            _, bits, height, width, channels = struct.unpack_from(">HBHHB", data, at + 2)
            return (height, width, channels) if bits == 8 and height else None
        if marker == 0xDA or marker in _ALONE:
            return None
        at += 2 + int.from_bytes(data[at + 2 : at + 4])
    return None


def is_plain(data):
    """Whether bytes are those of a JPEG, grey or in colour, that ends as it should, or of a PNG of
    8 bits without transparency and palette.
    """
    return _is_plain_jpeg(data) or _is_plain_png(data)


def decode(data):
    """(H, W, 3) uint8 RGB as stored, of a file that `is_plain`; `None` where it is damaged."""
    how = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), how)
    except cv2.error:
        return None
    return None if pixels is None else np.ascontiguousarray(pixels[..., ::-1])


def _is_plain_jpeg(data):
    if data[:3] != b"\xff\xd8\xff" or data[-2:] != b"\xff\xd9":
        return False
    frame = jpeg_frame(data)
    return frame is not None and frame[2] in (1, 3)


def _is_plain_png(data):
    if data[:8] != b"\x89PNG\r\n\x1a\n" or data[12:16] != b"IHDR" or b"IEND" not in data[-12:]:
        return False
    return data[24] == 8 and data[25] in (_GREY, _COLOR) and b"tRNS" not in data
