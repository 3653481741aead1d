"""Photographs read and resampled by NumPy and OpenCV: the numbers of TensorFlow."""

import io

import cv2
import numpy as np
import pytest

from keras_cpm.images import decode, opencv, sampling
from keras_cpm.pose import arithmetic, geometry
from tests.images.test_decode import encoded, exif, smooth_picture
from tests.places import SPEC

Image = pytest.importorskip("PIL.Image", reason="Pillow writes the files")

PICTURE = np.random.default_rng(0).integers(0, 256, (61, 43, 3), np.uint8)
TURNS = {f"EXIF {turn}": geometry.upright_from_stored(turn, (61, 43)) for turn in range(1, 9)}
MAPS = {
    **TURNS,
    "larger": geometry.resize_matrix(2.3),
    "halved": geometry.resize_matrix(0.4),
    "halved thrice": geometry.resize_matrix(0.08),
    "rotated": geometry.network_from_image((20, 30), 60, SPEC, rotation=0.4),
    "aside": geometry.shift_matrix((500.0, 0.0)),
}


def both(question):
    expected = question()
    with arithmetic.by_numpy():
        return question(), expected


@pytest.mark.parametrize("fill", [128, None])
@pytest.mark.parametrize("kind", [np.uint8, np.float32])
@pytest.mark.parametrize("name", MAPS)
def test_a_warp(name, kind, fill):
    picture = PICTURE.astype(kind)
    ours, theirs = both(lambda: sampling.warp(picture, MAPS[name].numpy(), (40, 57), fill=fill))
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, theirs, atol=2e-3)


@pytest.mark.parametrize("size", [(61, 43), (200, 3), (1, 9)])
@pytest.mark.parametrize("side", [30, 61, 200])
def test_one_size(size, side):
    picture = np.random.default_rng(1).integers(0, 256, (*size, 3), np.uint8)
    ours, theirs = both(lambda: sampling.at_side(picture, TURNS["EXIF 6"].numpy(), side))
    np.testing.assert_allclose(ours[0], theirs[0], atol=5e-3)
    np.testing.assert_allclose(ours[1], theirs[1], atol=1e-5)


def cmyk():
    file = io.BytesIO()
    Image.fromarray(smooth_picture()).convert("CMYK").save(file, "JPEG")
    return file.getvalue()


def interlaced():
    deep = np.random.default_rng(0).integers(0, 2**16, (20, 33, 3), np.uint16)
    return cv2.imencode(".png", deep)[1].tobytes()


JPEG = encoded(smooth_picture(), "JPEG", quality=90)
PNG = encoded(PICTURE, "PNG")
FILES = {
    "JPEG": JPEG,
    "grey JPEG": encoded(smooth_picture(), "JPEG", "L"),
    "progressive": encoded(smooth_picture(), "JPEG", progressive=True),
    "sampled": encoded(smooth_picture(), "JPEG", subsampling=2),
    "turned": encoded(smooth_picture(), "JPEG", exif=exif(6)),
    "turned PNG": encoded(PICTURE, "PNG", exif=exif(8)),
    "CMYK": cmyk(),
    "with an end": JPEG + b"more",
    "cut off": JPEG[: len(JPEG) // 2],
    "cut off and ended": JPEG[: len(JPEG) // 2] + b"\xff\xd9",
    "no picture": JPEG[:200] + b"\xff\xd9",
    "PNG": PNG,
    "grey PNG": encoded(PICTURE, "PNG", "L"),
    "palette": encoded(PICTURE, "PNG", "P"),
    "alpha": encoded(np.dstack([PICTURE, PICTURE[..., 0]]), "PNG"),
    "16 bits": interlaced(),
    "half a PNG": PNG[: len(PNG) // 2],
    "a wrong PNG": PNG[:60] + b"\0\0\0" + PNG[63:],
    "GIF": encoded(PICTURE, "GIF"),
    "BMP": encoded(PICTURE, "BMP"),
    "WebP": encoded(PICTURE, "WEBP"),
    "nothing": b"",
    "a text": b"a text",
}


def answer(data):
    try:
        return [np.asarray(one) for one in decode.open_image(data)]
    except ValueError as error:
        return str(error)


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_the_same_pixels_or_the_same_sentence(name):
    ours, theirs = both(lambda: answer(FILES[name]))
    if isinstance(theirs, str):
        assert ours == theirs
    else:
        for one, other in zip(ours, theirs, strict=True):
            assert one.dtype == other.dtype
            np.testing.assert_array_equal(one, other)


def test_bounds_hold_before_a_pixel_is_decoded(monkeypatch):
    monkeypatch.setattr("keras_cpm.images.limits.MAX_PIXELS", 100)
    monkeypatch.setattr(opencv, "decode", lambda data: pytest.fail("too late"))
    with arithmetic.by_numpy(), pytest.raises(ValueError, match="declares more than"):
        decode.open_image(JPEG)


def test_what_is_left_to_tensorflow():
    plain = {name for name, data in FILES.items() if opencv.is_plain(data)}
    jpegs = {"JPEG", "grey JPEG", "progressive", "sampled", "turned"}
    damaged = {"cut off and ended", "no picture"}
    assert plain == jpegs | damaged | {"PNG", "grey PNG", "turned PNG", "a wrong PNG"}
