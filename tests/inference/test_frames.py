"""Frames come and go in order, while others wait, and nothing keeps a camera or a thread."""

import threading
import time

import numpy as np
import pytest

from keras_cpm.inference.frames import (
    Writer,
    frame_rate,
    is_video,
    pipelined,
    read_frames,
    show_in_window,
)
from tests.inference.clips import Camera, without_a_screen


def test_items_are_worked_on_in_order_while_others_wait():
    started, written = [], []
    assert pipelined(range(50), lambda i: started.append(i) or 2 * i, written.append) == 50
    assert started == list(range(50)) and written == [2 * i for i in range(50)]


def test_what_is_not_needed_yet_is_not_read():
    read, gate = [], threading.Event()

    def frames():
        for number in range(100):
            read.append(number)
            if number == 20:
                gate.set()
            yield number

    def work(item):
        if item == 0:
            assert not gate.wait(0.5), "all frames were read before the first was done"
        return item

    pipelined(frames(), work, lambda item: None)


def test_of_a_camera_only_the_newest_waits():
    """While the first is worked on, the others come; the last of them is what is worked on next."""
    all_read, worked = threading.Event(), []

    def frames():
        yield "first"
        while not worked:
            time.sleep(0.001)
        yield from ("second", "third", "fourth")
        all_read.set()

    def work(item):
        worked.append(item)
        assert all_read.wait(10)
        return item

    written = []
    assert pipelined(frames(), work, written.append, live=True) == 2
    assert worked == written == ["first", "fourth"]


@pytest.mark.parametrize("where", ["reading", "working", "writing"])
def test_an_error_ends_it_and_is_raised(where):
    def fail(here, item):
        if where == here and item == 20:
            raise ValueError(f"{here} {item}")
        return item

    before = threading.active_count()
    with pytest.raises(ValueError, match=f"{where} 20"):
        pipelined(
            (fail("reading", i) for i in range(1000)),
            lambda item: fail("working", item),
            lambda item: fail("writing", item),
        )
    assert threading.active_count() == before


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
