"""Pictures of records: samples, and findings with what is wrong in sight."""

import dataclasses

import cv2
import numpy as np

import keras_cpm
from keras_cpm.data.checks.check import check
from keras_cpm.visualization.labels import draw_findings, draw_samples
from tests.data.checks.people import PARTS, POINTS, record

SKELETON = keras_cpm.Skeleton("plain", PARTS)


def test_samples(drawn_records, tmp_path):
    draw_samples(drawn_records, keras_cpm.PoseSpec(box_size=64), tmp_path, 4)
    for name in ("labels.png", "targets.png"):
        assert cv2.imread(str(tmp_path / name)).std() > 10
    # a sheet of four large ones, on which names can be read
    assert cv2.imread(str(tmp_path / "labels.png")).shape[1] == 4 * 480 + 3 * 4


def test_findings(picture, tmp_path):
    outside = record(picture, POINTS - (70, 0))
    records = [record(str(tmp_path / "absent.png")), record(picture), outside]
    path = draw_findings(records, check(records), SKELETON, tmp_path, 4)
    drawn = cv2.imread(str(path))
    assert drawn.shape[1] < 400, "one record can be drawn"
    text, panel = drawn[:100].min(axis=-1), drawn[110:]
    assert (text < 99).sum() > 200
    # the photograph is black, its surroundings grey, and dots stand also outside of it
    grey_and_dots = panel[:, : panel.shape[1] // 3]
    assert (np.ptp(grey_and_dots.astype(int), axis=-1) > 60).sum() > 20


def test_the_place_that_training_takes(picture, tmp_path):
    """A square of the height around the center, in the panel's scale."""
    records = [record(picture, height=7.0)]
    drawn = cv2.imread(str(draw_findings(records, check(records), SKELETON, tmp_path, 4)))
    rows, columns = np.nonzero((drawn == (255, 0, 255)).all(axis=-1))
    pixel = 360 / (80 * 1.2)
    assert abs(np.ptp(rows) - 7 * pixel) < 5 and abs(np.ptp(columns) - 7 * pixel) < 5


def test_people_are_numbered(picture, tmp_path):
    one = record(picture)
    white = []
    for count in (2, 3):
        records = [dataclasses.replace(one, people=one.people * count)]
        path = draw_findings(records, check(records), SKELETON, tmp_path, 4)
        white.append((cv2.imread(str(path))[106:] == 255).all(axis=-1).sum())
    assert 150 < white[1] - white[0] < 320


def test_each_kind_in_turn(picture, tmp_path):
    records = [record(picture, POINTS + 3 * i, height=2.0) for i in range(3)]
    records.append(record(picture, POINTS - 900))
    findings = check(records)
    sheets = [
        cv2.imread(str(draw_findings(records, chosen, SKELETON, tmp_path, 2)))
        for chosen in (findings, [findings[0], findings[-1]])
    ]
    np.testing.assert_array_equal(*sheets)


def test_nothing_to_draw(tmp_path):
    records = [record(str(tmp_path / "absent.png"))]
    assert draw_findings(records, check(records), SKELETON, tmp_path, 4) is None
    assert not (tmp_path / "findings.png").exists()
