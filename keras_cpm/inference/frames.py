"""Frames of videos and cameras, read and written."""

import contextlib
import errno
import os
import sys
import time
from pathlib import Path

import cv2

from ..images import marks
from ..pose import output

_WRITABLE = (".mp4", ".mov", ".avi", ".mkv", ".m4v")
SUFFIXES = (
    *(*_WRITABLE, ".webm", ".wmv", ".asf", ".flv", ".f4v", ".mpg", ".mpeg", ".m2v", ".vob"),
    *(".ts", ".mts", ".m2ts", ".3gp", ".3g2", ".ogv", ".divx", ".mxf"),
)
# How videos begin: Matroska, ASF, Flash, MPEG streams, Ogg. An MP4 names its brand after "ftyp", as
# photographs of phones do, an AVI after "RIFF", as WebP does, a transport stream repeats a byte.
_BEGINNINGS = (
    *(b"\x1a\x45\xdf\xa3", b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", b"FLV\1"),
    *(b"\0\0\1\xba", b"\0\0\1\xb3", b"OggS"),
)
_BRANDS = (
    *(b"isom", b"iso2", b"iso4", b"iso5", b"iso6", b"mp41", b"mp42", b"avc1", b"qt  ", b"dash"),
    *(b"M4V ", b"M4VH", b"M4VP", b"MSNV", b"f4v ", b"XAVC", b"3g"),
)
_PACKET = 188
# Frames a second of a drawing at most; some files declare the ticks of their clock.
FASTEST = 240.0
# A clip may end this much before the time that its file declares, as a share and in seconds: sound
# is often longer.
_EARLY, _EARLY_SECONDS = 0.05, 0.25


def is_video(path):
    """Whether a file is a video, by its name or by how it begins."""
    path = Path(path)
    if path.suffix.lower() in SUFFIXES:
        return True
    # nothing is read from a pipe
    if not path.is_file():
        return False
    with contextlib.suppress(OSError), path.open("rb") as file:
        head = file.read(_PACKET + 1)
        return (
            head.startswith(_BEGINNINGS)
            or (head[4:8] == b"ftyp" and head[8:12].startswith(_BRANDS))
            or (head[:4] == b"RIFF" and head[8:12] == b"AVI ")
            or head[::_PACKET] == b"GG"
        )
    return False


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
    if not is_camera:
        _check_file(source)
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


def _check_file(path):
    """OpenCV would wait for a pipe without end."""
    if not os.path.exists(path):
        raise FileNotFoundError(f"There is no video at {path}; check the path.")
    if not os.path.isfile(path):
        raise ValueError(
            f"The video {path} is a folder, a pipe or a device; copy the video to a file, or give "
            "a camera by its number."
        )
    _check_name(path)


def _check_name(path):
    """OpenCV would end the process."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        shown = os.fsencode(path).decode("utf-8", "replace")
        raise ValueError(f"The name {shown} is no text in UTF-8; rename the video.") from None


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
            yield seconds, cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
    finally:
        capture.release()


def frame_rate(path):
    """(frames a second, number of frames) as a file declares them; 25 and 0 where it does not.

    Raises:
        FileNotFoundError, ValueError: as `read_frames`.
    """
    _check_file(path)
    capture = cv2.VideoCapture(str(path))
    try:
        rate, count = capture.get(cv2.CAP_PROP_FPS), capture.get(cv2.CAP_PROP_FRAME_COUNT)
    finally:
        capture.release()
    return rate if rate > 0 else 25.0, int(count) if 0 < count < 2**31 else 0


def ends_early(path, times):
    """A sentence where the frames of a video end long before the time that its file declares.

    Args:
        path: of the video.
        times: seconds of the frames that were read, in order; not empty.

    Returns:
        `None` where all is well, or where the file declares nothing.
    """
    rate, count = frame_rate(path)
    declared, found = count / rate, times[-1] - times[0] + 1 / rate
    if found >= declared * (1 - _EARLY) - _EARLY_SECONDS:
        return None
    return (
        f"The video {path} declares {declared:.1f} s, about {count} frames, but ends after "
        f"{found:.1f} s and {len(times)} frames: it may be cut off; copy or download it again."
    )


class Writer:
    """Writes frames (H, W, 3) uint8 RGB of one size as a video, which appears whole when it is
    closed, or when a `with` block ends; not at all where that fails.

    Args:
        path: ending in .mp4, .mov, .avi, .mkv or .m4v.
        rate: frames a second.

    Attributes:
        count: frames written.

    Raises:
        ValueError: no video's name, or OpenCV cannot write one there.
        OSError: it cannot be written, see `output.whole`.
    """

    def __init__(self, path, rate):
        self.path, self.rate, self.count, self._file = Path(path), rate, 0, None
        self._partial = output.hidden(self.path)
        if self.path.suffix.lower() not in _WRITABLE:
            raise ValueError(f"`path` must end in one of {', '.join(_WRITABLE)}. Received: {path}")
        _check_name(path)

    def __call__(self, frame):
        if self._file is None:
            with output.naming(self.path):
                self.path.parent.mkdir(parents=True, exist_ok=True)
                # OpenCV does not say that there is no room, or no right to write
                self._partial.write_bytes(marks.tail(self.path.suffix))
            code = cv2.VideoWriter_fourcc(*("MJPG" if self.path.suffix == ".avi" else "mp4v"))
            size = (frame.shape[1], frame.shape[0])
            self._file = cv2.VideoWriter(str(self._partial), code, self.rate, size)
            if not self._file.isOpened():
                raise ValueError(f"OpenCV cannot write a video at {self.path}; try a name in .avi.")
        self._file.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
        self.count += 1

    def close(self):
        """Ends the file, and puts it in its place."""
        self.__exit__(None)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if self._file is None:
            output.remove(self._partial)
            return
        self._file.release()
        try:
            if kind is None:
                with output.naming(self.path):
                    self._check()
                    with self._partial.open("ab") as file:
                        file.write(marks.tail(self.path.suffix))
                    output.replace(self._partial, self.path)
        finally:
            output.remove(self._partial)

    def _check(self):
        """OpenCV passes over what it could not write, as of a disk that was full for a while."""
        with contextlib.suppress(ValueError):
            if frame_rate(self._partial)[1] == self.count:
                return
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


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
        cv2.imshow("keras_cpm", cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
        return cv2.waitKey(1) == 27
    except cv2.error:
        raise RuntimeError(
            "This OpenCV cannot open a window: install opencv-python instead of "
            "opencv-python-headless."
        ) from None
