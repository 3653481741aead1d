"""`keras-cpm train`: the same bundle as `plan_training` gives in Python, and what it refuses."""

import json
import shutil

import numpy as np
import pytest

import keras_cpm
from tests.cli.running import TRAIN, failure, run

# TRAIN in Python
CHANGES = {"box_size": 64, "width": 8, "stages": 2, "batch_size": 4, "epochs": 1}


def trained_in_python(people, folder, validation=(), **changes):
    plan = keras_cpm.plan_training(people, **changes)
    plan.train(plan.build(), people, validation, directory=folder, verbose=0)


def assert_same_bundle(one, other):
    for name in ("network.json", "spec.json"):
        assert (one / name).read_bytes() == (other / name).read_bytes()
    weights = [keras_cpm.load(folder)[0].get_weights() for folder in (one, other)]
    for ours, theirs in zip(*weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.slow
def test_python_gives_the_same_bundle(model, people, tmp_path):
    records = keras_cpm.read_records(people)
    trained_in_python(records, tmp_path / "b", records, **CHANGES)
    assert_same_bundle(model, tmp_path / "b")


@pytest.mark.slow
def test_python_gives_the_same_bundle_of_another_skeleton(model, tmp_path):
    words = ["--count", 4, "--figure", "quadruped"]
    run("prepare", "synthetic", tmp_path, tmp_path / "q.jsonl", *words)
    words = ["--init", model, "--out", tmp_path / "b", *TRAIN[2:]]
    output = run("train", tmp_path / "q.jsonl", *words)
    assert f"Started from {model}; new layers: " in output and "Mconv6_stage2" in output
    spec = keras_cpm.load(tmp_path / "b")[1]
    assert spec.skeleton == keras_cpm.QUADRUPED17 and spec.box_size == 64
    animals = keras_cpm.read_records(tmp_path / "q.jsonl")
    changes = {name: value for name, value in CHANGES.items() if name != "box_size"}
    trained_in_python(animals, tmp_path / "c", init=model, **changes)
    assert_same_bundle(tmp_path / "b", tmp_path / "c")


@pytest.mark.slow
def test_a_file_of_twice_the_weight_comes_twice_an_epoch(people, tmp_path):
    words = ["--weight", people, 2, "--out", tmp_path / "a", *TRAIN]
    count = len(keras_cpm.read_records(people))
    assert f", {2 * count} people, 0 held out" in run("train", people, *words)
    trained_in_python(2 * keras_cpm.read_records(people), tmp_path / "b", **CHANGES)
    assert_same_bundle(tmp_path / "a", tmp_path / "b")


def test_a_weight_of_another_file(people, tmp_path):
    words = ["--weight", tmp_path / "x.jsonl", 3, "--out", tmp_path / "a", *TRAIN]
    said = failure("train", people, *words)
    assert "--weight must be of files among RECORDS. Received:" in said and "x.jsonl 3" in said


@pytest.mark.slow
def test_python_gives_the_same_bundle_by_the_release_recipe(people, tmp_path):
    words = ["--recipe", "release", "--backbone", "cpm", "--stage-block", "classic"]
    run("train", people, "--out", tmp_path / "b", *TRAIN, *words, "--dropout", 0.5)
    changes = {"recipe": "release", "backbone": "cpm", "stage_block": "classic", "dropout": 0.5}
    trained_in_python(keras_cpm.read_records(people), tmp_path / "c", **CHANGES, **changes)
    assert_same_bundle(tmp_path / "b", tmp_path / "c")


def test_notes_speak_of_flags(model, people):
    """Of a training that has finished already."""
    output = run("train", people, "--validation", people, "--out", model, *TRAIN)
    assert "--part-sigma is 7 pixels, less than a cell" in output and "try 9" in output
    assert "This training has finished; --epochs more than 1 goes on." in output


def test_a_refused_training_leaves_the_folder_as_it_was(model, people, tmp_path):
    shutil.copytree(model, tmp_path / "b")
    before = {path: path.read_bytes() for path in (tmp_path / "b").rglob("*") if path.is_file()}
    words = [*TRAIN[:2], "--width", 16, *TRAIN[4:]]
    message = failure("train", people, "--validation", people, "--out", tmp_path / "b", *words)
    assert "of another model" in message
    after = {path: path.read_bytes() for path in (tmp_path / "b").rglob("*") if path.is_file()}
    assert after == before


@pytest.mark.slow
def test_a_skeleton_of_ones_own_is_mirrored_by_its_names(people, tmp_path):
    parts = ["mouth", "right_fin", "left_fin"]
    lines = []
    for line in people.read_text().splitlines():
        record = json.loads(line) | {"parts": parts}
        record["image"] = str(people.parent / record["image"])
        for person in record["people"]:
            person["keypoints"] = person["keypoints"][:3]
        lines.append(json.dumps(record))
    (tmp_path / "fish.jsonl").write_text("\n".join(lines))
    run("train", tmp_path / "fish.jsonl", "--out", tmp_path / "b", *TRAIN)
    skeleton = keras_cpm.load(tmp_path / "b")[1].skeleton
    assert skeleton.parts == tuple(parts) and skeleton.flip_permutation == (0, 2, 1)
    both = failure("train", people, tmp_path / "fish.jsonl", "--out", tmp_path / "c", *TRAIN)
    assert "--skeleton" in both


def test_wrong_number_of_parts(people, tmp_path):
    record = json.loads(people.read_text().splitlines()[0])
    del record["people"][0]["keypoints"][0]
    (tmp_path / "bad.jsonl").write_text(json.dumps(record))
    assert "13 keypoints" in failure("train", tmp_path / "bad.jsonl", "--out", tmp_path / "b")


def test_a_missing_image(people, tmp_path):
    record = json.loads(people.read_text().splitlines()[0]) | {"image": "gone.jpg"}
    (tmp_path / "bad.jsonl").write_text(json.dumps(record))
    message = failure("train", tmp_path / "bad.jsonl", "--out", tmp_path / "b")
    assert "gone.jpg" in message and "1 of 1 images are missing" in message


def test_a_box_size_that_is_no_multiple_of_8(people, tmp_path):
    message = failure("train", people, "--out", tmp_path, "--box-size", 100)
    assert "multiple of 8" in message and "box_size=100" in message


def test_unknown_backbone_and_skeleton(people, tmp_path):
    message = failure("train", people, "--out", tmp_path, "--backbone", "resnet", code=2)
    assert "'cpm', 'vgg19', 'vgg19-person', 'light'" in message
    message = failure("train", people, "--out", tmp_path, "--skeleton", "snake")
    assert "cpm14" in message and "snake" in message
