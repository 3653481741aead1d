"""`evaluate_coco` against pycocotools, on the same results, and what it refuses."""

import dataclasses
import json
import sys

import numpy as np
import pytest

import keras_cpm
from keras_cpm.data.formats.coco_writer import coco_results
from keras_cpm.evaluation.coco import NUMBERS
from keras_cpm.evaluation.sigmas import COCO_SIGMAS
from tests.evaluation.coco_people import annotated, found, pycocotools_says

# of percent: 1e-6 of AP
SAME = {"abs": 1e-4, "rel": 0}


def numbers(scores, row="mine"):
    assert tuple(scores.rows[row]) == NUMBERS
    return [-100 if value is None else value for value in scores.rows[row].values()]


@pytest.mark.parametrize("seed", range(6))
def test_a_coco_file_as_pycocotools_scores_it(tmp_path, seed):
    """Crowds, people without labels, equal scores, people found twice, photographs of nobody."""
    content = annotated(tmp_path / "labels.json", seed=seed)
    results = found(content, seed=seed)
    scores = keras_cpm.evaluate_coco(tmp_path / "labels.json", {"mine": results})
    wanted = pycocotools_says(content, results)
    assert 10 < wanted[0] < 90
    assert numbers(scores) == pytest.approx(wanted, **SAME)
    assert scores.sigmas == COCO_SIGMAS and scores.measured == scores.people


@pytest.mark.parametrize("seed", range(3))
def test_records_as_pycocotools_scores_their_file(tmp_path, seed):
    """The areas that the file has go through the records."""
    content = annotated(tmp_path / "labels.json", seed=seed, ignored=False)
    records = keras_cpm.load_coco(tmp_path / "labels.json", tmp_path)
    keras_cpm.write_records(records, tmp_path / "labels.jsonl")
    records = keras_cpm.read_records(tmp_path / "labels.jsonl")
    seen = {one["image_id"] for one in content["annotations"]}
    results = [one for one in found(content, seed=seed) if one["image_id"] in seen]
    scores = keras_cpm.evaluate_coco(records, {"mine": results})
    assert numbers(scores) == pytest.approx(pycocotools_says(content, results), **SAME)
    assert scores.people == scores.measured == len(content["annotations"])


def test_results_with_boxes_have_these_as_their_area(tmp_path):
    content = annotated(tmp_path / "labels.json")
    results = [one | {"bbox": [0, 0, 50, 30]} for one in found(content)]
    scores = keras_cpm.evaluate_coco(tmp_path / "labels.json", {"mine": results})
    wanted = pycocotools_says(content, results)
    assert numbers(scores) == pytest.approx(wanted, **SAME)
    without = pycocotools_says(content, found(content))
    assert wanted[4] != without[4]


def drawn(tmp_path, count=6, **options):
    return keras_cpm.draw_records(tmp_path / "people", count, **options)


def test_another_skeleton_with_sigmas_of_its_own(tmp_path):
    animals = drawn(tmp_path, figure=keras_cpm.QUADRUPED, others=0)
    parts = animals[0].parts
    keras_cpm.write_coco(animals, tmp_path / "animals.json")
    content = json.loads((tmp_path / "animals.json").read_text())
    draw = np.random.default_rng(0)
    sigmas = dict(zip(parts, draw.uniform(0.03, 0.12, len(parts)), strict=True))
    results = found(content, noise=0.1)
    scores = keras_cpm.evaluate_coco(tmp_path / "animals.json", {"mine": results}, sigmas=sigmas)
    wanted = pycocotools_says(content, results, list(sigmas.values()))
    assert 0 < wanted[0] < 90
    assert numbers(scores) == pytest.approx(wanted, **SAME)
    # no area in the records: that of the box, as `write_coco` writes it
    names = {one["id"]: one["file_name"].split("/")[-1] for one in content["images"]}
    renamed = [one | {"image_id": names[one["image_id"]]} for one in results]
    again = keras_cpm.evaluate_coco(animals, {"mine": renamed}, sigmas=sigmas)
    assert numbers(again) == pytest.approx(wanted, **SAME) and again.measured == 0


