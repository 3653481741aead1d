"""`keras-cpm prepare`: every data set to records that the other commands take."""

import json

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from scipy.io import savemat

import keras_cpm
from keras_cpm.cli.main import main
from keras_cpm.data.photographs import upright_size
from keras_cpm.data.placement import where_is
from keras_cpm.pose import arithmetic
from tests.cli import running
from tests.cli.running import TRAIN, failure

FISH = ["mouth", "left fin", "right fin"]


def run(*words):
    return CliRunner().invoke(main, [str(word) for word in words])


@pytest.fixture
def coco_file(tmp_path):
    """Two fish in one photograph, one in another, labelled in a COCO tool."""
    images = [
        {"id": i, "file_name": f"{name}.png", "height": 96, "width": 128}
        for i, name in enumerate("ab")
    ]
    for i, image in enumerate(images):
        picture = np.full((96, 128, 3), 90 + 20 * i, np.uint8)
        cv2.imwrite(str(tmp_path / image["file_name"]), picture)
    annotations = [
        {
            "id": i,
            "image_id": image,
            "category_id": 3,
            "bbox": [x, 20, 40, 30],
            "keypoints": [x + 5, 30, 2, x + 20, 25, 1, x + 21, 45, 2],
        }
        for i, (image, x) in enumerate([(0, 10), (0, 70), (1, 40)])
    ]
    category = {"id": 3, "name": "fish", "keypoints": FISH, "skeleton": [[1, 2], [1, 3]]}
    path = tmp_path / "fish.json"
    content = {"images": images, "annotations": annotations, "categories": [category]}
    path.write_text(json.dumps(content))
    return path


@pytest.mark.slow
def test_coco_keypoints_of_any_figure(coco_file, tmp_path):
    out = tmp_path / "fish.jsonl"
    result = run("prepare", "coco", coco_file, out)
    assert result.exit_code == 0 and "3 records" in result.output, result.output
    records = keras_cpm.read_records(out)
    assert records[0].parts == tuple(FISH) and len(records[0].people) == 2
    # limbs and mirror pairs travel beside
    skeleton = keras_cpm.Skeleton.load(tmp_path / "fish.skeleton.json")
    assert skeleton.limbs == (("mouth", "left fin"), ("mouth", "right fin"))
    assert {frozenset(pair) for pair in skeleton.flip_pairs} == {frozenset(FISH[1:])}
    result = run("check-data", out)
    assert result.exit_code == 0, result.output
    words = ("train", out, "--out", tmp_path / "bundle", "--box-size", 64, "--width", 8)
    result = run(*words, "--skeleton", tmp_path / "fish.skeleton.json", "--epochs", 1)
    assert result.exit_code == 0, result.output
    assert keras_cpm.load(tmp_path / "bundle")[1].skeleton == skeleton


def test_a_skeleton_file_that_is_none(coco_file, tmp_path):
    run("prepare", "coco", coco_file, tmp_path / "fish.jsonl")
    words = ("train", tmp_path / "fish.jsonl", "--out", tmp_path / "b", "--skeleton")
    result = run(*words, coco_file)
    assert result.exit_code == 1 and "must hold a skeleton" in result.output
    result = run(*words, tmp_path / "nowhere.json")
    assert result.exit_code == 1 and "There is no skeleton at" in result.output


def test_records_of_the_release(tmp_path):
    fields = {
        "dataset": "MPI",
        "isValidation": 1,
        "img_paths": "a.jpg",
        "img_width": 128,
        "img_height": 96,
        "objpos": [60, 50],
        "joint_self": [[20 + i, 30, 1] for i in range(16)],
        "scale_provided": 0.4,
        "joint_others": [],
        "scale_provided_other": [],
        "objpos_other": [],
        "annolist_index": 1,
        "people_index": 1,
        "numOtherPeople": 0,
    }
    path = tmp_path / "MPI_annotations.json"
    path.write_text(json.dumps([fields, fields | {"isValidation": 0}]))
    out = tmp_path / "out" / "people.jsonl"
    result = run("prepare", "release", path, out, "--split", "validation", "--images", tmp_path)
    assert result.exit_code == 0 and "1 records" in result.output, result.output
    (record,) = keras_cpm.read_records(out)
    assert record.image == str(tmp_path / "a.jpg")
    assert record.people[0].center == (59.0, 49.0) and record.people[0].height == 80.0


