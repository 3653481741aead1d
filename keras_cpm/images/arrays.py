"""Arrays and Pillow images as RGB 0..255, or one sentence about why they are none."""

import sys

import numpy as np

# Half a level more or less is rounding.
_LOWEST, _HIGHEST = -0.5, 255.5


def as_rgb(source):
    """(H, W, 3) uint8, or float32 where the source is not of bytes.

    Args:
        source: array (H, W, 3) RGB 0..255, grey (H, W) or (H, W, 1), or with alpha (H, W, 4), which
            is left out; or a Pillow image of any mode that Pillow can convert. Of mode I;16, whose
            numbers go up to 65535, the high bytes are taken; I and F are numbers as in arrays.

    Raises:
        ValueError: another shape or type, numbers that are not finite or outside 0..255, shares of
            1, or a Pillow image whose EXIF asks for a turn.

    Example:
        >>> import numpy as np
        >>> from keras_cpm.images import arrays
        >>> arrays.as_rgb(np.full((2, 2), 7.0)).tolist()[0]
        [[7.0, 7.0, 7.0], [7.0, 7.0, 7.0]]
    """
    pillow = sys.modules.get("PIL.Image")
    if pillow is not None and isinstance(source, pillow.Image):
        source = _of_pillow(source)
    array = np.asarray(source)
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or array.shape[-1] not in (1, 3, 4) or 0 in array.shape:
        raise ValueError(
            "`image` must be a path, the bytes of a file, or an array (height, width, 3) of RGB "
            f"0..255. Received: an array of shape {array.shape}"
        )
    array = array[..., :3]
    if array.dtype != np.uint8:
        array = _in_range(array)
    return np.repeat(array, 3, axis=-1) if array.shape[-1] == 1 else array


def _in_range(array):
    if array.dtype.kind in "OSUcmM" or array.dtype.names:
        raise ValueError(
            "`image` must be an array of numbers, RGB 0..255. Received: an array of type "
            f"{array.dtype}"
        )
    lowest, highest = float(array.min()), float(array.max())
    if not (np.isfinite(lowest) and np.isfinite(highest)):
        raise ValueError("`image` must be finite. Received: an array with NaN or infinite values")
    if lowest < _LOWEST or highest > _HIGHEST:
        remedy = "undo what was subtracted or divided, or clip it"
        if array.dtype == np.uint16:
            remedy = "of 16 bits, give `(image // 257).astype('uint8')`"
        raise ValueError(
            f"`image` must be RGB 0..255; {remedy}. Received: {array.dtype} values from "
            f"{lowest:g} to {highest:g}"
        )
    if 0 < highest <= 1 and array.dtype.kind in "fb":
        raise ValueError(
            f"`image` must be RGB 0..255; multiply it by 255. Received: values up to {highest:g}"
        )
    return np.clip(array.astype(np.float32), 0, 255)


def _of_pillow(image):
    turn = image.getexif().get(0x0112, 1)
    if turn in range(2, 9):
        raise ValueError(
            "`image` must be upright; give its path, or `PIL.ImageOps.exif_transpose(image)`. "
            f"Received: a Pillow image whose EXIF orientation is {turn}"
        )
    if image.mode.startswith("I;16"):
        return (np.asarray(image) >> 8).astype(np.uint8)
    if image.mode in ("I", "F", "RGB"):
        return image
    try:
        return image.convert("RGB")
    except ValueError:
        raise ValueError(
            "`image` must be a Pillow image that can be converted to RGB; do so first. Received: "
            f"mode {image.mode}"
        ) from None
