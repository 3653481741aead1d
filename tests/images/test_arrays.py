"""Arrays and Pillow images are RGB 0..255 or refused; Pillow images by their mode."""

import io
import subprocess
import sys

import numpy as np
import pytest

from keras_cpm.images import arrays

Image = pytest.importorskip("PIL.Image", reason="images of Pillow")

PICTURE = np.random.default_rng(0).integers(0, 256, (20, 33, 3), np.uint8)


@pytest.mark.parametrize(
    "mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV"]
)
def test_pillow_images_are_converted_by_their_mode(mode):
    image = Image.fromarray(PICTURE)
    image = image.convert("RGBA" if mode in ("LA", "PA") else "RGB").convert(mode)
    found = arrays.as_rgb(image)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, np.asarray(image.convert("RGB")))


def test_pillow_images_of_16_and_32_bits():
    deep = Image.fromarray(PICTURE[..., 0].astype(np.uint16) * 257)
    assert deep.mode == "I;16"
    grey = np.repeat(PICTURE[..., :1], 3, axis=-1)
    np.testing.assert_array_equal(arrays.as_rgb(deep), grey)
    for mode in ("I", "F"):
        image = Image.fromarray(PICTURE[..., 0]).convert(mode)
        np.testing.assert_array_equal(arrays.as_rgb(image), grey)
    with pytest.raises(ValueError, match=r"RGB 0\.\.255.*from .* to 65535"):
        arrays.as_rgb(Image.fromarray(np.full((4, 4), 65535, np.int32)))


def test_a_pillow_image_that_is_not_upright_is_refused():
    file, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(PICTURE).save(file, "JPEG", exif=exif)
    with pytest.raises(ValueError, match=r"exif_transpose\(image\).*orientation is 6"):
        arrays.as_rgb(Image.open(file))
    from PIL import ImageOps

    assert arrays.as_rgb(ImageOps.exif_transpose(Image.open(file))).shape == (33, 20, 3)


@pytest.mark.parametrize(
    ("array", "says"),
    [
        (PICTURE.astype(np.uint16) * 257, r"image // 257.*uint16 values from .* to 65"),
        (PICTURE.astype(np.int16) - 128, r"subtracted.*int16 values from -128 to 127"),
        (PICTURE - np.float32([123.7, 116.8, 103.9]), "subtracted.*float32 values from -1"),
        (PICTURE / 127.5 - 1, "subtracted or divided"),
        (PICTURE / 255, "multiply it by 255"),
        (PICTURE > 9, "multiply it by 255"),
        (PICTURE.astype(np.int64) << 40, "int64 values"),
        (PICTURE.astype(complex), "array of numbers.*complex128"),
        (PICTURE.astype(object), "array of numbers.*object"),
        (PICTURE.astype(str), "array of numbers"),
    ],
)
def test_other_numbers_are_refused(array, says):
    with pytest.raises(ValueError, match=says) as caught:
        arrays.as_rgb(array)
    assert "\n" not in str(caught.value)


def test_rounding_and_hidden_channels_are_no_reason():
    array = PICTURE.astype(np.float32)
    array[0, 0], array[0, 1] = 255.4, -0.4
    found = arrays.as_rgb(array)
    assert found.min() == 0 and found.max() == 255
    # a frame in the dark
    np.testing.assert_array_equal(arrays.as_rgb(np.ones((4, 5, 3), np.int64)), 1)
    # of a fourth channel nothing is seen
    hidden = np.dstack([PICTURE.astype(np.float32), np.full((20, 33), 1e6)])
    np.testing.assert_array_equal(arrays.as_rgb(hidden), PICTURE)


def test_pillow_is_not_imported():
    code = "import sys, keras_cpm.images.arrays; assert 'PIL' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
