"""Frames come and go with their clock."""

import os
import time

import cv2
import numpy as np
import pytest

from keras_cpm.inference.frames import (
    Writer,
    ends_early,
    frame_rate,
    is_video,
    read_frames,
    show_in_window,
)
from tests.inference.clips import Camera, without_a_screen, write_uneven, write_walk


@pytest.mark.parametrize("suffix", [".mp4", ".avi"])
def test_a_video_comes_back_with_its_clock(tmp_path, suffix):
    path = tmp_path / f"clip{suffix}"
    writer = Writer(path, 12.5)
    for number in range(20):
        writer(np.full((64, 96, 3), (10 * number, 0, 200 - 10 * number), np.uint8))
    writer.close()
    assert is_video(path) and not is_video("a.jpg")
    assert frame_rate(path) == (12.5, 20)
    times, frames = zip(*read_frames(path), strict=True)
    np.testing.assert_allclose(times, np.arange(20) / 12.5, atol=1e-3)
    for number, frame in enumerate(frames):
        assert frame.shape == (64, 96, 3)
        # red grows, blue falls: the channels are RGB
        np.testing.assert_allclose(frame.mean((0, 1)), [10 * number, 0, 200 - 10 * number], atol=12)


@pytest.mark.parametrize("there", [False, True])
def test_a_video_that_fails_is_not_there(there, tmp_path):
    path = tmp_path / "a.avi"
    if there:
        path.write_bytes(b"before")
    with pytest.raises(KeyboardInterrupt), Writer(path, 10) as writer:
        writer(np.zeros((48, 64, 3), np.uint8))
        raise KeyboardInterrupt
    assert [file.read_bytes() for file in tmp_path.iterdir()] == ([b"before"] if there else [])
    # without a frame there is no video
    Writer(tmp_path / "b.avi", 10).close()
    assert not (tmp_path / "b.avi").exists()


def test_what_is_no_video_is_said(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"no video")
    with pytest.raises(ValueError, match="cannot be read"):
        next(read_frames(tmp_path / "a.mp4"))
    with pytest.raises(FileNotFoundError, match="There is no video at"):
        next(read_frames(tmp_path / "b.mp4"))
    with pytest.raises(ValueError, match="Camera 97 cannot be opened"):
        next(read_frames(97))
    with pytest.raises(ValueError, match="must end in one of"):
        Writer(tmp_path / "a.png", 25)


def test_a_camera_with_a_coarse_clock_has_times_that_grow(monkeypatch):
    monkeypatch.setattr("cv2.VideoCapture", Camera)
    monkeypatch.setattr(time, "perf_counter", lambda: 5.0)
    seconds = [second for second, _ in read_frames(4)]
    assert seconds == pytest.approx([0, 0.04, 0.08, 0.12])


def test_without_a_screen_there_is_a_sentence(monkeypatch):
    without_a_screen(monkeypatch)
    with pytest.raises(RuntimeError, match="There is no screen"):
        show_in_window(np.zeros((4, 4, 3), np.uint8))


@pytest.mark.parametrize("suffix", [".mp4", ".avi", ".mkv", ".mov"])
def test_a_video_is_known_by_its_content(tmp_path, suffix):
    """Whatever its name: cameras and players have suffixes of their own."""
    write_walk(tmp_path / f"walk{suffix}")
    path = (tmp_path / f"walk{suffix}").rename(tmp_path / "walk.xyz")
    assert is_video(path)
    path.rename(tmp_path / "walk")
    assert is_video(tmp_path / "walk")


@pytest.mark.parametrize(
    "head",
    [
        b"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9",  # .wmv
        b"FLV\1\5",
        b"\0\0\1\xba\x44",  # .mpg
        b"OggS\0",
        b"G" + bytes(187) + b"G" + bytes(187),  # .ts
        b"\0\0\0\x18ftypmp42",
        b"\0\0\0\x18ftyp3gp5",
    ],
)
def test_beginnings_of_videos(tmp_path, head):
    (tmp_path / "a").write_bytes(head)
    assert is_video(tmp_path / "a")


def test_photographs_are_no_videos(tmp_path):
    for suffix in (".jpg", ".png", ".bmp", ".webp", ".tif", ".gif"):
        path = tmp_path / f"a{suffix}"
        if suffix != ".gif":
            cv2.imwrite(str(path), np.zeros((8, 8, 3), np.uint8))
        else:
            path.write_bytes(b"GIF89a" + bytes(300))
        assert not is_video(path)
    # HEIC and AVIF are in the box of an MP4
    for brand in (b"heic", b"mif1", b"avif"):
        (tmp_path / "a").write_bytes(b"\0\0\0\x18ftyp" + brand + bytes(300))
        assert not is_video(tmp_path / "a")
    assert not is_video(tmp_path / "gone") and not is_video(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="a system without pipes")
def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.mp4")
    os.mkfifo(tmp_path / "pipe")
    assert is_video(tmp_path / "pipe.mp4") and not is_video(tmp_path / "pipe")
    for path in (tmp_path / "pipe.mp4", "/dev/zero", tmp_path):
        for read in (read_frames, frame_rate):
            with pytest.raises(ValueError, match="is a folder, a pipe or a device; copy the video"):
                read(path)


@pytest.mark.parametrize("suffix", [".avi", ".mkv"])
def test_a_video_that_was_cut_off_is_noticed(tmp_path, suffix):
    path = tmp_path / f"walk{suffix}"
    write_walk(path)
    times = [seconds for seconds, _ in read_frames(path)]
    assert len(times) == 15 and ends_early(path, times) is None
    # the last frame or two may be missing: sound is often longer than pictures
    assert ends_early(path, times[:-1]) is None
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    times = [seconds for seconds, _ in read_frames(path)]
    assert 3 <= len(times) <= 12
    assert f"{path} declares 1.5 s, about 15 frames, but ends after 0." in ends_early(path, times)


def test_a_clip_of_uneven_rate_has_its_own_clock(tmp_path):
    times = [0, 40, 80, 1500, 3000]
    write_uneven(tmp_path / "a.mkv", times)
    read = [round(1000 * seconds) for seconds, _ in read_frames(tmp_path / "a.mkv")]
    assert read == times
    assert ends_early(tmp_path / "a.mkv", [t / 1000 for t in times]) is None


@pytest.mark.skipif(os.sep != "/", reason="a system whose names are always text")
def test_a_name_in_another_encoding_is_refused(tmp_path):
    """OpenCV ends the process on it."""
    write_walk(tmp_path / "walk.avi")
    name = tmp_path / os.fsdecode(b"caf\xe9.avi")
    (tmp_path / "walk.avi").rename(name)
    for take in (read_frames, frame_rate, lambda path: Writer(path, 10)):
        with pytest.raises(ValueError, match=r"caf.\.avi is no text in UTF-8; rename the video"):
            take(name)
