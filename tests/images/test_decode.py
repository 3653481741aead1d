"""Reading image files: formats, EXIF, and one sentence about every file that is not right."""

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
import tensorflow as tf

from keras_cpm.images import decode
from keras_cpm.pose import geometry

Image = pytest.importorskip("PIL.Image", reason="Pillow writes the files")
ImageOps = pytest.importorskip("PIL.ImageOps", reason="Pillow turns the pictures")

PICTURE = np.random.default_rng(0).integers(0, 256, (20, 33, 3), np.uint8)
LOSSLESS = ["PNG", "BMP"]


def smooth_picture(height=48, width=70):
    y, x = np.mgrid[:height, :width]
    waves = [np.sin(x / 9 + y / 14), np.cos(x / 12 - y / 8), np.sin((x + y) / 11)]
    return np.uint8(127.5 + 120 * np.stack(waves, axis=-1))


def encoded(picture, kind, mode=None, **options):
    file = io.BytesIO()
    image = Image.fromarray(picture)
    (image.convert(mode) if mode else image).save(file, kind, **options)
    return file.getvalue()


def as_rgb(data):
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))


def exif(orientation, order="<", offset=8, count=None, others=1):
    """An EXIF block whose orientation comes after `others` other entries."""
    entries = [(0x010F, 2, 4, b"CPM\0")] * others
    entries.append((0x0112, 3, 1, struct.pack(order + "HH", orientation, 0)))
    block = struct.pack(order + "HI", 42, offset) + b"\0" * (offset - 8)
    block += struct.pack(order + "H", len(entries) if count is None else count)
    for tag, kind, length, value in entries:
        block += struct.pack(order + "HHI", tag, kind, length) + value
    return b"Exif\0\0" + {"<": b"II", ">": b"MM"}[order] + block + struct.pack(order + "I", 0)


def turn_of(data):
    """The EXIF turn that `read_image` finds, as an orientation 1..8."""
    pixels, matrix = decode.read_image(tf.constant(data))
    size = tf.shape(pixels)[:2]
    turns = [geometry.upright_from_stored(o, size).numpy() for o in range(1, 9)]
    (found,) = [o for o, turn in enumerate(turns, 1) if np.array_equal(turn, matrix)]
    return found


# formats -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", LOSSLESS)
def test_lossless_formats(kind):
    pixels, matrix = decode.open_image(encoded(PICTURE, kind))
    assert pixels.dtype == tf.uint8
    np.testing.assert_array_equal(pixels, PICTURE)
    np.testing.assert_array_equal(matrix, np.eye(3))


def test_a_bmp_stored_from_the_top():
    data = bytearray(encoded(PICTURE, "BMP"))
    data[22:26] = struct.pack("<i", -20)
    np.testing.assert_array_equal(decode.open_image(bytes(data))[0], PICTURE[::-1])


def test_the_first_frame_of_a_gif():
    frames = [Image.new("RGB", (9, 7), colour) for colour in [(255, 0, 0), (0, 0, 255)]]
    file = io.BytesIO()
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:])
    pixels, _ = decode.open_image(file.getvalue())
    np.testing.assert_array_equal(pixels, np.full((7, 9, 3), (255, 0, 0)))


@pytest.mark.parametrize("subsampling", [0, 2])
def test_jpeg_equals_opencv(subsampling):
    data = encoded(smooth_picture(), "JPEG", quality=92, subsampling=subsampling)
    expected = cv2.cvtColor(cv2.imdecode(np.frombuffer(data, np.uint8), 1), cv2.COLOR_BGR2RGB)
    np.testing.assert_array_equal(decode.open_image(data)[0], expected)


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "1"])
def test_png_of_other_modes(mode):
    picture = smooth_picture()
    if mode.endswith("A"):
        picture = np.dstack([picture, np.full((48, 70), 77, np.uint8)])
    data = encoded(picture, "PNG", mode)
    expected = as_rgb(data)
    assert np.ptp(expected) > 200
    np.testing.assert_array_equal(decode.open_image(data)[0], expected)


def test_png_of_16_bits():
    deep = np.linspace(0, 65535, 40 * 30).astype(np.uint16).reshape(30, 40)
    pixels, _ = decode.open_image(cv2.imencode(".png", deep)[1].tobytes())
    assert pixels.dtype == tf.uint8
    np.testing.assert_allclose(pixels.numpy()[..., 1], deep / 257, atol=1)


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_jpeg_of_other_modes(mode):
    data = encoded(smooth_picture(), "JPEG", mode, quality=95)
    expected = as_rgb(data).astype(int)
    assert np.ptp(expected) > 200
    np.testing.assert_allclose(decode.open_image(data)[0], expected, atol=3)


