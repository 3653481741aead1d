"""Label Studio's JSON: its own exports, and what sleap-io writes for it."""

import json

import numpy as np
import pytest

from keras_cpm import labels_skeleton, load_labels
from tests.data.formats.tools import PARTS, assert_same, make_labels, sio, write_photographs


def test_what_sleap_io_writes(tmp_path):
    images = write_photographs(tmp_path / "mice")
    labels = make_labels(sio.Video.from_filename([str(path) for path in images]))
    sio.save_labelstudio(labels, str(tmp_path / "tasks.json"))
    records = load_labels(tmp_path / "tasks.json")
    assert_same(records)
    assert records[0].parts == PARTS and records[0].dataset == "label_studio"
    assert labels_skeleton(tmp_path / "tasks.json").flip_pairs == (("ear_right", "ear_left"),)


def point(name, x, y, key, **more):
    value = {"x": x, "y": y, "width": 0.5, "keypointlabels": [name]}
    size = {"original_width": 100, "original_height": 60, "image_rotation": 0}
    return {"id": key, "type": "keypointlabels", "value": value, **size, **more}


def box(key, x, y, width, height):
    value = {"x": x, "y": y, "width": width, "height": height, "rectanglelabels": ["fish"]}
    return {"id": key, "type": "rectanglelabels", "value": value}


def tie(one, other):
    return {"type": "relation", "from_id": one, "to_id": other, "direction": "right"}


def export(tmp_path, *results, image="/data/upload/1/0a1b2c3d-img000.png", **task):
    write_photographs(tmp_path / "fish", 1)
    path = tmp_path / "fish" / "tasks.json"
    annotations = [{"was_cancelled": True, "result": []}, {"result": list(results)}]
    path.write_text(json.dumps([{"data": {"image": image}, "annotations": annotations, **task}]))
    return path


def test_an_export_of_several(tmp_path):
    """One figure by relations, one by parents, and a rectangle without points; 12 % of 100 pixels
    lie between the pixels 11 and 12.
    """
    path = export(
        tmp_path,
        *(box("A", 10, 20, 30, 50), box("B", 50, 20, 30, 50), box("C", 0, 0, 5, 5)),
        *(point("mouth", 12, 25, "1"), point("tail", 38, 60, "2")),
        *(point("mouth", 52, 25, "3", parentID="B"), point("fin", 60, 50, "4", parentID="B")),
        *(tie("1", "A"), tie("A", "2")),
    )
    first, second = load_labels(path)
    assert first.parts == ("mouth", "tail", "fin") and first.size == (60, 100)
    assert first.image == str(tmp_path / "fish/img000.png")
    assert first.people[0].visible.tolist() == [2, 2, 0]
    assert second.people[0].visible.tolist() == [2, 0, 2] and len(second.people) == 2
    np.testing.assert_allclose(first.people[0].keypoints[:2], [[11.5, 14.5], [37.5, 35.5]])
    np.testing.assert_allclose(first.people[0].box, [9.5, 11.5, 39.5, 41.5])


def test_one_figure_needs_no_ties(tmp_path):
    points = point("mouth", 12, 25, "1"), point("tail", 38, 60, "2")
    (record,) = load_labels(export(tmp_path, *points, image="/data/local-files/?d=a%2Fimg000.png"))
    assert record.people[0].center == (24.5, 25) and record.people[0].box is None
    (record,) = load_labels(export(tmp_path, box("A", 10, 20, 30, 50), *points))
    assert record.people[0].box == (9.5, 11.5, 39.5, 41.5)


@pytest.mark.parametrize(
    "results, more, words",
    [
        (
            [point("mouth", 1, 1, "1"), point("mouth", 9, 9, "2")],
            {},
            r"task 1: two points of one figure are called 'mouth'; draw a rectangle",
        ),
        ([point("mouth", 1, 1, "1", image_rotation=90)], {}, "rotate the file itself"),
        ([box("A", 1, 1, 5, 5)], {}, "has no keypoints"),
        ([{"id": "1", "type": "keypointlabels"}], {}, "task 1 is incomplete .KeyError: 'value'"),
        ([{"type": "relation"}, point("mouth", 1, 1, "1")], {}, "task 1 is incomplete"),
        ([point("mouth", 1, 1, "1")], {"image": "a.mp4"}, "it names no photograph"),
        ([point("mouth", 1, 1, "1")], {"image": "b.png"}, "There is no b.png in .*`images`"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, results, more, words):
    with pytest.raises((ValueError, FileNotFoundError), match=words):
        load_labels(export(tmp_path, *results, **more))


@pytest.mark.parametrize("content", [{}, [1], [{"kp-1": []}], {"annotations": [], "images": []}])
def test_other_json(tmp_path, content):
    path = tmp_path / "a.json"
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"JSON-MIN|no keypoints"):
        load_labels(path)
    path.write_text(json.dumps({"annotations": [], "images": [], "categories": []}))
    with pytest.raises(ValueError, match="`prepare coco` read"):
        load_labels(path)
