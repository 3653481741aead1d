"""Which files of a folder are photographs."""

import os

from keras_cpm.images.suffixes import list_photographs


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
    found, others = list_photographs(tmp_path)
    assert [path.name for path in found] == photographs
    assert [path.name for path in others] == ["album.jpg", "clip.mp4", "notes.txt", "pipe"]
