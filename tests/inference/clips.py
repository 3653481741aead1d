"""A clip of a person who walks, and a camera that is none."""

import re
import struct
from typing import ClassVar

import numpy as np

from keras_cpm.data.synthetic.walking import walking_frames
from keras_cpm.inference.frames import Writer


def write_walk(path):
    """Fifteen frames of 180 x 240 pixels; the person in each."""
    writer, people = Writer(path, 10), []
    for _, frame, person in walking_frames(1.5, 10, (180, 240), seed=3):
        writer(frame)
        people.append(person)
    writer.close()
    return people


def write_uneven(path, milliseconds):
    """A Matroska clip whose frames come when `milliseconds` say; frame i is grey 20 i.

    OpenCV writes even clips only: the times of ten frames a second are changed in the file.
    """
    writer = Writer(path, 10)
    for number in range(len(milliseconds)):
        writer(np.full((48, 64, 3), 20 * number, np.uint8))
    writer.close()
    data, count = bytearray(path.read_bytes()), 0
    # id, length of one or two bytes, track, time in the cluster, flags
    for match in re.finditer(rb"\xa3(?:[\x80-\xff]|[\x40-\x7f].)\x81(..)[\x80\0]", data, re.DOTALL):
        number, rest = divmod(struct.unpack(">h", match[1])[0], 100)
        if not rest and number < len(milliseconds):
            data[match.start(1) : match.end(1)] = struct.pack(">h", milliseconds[number])
            count += 1
    assert count == len(milliseconds)
    at = data.index(b"\x44\x89\x88") + 3
    data[at : at + 8] = struct.pack(">d", milliseconds[-1] + 100.0)
    path.write_bytes(data)


class Camera:
    """Stands for OpenCV's; every camera has the number of frames that is its number."""

    open_ones: ClassVar = set()

    def __init__(self, number):
        self.left = number
        self.open_ones.add(self)

    def isOpened(self):
        return True

    def get(self, _):
        return 0.0

    def read(self):
        self.left -= 1
        return self.left >= 0, np.zeros((48, 64, 3), np.uint8)

    def release(self):
        self.open_ones.discard(self)


def without_a_screen(monkeypatch):
    """As on a server; OpenCV would end the process there."""
    monkeypatch.setattr("sys.platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
