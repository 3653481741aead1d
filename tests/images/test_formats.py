"""Every format, colour mode, bit depth and orientation: the pixels that Pillow shows, or a refusal
that names what is wrong.
"""

import io
import os
import struct

import numpy as np
import pytest
import tensorflow as tf

from keras_cpm.images import decode, formats, transcode
from keras_cpm.pose import geometry

Image = pytest.importorskip("PIL.Image", reason="Pillow writes the files")
ImageOps = pytest.importorskip("PIL.ImageOps", reason="Pillow turns the pictures")

ORIENTATION = 0x0112
# Format -> its modes and options; what a lossy one rounds differently is 2 levels.
WRITTEN = {
    "JPEG": (
        ["L", "RGB", "CMYK", "YCbCr", "1"],
        [{}, {"progressive": True}, {"subsampling": 2}, {"quality": 100, "subsampling": 0}],
    ),
    "PNG": (["1", "L", "LA", "P", "P 2", "P 16", "RGB", "RGBA", "I;16"], [{}]),
    "BMP": (["1", "L", "P", "P 2", "P 16", "RGB", "RGBA"], [{}]),
    "GIF": (["1", "L", "P", "P 2", "RGB", "transparent"], [{}, {"interlace": 0}]),
    "WEBP": (["L", "P", "RGB", "RGBA"], [{}, {"lossless": True}]),
    "TIFF": (
        ["1", "L", "LA", "P", "RGB", "RGBA", "opaque", "CMYK", "YCbCr", "LAB", "I;16", "I", "F"],
        [{}, {"compression": "tiff_lzw"}, {"compression": "tiff_deflate"}, {"compression": "jpeg"}],
    ),
}
REFUSED = {
    ("TIFF", "RGBA"): "TIFF file with transparency",
    ("TIFF", "LAB"): "TIFF file of 8 bits and color space 8, which is not read",
    ("TIFF", "I"): "TIFF file of 32 bits",
    ("TIFF", "F"): "TIFF file of 32 bits",
}
TURNED = ("JPEG", "PNG", "WEBP", "TIFF")


def picture(seed):
    """A smooth picture, of another size each time, that looks like none of its turns."""
    rng = np.random.default_rng(seed)
    height, width = rng.integers(9, 60, 2)
    y, x = np.mgrid[:height, :width]
    lengths = rng.uniform(7, 20, 6)
    waves = [np.sin(x / lengths[i] + y / lengths[i + 3] + i) for i in range(3)]
    return Image.fromarray(np.uint8(127.5 + 120 * np.stack(waves, axis=-1)))


def of_mode(image, mode):
    if mode in ("LA", "RGBA", "opaque"):
        rgba = image.convert("RGBA")
        ramp = np.linspace(0, 255, image.width * image.height).reshape(image.size[::-1])
        rgba.putalpha(255 if mode == "opaque" else Image.fromarray(np.uint8(ramp)))
        return rgba.convert("LA") if mode == "LA" else rgba
    if mode.startswith("P "):
        return image.quantize(int(mode[2:]))
    if mode == "I;16":
        return Image.fromarray(np.asarray(image)[..., 0].astype(np.uint16) * 257)
    if mode == "LAB":
        return Image.merge("LAB", image.split())
    if mode == "transparent":
        return image.quantize(16)
    return image.convert("L").convert(mode) if mode in ("I", "F") else image.convert(mode)


def written(kind, mode, options, orientation, seed):
    """The bytes of a file, and the pixels that Pillow shows; `None` where it cannot write that."""
    image, file, options = of_mode(picture(seed), mode), io.BytesIO(), dict(options)
    if kind in TURNED:
        options["exif"] = Image.Exif()
        options["exif"][ORIENTATION] = orientation
    if mode == "transparent":
        options["transparency"] = 3
    try:
        image.save(file, kind, **options)
    except (OSError, RuntimeError):
        return None
    return file.getvalue(), None if (kind, mode) in REFUSED else as_pillow(file.getvalue())


def as_pillow(data):
    with Image.open(io.BytesIO(data)) as image:
        upright = ImageOps.exif_transpose(image)
        if upright.mode == "I;16":
            # Pillow clips what is above 255
            upright = Image.fromarray(np.uint8(np.asarray(upright) >> 8))
        return np.asarray(upright.convert("RGB"))


CASES = [
    (kind, mode, options, orientation)
    for kind, (modes, choices) in WRITTEN.items()
    for mode in modes
    for options in choices
    for orientation in (range(1, 9) if kind in TURNED and options == choices[0] else [1])
]


