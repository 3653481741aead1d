"""Packs: the same samples from shards as from files, and what goes wrong."""

import dataclasses
import errno
import json
import math
import threading
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from click.testing import CliRunner

import keras_cpm
from keras_cpm import AugmentSpec, Record
from keras_cpm.cli.main import main
from keras_cpm.data import photographs, placement
from keras_cpm.data.augment import draw_augmentation
from keras_cpm.data.checks.check import check
from keras_cpm.data.pack import pack
from keras_cpm.images import crop, decode, shards
from keras_cpm.images.one_writer import one_writer
from keras_cpm.pose import geometry
from tests.data.waves import PARTS, SIZE, SPEC, person, smooth


def write(path, picture, orientation=1, quality=97):
    Image = pytest.importorskip("PIL.Image", reason="Pillow writes EXIF")
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(picture).save(path, quality=quality, subsampling=0, exif=exif)
    return path


def make_record(folder, *people, name="a.jpg", size=SIZE, **options):
    path = write(folder / name, smooth(size), **options)
    return Record(path, size, PARTS, people or (person(),))


def packed_box(record, matrix, spec=SPEC):
    return crop.read_box(tf.constant(decode.encoded(record.image)), matrix, spec).numpy()


# pixels and samples ------------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_a_box_of_the_crop_is_a_box_of_the_photograph(tmp_path, orientation):
    stored = (300, 420)
    upright = stored[::-1] if orientation == 6 else stored
    who = person((150.0, 190.0), 120.0)
    path = write(tmp_path / "a.jpg", smooth(stored), orientation)
    record = Record(path, upright, PARTS, (who,))
    (packed,) = pack([record], tmp_path / "out", size=128)
    assert packed.size == tuple(decode.open_image(packed.image)[0].shape[:2]) < upright
    assert decode.open_image(packed.image)[1].numpy().tolist() == np.eye(3).tolist()
    for i in range(8):
        draw = draw_augmentation(AugmentSpec(shift=0.05), [0, i])
        draw["shift"] *= SPEC.box_size
        boxes, places = [], []
        for one in (record, packed):
            matrix = geometry.network_from_image(*placement.where_is(one), SPEC, **draw)
            boxes.append(packed_box(one, matrix))
            places.append(geometry.apply(matrix, one.people[0].keypoints[:-1]).numpy())
        np.testing.assert_allclose(places[0], places[1], atol=0.01)
        # a line of pixels lies across the edge of the photograph
        difference = np.abs(boxes[0] - boxes[1]).max(axis=-1)
        assert np.quantile(difference, 0.95) < 4
        assert np.abs(displacement(*boxes, difference < 8)).max() < 0.02


def displacement(one, other, mask):
    """By how many pixels (x, y) the colours of `other` stand elsewhere: least squares."""
    slopes = np.stack([np.gradient(one, axis=axis)[mask].ravel() for axis in (1, 0)], axis=-1)
    return np.linalg.lstsq(slopes, (one - other)[mask].ravel())[0]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    return keras_cpm.draw_records(tmp_path_factory.mktemp("drawn"), 7, image_size=(200, 160))


@pytest.fixture(scope="module")
def packed(drawn, tmp_path_factory):
    folder = tmp_path_factory.mktemp("packed")
    return pack(drawn, folder, size=64, shard_megabytes=0.01)


def samples(records, **options):
    options = {"stages": 2, "batch_size": 3, "augment": AugmentSpec(shift=0.05), **options}
    return list(keras_cpm.make_dataset(records, SPEC, **options))


def assert_same(one, other):
    for first, second in zip(one, other, strict=True):
        tf.nest.map_structure(lambda a, b: np.testing.assert_array_equal(a, b), first, second)


def unpack(records, folder):
    for shard in sorted({shards.split(record.image)[0] for record in records}):
        with zipfile.ZipFile(shard) as file:
            file.extractall(folder)
    return [
        dataclasses.replace(record, image=folder / shards.split(record.image)[1])
        for record in records
    ]


@pytest.mark.slow
def test_samples_from_shards_are_those_from_files(packed, tmp_path):
    single = unpack(packed, tmp_path)
    assert all(Path(record.image).is_file() for record in single)
    assert_same(samples(packed), samples(single))
    mixed = [
        one if i % 2 else other for i, (one, other) in enumerate(zip(packed, single, strict=True))
    ]
    assert_same(samples(mixed, shuffle=True, seed=3), samples(single, shuffle=True, seed=3))