@pytest.mark.parametrize(
    ("dataset", "needs"),
    [
        ("lsp", "joints.mat"),
        ("flic", "examples.mat"),
        ("mpii", ".mat"),
        ("coco", "no"),
        ("release", "no"),
    ],
)
def test_a_data_set_that_is_not_there(tmp_path, dataset, needs):
    result = run("prepare", dataset, tmp_path / "nowhere", tmp_path / "out.jsonl")
    assert result.exit_code == 1 and needs in result.output and "Traceback" not in result.output
    assert not (tmp_path / "out.jsonl").exists()


def test_first_and_last_beyond_the_end(tmp_path):
    words = ("prepare", "synthetic", tmp_path / "drawn", tmp_path / "o.jsonl", "--count", 2)
    result = run(*words, "--first", 3)
    assert result.exit_code == 1 and "--first 3" in result.output


def test_whose_left_and_right(tmp_path):
    joints = np.random.default_rng(0).uniform(1, 99, (3, 14, 2000))
    joints[2] = 0
    (tmp_path / "lsp_dataset").mkdir()
    savemat(tmp_path / "lsp_dataset/joints.mat", {"joints": joints})
    savemat(tmp_path / "seen.mat", {"joints": joints[:, keras_cpm.LSP14.flip_permutation]})
    words = ("prepare", "lsp", tmp_path, tmp_path / "o.jsonl", "--last", 2)
    assert run(*words).exit_code == 0
    persons = keras_cpm.read_records(tmp_path / "o.jsonl")[0]
    assert run(*words, "--sides", "person").exit_code == 0
    again = keras_cpm.read_records(tmp_path / "o.jsonl")[0]
    assert again.to_dict() == persons.to_dict() and persons.attributes == {"index": 1}
    assert "LSP-joints-OC.mat" in failure(*words, "--sides", "observer")
    words += ("--sides", "observer", "--observer-labels", tmp_path / "seen.mat")
    assert run(*words).exit_code == 0
    seen = keras_cpm.read_records(tmp_path / "o.jsonl")[0]
    order = list(keras_cpm.LSP14.flip_permutation)
    assert seen.people[0].keypoints.tolist() == persons.people[0].keypoints[order].tolist()
    assert seen.attributes == {"index": 1, "sides": "differ"}
    words = ("prepare", "lsp", tmp_path, tmp_path / "seen.mat", *words[-4:])
    assert "which this command reads" in failure(*words, code=2)


def test_people_may_be_said_to_fill_their_photographs(tmp_path):
    words = ("prepare", "synthetic", tmp_path / "drawn", tmp_path / "o.jsonl", "--count", 4)
    assert run(*words).exit_code == 0
    placed = keras_cpm.read_records(tmp_path / "o.jsonl")
    assert run(*words, "--fill").exit_code == 0
    filling = keras_cpm.read_records(tmp_path / "o.jsonl")
    for before, after in zip(placed, filling, strict=True):
        first, *others = after.people
        assert (first.center, first.height, first.box) == (None, None, None)
        assert first.keypoints.tolist() == before.people[0].keypoints.tolist()
        assert len(others) == len(before.people) - 1
        assert all(other.box for other in others)
        assert where_is(after)[1] != where_is(before)[1]


def test_it_keeps_a_range(tmp_path):
    words = ("prepare", "synthetic", tmp_path, tmp_path / "a.jsonl", "--count", 5)
    assert run(*words, "--first", 2, "--last", 3).exit_code == 0
    kept = keras_cpm.read_records(tmp_path / "a.jsonl")
    assert [record.image[-6:] for record in kept] == ["01.jpg", "02.jpg"]


