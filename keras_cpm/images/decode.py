"""`read_image`: encoded bytes to pixels and the matrix that turns them upright.

The one reader of image bytes, for the training pipeline, the predictor and the SavedModel.
TensorFlow's decoders ignore EXIF; here the orientation is read from the bytes with TensorFlow
operations and handed on as a matrix, so that turning costs nothing: it joins the one resample.
"""

import os
import stat
from pathlib import Path

import numpy as np

from ..pose import geometry
from ..pose.arithmetic import by_tensorflow, is_by_numpy, tf, traced
from . import (
    arrays,
    bmp,
    fields,
    formats,
    gif,
    jpeg,
    limits,
    opencv,
    orientation,
    sampling,
    shards,
    transcode,
)

# What libjpeg can divide the sides of a photograph by while it decodes.
JPEG_RATIOS = (1, 2, 4, 8)
# Equal to OpenCV's decoder; TensorFlow's default differs by up to 4 levels.
_DCT_METHOD = "INTEGER_ACCURATE"
# The branches of what depends on the format, and the first bytes of each.
_JPEG, _PNG, _GIF, _BMP = range(4)
_FIRST_BYTES = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"BM")


# nothing in it is Python's control flow
@traced(input_signature=lambda: [tf.TensorSpec([], tf.string)], autograph=False)
def read_image(data):
    """Decodes JPEG, PNG, GIF (first frame) or BMP.

    Args:
        data: scalar string tensor, the bytes of a file; of WebP and TIFF what
            `transcode.readable` made of them.

    Returns:
        pixels (H, W, 3) uint8 RGB as stored, and upright_from_stored (3, 3) float32. What is
        transparent has the color that is stored there; of 16 bits a channel the high ones count.

    Raises:
        tf.errors.InvalidArgumentError: not an image, cut off, or beyond a bound of `limits`.

    Example:
        >>> import tensorflow as tf
        >>> from keras_cpm.images import decode
        >>> data = tf.io.encode_png(tf.zeros([4, 6, 3], tf.uint8))
        >>> pixels, upright_from_stored = decode.read_image(data)
        >>> pixels.shape, upright_from_stored.numpy().diagonal().tolist()
        (TensorShape([4, 6, 3]), [1.0, 1.0, 1.0])
    """
    data, _, turn = read_header(data)
    pixels = decode(data)
    return pixels, geometry.upright_from_stored(turn, tf.shape(pixels)[:2])


# nothing in it is Python's control flow
@traced(input_signature=lambda: [tf.TensorSpec([], tf.string)], autograph=False)
def read_header(data):
    """What is known of an image before it is decoded.

    Args:
        data: scalar string tensor, the bytes of a file.

    Returns:
        data, to be decoded by whoever wants only images within the bounds of `limits`; size (2,)
        int32, height and width as declared; orientation, scalar int32, see
        `geometry.upright_from_stored`.

    Raises:
        tf.errors.InvalidArgumentError: as `read_image`.
    """
    sound = [
        tf.debugging.assert_less_equal(
            tf.strings.length(data), limits.MAX_BYTES, message=limits.BYTES
        ),
        # what else TensorFlow can decode would come with a size and an orientation not read here
        tf.debugging.assert_less(_kind(data), len(_FIRST_BYTES), message="of no known format"),
    ]
    with tf.control_dependencies(sound):
        data = tf.identity(data)
    size = _of_kind(
        data,
        lambda: _jpeg_size(data),
        lambda: _png_size(data),
        lambda: gif.size(data),
        lambda: bmp.size(data),
    )
    with tf.control_dependencies(_refuse_pixels(size)):
        size = tf.identity(size)
    turn, has_few_scans = _of_kind(
        data,
        lambda: (orientation.of_jpeg(data), jpeg.has_few_scans(data, size)),
        lambda: (orientation.of_png(data), True),
        *[lambda: (1, True)] * 2,
    )
    sound = tf.debugging.assert_equal(has_few_scans, True, message=limits.SCANS)
    with tf.control_dependencies([sound]):
        data, size = tf.identity(data), tf.identity(size)
    return data, size, turn


def header_of(data):
    """`read_header` of bytes, for eager use; by NumPy where it is asked for and reads the same."""
    if is_by_numpy() and opencv.is_plain(data):
        return read_header(data)
    with by_tensorflow() as tensorflow:
        return read_header(tensorflow.constant(data))


