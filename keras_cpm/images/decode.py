"""`read_image`: encoded bytes to pixels and the matrix that turns them upright.

The one reader of image bytes, for the training pipeline, the predictor and the SavedModel.
TensorFlow's decoders ignore EXIF; here the orientation is read from the bytes with TensorFlow
operations and handed on as a matrix, so that turning costs nothing: it joins the one resample.
"""

import os
from pathlib import Path

import numpy as np
import tensorflow as tf

from ..pose import geometry
from . import sampling, shards

# Refused before a pixel is allocated; a phone's largest photographs have 200 million.
MAX_PIXELS = 250_000_000
# What libjpeg can divide the sides of a photograph by while it decodes.
JPEG_RATIOS = (1, 2, 4, 8)
# Equal to OpenCV's decoder; TensorFlow's default differs by up to 4 levels.
_DCT_METHOD = "INTEGER_ACCURATE"
# Metadata is looked for in here: an EXIF block is at most 64 kB, and thumbnails come after it.
_HEAD_BYTES = 1 << 18
_MAX_BLOCKS = 256
# The start of a JPEG and of its first segment.
_JFIF = b"\xff\xd8\xff\xe0\0\x10"
_EXIF, _PNG_EXIF, _PNG, _PNG_PICTURE = list(b"Exif"), list(b"eXIf"), list(b"PNG"), list(b"IDAT")


@tf.function(input_signature=[tf.TensorSpec([], tf.string)])
def read_image(data):
    """Decodes JPEG, PNG, GIF (first frame) or BMP.

    Args:
        data: scalar string tensor, the bytes of a file.

    Returns:
        pixels (H, W, 3) uint8 RGB as stored, and upright_from_stored (3, 3) float32.

    Raises:
        tf.errors.InvalidArgumentError: not an image, cut off, or more than `MAX_PIXELS`.

    Example:
        >>> import tensorflow as tf
        >>> from keras_cpm.images import decode
        >>> data = tf.io.encode_png(tf.zeros([4, 6, 3], tf.uint8))
        >>> pixels, upright_from_stored = decode.read_image(data)
        >>> pixels.shape, upright_from_stored.numpy().diagonal().tolist()
        (TensorShape([4, 6, 3]), [1.0, 1.0, 1.0])
    """
    data, _, orientation = read_header(data)
    pixels = decode(data)
    return pixels, geometry.upright_from_stored(orientation, tf.shape(pixels)[:2])


@tf.function(input_signature=[tf.TensorSpec([], tf.string)])
def read_header(data):
    """What is known of an image before it is decoded.

    Args:
        data: scalar string tensor, the bytes of a file.

    Returns:
        data, to be decoded by whoever wants only images of at most `MAX_PIXELS`; size (2,) int32,
        height and width as declared; orientation, scalar int32, see `geometry.upright_from_stored`.

    Raises:
        tf.errors.InvalidArgumentError: as `read_image`.
    """
    size = tf.cond(
        tf.io.is_jpeg(data),
        lambda: tf.io.extract_jpeg_shape(data)[:2],
        lambda: _declared_size(_head(data, 32)),
    )
    with tf.control_dependencies(_refuse_bombs(size)):
        data, size = tf.identity(data), tf.identity(size)
    orientation = tf.cond(_has_no_metadata(data), lambda: 1, lambda: _orientation(data))
    return data, size, orientation


def decode(data):
    """(H, W, 3) uint8 RGB as stored, of all that `read_image` reads."""
    pixels = tf.cond(
        tf.io.is_jpeg(data),
        lambda: tf.io.decode_jpeg(data, channels=3, dct_method=_DCT_METHOD),
        lambda: tf.io.decode_image(data, channels=3, expand_animations=False),
    )
    return tf.ensure_shape(pixels, [None, None, 3])


def is_whole_jpeg(data):
    """Whether the bytes are a JPEG up to its end marker, so that `decode_window` may read them."""
    # libjpeg does not look at what comes after a window: it would not see that a file is cut off
    ends = tf.strings.substr(data, tf.maximum(tf.strings.length(data) - 2, 0), 2)
    return tf.io.is_jpeg(data) & (ends == b"\xff\xd9")


def decode_window(data, window, ratio):
    """Decodes a window of a JPEG that is made smaller by the decoder.

    Args:
        data: scalar string tensor, for which `is_whole_jpeg`.
        window: (4,) int32 top, left, height and width, pixels of the smaller size.
        ratio: int, of `JPEG_RATIOS`. A side of n pixels becomes n / ratio, rounded up.

    Returns:
        (height, width, 3) uint8 RGB as stored.
    """
    return tf.raw_ops.DecodeAndCropJpeg(
        contents=data, crop_window=window, channels=3, ratio=ratio, dct_method=_DCT_METHOD
    )


