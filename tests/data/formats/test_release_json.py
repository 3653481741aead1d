"""The release's JSON records, as genJSON.m and jsonlab write them."""

import json

import numpy as np
import pytest

from keras_cpm import FLIC9, MPII16
from keras_cpm.data.formats.release_json import load_release
from tests.data.mutations import mutated

RANK, RKNE, PELVIS, HEAD, LWRI = 0, 1, 6, 9, 15


def rows(labels, count=16):
    """Rows x, y, flag; zeros where genJSON.m has padded."""
    return [list(labels.get(part, (0, 0, 0))) for part in range(count)]


SELF = rows({RANK: (1, 1, 1), RKNE: (128, 96, 0), HEAD: (50.5, 60, 1)})
# The labels of others end with the last annotated part: not padded in genJSON.m.
OTHER = rows({RANK: (21, 22, 0), HEAD: (31, 32, 1)}, count=10)


def record(**changes):
    return {
        "dataset": "MPI",
        "isValidation": 0.0,
        "img_paths": "1.jpg",
        "img_width": 128.0,
        "img_height": 96.0,
        "objpos": [61, 41.5],
        "joint_self": SELF,
        "scale_provided": 1.25,
        "joint_others": None,
        "scale_provided_other": None,
        "objpos_other": None,
        "annolist_index": 5.0,
        "people_index": 2.0,
        "numOtherPeople": 0.0,
    } | changes


@pytest.fixture
def write(tmp_path):
    def write(content):
        path = tmp_path / "annotations.json"
        path.write_text(json.dumps(content), encoding="utf-8")
        return path

    return write


def test_a_record_of_mpii(write, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (found,) = load_release(write({"root": [record()]}), "images")
    assert found.image == str(tmp_path / "images/1.jpg") and found.size == (96, 128)
    assert found.parts == MPII16.parts and found.dataset == "mpii" and found.split == "train"
    assert found.attributes == {"annolist_index": 5, "people_index": 2}
    (person,) = found.people
    assert person.center == (60, 40.5) and person.height == 250
    assert person.keypoints[HEAD].tolist() == [49.5, 59]
    assert [i for i, v in enumerate(person.visible) if v] == [RANK, RKNE, HEAD]


def test_a_list_a_root_and_a_single_record(write, tmp_path):
    for content in ([record()], {"root": [record()]}, {"root": record()}):
        assert len(load_release(write(content), tmp_path)) == 1


@pytest.mark.parametrize(
    "x, y, flag, visible",
    [
        (1, 1, 1, 2),
        (1, 1, 0, 1),
        (128.9, 96.9, 1, 2),
        (0, 0, 1, 0),
        (0.9, 50, 1, 0),
        (50, 0.9, 1, 0),
        (129, 50, 0, 0),
        (50, 97, 1, 0),
        (-37.5, -12, 0, 0),
    ],
)
def test_what_lies_in_the_photograph_is_labelled(write, tmp_path, x, y, flag, visible):
    path = write([record(joint_self=rows({PELVIS: (x, y, flag)}))])
    person = load_release(path, tmp_path)[0].people[0]
    assert person.visible[PELVIS] == visible and person.labelled.sum() == (visible > 0)


ONE = {"joint_others": OTHER, "objpos_other": [81, 71], "scale_provided_other": 2.5}
WRAPPED = {"joint_others": [OTHER], "objpos_other": [[81, 71]], "scale_provided_other": [2.5]}


@pytest.mark.parametrize("others", [ONE, WRAPPED])
def test_one_other_person(write, tmp_path, others):
    (found,) = load_release(write([record(**others, numOtherPeople=1)]), tmp_path)
    _, other = found.people
    assert other.center == (80, 70) and other.height == 500
    assert other.keypoints[HEAD].tolist() == [30, 31] and other.keypoints[RANK].tolist() == [20, 21]
    assert other.visible.tolist() == [1] + [0] * 8 + [2] + [0] * 6


def test_several_other_people(write, tmp_path):
    others = {
        # one with the first part only: a row
        "joint_others": [OTHER, [11, 12, 1], SELF],
        "objpos_other": [[81, 71], [82, 72], [83, 73]],
        "scale_provided_other": [1, 2, 3],
    }
    (found,) = load_release(write([record(**others, numOtherPeople=3)]), tmp_path)
    assert [p.center for p in found.people] == [(60, 40.5), (80, 70), (81, 71), (82, 72)]
    assert [p.height for p in found.people] == [250, 200, 400, 600]
    assert [int(p.labelled.sum()) for p in found.people] == [3, 2, 1, 3]
    assert found.people[2].keypoints[RANK].tolist() == [10, 11]


@pytest.mark.parametrize("empty", [None, [], {"_ArrayType_": "double", "_ArraySize_": [0, 0]}])
def test_nobody_else(write, tmp_path, empty):
    fields = dict.fromkeys(ONE, empty)
    assert len(load_release(write([record(**fields)]), tmp_path)[0].people) == 1
    fields = {name: value for name, value in record().items() if name not in ONE}
    assert len(load_release(write([fields]), tmp_path)[0].people) == 1


def test_flic_and_leeds(write, tmp_path):
    flic = record(
        dataset="FLIC", joint_self=rows({8: (5, 6, 1)}, count=9), img_paths="images/a.jpg"
    )
    leeds = record(dataset="LEEDS", img_paths="lsp_dataset/images/im0001.jpg")
    first, second = load_release(write([flic, leeds]), tmp_path)
    assert first.parts == FLIC9.parts and first.dataset == "flic"
    assert first.people[0].keypoints[FLIC9.index("nose")].tolist() == [4, 5]
    assert first.image == str(tmp_path / "images/a.jpg")
    assert second.parts == MPII16.parts and second.dataset == "lsp"
    assert second.image == str(tmp_path / "lsp_dataset/images/im0001.jpg")


def test_the_splits(write, tmp_path):
    path = write([record(), record(isValidation=1.0), record()])
    assert [r.split for r in load_release(path, tmp_path)] == ["train", "validation", "train"]
    assert len(load_release(path, tmp_path, split="train")) == 2
    assert [r.split for r in load_release(path, tmp_path, split="validation")] == ["validation"]
    with pytest.raises(ValueError, match=r"`split` must be one of .*Received: split='test'"):
        load_release(path, tmp_path, split="test")


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"joint_self": SELF[:14]}, "must have 16 rows, or 9 for FLIC; .*Received: 14 rows"),
        ({"joint_self": [[1, 2]] * 16}, "reshape"),
        ({"objpos": [1]}, "`center` must be 2 numbers"),
        ({"objpos": ["_NaN_", 1]}, "could not convert"),
        ({"scale_provided": 0}, "`height` must be a positive number"),
        (
            {"numOtherPeople": 2, **ONE},
            "must be lists of as many people .*Received: numOtherPeople=2",
        ),
        ({"img_paths": []}, r"`img_paths` must be a path within .*Received: img_paths=\[\]"),
        ({"img_paths": "../../etc/a.jpg"}, "`img_paths` must be a path within the folder"),
        ({"img_paths": "/etc/a.jpg"}, "`img_paths` must be a path within the folder"),
        ({"img_width": 0}, "`size` must be"),
    ],
)
def test_other_records_are_refused(write, tmp_path, changes, message):
    path = write([record(), record(**changes)])
    with pytest.raises(ValueError, match=f"annotations.json, record 2: .*{message}"):
        load_release(path, tmp_path)


