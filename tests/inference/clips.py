"""A clip of a person who walks, and a camera that is none."""

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