def encoded(path):
    """The bytes of an image, not decoded: of a file, or of a member of a shard; see `shards`.

    Raises:
        FileNotFoundError, ValueError: one sentence with the path and the remedy.

    Example:
        >>> import keras_cpm, tempfile
        >>> from keras_cpm.images import decode
        >>> decode.encoded(keras_cpm.draw_records(tempfile.mkdtemp(), 1)[0].image)[:2].hex()
        'ffd8'
    """
    place = shards.split(path)
    if place is not None:
        return shards.read(*place)
    path = Path(path)
    if path.is_dir():
        raise ValueError(f"The image {path} is a folder; name a file in it.")
    if not path.is_file():
        raise FileNotFoundError(f"There is no image at {path}; check the path.")
    return path.read_bytes()


def is_there(path):
    """Whether there is an image for `encoded`."""
    return os.path.isfile(path) or shards.contains(path)


def open_image(source):
    """An image as people have it, for eager use.

    Args:
        source: a path, the bytes of an image file, or an array (H, W, 3) RGB 0..255 that is upright
            already; (H, W) and (H, W, 1) grey and (H, W, 4) with alpha are taken too.

    Returns:
        pixels (H, W, 3) uint8 or float32 as stored, and upright_from_stored (3, 3).

    Raises:
        FileNotFoundError, ValueError: one sentence with the name and the remedy.
    """
    if not isinstance(source, (str, Path, bytes)):
        return tf.convert_to_tensor(_as_rgb(source)), tf.eye(3)
    name, data = "The image", source
    if not isinstance(source, bytes):
        name = f"The image {source}"
        data = encoded(source)
    if not data:
        raise ValueError(f"{name} is empty (0 bytes); copy or download it again.")
    try:
        return read_image(tf.constant(data))
    except tf.errors.InvalidArgumentError as error:
        raise ValueError(f"{name} cannot be decoded: {_reason(data, error)}") from None


def upright_array(source):
    """(H, W, 3) uint8 RGB, turned upright: what drawings are made on. See `open_image`."""
    pixels, upright_from_stored = open_image(source)
    size = geometry.upright_size(tf.shape(pixels)[:2], upright_from_stored)
    upright = sampling.warp(pixels, upright_from_stored, size, fill=0)
    return tf.cast(tf.round(upright), tf.uint8).numpy()


def _as_rgb(array):
    array = np.asarray(array)
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or array.shape[-1] not in (1, 3, 4) or 0 in array.shape:
        raise ValueError(
            "`image` must be a path, the bytes of a file, or an array (height, width, 3) of RGB "
            f"0..255. Received: an array of shape {array.shape}"
        )
    if array.dtype != np.uint8:
        array = array.astype(np.float32)
        if not np.isfinite(array).all():
            raise ValueError(
                "`image` must be finite. Received: an array with NaN or infinite values"
            )
        if 0 < array.max() <= 1:
            raise ValueError(
                "`image` must be RGB 0..255; multiply it by 255. "
                f"Received: values up to {array.max():g}"
            )
    array = array[..., :3]
    return np.repeat(array, 3, axis=-1) if array.shape[-1] == 1 else array


def _reason(data, error):
    if "pixels" in error.message and "limit" in error.message:
        return f"it declares more than {MAX_PIXELS:,} pixels; make it smaller first."
    if data[:2] == b"\xff\xd8" or data[:4] in (b"\x89PNG", b"GIF8") or data[:2] == b"BM":
        return "the file is cut off or damaged; copy or download it again."
    return "it is not a JPEG, PNG, GIF or BMP file; convert it to one of these."


def _refuse_bombs(size):
    pixels = tf.reduce_prod(tf.cast(size, tf.int64))
    limit = tf.constant(MAX_PIXELS, tf.int64)
    return [
        # what else TensorFlow can decode would come with a size and an orientation not read here
        tf.debugging.assert_positive(pixels, message="not a JPEG, PNG, GIF or BMP"),
        tf.debugging.assert_less_equal(pixels, limit, message="more pixels than the limit"),
    ]


def _head(data, length):
    """The first bytes as numbers, and one zero for `_bytes` to point at where there is nothing."""
    return tf.io.decode_raw(tf.strings.substr(data, 0, length) + b"\0", tf.uint8)