def test_targets_from_crops_are_those_from_photographs(drawn, packed):
    for (inputs, targets), (others, other_targets) in zip(
        samples(drawn), samples(packed), strict=True
    ):
        np.testing.assert_allclose(inputs["center_map"], others["center_map"], atol=1e-4)
        for name, value in targets.items():
            np.testing.assert_allclose(value, other_targets[name], atol=1e-3)


def test_no_file_is_touched_while_training(packed, tmp_path):
    moved = tmp_path / "moved"
    moved.mkdir()
    records = []
    for record in packed:
        shard, member = shards.split(record.image)
        path = moved / Path(shard).name
        path.write_bytes(Path(shard).read_bytes())
        records.append(dataclasses.replace(record, image=path / member))
    expected = samples(packed)
    dataset = keras_cpm.make_dataset(
        records, SPEC, stages=2, batch_size=3, augment=AugmentSpec(shift=0.05)
    )
    for path in moved.iterdir():
        path.unlink()
    assert_same(list(dataset), expected)


def test_shards(drawn, packed):
    folder = Path(packed[0].image).parents[1]
    paths = sorted(folder.glob("*.zip"))
    assert len(paths) > 2 and [path.name for path in paths][:2] == [
        "shard-00000.zip",
        "shard-00001.zip",
    ]
    assert all(path.stat().st_size <= 10_000 for path in paths)
    for path in paths:
        with zipfile.ZipFile(path) as file:
            assert file.testzip() is None
            assert {info.compress_type for info in file.infolist()} == {zipfile.ZIP_STORED}
            file.extractall(folder / "unpacked" / path.stem)
        inner = keras_cpm.read_records(folder / "unpacked" / path.stem / "records.jsonl")
        assert all(Path(record.image).is_file() for record in inner)
    records = keras_cpm.read_records(folder / "records.jsonl")
    assert [r.to_dict() for r in records] == [r.to_dict() for r in packed]
    assert [r.attributes["packed_from"]["image"] for r in packed] == [
        Path(r.image).name for r in drawn
    ]
    assert not list(folder.glob("*.partial"))


def test_a_photograph_that_fits_keeps_its_bytes(tmp_path):
    record = make_record(tmp_path, person(height=200.0))
    (packed,) = pack([record], tmp_path / "out")
    assert decode.encoded(packed.image) == Path(record.image).read_bytes()


def test_everything_that_opens_images_opens_members(packed, tmp_path):
    assert not [found for found in check(packed) if found["kind"] == "image"]
    assert photographs.find_unreadable(packed) is None
    model = keras_cpm.build_cpm(1, SPEC, backbone="light", stage_block="light", width=8)
    keras_cpm.save_bundle(tmp_path / "bundle", model, SPEC)
    assert keras_cpm.evaluate(model, packed[:2], SPEC).scores(0.2)
    drawing = tmp_path / "pose.png"
    words = ["predict", packed[0].image, "--model", tmp_path / "bundle", "--draw", drawing]
    result = run(*words)
    assert result.exit_code == 0 and drawing.is_file(), result.output


# going on, and what goes wrong -------------------------------------------------------------------


def run(*words):
    return CliRunner().invoke(main, [str(word) for word in words])


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix != ".lock"}


def test_the_command(drawn, tmp_path):
    keras_cpm.write_records(drawn, tmp_path / "people.jsonl")
    words = ["pack", tmp_path / "people.jsonl", "--out", tmp_path / "out", "--size", 64]
    result = run(*words)
    assert result.exit_code == 0 and "7 records, 1 shards" in result.output, result.output
    before = files(tmp_path / "out")
    assert run(*words).exit_code == 0 and files(tmp_path / "out") == before
    result = run(*words, "--quality", 50)
    assert result.exit_code == 1
    assert "began with other --quality" in result.output and "began with: 92" in result.output


def test_it_goes_on_after_the_last_whole_shard(drawn, packed, tmp_path):
    settings = {"size": 64, "shard_megabytes": 0.01}
    broken = [*drawn[:5], dataclasses.replace(drawn[5], image=tmp_path / "none.jpg"), drawn[6]]
    with pytest.raises(FileNotFoundError, match="no image at"):
        pack(broken, tmp_path / "out", **settings)
    assert not list((tmp_path / "out").glob("*.partial"))
    left = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert left and "records.jsonl" not in left
    write(tmp_path / "none.jpg", smooth((200, 160)))
    seen = []
    pack(
        broken,
        tmp_path / "out",
        **settings,
        progress=lambda items: seen.append(len(items)) or items,
    )
    assert 0 < seen[0] < 7
    pack(broken, tmp_path / "whole", **settings)
    assert files(tmp_path / "out") == files(tmp_path / "whole")


