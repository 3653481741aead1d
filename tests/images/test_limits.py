"""Files are looked at before they are opened, members of shards before they are unpacked."""

import dataclasses
import os
import zipfile

import numpy as np
import pytest

import keras_cpm
from keras_cpm.data import pipeline
from keras_cpm.data.checks.check import check
from keras_cpm.images import decode, limits, shards


def says(source, error=ValueError):
    with pytest.raises(error) as caught:
        decode.open_image(source)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 300
    return str(caught.value)


def not_files(folder):
    """Paths that are never to be opened, and what is said of them."""
    pipe, sparse = folder / "pipe.jpg", folder / "sparse.png"
    os.mkfifo(pipe)
    with open(sparse, "wb") as file:
        file.truncate(1 << 40)
    (folder / "link.jpg").symlink_to(pipe)
    return {
        pipe: "a pipe or a device",
        folder / "link.jpg": "a pipe or a device",
        "/dev/zero": "a pipe or a device",
        sparse: limits.BYTES,
    }


def test_pipes_devices_and_sparse_files_are_not_opened(tmp_path, tiny_spec):
    (record,) = keras_cpm.draw_records(tmp_path / "drawn", 1)
    for path, reason in not_files(tmp_path).items():
        message = says(path)
        assert str(path) in message and reason in message
        bad = dataclasses.replace(record, image=str(path))
        assert [f["problem"] for f in check([bad]) if f["kind"] == "image"] == [message]
        with pytest.raises(ValueError, match="cannot be read: "):
            pipeline.check_records([bad], tiny_spec)


def test_members_that_unpack_to_gigabytes(tmp_path):
    path = tmp_path / "shard.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros.png", bytes(20_000_000))
        archive.writestr("noise.bin", np.random.default_rng(0).bytes(5000))
        archive.writestr("empty.jpg", b"")
    assert "unpacks to 20,000,000" in says(f"{path}/zeros.png")
    assert len(shards.read(str(path), "noise.bin")) == 5000
    assert "empty (0 bytes)" in says(f"{path}/empty.jpg")
    # a directory that lies about the size gives no more than it says
    data = path.read_bytes().replace((20_000_000).to_bytes(4, "little"), bytes([0, 4, 0, 0]))
    path.write_bytes(data)
    assert "damaged" in says(f"{path}/zeros.png")


def test_bytes_in_memory_are_bounded():
    data = b"\x89PNG\r\n\x1a\n" + bytes(limits.MAX_BYTES)
    assert limits.BYTES in says(data)
