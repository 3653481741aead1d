"""Written COCO keypoints are read again as they were."""

import dataclasses
import json

import numpy as np
import pytest

import keras_cpm
from keras_cpm.data.formats.coco import coco_skeleton, load_coco
from keras_cpm.data.formats.coco_writer import coco_results


@pytest.mark.parametrize("figure", [keras_cpm.PERSON, keras_cpm.QUADRUPED, keras_cpm.HAND])
def test_what_is_written_is_read_again(tmp_path, figure):
    drawn = keras_cpm.draw_records(tmp_path / "pictures", 4, figure=figure, others=0)
    folder = keras_cpm.write_coco(drawn, tmp_path / "labels/all.json", category="thing")
    assert coco_skeleton(tmp_path / "labels/all.json") == figure.skeleton
    for before, after in zip(drawn, load_coco(tmp_path / "labels/all.json", folder), strict=True):
        assert (after.image, after.size, after.parts) == (before.image, before.size, before.parts)
        (old, *_), (new, *_) = before.people, after.people
        assert new.visible.tolist() == old.visible.tolist()
        np.testing.assert_allclose(new.keypoints[new.labelled], old.keypoints[old.labelled])
        np.testing.assert_allclose(new.box, old.box)


def test_two_people_of_one_photograph_share_it(tmp_path):
    (record,) = keras_cpm.draw_records(tmp_path, 1)
    folder = keras_cpm.write_coco([record, record], tmp_path / "two.json")
    content = json.loads((tmp_path / "two.json").read_text())
    assert len(content["images"]) == 1 and len(content["annotations"]) == 2
    assert len(load_coco(tmp_path / "two.json", folder)) == 2


def test_every_field_of_coco_is_there_as_cvat_demands(tmp_path):
    drawn = keras_cpm.draw_records(tmp_path, 1)
    keras_cpm.write_coco(drawn, tmp_path / "a.json")
    (annotation,) = json.loads((tmp_path / "a.json").read_text())["annotations"]
    names = "id image_id category_id keypoints num_keypoints bbox area iscrowd segmentation"
    assert list(annotation) == names.split() and annotation["segmentation"] == []


def test_datumaro_reads_it(tmp_path, caplog):
    datumaro = pytest.importorskip("datumaro")
    (record,) = keras_cpm.draw_records(tmp_path / "images/train", 1)
    keras_cpm.write_coco([record], tmp_path / "annotations/person_keypoints_train.json")
    (item,) = datumaro.Dataset.import_from(str(tmp_path), "coco_person_keypoints")
    assert not caplog.text  # of missing fields
    (points,) = (one for one in item.annotations if one.type == datumaro.AnnotationType.points)
    (person, *_) = record.people
    found = np.reshape(points.points, (-1, 2))
    np.testing.assert_allclose(
        found, np.where(person.labelled[:, None], person.keypoints, 0), atol=0.01
    )
    assert [int(one) for one in points.visibility] == person.visible.tolist()


def test_records_that_cannot_be_written(tmp_path):
    people = keras_cpm.draw_records(tmp_path / "p", 1)
    hands = keras_cpm.draw_records(tmp_path / "h", 1, figure=keras_cpm.HAND)
    for records in ([], [*people, *hands]):
        with pytest.raises(ValueError, match="all of the same parts"):
            keras_cpm.write_coco(records, tmp_path / "a.json")
    sizeless = [dataclasses.replace(people[0], size=None)]
    with pytest.raises(ValueError, match="`size` of its image"):
        keras_cpm.write_coco(sizeless, tmp_path / "a.json")


def test_results_are_in_the_order_of_coco():
    parts = keras_cpm.CPM14.parts
    points = np.arange(28).reshape(14, 2) + 0.004
    pose = keras_cpm.Pose(points, np.ones(14), parts)
    (one, other) = coco_results({"a/000000000139.jpg": [(pose, 0.8)], "b.1.jpg": [(pose, 0.25)]})
    assert (one["image_id"], one["score"], one["category_id"]) == (139, 0.8, 1)
    assert other["image_id"] == "b.1.jpg"
    triples = np.reshape(one["keypoints"], (17, 3))
    for part, triple in zip(keras_cpm.COCO17.parts, triples.tolist(), strict=True):
        known = part in parts
        assert triple == ([*points[parts.index(part)].round(2), 1] if known else [0, 0, 0])


def test_results_of_another_figure_are_in_its_own_order():
    pose = keras_cpm.Pose(np.array([[3.0, 4.0], [5.0, 6.0]]), np.ones(2), ("fin", "tail"))
    (one,) = coco_results({"7.png": [(pose, 1.0)]}, category_id=3)
    assert one["keypoints"] == [3, 4, 1, 5, 6, 1]
    assert (one["image_id"], one["category_id"]) == (7, 3)
