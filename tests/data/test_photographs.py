"""What a data pipeline is given to decode."""

import dataclasses

import cv2
import numpy as np
import pytest

import keras_cpm
from keras_cpm.data.photographs import jpeg_size, within
from keras_cpm.data.pipeline import find_unreadable
from keras_cpm.images import decode


@pytest.mark.parametrize("suffix", [".webp", ".tif", ".jfif", ".bmp"])
def test_a_training_reads_other_formats(drawn_records, tiny_spec, tmp_path, suffix):
    """The samples of a photograph are those of the same pixels as PNG."""
    record, samples = drawn_records[0], {}
    pixels = decode.upright_array(record.image)
    for kind in (suffix, ".png"):
        path = tmp_path / f"photograph{kind}"
        written = ".jpg" if kind == ".jfif" else kind
        how = [cv2.IMWRITE_WEBP_QUALITY, 101] if kind == ".webp" else []
        path.write_bytes(cv2.imencode(written, pixels[..., ::-1], how)[1].tobytes())
        same = dataclasses.replace(record, image=str(path))
        dataset = keras_cpm.make_dataset([same], tiny_spec, stages=2, batch_size=1)
        samples[kind] = next(iter(dataset))[0]["image"].numpy()
    worst = np.abs(samples[suffix] - samples[".png"]).mean()
    assert worst < (5 if suffix == ".jfif" else 1e-3)


def test_a_damaged_file_of_another_format_is_named(drawn_records, tiny_spec, tmp_path):
    path = tmp_path / "cut.webp"
    noise = np.random.default_rng(0).integers(0, 256, (50, 60, 3), np.uint8)
    path.write_bytes(cv2.imencode(".webp", noise)[1].tobytes()[:500])
    record = dataclasses.replace(drawn_records[0], image=str(path))
    dataset = keras_cpm.make_dataset([record], tiny_spec, stages=2, batch_size=1)
    with pytest.raises(Exception, match="An image cannot be decoded: the file is cut off"):
        next(iter(dataset))
    assert str(path) in find_unreadable([record]) and "cut off" in find_unreadable([record])


def test_the_header_of_a_jpeg_is_searched_only_so_far(tmp_path):
    path = tmp_path / "filling.jpg"
    path.write_bytes(b"\xff\xd8" + b"\xff" * 3_000_000)
    with pytest.raises(ValueError, match="must be a whole JPEG file"):
        jpeg_size(path)


@pytest.mark.parametrize(
    "name, inside",
    [
        ("a.jpg", "a.jpg"),
        ("x/../a.jpg", "a.jpg"),
        ("./a.jpg", "a.jpg"),
        ("..a/b.jpg", "..a/b.jpg"),
        ("x\\a.jpg", "x/a.jpg"),
    ],
)
def test_a_data_set_names_photographs_within_its_folder(name, inside, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert within("images", name, "name") == str(tmp_path / "images" / inside)


@pytest.mark.parametrize(
    "name", ["../a.jpg", "/a.jpg", "..\\a.jpg", "", ".", "a\0.jpg", None, 7, []]
)
def test_a_data_set_names_no_other_file(name, tmp_path):
    with pytest.raises(ValueError, match=r"^`name` must be a path within .*Received: name="):
        within(tmp_path, name, "name")
