"""`keras-cpm evaluate --protocol coco`: results, models, sigmas, and what is refused."""

import json
import sys

import numpy as np
import pytest

import keras_cpm
from tests.cli.running import failure, run
from tests.evaluation.coco_people import annotated, found, pycocotools_says


@pytest.fixture
def coco(tmp_path, monkeypatch):
    """labels.json and results.json in the current folder; their contents."""
    monkeypatch.chdir(tmp_path)
    content = annotated(tmp_path / "labels.json")
    (tmp_path / "results.json").write_text(json.dumps(found(content)))
    return content, found(content)


def test_results_on_a_coco_file(coco, tmp_path):
    words = ("--protocol", "coco", "--predictions", "results.json", "--json", "scores.json")
    output = run("evaluate", "labels.json", *words)
    scores = json.loads((tmp_path / "scores.json").read_text())
    wanted = pycocotools_says(*coco)
    values = [-100 if v is None else v for v in scores["results"]["oks"].values()]
    assert values == pytest.approx(wanted, abs=1e-4)
    assert f"{wanted[0]:.2f}" in output and "APM" in output
    assert "17 of 17 parts count; sigmas, COCO's: nose 0.0260" in output


def test_results_on_records_that_prepare_made(coco, tmp_path):
    _, results = coco
    (tmp_path / "images").mkdir()
    run("prepare", "coco", "labels.json", "labels.jsonl", "--images", "images")
    seen = {r.attributes["image_id"] for r in keras_cpm.read_records("labels.jsonl")}
    (tmp_path / "few.json").write_text(json.dumps([r for r in results if r["image_id"] in seen]))
    output = run("evaluate", "labels.jsonl", "--protocol", "coco", "--predictions", "few.json")
    people = len(keras_cpm.read_records("labels.jsonl"))
    assert f"{people} people, the area of {people} from the labels" in output


def test_a_model_and_its_sigmas_by_file_and_by_other_labels(model, people, tmp_path):
    parts = keras_cpm.CPM14.parts
    (tmp_path / "sigmas.json").write_text(json.dumps(dict.fromkeys(parts[:9], 0.5)))
    words = ("evaluate", model, people, "--protocol", "coco", "--flip")
    assert "COCO has no sigma for ['head', 'neck']; give --sigmas" in failure(*words)
    table = tmp_path / "scores.json"
    output = run(*words, "--sigmas", tmp_path / "sigmas.json", "--json", table)
    scores = json.loads(table.read_text())
    assert list(scores) == ["stage1", "stage2", "sigmas"] and list(scores["sigmas"]) == [*parts[:9]]
    assert "8 people, the area of 0 from the labels" in output and "9 of 14 parts" in output


def test_sigmas_estimated_from_labels_of_another(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    figures = keras_cpm.draw_records("animals", 12, figure=keras_cpm.QUADRUPED, others=0)
    keras_cpm.write_records(figures, "once.jsonl")
    content = [json.loads(line) for line in (tmp_path / "once.jsonl").read_text().splitlines()]
    draw = np.random.default_rng(0)
    for record in content:
        for row in record["people"][0]["keypoints"]:
            row[0], row[1] = row[0] + draw.normal(0, 2), row[1] + draw.normal(0, 2)
    (tmp_path / "again.jsonl").write_text("\n".join(map(json.dumps, content)))
    words = ("evaluate", "once.jsonl", "--protocol", "coco", "--predictions", "again.jsonl")
    output = run(*words, "--sigmas", "again.jsonl")
    assert "estimated from 2 labellings of 12 people" in output
    assert "ne set of labels cannot say" in failure(*words, "--sigmas", "once.jsonl")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["r.jsonl", "--alpha", "0.2"], "--alpha does not go with --protocol coco"),
        (["r.jsonl", "--group-by", "act"], "--group-by does not go with --protocol coco"),
        (["r.jsonl", "--curves", "c"], "--curves does not go with --protocol coco"),
        (["r.jsonl", "--normalizer", "box"], "--normalizer does not go with --protocol coco"),
        (["r.json"], "A MODEL is scored on records; make them of r.json with"),
        (["r.jsonl", "--sigmas", "a.json", "--sigmas", "b.json"], "--sigmas must be one .json"),
        (["r.jsonl", "--sigmas", "a.txt"], "--sigmas must be one .json"),
        (["r.jsonl", "--write-predictions", "a.mat"], "--write-predictions does not go with"),
    ],
)
def test_what_does_not_go_together(words, sentence):
    assert sentence in failure("evaluate", "model", *words, "--protocol", "coco", code=2)


def test_sigmas_belong_to_coco():
    words = ("evaluate", "model", "r.jsonl", "--sigmas", "a.json")
    assert "--sigmas needs --protocol coco" in failure(*words, code=2)


def test_without_the_extra(coco, monkeypatch):
    monkeypatch.setitem(sys.modules, "faster_coco_eval", None)
    words = ("evaluate", "labels.json", "--protocol", "coco", "--predictions", "results.json")
    assert "pip install 'keras-cpm[coco]'" in failure(*words)