def test_a_progressive_jpeg():
    data = encoded(smooth_picture(), "JPEG", quality=95, progressive=True)
    np.testing.assert_allclose(decode.open_image(data)[0], as_rgb(data).astype(int), atol=2)


@pytest.mark.parametrize("as_type", [str, None, "bytes"])
def test_a_path_and_bytes(tmp_path, as_type):
    path = tmp_path / "фото ü 1.png"
    path.write_bytes(encoded(PICTURE, "PNG"))
    source = path.read_bytes() if as_type == "bytes" else (as_type or type(path))(path)
    np.testing.assert_array_equal(decode.open_image(source)[0], PICTURE)


def test_read_image_in_a_pipeline():
    data = [encoded(PICTURE, "PNG"), encoded(PICTURE[:9], "BMP"), encoded(PICTURE, "JPEG")]
    dataset = tf.data.Dataset.from_tensor_slices(data).map(decode.read_image)
    assert dataset.element_spec[0].shape.as_list() == [None, None, 3]
    shapes = [pixels.shape for pixels, _ in dataset]
    assert shapes == [(20, 33, 3), (9, 33, 3), (20, 33, 3)]


# arrays ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float64", "float16", "int16", "int64", "float32"])
def test_arrays_of_other_types(dtype):
    pixels, matrix = decode.open_image(PICTURE.astype(dtype))
    assert pixels.dtype == tf.float32
    np.testing.assert_array_equal(pixels, PICTURE)
    np.testing.assert_array_equal(matrix, np.eye(3))


@pytest.mark.parametrize("shape", [(20, 33), (20, 33, 1)])
def test_grey_arrays(shape):
    pixels, _ = decode.open_image(PICTURE[..., 0].reshape(shape))
    assert pixels.dtype == tf.uint8
    np.testing.assert_array_equal(pixels, np.stack([PICTURE[..., 0]] * 3, axis=-1))


def test_arrays_with_alpha_tensors_and_pillow_images():
    alpha = np.dstack([PICTURE, PICTURE[..., 0]])
    for source in (alpha, tf.constant(PICTURE), Image.fromarray(PICTURE)):
        np.testing.assert_array_equal(decode.open_image(source)[0], PICTURE)


@pytest.mark.parametrize(
    "array",
    [np.zeros((5, 6, 2)), np.zeros((1, 5, 6, 3)), np.zeros((0, 6, 3)), np.zeros(7), None, 3.0],
    ids=["two channels", "four axes", "no rows", "a row", "none", "a number"],
)
def test_arrays_that_are_no_image(array):
    shape = np.asarray(array).shape
    with pytest.raises(ValueError, match=r"`image` must be a path.*array of shape") as error:
        decode.open_image(array)
    assert str(shape) in str(error.value)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_arrays_that_are_not_finite(value):
    array = np.zeros((5, 6, 3))
    array[2, 3, 1] = value
    with pytest.raises(ValueError, match="`image` must be finite"):
        decode.open_image(array)


# EXIF --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("order", ["<", ">"], ids=["little", "big"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_turns_as_pillow_does(kind, order, orientation):
    data = encoded(smooth_picture(), kind, exif=exif(orientation, order))
    with Image.open(io.BytesIO(data)) as image:
        assert image.getexif()[0x0112] == orientation
        expected = np.asarray(ImageOps.exif_transpose(image))
    upright = decode.upright_array(data)
    assert upright.dtype == np.uint8
    np.testing.assert_allclose(upright, expected.astype(int), atol=2 * (kind == "JPEG"))
    assert turn_of(data) == orientation


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_no_exif_is_upright(kind):
    assert turn_of(encoded(smooth_picture(), kind)) == 1


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("orientation", [0, 9, 255, 65535])
def test_unknown_orientations_are_upright(kind, orientation):
    assert turn_of(encoded(smooth_picture(), kind, exif=exif(orientation))) == 1


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("options", [{"offset": 30}, {"others": 0}, {"others": 20}])
def test_orientation_elsewhere_in_the_block(kind, options):
    assert turn_of(encoded(smooth_picture(), kind, exif=exif(6, **options))) == 6


def test_exif_behind_other_segments():
    data = encoded(smooth_picture(), "JPEG", exif=exif(8))
    xmp = b"http://ns.adobe.com/xap/1.0/\0" + b"<x/>" * 9
    segments = [(0xE1, xmp), (0xE2, b"ICC_PROFILE\0" + bytes(60_000)), (0xFE, b"a comment")]
    for marker, content in segments:
        content = bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content
        data = data[:2] + content + data[2:]
    assert turn_of(data) == 8