@pytest.mark.slow
def test_it_draws_hands_that_train(tmp_path):
    words = ("prepare", "synthetic", tmp_path, tmp_path / "h.jsonl", "--count", 4)
    assert run(*words, "--figure", "hand").exit_code == 0
    assert run("train", tmp_path / "h.jsonl", "--out", tmp_path / "bundle", *TRAIN).exit_code == 0
    assert keras_cpm.load(tmp_path / "bundle")[1].skeleton == keras_cpm.HAND21


def test_a_data_set_is_looked_for_in_its_folder(tmp_path):
    assert "lsp_dataset" in failure("prepare", "lsp", tmp_path, tmp_path / "o.jsonl")


def test_what_a_coco_file_costs_is_said(coco_file, tmp_path):
    content = json.loads(coco_file.read_text())
    content["categories"][0]["skeleton"] = [[0, 1], [0, 2]]
    first, second, third = content["annotations"]
    first["category_id"], second["iscrowd"], third["keypoints"] = "3", "1", []
    coco_file.write_text(json.dumps(content))
    result = run("prepare", "coco", coco_file, tmp_path / "fish.jsonl")
    assert result.exit_code == 0 and "1 records in" in result.output
    assert (
        f"{coco_file}: 1 annotations are read; left out: 1 of a crowd (`iscrowd`), 1 without a "
        "labelled part.\n"
    ) in result.stderr
    assert f"{coco_file}: `skeleton` counts the keypoints from 0 and is read so" in result.stderr
    assert result.stderr.count(str(coco_file)) == 2
    skeleton = keras_cpm.Skeleton.load(tmp_path / "fish.skeleton.json")
    assert skeleton.limbs == (("mouth", "left fin"), ("mouth", "right fin"))


def test_people_are_held_out(people, tmp_path):
    out = tmp_path / "fit.jsonl"
    said = run("prepare", "records", people, out, "--hold-out", 2).output
    assert "2 records in" in said and "fit.held.jsonl" in said
    held, fit = (
        keras_cpm.read_records(tmp_path / name) for name in ("fit.held.jsonl", "fit.jsonl")
    )
    assert len(held) == 2
    everybody = {record.image for record in keras_cpm.read_records(people)}
    assert {record.image for record in (*held, *fit)} == everybody
    assert not {r.image for r in held} & {r.image for r in fit}
    # neither file is one that is read
    (tmp_path / "a.held.jsonl").write_bytes(people.read_bytes())
    source = tmp_path / "a.held.jsonl"
    said = failure("prepare", "records", source, tmp_path / "a.jsonl", "--hold-out", 2, code=2)
    assert "a.held.jsonl, which this command reads" in said


def test_tensorflow_is_not_imported(people, tmp_path):
    out = tmp_path / "some.jsonl"
    assert running.imported_by("prepare", "records", people, out, "--hold-out", 2) == ""
    assert running.imported_by("check-data", out) == ""


def test_sizes_are_the_same_where_numpy_reads_them(tmp_path):
    """Of headers, of photographs that are decoded for it, and of turned ones."""
    records = keras_cpm.draw_records(tmp_path, 1, image_size=(60, 96))
    names = [f"photograph.{end}" for end in ("jpg", "png", "bmp", "gif", "webp")]
    with Image.open(records[0].image) as photograph:
        turned = photograph.getexif()
        turned[0x0112] = 6
        for name in names:
            photograph.save(tmp_path / name)
        photograph.save(tmp_path / "turned.jpg", exif=turned)
    with arithmetic.by_numpy():
        sizes = [upright_size(str(tmp_path / name)) for name in (*names, "turned.jpg")]
    assert sizes == [(60, 96)] * len(names) + [(96, 60)]
