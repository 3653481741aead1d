"""`keras-cpm evaluate` of models and of files: tables, curves, drawings, published numbers."""

import csv
import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

import keras_cpm
from keras_cpm.cli.main import main
from keras_cpm.evaluation.evaluate import evaluate_predictions
from tests.cli.running import failure, run
from tests.evaluation.people import hand_made, moved


def test_it_prints_and_writes_the_same(model, people, tmp_path):
    path = tmp_path / "scores.json"
    words = ["--baseline", people, "--alpha", 0.2, "--alpha", 0.5, "--json", path]
    output = run("evaluate", model, people, *words, "--draw", tmp_path, "--count", 2)
    scores = json.loads(path.read_text())
    assert list(scores) == ["mean pose", "stage1", "stage2"]
    assert set(scores["stage2"]) == {"pck@0.2", "pck@0.5"}
    assert set(scores["stage2"]["pck@0.2"]["parts"]) == set(keras_cpm.CPM14.parts)
    assert f"{scores['mean pose']['pck@0.2']['total']:.2f}" in output
    assert (tmp_path / "predictions.png").is_file()


def test_a_folder_that_is_no_bundle(people, tmp_path):
    assert "spec.json" in failure("evaluate", tmp_path, people)


def test_two_files_in_one_table_one_plot_and_groups(tmp_path):
    records = hand_made(3)
    keras_cpm.write_records(records, tmp_path / "people.jsonl")
    for name, distance in (("good", 0), ("bad", 99)):
        points, _ = moved(records, [distance] * 3)["moved"]
        keras_cpm.write_predictions(tmp_path / f"{name}.mat", points, records[0].parts)
    out = run(
        *("evaluate", tmp_path / "people.jsonl", "--protocol", "lsp"),
        *("--predictions", tmp_path / "good.mat", "--predictions", tmp_path / "bad.mat"),
        *("--json", tmp_path / "table.json", "--curves", tmp_path / "curves"),
        *("--group-by", "view"),
    )
    assert "good" in out and "bad" in out and "100.00" in out and "92.86" in out
    assert "view 0, 2 people" in out and "view 1, 1 people" in out
    table = json.loads((tmp_path / "table.json").read_text())
    assert table["good"]["pck@0.2"]["total"] == 100.0
    assert table["bad"]["pck@0.2"]["columns"]["wrist"] == 50.0
    assert table["groups"]["view 1, 1 people"]["bad"]["auc@0.2"]["parts"]["left_wrist"] == 0.0
    with (tmp_path / "curves.csv").open() as file:
        rows = list(csv.reader(file))
    assert rows[0][:3] == ["row", "column", "0"] and rows[0][-1] == "0.2"
    by_line = {tuple(row[:2]): row[2:] for row in rows[1:]}
    assert by_line["bad", "wrist"][-1] == "50.0000" and len(by_line) == 2 * 8
    assert cv2.imread(str(tmp_path / "curves.png")) is not None
    # the same by a pattern of names, in the order of the names
    words = ("evaluate", tmp_path / "people.jsonl", "--protocol", "lsp", "--predictions")
    run(*words, tmp_path / "*d.mat", "--json", tmp_path / "pattern.json")
    pattern = json.loads((tmp_path / "pattern.json").read_text())
    assert list(pattern) == ["bad", "good"] and pattern["good"] == table["good"]
    # a file of such a name is itself
    (tmp_path / "good.mat").rename(tmp_path / "[b]ad.mat")
    run(*words, tmp_path / "[b]ad.mat", "--json", tmp_path / "literal.json")
    assert list(json.loads((tmp_path / "literal.json").read_text())) == ["[b]ad"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["only.jsonl"], "Give MODEL and RECORDS"),
        (["r.jsonl", "--predictions", "a.mat", "--flip"], "--flip belongs to a MODEL"),
        (["r.jsonl", "--predictions", "a.mat", "--scale", "2"], "--scale belongs to a MODEL"),
        (["r.jsonl", "--predictions", "a.mat", "--draw", "d"], "--draw belongs to a MODEL"),
        (["r.jsonl", *["--predictions", "a.mat"] * 2], "names the same file twice"),
        (["r.jsonl", "--predictions", "nowhere/*.mat"], "--predictions nowhere/*.mat matches no"),
        (["m", "r.jsonl", "--alpha", "nan"], "--alpha must be"),
        (["m", "r.jsonl", "--curves", "."], "--curves needs"),
        (["m", "r.jsonl", "--mpii-root", "x"], "--mpii-root needs"),
        (["m", "r.jsonl", "--write-predictions", "x.jsonl"], "must name a .mat file"),
    ],
)
def test_flags_that_do_not_go_together(words, message):
    result = CliRunner().invoke(main, ["evaluate", *words])
    assert result.exit_code == 2 and message in result.output


