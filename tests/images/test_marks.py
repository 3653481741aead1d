"""Files that we wrote are known as ours."""

import cv2
import numpy as np
import pytest

import keras_cpm
from keras_cpm.data.formats.matlab import read_mat, write_mat
from keras_cpm.images import decode, marks
from keras_cpm.inference.frames import Writer, read_frames
from keras_cpm.visualization.canvas import save_image


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".bmp"])
def test_pictures_carry_a_mark_that_nobody_sees(suffix, tmp_path):
    picture = np.random.default_rng(0).integers(0, 255, (40, 56, 3)).astype(np.uint8)
    ours, theirs = tmp_path / f"ours{suffix}", tmp_path / f"theirs{suffix}"
    save_image(ours, picture)
    theirs.write_bytes(cv2.imencode(suffix, picture[..., ::-1])[1].tobytes())
    assert marks.is_ours(ours) and not marks.is_ours(theirs)
    # the same pixels, for OpenCV and for the reader of all photographs
    assert (cv2.imread(str(ours)) == cv2.imread(str(theirs))).all()
    if suffix in (".png", ".bmp"):
        assert (decode.upright_array(ours) == picture).all()


def test_other_files_of_ours_are_known_and_read_as_before(tmp_path):
    records = keras_cpm.draw_records(tmp_path, 2)
    keras_cpm.write_records(records, tmp_path / "a.jsonl")
    write_mat(tmp_path / "a.mat", {"x": [[1, 2]]})
    for name in ("a.jsonl", "a.mat"):
        assert marks.is_ours(tmp_path / name)
    assert [r.image for r in keras_cpm.read_records(tmp_path / "a.jsonl")] == [
        record.image for record in records
    ]
    assert read_mat(tmp_path / "a.mat")["x"].tolist() == [[1, 2]]
    # a name that somebody corrected by hand, or a line taken out
    text = (tmp_path / "a.jsonl").read_text()
    for changed in (text.replace("cpm14", "CPM14", 1), text[90:], "1\n"):
        assert changed != text
        (tmp_path / "a.jsonl").write_text(changed)
        assert not marks.is_ours(tmp_path / "a.jsonl")
    (tmp_path / "a.jsonl").write_text(text)
    assert marks.is_ours(tmp_path / "a.jsonl")
    # whatever they are called
    keras_cpm.write_records(records, tmp_path / "a.records")
    assert marks.is_ours(tmp_path / "a.records")
    (tmp_path / "a.records").write_text(text[90:])
    assert not marks.is_ours(tmp_path / "a.records")
    (tmp_path / "empty.json").touch()
    assert not marks.is_ours(tmp_path / "empty.json")


@pytest.mark.parametrize("suffix", [".mp4", ".avi", ".mkv"])
def test_videos_carry_a_mark_that_readers_pass_over(suffix, tmp_path):
    path = tmp_path / f"a{suffix}"
    writer = Writer(path, 10)
    for level in (0, 100, 200):
        writer(np.full((48, 64, 3), level, np.uint8))
    writer.close()
    assert marks.is_ours(path)
    assert [frame.mean().round(-1) for _, frame in read_frames(path)] == [0, 100, 200]
