"""Small labels that sleap-io makes, as people have them in their tools."""

import cv2
import numpy as np
import pytest

sio = pytest.importorskip("sleap_io")

PARTS = ("snout", "ear_left", "ear_right", "tail")
MISSING = (np.nan, np.nan)
# two animals in the first photograph, one in the second, whose ear nobody labelled
ANIMALS = [
    [
        [(10.25, 20.5), (14.0, 15.75), (14.5, 24.25), (50.125, 30.0)],
        [(60.5, 40.0), (64.0, 35.5), (64.25, 44.0), (90.0, 50.875)],
    ],
    [[(12.0, 22.5), (16.0, 17.25), MISSING, (55.5, 33.0)]],
]
SIZE = (60, 100)


def write_photographs(folder, count=2):
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"img{number:03d}.png" for number in range(count)]
    for number, path in enumerate(paths):
        cv2.imwrite(str(path), np.full((*SIZE, 3), (200, 90 + number, 10), np.uint8))
    return paths


def make_labels(video, figures=ANIMALS, symmetries=(("ear_left", "ear_right"),)):
    skeleton = sio.Skeleton(
        nodes=list(PARTS),
        edges=[("snout", "ear_left"), ("snout", "ear_right"), ("snout", "tail")],
        symmetries=list(symmetries),
        name="mouse",
    )
    frames = [
        sio.LabeledFrame(
            video=video,
            frame_idx=number,
            instances=[
                sio.Instance.from_numpy(np.array(points, float), skeleton=skeleton)
                for points in people
            ],
        )
        for number, people in enumerate(figures)
    ]
    return sio.Labels(frames)


def assert_same(records, figures=ANIMALS, parts=PARTS, exact=0.01):
    """Each figure is the first of one record, in the order of the file; the rest are its others."""
    expected = [(people, i) for people in figures for i in range(len(people))]
    assert len(records) == len(expected)
    for record, (people, i) in zip(records, expected, strict=True):
        assert set(record.parts) == set(parts) and record.size == SIZE
        order = [people[i], *people[:i], *people[i + 1 :]]
        for person, points in zip(record.people, order, strict=True):
            points = np.array([points[parts.index(part)] for part in record.parts])
            there = np.isfinite(points).all(axis=1)
            assert person.labelled.tolist() == there.tolist()
            np.testing.assert_allclose(person.keypoints[there], points[there], atol=exact)