@pytest.fixture
def tiny_bundle(tmp_path, tiny_model, tiny_spec):
    keras_cpm.save_bundle(tmp_path / "bundle", tiny_model, tiny_spec)
    return tmp_path / "bundle"


@pytest.mark.slow
@pytest.mark.parametrize("protocol", [(), ("--protocol", "lsp")])
def test_written_predictions_score_as_the_model_does(
    protocol, tmp_path, tiny_bundle, drawn_records
):
    """The records' parts are in an order of their own: CPM14, where others' files have LSP14."""
    keras_cpm.write_records(drawn_records, tmp_path / "r.jsonl")
    words = ("--json", tmp_path / "a.json", "--curves", tmp_path / "c/curves.png")
    words += ("--write-predictions", tmp_path / "mine.mat", "--draw", tmp_path / "d")
    run("evaluate", tiny_bundle, tmp_path / "r.jsonl", *words, *protocol)
    assert (tmp_path / "c/curves.csv").is_file() and (tmp_path / "d/predictions.png").is_file()
    words = ("--json", tmp_path / "b.json", "--predictions", tmp_path / "mine.mat")
    run("evaluate", tmp_path / "r.jsonl", *words, *protocol)
    of_model = json.loads((tmp_path / "a.json").read_text())["stage2"]
    assert json.loads((tmp_path / "b.json").read_text())["mine"] == of_model
    _, parts = keras_cpm.read_predictions(tmp_path / "mine.mat")
    assert parts == keras_cpm.LSP14.parts


def test_people_without_labels_are_predicted_only(tmp_path, tiny_bundle, drawn_records):
    records = [replace(r, people=(replace(r.people[0], visible=[0] * 14),)) for r in drawn_records]
    keras_cpm.write_records(records, tmp_path / "r.jsonl")
    words = ["evaluate", str(tiny_bundle), str(tmp_path / "r.jsonl")]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 1 and "--write-predictions" in result.output
    run(*words, "--write-predictions", tmp_path / "mine.mat")
    assert np.isfinite(keras_cpm.read_predictions(tmp_path / "mine.mat")[0]).all()
    words += ["--write-predictions", str(tmp_path / "mine.mat")]
    result = CliRunner().invoke(main, [*words, "--json", str(tmp_path / "x.json")])
    assert result.exit_code == 2 and "nothing to score" in result.output
    result = CliRunner().invoke(main, [*words, "--mpii-root", str(tmp_path)])
    assert result.exit_code == 1 and "mpii_human_pose_v1_u12_1.mat" in result.output


def lsp_files(data_root, tmp_path):
    run("prepare", "lsp", data_root / "lsp", tmp_path / "lsp.jsonl", "--split", "test")
    folder = data_root / "predictions"
    return [folder / f"LSP_prediction_model_{name}.mat" for name in ("LSP_6s", "MPII_LSP_6s")]


