"""What a data pipeline is given to decode."""

import dataclasses
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
import tensorflow as tf

import keras_cpm
from keras_cpm.data.photographs import Photographs, find_unreadable, jpeg_size, within
from keras_cpm.images import decode, limits, shards


@pytest.mark.parametrize(
    "suffix",
    [
        ".webp",
        ".bmp",
        pytest.param(".tif", marks=pytest.mark.slow),
        pytest.param(".jfif", marks=pytest.mark.slow),
    ],
)
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


def packed(records, folder):
    keras_cpm.pack(records, folder, size=64, shard_megabytes=0.005)
    assert len([*folder.glob("*.zip")]) > 1
    return keras_cpm.read_records(folder / "records.jsonl")


def test_packs_larger_than_memory_are_read_as_the_training_goes(
    drawn_records, tiny_spec, tmp_path, monkeypatch
):
    """Its samples are the same, to the bit; so they are for every process its own."""
    records, batches = packed(drawn_records, tmp_path / "pack"), {}
    for held in (limits.MAX_HELD_BYTES, 0):
        monkeypatch.setattr(limits, "MAX_HELD_BYTES", held)
        options = {"stages": 2, "batch_size": 2, "shuffle": True, "share": (1, 2)}
        dataset = keras_cpm.make_dataset(records, tiny_spec, **options)
        batches[held] = [inputs["image"].numpy() for inputs, _ in dataset]
    ours, held = batches.values()
    np.testing.assert_array_equal(ours, held)


def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux")
@pytest.mark.parametrize("streamed", [True, False])
def test_of_such_packs_memory_holds_no_photographs(tmp_path, monkeypatch, streamed):
    count, size = 48, 2_000_000
    with shards.Shard(tmp_path / "large.zip") as shard:
        for number in range(count):
            shard.add(f"{number}.jpg", bytes([number]) * size)
    monkeypatch.setattr(limits, "MAX_HELD_BYTES", count * size // (2 if streamed else 1) + 10_000)
    before = resident()
    photographs = Photographs([f"{tmp_path}/large.zip/{number}.jpg" for number in range(count)])
    dataset = tf.data.Dataset.range(count).map(photographs.read)
    for number, data in enumerate(dataset):
        assert data.numpy()[-1] == number and len(data.numpy()) == size
    assert (resident() - before < count * size / 2) == streamed


def test_damage_and_compression_of_such_packs_are_named(
    drawn_records, tiny_spec, tmp_path, monkeypatch
):
    monkeypatch.setattr(limits, "MAX_HELD_BYTES", 0)
    records = packed(drawn_records, tmp_path / "pack")
    dataset = keras_cpm.make_dataset(records, tiny_spec, stages=2, batch_size=1)
    path = Path(shards.split(records[-1].image)[0])
    data = bytearray(path.read_bytes())
    data[200] ^= 1
    path.write_bytes(data)
    with pytest.raises(Exception, match=f"{path.name} is damaged at byte"):
        list(dataset)
    assert f"{path.name} is damaged" in find_unreadable(records)
    path.unlink()
    with pytest.raises(Exception, match=rf"{path.name} is damaged \(.*No such file"):
        list(dataset)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as shard:
        shard.writestr(shards.split(records[-1].image)[1], b"0123456789" * 2)
    with pytest.raises(ValueError, match=f"{path.name} has a compressed member"):
        Photographs([records[-1].image])