@pytest.mark.parametrize("name", ["objpos", "numOtherPeople", "people_index", "img_height"])
def test_a_missing_field_is_named(write, tmp_path, name):
    fields = {key: value for key, value in record().items() if key != name}
    with pytest.raises(ValueError, match=f"record 1: needs the field '{name}'; write the file"):
        load_release(write([fields]), tmp_path)


def test_other_files_are_refused(write, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none.json; genJSON.m writes it"):
        load_release(tmp_path / "none.json", tmp_path)
    for content in ({"images": []}, [[1]], "text"):
        with pytest.raises(ValueError, match=r"annotations.json must hold a list of records"):
            load_release(write(content), tmp_path)
    path = write([])
    path.write_text("{")
    with pytest.raises(ValueError, match=r"annotations.json is no JSON file"):
        load_release(path, tmp_path)


def test_a_mutated_file_is_read_or_refused_in_one_sentence(write, tmp_path):
    group = record(
        numOtherPeople=1.0,
        joint_others=OTHER,
        scale_provided_other=1.5,
        objpos_other=[21.0, 22.0],
    )
    path, outcomes = write({"root": [record(), group]}), []
    content = json.loads(path.read_text())
    for seed in range(100):
        path.write_text(mutated(content, seed))
        try:
            records = load_release(path, tmp_path)
        except ValueError as error:
            assert str(path) in str(error) and len(str(error)) < 2000
            outcomes.append("refused")
            continue
        outcomes.append("read")
        for found in records:
            assert all(np.isfinite(person.keypoints).all() for person in found.people)
    assert outcomes.count("read") >= 15 and outcomes.count("refused") >= 15