@pytest.mark.parametrize(
    "left",
    [".0123456789abcdef.partial.zip", "shard-00000.zip.partial", ".fedcba9876543210.partial.jsonl"],
)
def test_what_a_kill_left_is_in_nobodys_way(left, drawn, tmp_path):
    (tmp_path / left).write_bytes(b"half")
    assert len(pack(drawn, tmp_path, size=64)) == 7
    assert len(pack(drawn, tmp_path, size=64)) == 7
    assert not list(tmp_path.glob(".*.partial.*"))


def test_no_room(drawn, tmp_path, monkeypatch):
    def full(self, name, data):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(zipfile.ZipFile, "writestr", full)
        with pytest.raises(OSError, match=r"0.zip cannot be written \(No space .* goes on after"):
            pack(drawn, tmp_path, size=64)
    assert not files(tmp_path)
    assert len(pack(drawn, tmp_path, size=64)) == 7


def test_a_pack_that_fails_leaves_no_thread_behind(drawn, tmp_path):
    """The garbage would end it, in a thread that may hold what its workers wait for."""

    def fails(numbers):
        yield from numbers[:1]
        raise RuntimeError("enough")

    before = threading.active_count()
    with pytest.raises(RuntimeError) as kept:
        pack(drawn, tmp_path / "packed", progress=fails)
    assert kept.value and threading.active_count() == before


def test_a_folder_with_something_else(drawn, tmp_path):
    # of file managers
    for name in (".DS_Store", "Thumbs.db"):
        (tmp_path / name).touch()
    assert len(pack(drawn, tmp_path, size=64)) == 7
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"`folder` must be empty.*Received.*'notes.txt'"):
        pack(drawn, tmp_path)
    with pytest.raises(ValueError, match="must be a folder"):
        pack(drawn, tmp_path / "notes.txt")
    # records of one's own are not overwritten
    (tmp_path / "own").mkdir()
    (tmp_path / "own/records.jsonl").write_text("mine")
    with pytest.raises(ValueError, match=r"'records.jsonl'"):
        pack(drawn, tmp_path / "own")


SMALL = {"size": 64, "shard_megabytes": 0.01}


def cut_off(folder):
    path = folder / "shard-00001.zip"
    path.write_bytes(path.read_bytes()[:-2000])


def flip_a_bit_of_a_photograph(folder):
    data = bytearray((folder / "shard-00001.zip").read_bytes())
    data[1000] ^= 1
    (folder / "shard-00001.zip").write_bytes(data)


def lose(folder):
    (folder / "shard-00001.zip").unlink()


def one_twice(folder):
    """As two writers left it, before there was a lock."""
    (folder / "shard-00001.zip").write_bytes((folder / "shard-00000.zip").read_bytes())


def one_too_many(folder):
    (folder / "shard-00009.zip").write_bytes((folder / "shard-00000.zip").read_bytes())


def without_records(folder):
    comment = shards.comment(folder / "shard-00000.zip")
    with shards.Shard(folder / "shard-00001.zip", comment) as shard:
        shard.add("000001.jpg", b"junk")


@pytest.mark.parametrize(
    "damage", [cut_off, flip_a_bit_of_a_photograph, lose, one_twice, one_too_many, without_records]
)
def test_the_same_call_mends_a_broken_pack(drawn, tmp_path, damage):
    pack(drawn, tmp_path, **SMALL)
    whole = files(tmp_path)
    assert len(whole) > 3
    damage(tmp_path)
    assert files(tmp_path) != whole
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*It is packed again, with what follows")
        packed = pack(drawn, tmp_path, **SMALL)
    assert files(tmp_path) == whole and len(packed) == 7


def test_a_broken_shard_is_spoken_of(drawn, tmp_path):
    pack(drawn, tmp_path, **SMALL)
    cut_off(tmp_path)
    with pytest.warns(UserWarning, match=r"shard-00001.zip is damaged.*It is packed again"):
        pack(drawn, tmp_path, **SMALL)


@pytest.mark.parametrize(
    "comment", [b"", b"mine", b"[1]", b"null", b'"size"', b'{"size": "64"}', b"[" * 60_000, b"\xff"]
)
def test_a_shard_of_somebody_else_s_is_left_alone(drawn, tmp_path, comment):
    with shards.Shard(tmp_path / "shard-00000.zip", comment) as shard:
        shard.add("a.jpg", b"mine")
    before = files(tmp_path)
    with pytest.raises(ValueError, match="began with other `size`; go on with the same, or name"):
        pack(drawn, tmp_path, size=64)
    assert files(tmp_path) == before


