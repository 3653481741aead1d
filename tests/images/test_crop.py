"""The part of a file that the box shows: equal to the box of the whole photograph, but for what the
decoder halves.
"""

import io
import struct

import numpy as np
import pytest
import tensorflow as tf

from keras_cpm import PoseSpec
from keras_cpm.images import crop, decode, sampling
from keras_cpm.pose import geometry
from tests import places

Image = pytest.importorskip("PIL.Image", reason="Pillow writes the files")

SPEC = PoseSpec(box_size=64)
SIZE = (301, 423)
# center, share of the size that the person has in the box, rotation, flip
PLACES = {
    "inside": ((200.3, 150.7), 1.0, 0.0, False),
    "turned": ((150.2, 120.9), 0.7, 0.6, False),
    "mirrored": ((250.5, 200.4), 0.55, -2.5, True),
    "enlarged": ((100.1, 250.2), 3.3, 0.3, True),
    "at a corner": ((3.3, 5.5), 0.8, 0.2, False),
    "at the other corner": ((420.5, 297.1), 0.9, -0.3, False),
    "just outside": ((460.0, 150.0), 0.9, 0.1, False),
    "far outside": ((-3000.0, 9000.0), 0.9, 0.1, False),
}
PLACED = pytest.mark.parametrize("place", PLACES)


def matrix_of(place):
    center, zoom, rotation, flip = PLACES[place] if isinstance(place, str) else place
    return geometry.network_from_image(
        center, SPEC.person_height, SPEC, scale=zoom, rotation=rotation, flip=flip
    )


def photograph(size=SIZE):
    """Waves with some grain: (h, w, 3) uint8."""
    y, x = np.mgrid[: size[0], : size[1]]
    waves = [np.sin(x / 9 + y / 14), np.cos(x / 12 - y / 8), np.sin((x + y) / 11)]
    grain = np.random.default_rng(0).normal(0, 8, (*size, 3))
    return np.uint8(np.clip(127.5 + 100 * np.stack(waves, axis=-1) + grain, 0, 255))


def encoded(picture, kind="JPEG", mode=None, **options):
    file = io.BytesIO()
    image = Image.fromarray(picture)
    (image.convert(mode) if mode else image).save(file, kind, **options)
    return file.getvalue()


def both(data, matrix):
    """The box by the part that it shows, and by the whole photograph."""
    part = crop.read_box(tf.constant(data), matrix, SPEC).numpy()
    return part, sampling.crop(*decode.read_image(tf.constant(data)), matrix, SPEC).numpy()


FORMATS = {
    "4:2:0": {"quality": 90},
    "4:4:4": {"quality": 90, "subsampling": 0},
    "4:2:2": {"quality": 90, "subsampling": 1},
    "grey": {"mode": "L"},
    "CMYK": {"mode": "CMYK"},
    "progressive": {"progressive": True},
    "restarts": {"restart_marker_rows": 1},
    "PNG": {"kind": "PNG"},
    "BMP": {"kind": "BMP"},
    "GIF": {"kind": "GIF"},
}


@pytest.mark.parametrize("options", FORMATS.values(), ids=FORMATS)
@PLACED
def test_the_part_equals_the_whole(options, place):
    part, whole = both(encoded(photograph(), **options), matrix_of(place))
    assert part.shape == (64, 64, 3) and part.dtype == np.float32
    # both sample alike; a coordinate is rounded to 1e-5 pixels or so, of up to 150 levels a pixel
    np.testing.assert_allclose(part, whole, atol=0.02)
    assert (place == "far outside") == (whole == SPEC.pad_value).all()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("zoom", [0.8, 0.3])
def test_turned_photographs(orientation, zoom):
    block = b"Exif\0\0II*\0\x08\0\0\0\x01\0" + struct.pack("<HHIHH", 0x0112, 3, 1, orientation, 0)
    data = encoded(photograph(), quality=95, exif=block + bytes(4))
    part, whole = both(data, matrix_of(((140.0, 180.0), zoom, 0.4, False)))
    assert np.abs(part - whole).max() < (0.02 if zoom > 0.5 else 25)
    assert np.abs(part - whole).mean() < (0.001 if zoom > 0.5 else 2)


