"""WebP and TIFF files, which TensorFlow does not decode, as BMP files, which it does: by OpenCV.

So the training reads them, too. A SavedModel has no Python in it, and refuses them.
"""

import struct

import numpy as np

from ..pose.arithmetic import tf
from . import formats, limits

_WIDTH, _HEIGHT, _BITS, _COLORS, _SAMPLES, _PLANES = 256, 257, 258, 262, 277, 284
_REDUCED, _SAMPLE_KIND, _RAW = 254, 339, 50706
# what Canon writes behind the header is no tag
_CANON = -1
# Black or white as 0, RGB, indexed, CMYK and YCbCr; 16 bits are read of grey and RGB.
_COLORS_READ, _COLORS_OF_16_BITS = (0, 1, 2, 3, 5, 6), (1, 2)
_TIFF_TYPES = {1: "B", 3: "H", 4: "I"}
KINDS = ("WebP", "TIFF")


class Unread(ValueError):
    """Why a file is not read, to go on after its name."""


def readable(data):
    """The bytes of a file, of WebP and TIFF as BMP, for a data pipeline.

    Args:
        data: scalar string tensor.

    Returns:
        scalar string tensor.

    Raises:
        tf.errors.InvalidArgumentError: where `upright` raises `Unread`.
    """
    first = tf.strings.substr(data, 0, 4)
    is_other = tf.reduce_any(first == [b"RIFF", b"II*\0", b"MM\0*"])
    return tf.cond(
        is_other,
        lambda: tf.ensure_shape(tf.numpy_function(_as_bmp, [data], tf.string, stateful=False), []),
        lambda: data,
    )


def upright(data):
    """Decodes a WebP, of an animated one its first frame, or the first page of a TIFF.

    Args:
        data: bytes of the file.

    Returns:
        (H, W, 3) uint8 RGB, turned as its EXIF asks; of 16 bits the high bytes.

    Raises:
        Unread: more than `limits.MAX_PIXELS`, damaged, transparent, or a kind of TIFF that is not
            read.

    Example:
        >>> import cv2, numpy as np
        >>> from keras_cpm.images import transcode
        >>> data = cv2.imencode(".webp", np.full((4, 6, 3), (0, 0, 255), np.uint8))[1].tobytes()
        >>> transcode.upright(data).shape
        (4, 6, 3)
    """
    import cv2

    tags = {} if formats.kind_of(data) == "WebP" else _tiff_tags(data)
    height, width = _tiff_size(tags) if tags else _webp_size(data)
    if height * width > limits.MAX_PIXELS:
        raise Unread(limits.PIXELS)
    has_alpha = tags.get(_COLORS) == 2 and tags.get(_SAMPLES, 3) > 3
    how = cv2.IMREAD_UNCHANGED if has_alpha else cv2.IMREAD_COLOR
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), how)
    except cv2.error:
        pixels = None
    if pixels is None or pixels.ndim != 3 or {*pixels.shape[:2]} != {height, width}:
        raise Unread(formats.DAMAGED)
    # OpenCV has multiplied the colours by it
    if has_alpha and (pixels.dtype != np.uint8 or pixels[..., 3:].min() < 255):
        raise Unread("it is a TIFF file with transparency; save it without")
    return np.ascontiguousarray(pixels[..., 2::-1])


def _as_bmp(data):
    import cv2

    # outside of a graph it comes as an array of one text
    data = data if isinstance(data, bytes) else data.item()
    if formats.kind_of(data) not in KINDS:
        return data
    try:
        bgr = upright(data)[..., ::-1]
    except Unread as error:
        # what a data pipeline makes of it has no name of a file
        raise ValueError(f"An image cannot be decoded: {error}.") from None
    return cv2.imencode(".bmp", bgr)[1].tobytes()


def _webp_size(data):
    kind, data = data[12:16], data + bytes(30)
    if kind == b"VP8X":
        return tuple(1 + int.from_bytes(data[i : i + 3], "little") for i in (27, 24))
    if kind == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return 1 + (bits >> 14 & 0x3FFF), 1 + (bits & 0x3FFF)
    width, height = struct.unpack_from("<HH", data, 26)
    return height & 0x3FFF, width & 0x3FFF


def _tiff_size(tags):
    """Height and width of the first page, if it is one that OpenCV reads right."""
    if tags.get(_REDUCED, 0) & 1 or _RAW in tags or _CANON in tags:
        raise Unread("it is a camera's raw file; convert it to JPEG or PNG")
    bits, colors = tags.get(_BITS, 1), tags.get(_COLORS, 0)
    is_read = bits in (1, 8) and colors in _COLORS_READ
    is_read |= bits == 16 and colors in _COLORS_OF_16_BITS and tags.get(_PLANES, 1) == 1
    if not is_read or tags.get(_SAMPLE_KIND, 1) != 1:
        raise Unread(
            f"it is a TIFF file of {bits} bits and color space {colors}, which is not read; save "
            "it as RGB of 8 bits, or convert it to PNG"
        )
    return tags.get(_HEIGHT, 0), tags.get(_WIDTH, 0)


def _tiff_tags(data):
    """Tag -> first number, of the first page."""
    order = "<" if data[:1] == b"I" else ">"
    tags = {_CANON: 1} if data[8:10] == b"CR" else {}
    try:
        (directory,) = struct.unpack_from(f"{order}I", data, 4)
        (count,) = struct.unpack_from(f"{order}H", data, directory)
        for i in range(count):
            place = directory + 2 + 12 * i
            tag, kind, length = struct.unpack_from(f"{order}HHI", data, place)
            letter = _TIFF_TYPES.get(kind)
            if letter and length:
                place += 8
                if length * struct.calcsize(letter) > 4:
                    (place,) = struct.unpack_from(f"{order}I", data, place)
                (tags[tag],) = struct.unpack_from(order + letter, data, place)
    except struct.error:
        raise Unread(formats.DAMAGED) from None
    return tags