def test_the_word_exif_in_the_picture_or_in_a_comment_is_no_exif():
    block = exif(3)
    comment = b"\xff\xfe" + struct.pack(">H", len(block) + 2) + block
    data = encoded(smooth_picture(), "JPEG")
    assert turn_of(data[:2] + comment + data[2:]) == 1
    # after the end of the picture
    assert turn_of(data + block) == 1
    assert turn_of(encoded(PICTURE, "PNG") + block) == 1


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_junk_exif_is_upright(kind):
    rng = np.random.default_rng(0)
    block = exif(6)
    junk = [
        b"Exif\0\0",
        block[:12],
        block[:17],
        exif(6, count=0),
        b"Exif\0\0XX" + block[8:10] + b"\xff\xff\xff\xff" + block[14:],
        b"Exif\0\0II*\0\xff\xff\xff\x7f" + block[14:],
        b"Exif\0\0MM\0*\x80\0\0\0" + block[14:],
        *(b"Exif\0\0" + rng.bytes(60) for _ in range(20)),
    ]
    for block in junk:
        pixels, _ = decode.open_image(encoded(smooth_picture(), kind, exif=block))
        assert pixels.shape == (48, 70, 3)
        assert turn_of(encoded(smooth_picture(), kind, exif=block)) == 1
    # more entries than there are: what is there counts
    assert turn_of(encoded(smooth_picture(), kind, exif=exif(6, count=60_000))) == 6


# files that are not right ------------------------------------------------------------------------


def _message(source, error=ValueError):
    with pytest.raises(error) as caught:
        decode.open_image(source)
    message = str(caught.value)
    assert caught.value.__cause__ is None and "\n" not in message and len(message) < 300
    return message


def test_empty_missing_and_folder(tmp_path):
    empty = tmp_path / "empty.jpg"
    empty.touch()
    assert f"{empty} is empty (0 bytes)" in _message(empty)
    assert "empty" in _message(b"")
    gone = tmp_path / "gone.jpg"
    assert f"no image at {gone}" in _message(gone, FileNotFoundError)
    assert f"{tmp_path} is a folder" in _message(str(tmp_path))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_files_that_are_cut_off(tmp_path, kind, share):
    noise = np.random.default_rng(0).integers(0, 256, (90, 80, 3), np.uint8)
    data = encoded(noise, kind)
    path = tmp_path / "cut.img"
    path.write_bytes(data[: int(share * len(data))])
    message = _message(path)
    assert str(path) in message and "cut off" in message


def test_files_of_other_kinds(tmp_path):
    text = tmp_path / "notes.jpg"
    text.write_text("not a picture, but a text of some length\n" * 9)
    message = _message(text)
    assert str(text) in message and "not a JPEG, PNG, GIF, BMP, WebP or TIFF file" in message
    for data in (b"x", b"%PDF-1.7\n" + bytes(99), bytes(1000)):
        assert "not a JPEG, PNG, GIF, BMP, WebP or TIFF file" in _message(data)


def _png(width, height):
    def chunk(kind, content):
        check = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + check

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(bytes(1000)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + pixels + chunk(b"IEND", b"")


def _bomb(kind):
    if kind.startswith("PNG"):
        return _png(
            *{"PNG": (60_000, 60_000), "PNG row": (1 << 31, 1), "PNG 2^32": (65_536, 65_536)}[kind]
        )
    data = bytearray(encoded(PICTURE, kind))
    if kind == "JPEG":
        at = data.index(b"\xff\xc0") + 5
        data[at : at + 4] = struct.pack(">HH", 60_000, 60_000)
    elif kind == "GIF":
        data[6:10] = struct.pack("<HH", 60_000, 60_000)
    else:
        data[18:26] = struct.pack("<ii", 60_000, -60_000)
    return bytes(data)


@pytest.mark.parametrize("kind", ["PNG", "PNG row", "PNG 2^32", "JPEG", "GIF", "BMP"])
def test_a_huge_declared_size_is_refused_with_the_limit(tmp_path, kind):
    path = tmp_path / "bomb"
    path.write_bytes(_bomb(kind))
    message = _message(path)
    # the decoders would say that the file is damaged
    assert str(path) in message and "more than 250,000,000 pixels" in message


def test_a_size_below_the_limit_is_not_refused_for_it():
    assert "damaged" in _message(_png(12_000, 12_000))