def test_the_published_numbers_of_lsp(data_root, tmp_path):
    files = lsp_files(data_root, tmp_path)
    flags = [word for file in files for word in ("--predictions", file)]
    run(
        *("evaluate", *flags, tmp_path / "lsp.jsonl", "--protocol", "lsp"),
        *("--json", tmp_path / "table.json"),
    )
    table = json.loads((tmp_path / "table.json").read_text())
    expected = {
        "LSP_6s": ((84.32, 71.16, 43.59, 59.29), (96.85, 87.10, 80.40, 75.10, 86.50, 83.15, 81.15)),
        "MPII_LSP_6s": (
            (90.50, 78.75, 50.33, 65.44),
            (97.80, 92.50, 87.05, 83.90, 91.50, 90.85, 89.90),
        ),
    }
    for name, (totals, columns) in expected.items():
        entry = table[f"LSP_prediction_model_{name}"]
        found = [entry[key]["total"] for key in ("pck@0.2", "pck@0.1", "pck@0.05", "auc@0.2")]
        assert [round(value, 2) for value in found] == list(totals)
        assert [round(v, 2) for v in entry["pck@0.2"]["columns"].values()] == list(columns)


SHIFTS = {
    (0, 0): (71.16, 78.75),
    (1, 0): (69.23, 76.52),
    (-1, 0): (71.22, 78.64),
    (0, 1): (71.03, 78.81),
    (0, -1): (69.00, 76.01),
    (1, 1): (68.85, 76.79),
    (-1, -1): (68.86, 75.88),
}


def test_what_an_off_by_one_would_do(data_root, tmp_path):
    """An off-by-one hides in single numbers; it cannot hide in the table."""
    files = lsp_files(data_root, tmp_path)
    records = keras_cpm.read_records(tmp_path / "lsp.jsonl")
    read = [keras_cpm.read_predictions(file) for file in files]
    for shift, expected in SHIFTS.items():
        moved_by = {str(i): (points + shift, parts) for i, (points, parts) in enumerate(read)}
        scores = evaluate_predictions(moved_by, records, protocol="lsp").scores(0.1)
        assert tuple(round(s["pck@0.1"]["total"], 2) for s in scores.values()) == expected


def test_the_published_numbers_of_flic(data_root, tmp_path):
    run("prepare", "flic", data_root / "flic", tmp_path / "flic.jsonl", "--split", "test")
    file = data_root / "predictions" / "FLIC_prediction_model_FLIC_4s.mat"
    words = ("evaluate", "--predictions", file, tmp_path / "flic.jsonl", "--protocol", "flic")
    run(*words, "--json", tmp_path / "table.json")
    (entry,) = json.loads((tmp_path / "table.json").read_text()).values()
    expected = {"pck@0.2": (97.59, 95.03), "pck@0.1": (89.76, 87.80), "pck@0.05": (62.70, 67.52)}
    for metric, numbers in expected.items():
        found = tuple(round(entry[metric]["columns"][part], 2) for part in ("elbow", "wrist"))
        assert found == numbers
    # what the release's code computes, which normalizes by what it predicts
    run(*words, "--normalizer", "predicted-torso", "--json", tmp_path / "release.json")
    (entry,) = json.loads((tmp_path / "release.json").read_text()).values()
    columns = entry["pck@0.2"]["columns"]
    assert (round(columns["elbow"], 2), round(columns["wrist"], 2)) == (97.54, 94.98)


@pytest.mark.slow
def test_the_numbers_of_tompson_on_mpii(data_root, tmp_path):
    run("prepare", "mpii", data_root / "mpii", tmp_path / "mpii.jsonl", "--split", "validation")
    run("prepare", "mpii", data_root / "mpii", tmp_path / "tompson.jsonl", "--split", "tompson")
    for file in (data_root / "mpii" / "detections.mat", tmp_path / "tompson.jsonl"):
        words = ("evaluate", "--predictions", file, tmp_path / "mpii.jsonl", "--protocol", "mpii")
        run(*words, "--json", tmp_path / "table.json")
        (entry,) = json.loads((tmp_path / "table.json").read_text()).values()
        assert round(entry["pckh@0.5"]["total"], 2) == 82.32
        parts = {name: round(value, 2) for name, value in entry["pckh@0.5"]["parts"].items()}
        assert (parts["neck"], parts["head"]) == (97.71, 95.50)
        assert (parts["right_ankle"], parts["left_ankle"]) == (65.15, 65.64)