@pytest.mark.parametrize("kind", ["PNG", "BMP"])
@pytest.mark.parametrize("zoom", [0.49, 0.2, 0.1])
def test_what_no_decoder_halves_equals_the_whole_when_shrunken(kind, zoom):
    for center in ((200.3, 150.7), (300.0, 222.2)):
        part, whole = both(encoded(photograph(), kind), matrix_of((center, zoom, 0.3, False)))
        np.testing.assert_allclose(part, whole, atol=0.02)


@pytest.mark.parametrize("zoom", [0.45, 0.26, 0.2, 0.12, 0.05])
@pytest.mark.parametrize("subsampling", [0, 2])
def test_what_the_decoder_halves_is_near_the_average(zoom, subsampling):
    data = encoded(photograph((901, 1203)), quality=92, subsampling=subsampling)
    part, whole = both(data, matrix_of(((600.3, 450.7), zoom, 0.3, False)))
    difference = np.abs(part - whole)
    # half a pixel off would be 3 levels in the mean, up to 12 where the waves are steep
    assert difference.mean() < 1 and difference.max() < 8


@pytest.mark.parametrize("size", [(1, 900), (900, 3), (2, 2), (17, 33), (1, 1)])
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("zoom", [1.0, 0.3, 0.1])
def test_small_photographs(size, kind, zoom):
    flat = np.full((*size, 3), 77, np.uint8)
    center = ((size[1] - 1) / 2, (size[0] - 1) / 2)
    part, whole = both(encoded(flat, kind), matrix_of((center, zoom, 0.0, False)))
    np.testing.assert_allclose(part, whole, atol=1e-3)


def dot(place, sigma, size):
    y, x = np.mgrid[: size[0], : size[1]]
    d2 = (x - place[0]) ** 2 + (y - place[1]) ** 2
    return np.uint8(np.round(np.repeat(250 * np.exp(-d2 / (2 * sigma**2))[..., None], 3, -1)))


def centroid(image):
    weights = np.where(image > 10, image, 0).astype(float)[..., 0]
    y, x = np.mgrid[: weights.shape[0], : weights.shape[1]]
    return np.array([(weights * x).sum(), (weights * y).sum()]) / weights.sum()


@pytest.mark.parametrize("zoom", [0.9, 0.4, 0.2, 0.1])
@pytest.mark.parametrize("options", [{"quality": 95}, {"kind": "PNG"}], ids=["JPEG", "PNG"])
def test_a_dot_stays_in_its_place(zoom, options):
    spec = SPEC.replace(pad_value=0)
    for place in ((433.3, 287.7), (440.9, 305.2)):
        data = encoded(dot(place, 3 / zoom, (701, 999)), **options)
        matrix = matrix_of(((450.0, 300.0), zoom, 0.3, True))
        found = centroid(crop.read_box(tf.constant(data), matrix, spec).numpy())
        np.testing.assert_allclose(found, geometry.apply(matrix, place), atol=0.05)


@pytest.mark.parametrize("pad_value", [0.0, 99.5, 255.0])
def test_outside_is_the_pad_value(pad_value):
    spec = SPEC.replace(pad_value=pad_value)
    box = crop.read_box(tf.constant(encoded(photograph())), matrix_of("at a corner"), spec).numpy()
    assert (box[0, 0] == pad_value).all() and np.ptp(box[40:, 40:]) > 50


# what is decoded ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "zoom, ratio", [(3.0, 1), (0.51, 1), (0.49, 2), (0.26, 2), (0.24, 4), (0.124, 8), (0.05, 8)]
)
def test_only_what_the_box_can_see_is_decoded_and_no_finer_than_it_needs(zoom, ratio, monkeypatch):
    data, center = encoded(photograph((1501, 1999))), (1000.0, 750.0)
    matrix, decode_window, seen = matrix_of((center, zoom, 0.0, False)), decode.decode_window, []

    def noting(data, window, ratio):
        seen.append((window.numpy(), ratio))
        return decode_window(data, window, ratio)

    monkeypatch.setattr(decode, "decode_window", noting)
    crop.read_box(tf.constant(data), matrix, SPEC)
    (((top, left, *size), found),) = seen
    assert found == ratio
    # 64 pixels of the box, a margin on both sides and the block where the window starts
    halved_again = 2 if zoom < 1 / 16 else 1
    margin = 3 * halved_again + 1
    assert max(size) <= 64 / (ratio * zoom) + 2 * margin + 16
    pixels_from_image = geometry.compose(
        geometry.shift_matrix((-left, -top)), geometry.resize_matrix(1 / ratio)
    )
    pixels_from_network = geometry.compose(pixels_from_image, geometry.invert(matrix))
    corners = geometry.apply(pixels_from_network, [[0.0, 0.0], [63.0, 63.0]])
    assert np.all(corners[0] >= 2) and np.all(corners[1] <= np.array(size[::-1]) - 3)


