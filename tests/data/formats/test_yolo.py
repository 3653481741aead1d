"""YOLO pose: what sleap-io writes, and the layouts of Ultralytics and Roboflow."""

import json
import sys

import numpy as np
import pytest

from keras_cpm import COCO17, labels_skeleton, load_labels
from tests.data.formats.tools import PARTS, assert_same, make_labels, sio, write_photographs


def test_what_sleap_io_writes(tmp_path):
    images = write_photographs(tmp_path / "mice")
    labels = make_labels(sio.Video.from_filename([str(path) for path in images]))
    sio.save_ultralytics(labels, str(tmp_path / "yolo"), split_ratios={"train": 1.0}, verbose=False)
    for path in (tmp_path / "yolo", tmp_path / "yolo/data.yaml"):
        records = load_labels(path)
        assert_same(records)
        assert {(r.split, r.dataset) for r in records} == {("train", "yolo")}
    skeleton = labels_skeleton(path)
    assert skeleton.parts == PARTS and skeleton.limbs[0] == ("snout", "ear_left")
    # its flip_idx leaves everything where it is; the names know better
    assert skeleton.flip_pairs == (("ear_right", "ear_left"),)


LINE = "0 0.5 0.5 0.4 0.2  0.25 0.5 2  0.5 0.25 1.0  0 0 0"


@pytest.fixture
def project(tmp_path):
    """images/train beside labels/train, as Ultralytics' own examples."""
    for split in ("train", "val"):
        write_photographs(tmp_path / "set/images" / split, 1)
        folder = tmp_path / "set/labels" / split
        folder.mkdir(parents=True)
        (folder / "img000.txt").write_text(LINE + "\n\n")
    return tmp_path / "set"


def write_yaml(project, **changes):
    content = {
        "path": "set",
        **{"train": "images/train", "val": "images/val", "test": None},
        **{"kpt_shape": [3, 3], "flip_idx": [0, 2, 1], "names": {0: "fish"}},
    }
    path = project.parent / "fish.yaml"
    path.write_text(json.dumps(content | changes))  # JSON is YAML
    return path


def test_boxes_occlusion_mirror_pairs_and_splits(project):
    path = write_yaml(project)
    train, validation = load_labels(path)
    assert (train.split, validation.split) == ("train", "validation")
    assert train.image == str(project / "images/train/img000.png")
    (person,) = train.people
    assert person.visible.tolist() == [2, 1, 0]
    np.testing.assert_allclose(person.keypoints[:2], [[25, 30], [50, 15]])
    np.testing.assert_allclose(person.box, [30, 24, 70, 36])
    assert [r.split for r in load_labels(path, split="validation")] == ["validation"]
    skeleton = labels_skeleton(path)
    assert skeleton.parts == ("point_0", "point_1", "point_2") and skeleton.name == "fish"
    assert skeleton.flip_pairs == (("point_1", "point_2"),)
    named = write_yaml(project, kpt_names={0: ["mouth", "fin_r", "fin_l"]})
    assert labels_skeleton(named).parts == ("mouth", "fin_r", "fin_l")
    coco = write_yaml(project, kpt_shape=[17, 3], flip_idx=list(COCO17.flip_permutation))
    assert labels_skeleton(coco) == COCO17


def test_other_layouts(project):
    (record,) = load_labels(write_yaml(project, path=None, train="../set/images/train", val=None))
    assert record.image.endswith("set/images/train/img000.png")
    (project / "list.txt").write_text("./images/val/img000.png\n")
    (record,) = load_labels(write_yaml(project, train="list.txt", val=None))
    assert record.image.endswith("set/images/val/img000.png")
    (record,) = load_labels(write_yaml(project, path="gone"), images=project, split="train")
    (project / "labels/train/img000.txt").write_text("0 .5 .5 .4 .2  .25 .5  0 0  .5 .25\n")
    (record,) = load_labels(write_yaml(project, kpt_shape=[3, 2]), split="train")
    assert record.people[0].visible.tolist() == [2, 0, 2]


def test_splits_that_nobody_made_are_left_out_and_comments_passed_over(project):
    path = write_yaml(project, test="images/test", val="images/none")
    (project / "labels/train/img000.txt").write_text(f"# class x y ...\n{LINE}\n")
    with pytest.warns(UserWarning) as said:
        (record,) = load_labels(path)
    assert record.split == "train" and record.people[0].visible.tolist() == [2, 1, 0]
    assert [str(one.message).partition(" of ")[0] for one in said] == [
        "validation is left out: There is no images/none",
        "test is left out: There is no images/test",
    ]
    with pytest.raises(FileNotFoundError, match=r"There is no images/test of .*`images`"):
        load_labels(path, split="test")


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"kpt_shape": [3]}, r"fish.yaml: `kpt_shape` must be \[parts, 2\]"),
        ({"kpt_shape": ["a", 3]}, "`kpt_shape` must be .* Received: .'a', 3"),
        ({"flip_idx": [1, 2, 0]}, "`flip_idx` must hold the mirror image"),
        ({"flip_idx": ["x", 1, 2]}, "`flip_idx` must hold the mirror image"),
        ({"skeleton": [[1, 3]]}, "`skeleton` must hold pairs of numbers of the 3 parts, from 0"),
        ({"skeleton": 7}, "`skeleton` must hold pairs"),
        ({"kpt_names": ["a"]}, "`kpt_names` must be 3 names"),
        ({"kpt_shape": [4, 3], "flip_idx": None}, r"img000.txt, line 1: a figure is 17 numbers"),
        ({"train": "images/none"}, "There is no images/none of .*`images`"),
        ({"train": None, "val": None}, "`split` must be one that it has"),
    ],
)
def test_what_is_wrong_is_said(project, changes, words):
    with pytest.raises((ValueError, FileNotFoundError), match=words):
        load_labels(write_yaml(project, **changes))


def test_a_split_that_is_not_there_and_a_flag_that_is_none(project):
    path = write_yaml(project)
    with pytest.raises(ValueError, match=r"`split` must be one .*'validation'.*split='test'"):
        load_labels(path, split="test")
    (project / "labels/train/img000.txt").write_text(LINE.replace("1.0", "3"))
    with pytest.raises(ValueError, match=r"line 1: visible must be 0, 1 or 2"):
        load_labels(path)


def test_no_yaml_and_none_of_ours(tmp_path, monkeypatch):
    path = tmp_path / "data.yaml"
    for text, words in (("a: [", "is no YAML file"), ("- 1", "must hold names and values")):
        path.write_text(text)
        with pytest.raises(ValueError, match=words):
            load_labels(path)
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(ImportError, match=r"pip install 'keras-cpm\[labels\]'"):
        load_labels(path)