def _declared_size(head):
    """(2,) int32 size that a header other than JPEG's declares; (0, 0) for unknown formats."""
    is_png = tf.reduce_all(_bytes(head, 1, 3) == _PNG)
    is_bmp = tf.reduce_all(_bytes(head, 0, 2) == list(b"BM"))
    is_gif = tf.reduce_all(_bytes(head, 0, 3) == list(b"GIF"))
    png = tf.stack([_number(head, 20, 4, False), _number(head, 16, 4, False)])
    bmp = tf.abs(tf.stack([_number(head, 22, 4, True), _number(head, 18, 4, True)]))
    gif = tf.stack([_number(head, 8, 2, True), _number(head, 6, 2, True)])
    other = tf.where(is_png, png, tf.where(is_bmp, bmp, tf.where(is_gif, gif, [0, 0])))
    # a negative PNG side is one of 2^31 or more
    return tf.where(other < 0, MAX_PIXELS + 1, other)


def _has_no_metadata(data):
    """Whether only a JFIF segment of 16 bytes precedes the tables: true of most JPEGs and cheap."""
    head = tf.io.decode_raw(tf.strings.substr(data, 0, 22), tf.uint8)
    following = tf.cast(head[-1:], tf.int32)
    metadata = tf.reduce_any((following & 0xF0 == 0xE0) | (following == 0xFE))
    return (tf.strings.substr(data, 0, 6) == _JFIF) & (tf.size(head) == 22) & ~metadata


def _orientation(data):
    head = _head(data, _HEAD_BYTES)
    start = tf.cond(
        tf.io.is_jpeg(data), lambda: _tiff_start_jpeg(head), lambda: _tiff_start_png(head)
    )
    return tf.cond(start > 0, lambda: _tiff_orientation(head, start), lambda: 1)


def _tiff_orientation(head, start):
    little = _bytes(head, start, 2)[0] == 0x49
    directory = start + _number(head, start + 4, 4, little)
    count = tf.clip_by_value(_number(head, directory, 2, little), 0, 256)
    entries = directory + 2 + 12 * tf.range(count)
    is_orientation = _number(head, entries, 2, little) == 0x0112
    values = tf.boolean_mask(_number(head, entries + 8, 2, little), is_orientation)
    return tf.concat([values, [1]], 0)[0]


def _tiff_start_jpeg(head):
    """Walks the segments before the picture to the EXIF block; 0 where there is none."""

    def is_exif(at):
        return (_bytes(head, at + 1, 1)[0] == 0xE1) & tf.reduce_all(
            _bytes(head, at + 4, 4) == _EXIF
        )

    def goes_on(at):
        marker = _bytes(head, at, 2)
        metadata = ((marker[1] >= 0xE0) & (marker[1] <= 0xEF)) | (marker[1] == 0xFE)
        return (marker[0] == 0xFF) & metadata & ~is_exif(at)

    def following(at):
        return [at + 2 + tf.maximum(_number(head, at + 2, 2, False), 1)]

    (at,) = tf.while_loop(goes_on, following, [tf.constant(2)], maximum_iterations=_MAX_BLOCKS)
    return tf.where(is_exif(at), at + 10, 0)


def _tiff_start_png(head):
    """Walks the chunks before the picture to the EXIF block; 0 where there is none."""
    is_png = tf.reduce_all(_bytes(head, 1, 3) == _PNG)

    def is_exif(at):
        return tf.reduce_all(_bytes(head, at + 4, 4) == _PNG_EXIF)

    def goes_on(at):
        inside = is_png & (at >= 0) & (at + 12 < tf.size(head))
        is_picture = tf.reduce_all(_bytes(head, at + 4, 4) == _PNG_PICTURE)
        return inside & ~is_picture & ~is_exif(at)

    def following(at):
        length = _number(head, at, 4, False)
        return [tf.where((length < 0) | (length > _HEAD_BYTES), tf.size(head), at + 12 + length)]

    (at,) = tf.while_loop(goes_on, following, [tf.constant(8)], maximum_iterations=_MAX_BLOCKS)
    return tf.where(is_png & is_exif(at), at + 8, 0)


def _bytes(head, start, count):
    """`count` bytes from `start`; zeros outside. `start` may be a vector."""
    index = tf.expand_dims(tf.cast(start, tf.int32), -1) + tf.range(count)
    end = tf.size(head) - 1
    return tf.cast(tf.gather(head, tf.where((index >= 0) & (index < end), index, end)), tf.int32)


def _number(head, start, count, little):
    """Unsigned whole number of `count` bytes (of four, the highest bit turns into the sign)."""
    values = _bytes(head, start, count)
    values = tf.where(little, values, tf.reverse(values, [-1]))
    total = values[..., 0]
    for i in range(1, count):
        total += tf.bitwise.left_shift(values[..., i], 8 * i)
    return total
