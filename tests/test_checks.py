"""What check-data finds, one defect a record."""

import dataclasses

import cv2
import numpy as np
import pytest

import keras_cpm
from keras_cpm.checks import check, draw_samples

PARTS = ("a", "b", "c", "d")
POINTS = np.array([[10, 50], [20, 60], [30, 70], [35, 75]], np.float32)


@pytest.fixture
def picture(tmp_path):
    """A picture 40 wide and 80 high."""
    path = str(tmp_path / "picture.png")
    cv2.imwrite(path, np.zeros((80, 40, 3), np.uint8))
    return path


def record(image, points=POINTS, visible=(2, 2, 2, 2), size=(80, 40), height=60.0):
    person = keras_cpm.Person(points, visible, center=(20, 40), height=height)
    return keras_cpm.Record(image, size, PARTS, (person,))


def only_problem(records):
    (finding,) = check(records)
    assert "record" in finding["where"]
    return finding["problem"]


def test_sound_records_have_no_findings(picture, drawn_records):
    assert check([record(picture)]) == []
    assert check(drawn_records) == []


def test_missing_and_unreadable_images(picture, tmp_path):
    assert "no image at" in only_problem([record(str(tmp_path / "absent.png"))])
    data = open(picture, "rb").read()
    (tmp_path / "cut.png").write_bytes(data[: len(data) // 2])
    assert "damaged" in only_problem([record(str(tmp_path / "cut.png"))])


def test_swapped_x_and_y(picture):
    assert "x and y swapped" in only_problem([record(picture, POINTS[:, ::-1])])


def test_parts_far_outside_and_no_part_at_all(picture):
    outside = POINTS.copy()
    outside[0] = (-900, 5)
    assert "1 parts lie far outside" in only_problem([record(picture, outside)])
    assert "no labelled part" in only_problem([record(picture, visible=(0, 0, 0, 0))])


@pytest.mark.parametrize("height", [2.0, 9000.0])
def test_impossible_height(picture, height):
    assert "impossible" in only_problem([record(picture, height=height)])


def test_duplicates(picture):
    assert "same person as in record 0" in only_problem([record(picture), record(picture)])


def test_labels_made_on_the_unturned_photograph(picture):
    turned = record(picture, POINTS / 4, size=(40, 80))
    assert "EXIF" in only_problem([turned])
    assert "another size" in only_problem([record(picture, POINTS / 4, size=(41, 80))])
    assert check([dataclasses.replace(record(picture), size=None)]) == []


def test_samples_are_drawn(drawn_records, tmp_path):
    draw_samples(drawn_records, keras_cpm.PoseSpec(box_size=64), tmp_path, 4)
    for name in ("labels.png", "targets.png"):
        assert cv2.imread(str(tmp_path / name)).std() > 10
