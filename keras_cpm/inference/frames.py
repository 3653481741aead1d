"""Poses of a video or a camera: frames are decoded, predicted and written at the same time."""

import contextlib
import os
import queue
import sys
import threading
import time
from pathlib import Path

import cv2
import numpy as np

_WRITABLE = (".mp4", ".mov", ".avi", ".mkv", ".m4v")
SUFFIXES = (*_WRITABLE, ".webm")
# Frames that wait between two steps; what is decoded too early takes memory.
_WAITING = 8
_END = object()


def is_video(path):
    """Whether a file is a video, by its name."""
    return Path(path).suffix.lower() in SUFFIXES


def read_frames(source):
    """Frames of a file or a camera.

    Args:
        source: path, or the number of a camera.

    Returns:
        A generator of seconds, of the file's own clock or since the camera was opened, and
        (H, W, 3) uint8 RGB; `close` releases the camera.

    Raises:
        FileNotFoundError, ValueError: naming the source and the remedy.

    Example:
        >>> from keras_cpm.inference.frames import read_frames
        >>> read_frames("nothing.mp4")
        Traceback (most recent call last):
        FileNotFoundError: There is no video at nothing.mp4; check the path.
    """
    is_camera = isinstance(source, int)
    if not is_camera and not Path(source).is_file():
        raise FileNotFoundError(f"There is no video at {source}; check the path.")
    # here and not with the first frame, because some systems open cameras in the main thread only
    capture = cv2.VideoCapture(source if is_camera else str(source))
    if not capture.isOpened():
        raise ValueError(
            f"Camera {source} cannot be opened; check that it is there and that no other program "
            "uses it."
            if is_camera
            else f"The video {source} cannot be read: it is damaged, or of a format that OpenCV "
            "does not know."
        )
    return _frames_of(capture, is_camera)


def _frames_of(capture, is_camera):
    try:
        start, last, rate = time.perf_counter(), -1.0, capture.get(cv2.CAP_PROP_FPS) or 25.0
        while True:
            good, frame = capture.read()
            if not good:
                return
            seconds = time.perf_counter() - start
            if not is_camera:
                seconds = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
            # some containers have no clock for their last frames, some systems a coarse one
            if not seconds > last:
                seconds = last + 1 / rate if last >= 0 else 0.0
            last = seconds
            yield seconds, np.ascontiguousarray(frame[..., ::-1])
    finally:
        capture.release()


def frame_rate(path):
    """(frames a second, number of frames) as a file declares them."""
    capture = cv2.VideoCapture(str(path))
    try:
        return capture.get(cv2.CAP_PROP_FPS) or 25.0, int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    finally:
        capture.release()


class Writer:
    """Writes frames (H, W, 3) uint8 RGB of one size as a video.

    Args:
        path: ending in .mp4, .mov, .avi, .mkv or .m4v.
        rate: frames a second.

    Attributes:
        count: frames written.

    Raises:
        ValueError: no video's name, or OpenCV cannot write one there.
    """

    def __init__(self, path, rate):
        self.path, self.rate, self.count, self._file = Path(path), rate, 0, None
        if self.path.suffix.lower() not in _WRITABLE:
            raise ValueError(f"`path` must end in one of {', '.join(_WRITABLE)}. Received: {path}")

    def __call__(self, frame):
        if self._file is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            code = cv2.VideoWriter_fourcc(*("MJPG" if self.path.suffix == ".avi" else "mp4v"))
            size = (frame.shape[1], frame.shape[0])
            self._file = cv2.VideoWriter(str(self.path), code, self.rate, size)
            if not self._file.isOpened():
                raise ValueError(f"OpenCV cannot write a video at {self.path}; try a name in .avi.")
        self._file.write(np.ascontiguousarray(frame[..., ::-1]))
        self.count += 1

    def close(self):
        """Ends the file."""
        if self._file is not None:
            self._file.release()


def has_display():
    """Whether there is a screen; without one, OpenCV does not raise but ends the process."""
    names = ("DISPLAY", "WAYLAND_DISPLAY")
    return not sys.platform.startswith("linux") or any(map(os.environ.get, names))


def show_in_window(frame):
    """Shows a frame (H, W, 3) uint8 RGB; whether Esc was pressed.

    Raises:
        RuntimeError: there is no screen, or this OpenCV has no windows.
    """
    if not has_display():
        raise RuntimeError(
            "There is no screen to show a camera on; write a file instead, with --draw, --json or "
            "--csv."
        )
    try:
        cv2.imshow("keras_cpm", np.ascontiguousarray(frame[..., ::-1]))
        return cv2.waitKey(1) == 27
    except cv2.error:
        raise RuntimeError(
            "This OpenCV cannot open a window: install opencv-python instead of "
            "opencv-python-headless."
        ) from None


def pipelined(frames, work, write, *, live=False):
    """Runs `work` on every item while the next are read and the last are written.

    Args:
        frames: iterable; read in a thread of its own.
        work: function of an item.
        write: function of what `work` returns; called in order, in a thread of its own.
        live: whether an item that still waits when the next is read is dropped, as of a camera,
            whose newest frame matters.

    Returns:
        The number of items that were worked on.

    Raises:
        What any of the three raises; the others are stopped.

    Example:
        >>> from keras_cpm.inference.frames import pipelined
        >>> written = []
        >>> pipelined(range(3), lambda item: item + 1, written.append), written
        (3, [1, 2, 3])
    """
    read, done, failures = queue.Queue(_WAITING), queue.Queue(_WAITING), []
    stop = threading.Event()

    def reading():
        try:
            for item in frames:
                if live:
                    _drop(read)
                if not _put(read, item, stop):
                    return
        except BaseException as error:
            failures.append(error)
        _put(read, _END, stop)

    def writing():
        try:
            while (item := done.get()) is not _END:
                write(item)
        except BaseException as error:
            failures.append(error)
            stop.set()

    threads = [threading.Thread(target=target, daemon=True) for target in (reading, writing)]
    for thread in threads:
        thread.start()
    count = 0
    try:
        while not stop.is_set() and (item := _get(read, stop)) is not _END:
            _put(done, work(item), stop)
            count += 1
    finally:
        failed = stop.is_set()
        if not failed:
            _put(done, _END, stop)
        threads[1].join()
        stop.set()
        threads[0].join()
    if failures:
        raise failures[0]
    return count


def _put(waiting, item, stop):
    while not stop.is_set():
        try:
            waiting.put(item, timeout=0.1)
            return True
        except queue.Full:
            continue
    return False


def _drop(waiting):
    with contextlib.suppress(queue.Empty):
        waiting.get_nowait()


def _get(waiting, stop):
    while not stop.is_set():
        try:
            return waiting.get(timeout=0.1)
        except queue.Empty:
            continue
    return _END
