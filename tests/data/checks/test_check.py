"""What check-data finds in photographs, and that it looks at labels and pairs: for each defect a
record that has it, and one that nearly has it.
"""

import dataclasses
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest

from keras_cpm.data.checks.check import check
from tests.data.checks.people import POINTS, record


def only_problem(records, kind):
    (finding,) = check(records)
    assert finding["kind"] == kind
    assert finding["where"] == f"record {finding['record']} ({records[finding['record']].image})"
    return finding["problem"]


def test_sound_records_have_no_findings(picture, drawn_records):
    assert check([record(picture)]) == []
    assert check(drawn_records) == []


class TestImages:
    def test_missing_and_unreadable(self, picture, tmp_path):
        assert "no image at" in only_problem([record(str(tmp_path / "absent.png"))], "image")
        data = open(picture, "rb").read()
        (tmp_path / "cut.png").write_bytes(data[: len(data) // 2])
        assert "damaged" in only_problem([record(str(tmp_path / "cut.png"))], "image")
        (tmp_path / "empty.png").write_bytes(b"")
        assert "empty" in only_problem([record(str(tmp_path / "empty.png"))], "image")

    def test_size(self, picture):
        assert "another size" in only_problem([record(picture, size=(81, 40))], "size")
        assert check([dataclasses.replace(record(picture), size=None)]) == []

    def test_labels_of_a_missing_image_are_checked(self, tmp_path):
        absent = record(str(tmp_path / "absent.png"), POINTS - 900)
        assert [f["kind"] for f in check([absent])] == ["image", "outside"]


class TestExif:
    @pytest.fixture
    def turned(self, tmp_path):
        """Stored 80 wide and 40 high, upright 40 wide and 80 high."""
        entry = struct.pack("<HHHIHH", 1, 0x0112, 3, 1, 6, 0)
        block = b"Exif\0\0II" + struct.pack("<HI", 42, 8) + entry + bytes(4)
        data = cv2.imencode(".jpg", np.zeros((40, 80, 3), np.uint8))[1].tobytes()
        segment = b"\xff\xe1" + struct.pack(">H", 2 + len(block)) + block
        path = tmp_path / "turned.jpg"
        path.write_bytes(data[:2] + segment + data[2:])
        return str(path)

    def test_a_size_without_regard_to_orientation(self, turned):
        stored = record(turned, POINTS[:, ::-1], size=(40, 80), center=(40, 20))
        assert "EXIF" in only_problem([stored], "exif")
        # without an orientation the two numbers are in the wrong order
        cv2.imwrite(str(plain := Path(turned).with_name("plain.png")), cv2.imread(turned))
        sizes = record(str(plain), size=(40, 80))
        assert "write the height first" in only_problem([sizes], "size")
        assert check([record(turned)]) == []

    @pytest.mark.parametrize("size", [None, (80, 40)])
    def test_labels_that_fit_the_stored_photograph(self, turned, size):
        lying = record(turned, POINTS[:, ::-1], size=size, center=(62, 22))
        assert "fit the photograph as it is stored" in only_problem([lying], "exif")
        assert check([record(turned, size=size)]) == []

    def test_labels_that_fit_both_ways_say_nothing(self, turned):
        assert check([record(turned, POINTS - (0, 40), size=None, center=(20, 22))]) == []

    def test_labels_that_fit_neither_way_say_nothing(self, turned):
        assert check([record(turned, POINTS + (10, 0))]) == []


def test_x_and_y_swapped(picture):
    swapped = record(picture, POINTS[:, ::-1])
    assert "x and y swapped" in only_problem([swapped], "axes")
