"""Pictures put together of several people: who is labelled, where, and what is to be learned."""

from pathlib import Path

import cv2
import numpy as np

import keras_cpm
from keras_cpm.data.synthetic.groups import PARTS, draw_groups
from keras_cpm.pose import geometry, multiscale
from keras_cpm.pose.skeleton import skeleton_of

SPEC = keras_cpm.PoseSpec(
    skeleton_of(PARTS), box_size=192, person_height=80.0, part_sigma=10.0, background=False
)


def test_groups_say_who_is_to_be_found(drawn_records, tmp_path):
    spec = SPEC.replace(box_size=96, person_height=40.0)
    found = draw_groups(drawn_records, tmp_path / "a", 12, spec, seed=1)
    again = draw_groups(drawn_records, tmp_path / "b", 12, spec, seed=1)
    for one, other in zip(found, again, strict=True):
        assert Path(one.image).read_bytes() == Path(other.image).read_bytes()
    counts = [sum(bool(p.labelled[0]) for p in record.people) for record in found]
    assert min(counts) == 0 and max(counts) > 1
    for record in found:
        assert record.size == (96, 96) and record.parts == PARTS
        # the picture is the network box
        person = record.people[0]
        matrix = geometry.network_from_image(person.center, person.height, spec)
        np.testing.assert_allclose(matrix, np.eye(3), atol=1e-5)
        for person in record.people:
            assert not person.labelled[0] or (person.keypoints >= 0).all()


def test_the_center_of_a_group_is_that_of_the_person(tmp_path):
    """A photograph with a white dot in its person's centre: the label is the dot."""
    picture = np.zeros((120, 90, 3), np.uint8)
    cv2.circle(picture, (40, 70), 2, (255, 255, 255), -1)
    cv2.imwrite(str(tmp_path / "dot.png"), picture)
    person = keras_cpm.Person([(40, 70)], [2], center=(40, 70), height=80)
    record = keras_cpm.Record(str(tmp_path / "dot.png"), (120, 90), ("center",), (person,))
    checked = 0
    for group in draw_groups([record], tmp_path / "groups", 10, SPEC):
        gray = cv2.imread(group.image, cv2.IMREAD_GRAYSCALE)
        for one in group.people:
            x, y = one.keypoints[0]
            # the picture's edges, and those between two or three people
            edges = np.abs(x - np.array([0, 64, 96, 128, 191])).min()
            if one.labelled[0] and edges > 7 and 7 < y < 184:
                window = gray[round(y) - 7 : round(y) + 8, round(x) - 7 : round(x) + 8].astype(
                    float
                )
                window[window < 128] = 0
                rows, columns = np.mgrid[-7:8, -7:8]
                dx, dy = ((window * axis).sum() / window.sum() for axis in (columns, rows))
                assert abs(round(x) + dx - x) < 0.5 and abs(round(y) + dy - y) < 0.5
                checked += 1
    assert checked > 3


def test_a_person_network_learns_everybody_at_every_stage(drawn_records, tmp_path):
    spec = SPEC.replace(box_size=96, person_height=40.0)
    found = draw_groups(drawn_records, tmp_path, 12, spec, seed=1)
    options = {"stages": 2, "batch_size": 12, "missing": "zero", "center_map": False}
    ((inputs, targets),) = keras_cpm.make_dataset(found, spec, **options)
    assert list(inputs) == ["image"]
    np.testing.assert_array_equal(targets["stage1"], targets["stage2"])
    for record, maps in zip(found, targets["stage2"].numpy(), strict=True):
        peaks, _ = multiscale.find_peaks(maps[..., 0], spec, threshold=0.5)
        labelled = [p.keypoints[0] for p in record.people if p.labelled[0]]
        inside = [p for p in labelled if (np.abs(p - 47.5) < 40).all()]
        for center in inside:
            assert np.linalg.norm(peaks - center, axis=1).min() < 4
        assert labelled or not len(peaks)
