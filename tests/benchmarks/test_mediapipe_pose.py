"""MediaPipe's regions, its heat map and its names, on numbers made by hand; without its model."""

import dataclasses
import zipfile

import numpy as np
import pytest

from benchmarks import mediapipe_pose as bench
from keras_cpm import CPM14, Person, Record, geometry


def record(points, box=None):
    """A record of one person whose parts are those of `points`."""
    keypoints = [points.get(part, (0, 0)) for part in CPM14.parts]
    visible = [2 * (part in points) for part in CPM14.parts]
    return Record("a.jpg", (200, 300), CPM14.parts, (Person(keypoints, visible, box=box),))


# lies with the head to the right: hips about (100, 50), the farthest part 80 from there
LYING = {
    "left_hip": (100, 40),
    "right_hip": (100, 60),
    "left_shoulder": (140, 40),
    "right_shoulder": (140, 60),
    "left_ankle": (20, 50),
}


def in_region(matrix, *points):
    return np.round(geometry.apply(matrix, points).numpy().astype(float), 3).tolist()


def test_the_region_of_a_box_is_a_quarter_larger_and_upright():
    matrix = bench.region_of_box(record(LYING, box=(100, 20, 140, 120)))
    # 125 pixels about (120, 70)
    corners = in_region(matrix, (120, 70), (57.5, 7.5), (182.5, 132.5))
    assert corners == [[128, 128], [0, 0], [256, 256]]


def test_without_a_box_it_is_that_of_the_labels():
    # 120 wide, 1.2 x 1.25 as large: 180 pixels about (80, 50)
    assert in_region(bench.region_of_box(record(LYING)), (80, 50), (-10, -40)) == [
        [128, 128],
        [0, 0],
    ]


def test_the_region_of_labels_stands_the_body_upright():
    matrix = bench.region_of_labels(record(LYING))
    # half a side is 1.25 x 80: the head's side is up, and the ankle 80 below the hips
    assert in_region(matrix, (100, 50), (200, 50), (20, 50), (100, 150)) == [
        [128, 128],
        [128, 0],
        [128, 230.4],
        [256, 128],
    ]
    half = {part: point for part, point in LYING.items() if part != "left_hip"}
    box = (100, 20, 140, 120)
    matrices = (bench.region_of_labels(record(half, box)), bench.region_of_box(record(half, box)))
    np.testing.assert_array_equal(*matrices)


def test_the_names_of_landmarks():
    numbers = {"left_shoulder": 11, "right_shoulder": 12, "right_wrist": 16, "left_hip": 23}
    assert numbers.items() <= bench.LANDMARKS.items()
    assert len(set(bench.LANDMARKS.values())) == len(bench.LANDMARKS) == 12
    assert set(bench.LANDMARKS) == set(CPM14.parts) - {"head", "neck"}


def test_a_landmark_is_drawn_to_the_sure_cells_around_it():
    heat = np.full((64, 64, 4), -50.0)
    # 12 cells of 4 pixels: two of them sure, a third unsure, one out of reach, one outside
    heat[12, 11, 0] = heat[14, 11, 0] = 50
    heat[12, 12, 1] = -1
    heat[12, 16, 2] = 50
    points = np.array([[50, 50], [50, 50], [50, 50], [-3, 300]], float)
    expected = [[44, 52], [50, 50], [50, 50], [-3, 300]]
    np.testing.assert_allclose(bench.refined(points, heat), expected, atol=1e-9)


def test_each_person_is_a_case_once():
    first = record(LYING, (0, 0, 50, 50)).people[0]
    other = dataclasses.replace(first, keypoints=first.keypoints + 9)
    nowhere = dataclasses.replace(first, keypoints=first.keypoints + 3, box=None)
    crowd = dataclasses.replace(record(LYING), people=(first, other, nowhere))
    turned = dataclasses.replace(crowd, people=(other, first))
    assert bench.cases_of([crowd, turned], everybody=False) == [crowd, turned]
    cases = bench.cases_of([crowd, turned], everybody=True)
    assert [case.people[0] for case in cases] == [first, other]
    assert [len(case.people) for case in cases] == [3, 3]


def test_one_table_by_torso_and_head(capsys):
    standing = record(LYING | {"head": (180, 50), "neck": (150, 50)})
    names = list(bench.LANDMARKS)
    truth = np.array([[LYING.get(name, (0, 0)) for name in names]], float)
    far = truth.copy()
    # of the torso, 44.7, a fifth is 8.9, and of the head, 30, the half is 15
    far[0, names.index("left_ankle"), 0] += 12
    bench.print_scores({"right": truth, "far": far}, [standing])
    assert [line.split() for line in capsys.readouterr().out.splitlines()[1:]] == [
        ["right", "100.00", "100.00"],
        ["far", "80.00", "100.00"],
    ]
    bench.print_scores({"right": truth}, [record(LYING)])
    assert capsys.readouterr().out.split()[-2:] == ["100.00", "-"]


@pytest.mark.parametrize("packed", [True, False])
def test_the_model_is_read_from_the_wheel_or_by_itself(tmp_path, packed):
    path = tmp_path / ("mediapipe-0-any.whl" if packed else "pose_landmark_full.tflite")
    if packed:
        with zipfile.ZipFile(path, "w") as wheel:
            wheel.writestr("mediapipe/modules/pose_landmark/pose_landmark_full.tflite", b"model")
    else:
        path.write_bytes(b"model")
    assert bench.model_of(path) == b"model"