@pytest.mark.parametrize("kind", WRITTEN)
def test_pixels_are_those_of_pillow_or_the_file_is_refused_by_name(kind):
    seen = set()
    for seed, (_, mode, options, orientation) in enumerate(c for c in CASES if c[0] == kind):
        case = f"{kind} {mode} {options} {orientation}"
        found = written(kind, mode, options, orientation, seed)
        if found is None:
            continue
        data, expected = found
        seen.add(mode)
        assert formats.kind_of(data[:16]).upper() == kind, case
        if expected is None:
            with pytest.raises(ValueError, match=REFUSED[kind, mode]):
                decode.open_image(data)
            continue
        upright = decode.upright_array(data)
        assert upright.shape == expected.shape, case
        worst = np.abs(upright.astype(int) - expected).max()
        # colours of a JPEG are smoothed and of CMYK converted in another order
        assert worst <= {"JPEG": 3 if mode == "CMYK" else 2}.get(kind, 1), (case, worst)
    assert seen == set(WRITTEN[kind][0])


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(kind, marks=() if kind in ("JPEG", "WEBP") else pytest.mark.slow)
        for kind in WRITTEN
    ],
)
def test_a_data_pipeline_reads_the_same(kind):
    cases = [case for case in CASES if case[0] == kind and (kind, case[1]) not in REFUSED]
    files = [written(*case, seed) for seed, case in enumerate(cases)]
    files = [found[0] for found in files if found]

    def read(data):
        return decode.read_image(transcode.readable(data))

    dataset = tf.data.Dataset.from_tensor_slices(files).map(read)
    for data, (pixels, matrix) in zip(files, dataset, strict=True):
        expected, expected_matrix = decode.open_image(data)
        if kind in ("WEBP", "TIFF"):
            assert np.array_equal(matrix, np.eye(3))
        np.testing.assert_array_equal(pixels, expected)
        np.testing.assert_array_equal(matrix, expected_matrix)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"\0\0\0\x18ftypheic" + bytes(99), "HEIC.*convert it to JPEG.*Most Compatible"),
        (b"\0\0\0\x18ftypmif1" + bytes(99), "HEIC.*convert it to JPEG"),
        (b"\0\0\0\x18ftypavif" + bytes(99), "AVIF.*convert it to JPEG or PNG"),
        (b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(99), "JPEG XL"),
        (b"II+\0" + bytes(99), "BigTIFF"),
        (b"II*\0\x10\0\0\0CR\x02\0" + bytes(99), "camera's raw file"),
        (b"RIFF\x10\0\0\0WAVE" + bytes(99), "not a JPEG, PNG, GIF, BMP, WebP or TIFF"),
    ],
)
def test_other_formats_are_refused_by_name(data, says):
    with pytest.raises(ValueError, match=says) as caught:
        decode.open_image(data)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("kind", WRITTEN)
def test_files_that_are_cut_off(kind, share):
    data, _ = written(kind, "RGB", WRITTEN[kind][1][0], 1, seed=5)
    with pytest.raises(ValueError, match="cut off or damaged"):
        decode.open_image(data[: int(share * len(data))])


def test_a_tiff_whose_first_page_is_a_preview():
    file = io.BytesIO()
    picture(0).save(file, "TIFF", tiffinfo={254: 1})
    with pytest.raises(ValueError, match="camera's raw file"):
        decode.open_image(file.getvalue())


def test_damaged_headers_never_raise_anything_else():
    rng = np.random.default_rng(0)
    for kind in WRITTEN:
        whole, _ = written(kind, "RGB", WRITTEN[kind][1][0], 6, seed=3)
        for _ in range(40):
            data = np.frombuffer(whole, np.uint8).copy()
            data[rng.integers(0, min(len(data), 120), 4)] = rng.integers(0, 256, 4)
            try:
                pixels, matrix = decode.open_image(data.tobytes())
                geometry.upright_size(pixels.shape[:2], matrix)
            except ValueError as error:
                assert "\n" not in str(error) and len(str(error)) < 300


def test_an_animated_webp_shows_its_first_frame():
    file, first = io.BytesIO(), picture(1)
    first.save(
        file, "WEBP", save_all=True, lossless=True, append_images=[Image.new("RGB", first.size)]
    )
    np.testing.assert_array_equal(decode.open_image(file.getvalue())[0], np.asarray(first))


def test_a_huge_declared_size_is_refused_with_the_limit():
    for kind in ("WEBP", "TIFF"):
        data = bytearray(written(kind, "RGBA" if kind == "WEBP" else "RGB", {}, 1, seed=2)[0])
        if kind == "WEBP":
            assert data[12:16] == b"VP8X"
            data[24:30] = b"\xff\x3f\x01" * 2
        else:
            at = (
                data.index(struct.pack("<HHI", 256, 4, 1))
                if struct.pack("<HHI", 256, 4, 1) in data
                else data.index(struct.pack("<HHI", 256, 3, 1))
            )
            data[at : at + 12] = struct.pack("<HHII", 256, 4, 1, 1 << 28)
        with pytest.raises(ValueError, match="more than 250,000,000 pixels"):
            decode.open_image(bytes(data))


def test_names_and_first_bytes_tell_photographs(tmp_path):
    photographs = [
        *("1.jpg", "2.JPG", "3.jfif", "4.jpe", "5.webp", "6.tif", "7.tiff", "8.HEIC", "9.gif"),
        "from_a_camera",
    ]
    for name in (*photographs, "notes.txt", "clip.mp4", ".hidden.jpg"):
        (tmp_path / name).touch()
    (tmp_path / "from_a_camera").write_bytes(b"\xff\xd8\xff\xe0" + bytes(12))
    (tmp_path / "album.jpg").mkdir()
    os.mkfifo(tmp_path / "pipe")
    found, others = formats.list_photographs(tmp_path)
    assert [path.name for path in found] == photographs
    assert [path.name for path in others] == ["album.jpg", "clip.mp4", "notes.txt", "pipe"]


def test_what_only_begins_like_webp_is_left_to_the_decoder():
    sound = b"RIFF" + struct.pack("<I", 36) + b"WAVEfmt " + bytes(28)
    assert transcode.readable(tf.constant(sound)).numpy() == sound
    webp = io.BytesIO()
    Image.new("RGB", (6, 4), (250, 0, 0)).save(webp, "WEBP", lossless=True)
    pixels = decode.read_image(transcode.readable(tf.constant(webp.getvalue())))[0]
    np.testing.assert_array_equal(pixels, np.full((4, 6, 3), (250, 0, 0)))