def test_the_dataset_traces_it():
    data = encoded(photograph())
    matrices = tf.stack([matrix_of(place) for place in PLACES])
    dataset = tf.data.Dataset.from_tensor_slices(matrices).map(
        lambda matrix: crop.read_box(tf.constant(data), matrix, SPEC)
    )
    assert dataset.element_spec.shape.as_list() == [64, 64, 3]
    for matrix, box in zip(matrices, dataset, strict=True):
        np.testing.assert_array_equal(box, crop.read_box(tf.constant(data), matrix, SPEC))


# the window that is decoded ----------------------------------------------------------------------


@places.PLACED
@pytest.mark.parametrize("block", [1, 16])
def test_the_seen_window_is_all_that_a_warp_reads(place, block):
    image, matrix = places.smooth_picture(140, 160).astype(np.float32), places.matrix_of(place)
    start, end = crop.seen_window(matrix, image.shape[:2], SPEC, margin=1, block=block)
    assert not np.any(start % block)
    part = image[start[0] : end[0], start[1] : end[1]]
    assert part.size < image.size
    from_part = geometry.compose(matrix, geometry.shift_matrix(start[::-1]))
    seen = sampling.warp(part, from_part, (64, 64), fill=128)
    np.testing.assert_allclose(seen, sampling.warp(image, matrix, (64, 64), fill=128), atol=0.02)


@pytest.mark.parametrize("move", [(-1e4, 0), (1e4, 0), (0, -1e4), (0, 1e4), (-1e6, 1e6)])
def test_the_window_of_a_box_that_sees_nothing_is_not_empty(move):
    matrix = geometry.shift_matrix(move)
    start, end = crop.seen_window(matrix, (30, 50), SPEC, margin=1, block=16)
    assert np.all(start >= 0) and np.all(start < end) and np.all(end <= [30, 50])


def test_a_cut_box_is_the_whole_rounded(tmp_path):
    data, matrix = encoded(photograph()), matrix_of("turned")
    (tmp_path / "a.jpg").write_bytes(data)
    box = crop.cut_box(tmp_path / "a.jpg", matrix, SPEC)
    assert box.dtype == np.uint8
    np.testing.assert_array_equal(box, np.rint(both(data, matrix)[1]))
    np.testing.assert_array_equal(box, crop.cut_box(data, matrix.numpy(), SPEC))


# files that are not right ------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_files_that_are_cut_off(kind, share):
    data = encoded(photograph(), kind)
    # the box shows the upper left corner only, which most of the cut files still have
    with pytest.raises(tf.errors.InvalidArgumentError):
        crop.read_box(tf.constant(data[: int(share * len(data))]), matrix_of("at a corner"), SPEC)


def test_bytes_after_the_end_of_a_jpeg():
    data, matrix = encoded(photograph()), matrix_of("turned")
    expected = crop.read_box(tf.constant(data), matrix, SPEC)
    found = crop.read_box(tf.constant(data + bytes(9)), matrix, SPEC)
    np.testing.assert_allclose(found, expected, atol=0.02)


def test_a_jpeg_of_too_many_pixels_and_files_of_other_kinds():
    data = bytearray(encoded(photograph()))
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = struct.pack(">HH", 60_000, 60_000)
    with pytest.raises(tf.errors.InvalidArgumentError, match="more than 250,000,000 pixels"):
        crop.read_box(tf.constant(bytes(data)), matrix_of("inside"), SPEC)
    for data in (b"", b"x", b"\xff\xd8\xff\xd9", b"not a picture"):
        with pytest.raises(tf.errors.InvalidArgumentError):
            crop.read_box(tf.constant(data), matrix_of("inside"), SPEC)
