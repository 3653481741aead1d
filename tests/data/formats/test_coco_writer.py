"""Written COCO keypoints are read again as they were."""

import dataclasses
import json

import numpy as np
import pytest

import keras_cpm
from keras_cpm.data.formats.coco import coco_skeleton, load_coco


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


def test_records_that_cannot_be_written(tmp_path):
    people = keras_cpm.draw_records(tmp_path / "p", 1)
    hands = keras_cpm.draw_records(tmp_path / "h", 1, figure=keras_cpm.HAND)
    for records in ([], [*people, *hands]):
        with pytest.raises(ValueError, match="all of the same parts"):
            keras_cpm.write_coco(records, tmp_path / "a.json")
    sizeless = [dataclasses.replace(people[0], size=None)]
    with pytest.raises(ValueError, match="`size` of its image"):
        keras_cpm.write_coco(sizeless, tmp_path / "a.json")