def test_one_pack_a_folder(drawn, tmp_path):
    with one_writer(tmp_path, "pack.lock", what="pack", argument="folder"):
        with pytest.raises(ValueError, match=r"Another pack runs in .*name another `folder`"):
            pack(drawn, tmp_path, size=64)
        assert not files(tmp_path)
    assert len(pack(drawn, tmp_path, size=64)) == 7


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"size": 550}, "`size` must be a positive multiple of 8. Received: size=550"),
        ({"margin": 0.5}, "`margin` must be at least 1 network box. Received: margin=0.5"),
        ({"margin": math.nan}, "`margin`"),
        ({"quality": 101}, "`quality` must be a whole number, 1 to 100. Received: quality=101"),
        ({"shard_megabytes": 0}, "`shard_megabytes` must be positive. Received"),
    ],
)
def test_settings(drawn, tmp_path, settings, message):
    with pytest.raises(ValueError, match=message):
        pack(drawn, tmp_path, **settings)
    with pytest.raises(ValueError, match="at least one record"):
        pack([], tmp_path)


def test_records_that_cannot_be_packed(tmp_path):
    record = make_record(tmp_path)
    with pytest.raises(ValueError, match=r"says \(10, 10\).*image is \(300, 420\)"):
        pack([dataclasses.replace(record, size=(10, 10))], tmp_path / "out")
    far = dataclasses.replace(record, people=(person((5000.0, 20.0), 10.0),))
    with pytest.raises(ValueError, match=r"a.jpg: The crop .* outside the image of \(300, 420\)"):
        pack([far], tmp_path / "out")


def test_a_damaged_shard(drawn, tmp_path):
    records = pack(drawn, tmp_path, size=64)
    shard, data = tmp_path / "shard-00000.zip", (tmp_path / "shard-00000.zip").read_bytes()
    for damaged in (data[:5000], b"", data[:3000] + b"damage" + data[3006:]):
        shard.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"shard-00000.zip is damaged"):
            keras_cpm.make_dataset(records, SPEC, stages=1, batch_size=2)
        assert "damaged" in photographs.find_unreadable(records)
    shard.unlink()
    with pytest.raises(FileNotFoundError, match="7 of 7 images are missing"):
        keras_cpm.make_dataset(records, SPEC, stages=1, batch_size=2)
    with pytest.raises(FileNotFoundError, match="There is no shard at"):
        decode.open_image(records[0].image)


def test_a_missing_member(drawn, tmp_path):
    records = pack(drawn, tmp_path, size=64)
    wrong = dataclasses.replace(records[0], image=tmp_path / "shard-00000.zip/123456.jpg")
    with pytest.raises(FileNotFoundError, match=r"has no member '123456.jpg'"):
        decode.open_image(wrong.image)
    with pytest.raises(FileNotFoundError, match=r"1 of 2 images are missing.*123456.jpg"):
        keras_cpm.make_dataset([records[1], wrong], SPEC, stages=1, batch_size=2)


def test_a_member_that_is_no_image_is_named(tmp_path):
    record = make_record(tmp_path, person(height=200.0))
    with shards.Shard(tmp_path / "a.zip") as shard:
        shard.add("b.jpg", b"junk")
    junk = dataclasses.replace(record, image=tmp_path / "a.zip/b.jpg")
    assert "a.zip/b.jpg cannot be decoded" in photographs.find_unreadable([record, junk])


def test_a_folder_named_like_a_shard(tmp_path):
    folder = tmp_path / "photographs.zip"
    folder.mkdir()
    record = make_record(folder)
    assert shards.split(record.image) is None
    assert decode.is_there(record.image) and decode.encoded(record.image)
    # and a shard in such a folder
    with shards.Shard(folder / "b.zip") as shard:
        shard.add("c/d.jpg", b"junk")
    assert shards.split(folder / "b.zip/c/d.jpg") == (str(folder / "b.zip"), "c/d.jpg")
    assert decode.encoded(folder / "b.zip/c/d.jpg") == b"junk"


def test_settings_travel_in_the_shard(drawn, tmp_path):
    pack(drawn, tmp_path, size=64)
    said = json.loads(shards.comment(tmp_path / "shard-00000.zip"))
    assert said["size"] == 64 and said["margin"] == 2.25