def test_poses_of_an_animal_are_results_in_its_own_order(tmp_path):
    """It has a nose as COCO's people have."""
    (animal,) = drawn(tmp_path, 1, figure=keras_cpm.QUADRUPED, others=0)
    pose = keras_cpm.Pose(animal.people[0].keypoints, np.ones(17), animal.parts)
    results = coco_results({animal.image: [(pose, 1.0)]})
    sigmas = dict.fromkeys(animal.parts, 0.05)
    scores = keras_cpm.evaluate_coco([animal], {"mine": results}, sigmas=sigmas)
    assert scores.rows["mine"]["AP"] == pytest.approx(100)


def test_one_pose_a_record_is_scored_on_the_primary_people(tmp_path):
    records = drawn(tmp_path, 4, others=1)
    assert any(len(record.people) > 1 for record in records)
    points = np.stack([record.people[0].keypoints for record in records]).astype(float)
    sigmas = dict.fromkeys(records[0].parts, 0.05)
    lost = points.copy()
    lost[:2] = np.nan
    rows = {"right": (points, records[0].parts), "half": (lost, records[0].parts, [0.1] * 4)}
    scores = keras_cpm.evaluate_coco(records, rows, sigmas=sigmas)
    assert scores.people == 4
    assert scores.rows["right"]["AP"] == pytest.approx(100)
    assert scores.rows["half"]["AR"] == pytest.approx(50)
    # results are of everybody
    pose = [keras_cpm.Pose(p, np.ones(14), records[0].parts) for p in points]
    pairs = zip(records, pose, strict=True)
    results = coco_results({record.image: [(one, 1.0)] for record, one in pairs})
    counted = {part: 0.05 for part in records[0].parts if part not in ("head", "neck")}
    all_of_them = keras_cpm.evaluate_coco(records, {"mine": results}, sigmas=counted)
    assert all_of_them.people > 4 and all_of_them.rows["mine"]["AR"] < 99


def test_the_oks_of_one_person_by_hand(tmp_path):
    """All parts of one sigma, moved by d: exp(-d^2 / (2 area (2 sigma)^2)) decides at which of the
    ten thresholds it is found.
    """
    (record,) = drawn(tmp_path, 1, others=0)
    person = dataclasses.replace(record.people[0], attributes={"area": 10_000.0})
    record = dataclasses.replace(record, people=(person,))
    for distance, share in ((8.0, 0.5 ** (64 / 100)), (3.0, 0.5 ** (9 / 100))):
        # of this sigma, 10 pixels are an OKS of 0.5
        sigma = 10 / np.sqrt(8 * np.log(2) * 10_000)
        points = person.keypoints[None].astype(float) + (distance, 0)
        mine = {"mine": (points, record.parts)}
        scores = keras_cpm.evaluate_coco([record], mine, sigmas=dict.fromkeys(record.parts, sigma))
        passed = sum(share >= threshold for threshold in np.linspace(0.5, 0.95, 10))
        assert 0 < passed < 10
        assert scores.rows["mine"]["AR"] == pytest.approx(10 * passed)
        assert scores.rows["mine"]["APM"] is None and scores.rows["mine"]["APL"] is not None


