"""`read_coco_results`: files of others, also damaged."""

import json

import pytest

import keras_cpm
from keras_cpm.data.formats.coco_results import read_coco_results

PERSON = {"image_id": 7, "category_id": 1, "keypoints": [1.0, 2.0, 1.0] * 2, "score": 0.5}


def read(tmp_path, content):
    path = tmp_path / "results.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return read_coco_results(path)


def test_what_is_read(tmp_path):
    assert read(tmp_path, [PERSON]) == [PERSON]
    # of other tools: text, more than is needed, boxes of all or of some
    text = PERSON | {"image_id": "7", "score": "0.5", "area": 3, "track_id": 1}
    assert read(tmp_path, [text]) == [PERSON]
    boxed = PERSON | {"bbox": [1, 2, 3, 4]}
    assert read(tmp_path, [boxed, boxed])[1]["bbox"] == [1, 2, 3, 4]
    assert read(tmp_path, [PERSON, boxed]) == [PERSON, PERSON]
    assert read(tmp_path, [PERSON | {"category_id": None}])[0]["category_id"] is None


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("[", "is no JSON file"),
        ({"people": []}, "must hold a list of results"),
        ([1], "must hold a list of results"),
        ([], "holds no result"),
        ([PERSON | {"image_id": None}], "result 0: `image_id` must be there"),
        ([PERSON, PERSON | {"image_id": [1]}], "result 1: `image_id` must be a number or a text"),
        ([PERSON | {"keypoints": [1, 2]}], "`keypoints` must be x, y, visible of each part"),
        ([PERSON | {"keypoints": []}], "`keypoints` must be x, y, visible of each part"),
        ([PERSON | {"keypoints": [[1, 2, 1]]}], "`keypoints` must be x, y, visible of each part"),
        ([PERSON | {"keypoints": [None, 2, 1]}], "all of them finite"),
        ([PERSON, PERSON | {"keypoints": [1, 2, 1]}], "as many `keypoints`, here 6 numbers"),
        ([PERSON | {"score": None}], "`score` must be a finite number"),
        ([PERSON | {"score": float("nan")}], "`score` must be a finite number"),
        ([PERSON | {"score": "high"}], "`score` must be a finite number"),
        ([PERSON | {"bbox": [1, 2]}], "`bbox` must be x, y, width, height"),
    ],
)
def test_damaged_ones_are_named(tmp_path, content, sentence):
    with pytest.raises(ValueError, match=sentence) as error:
        read(tmp_path, content)
    assert "results.json" in str(error.value) and "\n" not in str(error.value)


def test_no_file():
    with pytest.raises(FileNotFoundError, match=r"nowhere\.json"):
        keras_cpm.read_coco_results("nowhere.json")