def decode(data):
    """(H, W, 3) uint8 RGB as stored, of all that `read_image` reads."""
    pixels = _of_kind(
        data,
        lambda: tf.io.decode_jpeg(data, channels=3, dct_method=_DCT_METHOD),
        lambda: tf.io.decode_png(data, channels=3),
        lambda: gif.decode(data),
        lambda: bmp.decode(data),
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
    if not path.exists():
        raise FileNotFoundError(f"There is no image at {path}; check the path.")
    if problem := why_not_read(path):
        raise ValueError(f"The image {path} cannot be read: {problem}.")
    return path.read_bytes()


def why_not_read(path):
    """What keeps a file from being opened, before it is: a pipe would never end.

    Args:
        path: of something that is there.

    Returns:
        `None`, or what it is and the remedy, to go on after the name of the file.
    """
    state = os.stat(path)
    if not stat.S_ISREG(state.st_mode):
        return "it is a pipe or a device; copy what it gives into a file"
    return limits.BYTES if state.st_size > limits.MAX_BYTES else None


def is_there(path):
    """Whether there is something for `encoded`; see `why_not_read`."""
    return (os.path.exists(path) and not os.path.isdir(path)) or shards.contains(path)


def open_image(source):
    """An image as people have it, for eager use.

    Args:
        source: a path, the bytes of an image file, or an array (H, W, 3) RGB 0..255 that is upright
            already; `arrays.as_rgb` says which other arrays and Pillow images are taken.

    Returns:
        pixels (H, W, 3) uint8 or float32 as stored, and upright_from_stored (3, 3).

    Raises:
        FileNotFoundError, ValueError: one sentence with the name and the remedy.
    """
    if not isinstance(source, (str, Path, bytes)):
        return tf.convert_to_tensor(arrays.as_rgb(source)), tf.eye(3)
    name, data = "The image", source
    if not isinstance(source, bytes):
        name = f"The image {source}"
        data = encoded(source)
    if not data:
        raise ValueError(f"{name} is empty (0 bytes); copy or download it again.")
    try:
        if formats.kind_of(data) in transcode.KINDS:
            return tf.constant(transcode.upright(data)), tf.eye(3)
        return _read(data)
    except (transcode.Unread, tf.errors.InvalidArgumentError) as error:
        raise ValueError(f"{name} cannot be decoded: {_reason(data, error)}.") from None


def _read(data):
    """`read_image` of bytes, by NumPy and OpenCV where they are asked for and read the same."""
    if is_by_numpy() and opencv.is_plain(data):
        data, size, turn = read_header(data)
        pixels = opencv.decode(data)
        if pixels is not None:
            return pixels, geometry.upright_from_stored(turn, size)
    with by_tensorflow() as tensorflow:
        pixels, upright_from_stored = read_image(tensorflow.constant(data))
    return (
        (pixels.numpy(), upright_from_stored.numpy())
        if is_by_numpy()
        else (pixels, upright_from_stored)
    )


def upright_array(source):
    """(H, W, 3) uint8 RGB, turned upright: what drawings are made on. See `open_image`."""
    pixels, upright_from_stored = open_image(source)
    if not np.array_equal(upright_from_stored, np.eye(3)):
        size = geometry.upright_size(tf.shape(pixels)[:2], upright_from_stored)
        pixels = sampling.warp(pixels, upright_from_stored, size, fill=0)
    return np.asarray(tf.cast(tf.round(pixels), tf.uint8) if pixels.dtype != tf.uint8 else pixels)


def _kind(data):
    """The number of the format, or one more than the last."""
    is_of = [fields.starts_with(data, first) for first in _FIRST_BYTES]
    return tf.argmax(tf.cast([*is_of, True], tf.int32), output_type=tf.int32)


def _of_kind(data, *branches):
    """What the branch of the format says: of JPEG, PNG, GIF and BMP."""
    return tf.switch_case(_kind(data), branches)


def _reason(data, error):
    if isinstance(error, transcode.Unread):
        return str(error)
    kind = formats.kind_of(data)
    if kind not in formats.READ_KINDS:
        return f"it is {formats.refusal(kind)}"
    known = (*limits.ALL, bmp.UNREAD)
    return next((reason for reason in known if reason in error.message), formats.DAMAGED)


def _refuse_pixels(size):
    pixels = tf.reduce_prod(tf.cast(size, tf.int64))
    limit = tf.constant(limits.MAX_PIXELS, tf.int64)
    return [
        tf.debugging.assert_positive(pixels, message="no pixels"),
        tf.debugging.assert_less_equal(pixels, limit, message=limits.PIXELS),
    ]


def _jpeg_size(data):
    if is_by_numpy():
        return np.int32(opencv.jpeg_frame(data)[:2])
    return tf.io.extract_jpeg_shape(data)[:2]


def _png_size(data):
    head = fields.take(data, 16, 8)
    size = tf.stack([fields.number(head, start, 4, False) for start in (4, 0)])
    # a negative side is one of 2^31 or more
    return tf.where(size < 0, limits.MAX_PIXELS + 1, size)