def test_photographs_are_known_by_their_ids_or_by_their_names(tmp_path):
    content = annotated(tmp_path / "labels.json", ignored=False)
    for photograph in content["images"]:
        photograph["file_name"] = f"photo{photograph['id']}.jpg"
    (tmp_path / "labels.json").write_text(json.dumps(content))
    results = found(content)
    by_id = keras_cpm.evaluate_coco(tmp_path / "labels.json", {"mine": results})
    named = [one | {"image_id": f"photo{one['image_id']}.jpg"} for one in results]
    by_name = keras_cpm.evaluate_coco(tmp_path / "labels.json", {"mine": named})
    assert numbers(by_id) == numbers(by_name)
    strange = [*results, results[0] | {"image_id": 99_999}]
    with pytest.raises(ValueError, match=r"image_id=99999, which none of the 20 has"):
        keras_cpm.evaluate_coco(tmp_path / "labels.json", {"mine": strange})
    # 1.jpg has the id 2: two readings of a result
    ids = [photograph["id"] for photograph in content["images"]]
    for photograph, other in zip(content["images"], [*ids[1:], ids[0]], strict=True):
        photograph["file_name"] = f"{other}.jpg"
    (tmp_path / "labels.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match="each of which is of two"):
        keras_cpm.evaluate_coco(tmp_path / "labels.json", {"mine": results})


def test_what_does_not_fit_is_refused(tmp_path):
    records = drawn(tmp_path, 3, others=0)
    parts = records[0].parts
    points = np.zeros((3, 14, 2))
    with pytest.raises(ValueError, match=r"no sigma for \['head', 'neck'\]; give `sigmas`"):
        keras_cpm.evaluate_coco(records, {"mine": (points, parts)})
    sigmas = {"nose": 0.1}
    with pytest.raises(ValueError, match=r"of parts that the labels have.*Received: \['nose'\]"):
        keras_cpm.evaluate_coco(records, {"mine": (points, parts)}, sigmas=sigmas)
    for wrong in (0, -1, float("nan"), "wide", True):
        with pytest.raises(ValueError, match="`sigmas` must be positive numbers"):
            keras_cpm.evaluate_coco(records, {"mine": (points, parts)}, sigmas={"head": wrong})
    with pytest.raises(ValueError, match="must share parts"):
        keras_cpm.evaluate_coco(records, {"mine": (points, parts)}, sigmas={})
    with pytest.raises(ValueError, match=r"one pose a record, and scores \(3,\)"):
        keras_cpm.evaluate_coco(records, {"mine": (points[:2], parts)}, sigmas={"head": 0.1})
    with pytest.raises(ValueError, match="at least one row"):
        keras_cpm.evaluate_coco(records, {})
    one = {"image_id": 0, "category_id": 1, "keypoints": [1.0] * 9, "score": 1.0}
    with pytest.raises(ValueError, match="must have 42 numbers a person"):
        keras_cpm.evaluate_coco(records, {"mine": [one]}, sigmas={"head": 0.1})
    mixed = [one | {"keypoints": [1.0] * 42, "category_id": c} for c in (1, 2)]
    with pytest.raises(ValueError, match="must have one `category_id`"):
        keras_cpm.evaluate_coco(records, {"mine": mixed}, sigmas={"head": 0.1})
    point = keras_cpm.Person([(5, 5)] * 14, [2] + [0] * 13)
    nowhere = [dataclasses.replace(records[0], people=(point,))]
    with pytest.raises(ValueError, match="has no area"):
        keras_cpm.evaluate_coco(nowhere, {"mine": (points[:1], parts)}, sigmas={"head": 0.1})
    hands = drawn(tmp_path / "hands", 1, figure=keras_cpm.HAND)
    with pytest.raises(ValueError, match="all of the same parts"):
        keras_cpm.evaluate_coco([*records, *hands], {"mine": (points, parts)})
    keras_cpm.write_coco(records, tmp_path / "a.json")
    with pytest.raises(ValueError, match="are one pose a record; prepare records"):
        keras_cpm.evaluate_coco(tmp_path / "a.json", {"mine": (points, parts)})


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"image_id": 5}, "annotation 1: `image_id` must be the id of one of"),
        ({"keypoints": [1, 2, 2]}, "annotation 1: `keypoints` must be 42 finite numbers"),
        ({"keypoints": [None] * 42}, "annotation 1: `keypoints` must be 42 finite numbers"),
        ({"bbox": [1, 2]}, "annotation 1: `keypoints` must be 42 finite numbers and `bbox` four"),
        ({"bbox": [0, 0, 0, 0], "area": 0}, "annotation 1: there must be an `area`"),
        ({"iscrowd": 7}, "annotation 1: `iscrowd` must be 0 or 1"),
    ],
)
def test_a_damaged_file_of_labels_is_named(tmp_path, change, sentence):
    records = drawn(tmp_path, 1, others=0)
    keras_cpm.write_coco(records, tmp_path / "a.json")
    content = json.loads((tmp_path / "a.json").read_text())
    content["annotations"][0] |= change
    (tmp_path / "a.json").write_text(json.dumps(content))
    one = {"image_id": 1, "category_id": 1, "keypoints": [1.0] * 42, "score": 1.0}
    with pytest.raises(ValueError, match=sentence):
        keras_cpm.evaluate_coco(tmp_path / "a.json", {"mine": [one]}, sigmas={"head": 0.1})


def test_a_file_of_several_figures_is_refused(tmp_path):
    content = annotated(tmp_path / "a.json")
    content["categories"] *= 2
    (tmp_path / "a.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match="must have one category with `keypoints`"):
        keras_cpm.evaluate_coco(tmp_path / "a.json", {"mine": found(content)})


def test_without_the_extra_one_sentence_says_so(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "faster_coco_eval", None)
    with pytest.raises(ImportError, match=r"pip install 'keras-cpm\[coco\]'"):
        keras_cpm.evaluate_coco(tmp_path / "a.json", {"mine": []})
