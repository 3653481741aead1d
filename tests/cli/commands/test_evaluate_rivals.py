"""Figures 6a, 8, 9 and 12 of the paper from files: what others predicted, where it is there."""

import csv
import json

import cv2
import pytest

from tests.cli.running import run

# PCK@0.2, all 14 parts
PERSON = {
    "WangLiCVPR13": 54.6,
    "pishchulin13iccv": 57.1,
    "TompsonNIPS14": 72.3,
    "FanCVPR15": 73.0,
    "ChenYuilleNIPS14": 73.4,
    "YangCVPR16": 73.6,
    "RafiBMVC16": 83.8,
    "YuECCV16": 84.3,
    "BelagiannisZissermanARXIV16": 85.2,
    "LifshitzECCV16": 86.7,
    "PishchulinCVPR16": 87.1,
    "InsafutdinovECCV16": 90.1,
    "WeiCVPR16": 90.5,
    "BulatTzimiropoulosECCV16": 90.7,
}
OBSERVER = {
    "KiefelGehlerECCV14": 65.8,
    "RamakrishnaECCV14": 69.0,
    "FuICCV15": 69.4,
    "OuyangCVPR14": 70.0,
    "pishchulin13iccv": 71.0,
    "ChenYuilleNIPS14": 77.5,
    "YangCVPR16": 81.5,
}


@pytest.fixture
def rivals(data_root):
    folder = data_root / "predictions" / "rivals"
    if not folder.is_dir():
        pytest.skip("there is no predictions/rivals in the folder that KERAS_CPM_DATA names")
    return folder


def lsp(data_root, rivals, tmp_path, sides):
    path = tmp_path / f"{sides}.jsonl"
    words = ("--sides", sides, "--observer-labels", rivals / "LSP-joints-OC.mat")
    run("prepare", "lsp", data_root / "lsp", path, "--split", "test", *words)
    return path


def scored(records, *predictions, words=("--protocol", "lsp")):
    flags = [word for file in predictions for word in ("--predictions", file)]
    table = records.parent / "table.json"
    run("evaluate", records, *flags, *words, "--json", table)
    return json.loads(table.read_text())


def totals(table):
    return {name: [entry[f"pck@{a}"]["total"] for a in ("0.1", "0.2")] for name, entry in table}


def test_figure_6a(data_root, rivals, tmp_path):
    """The paper's 42.4 and 30.9 are both on the person's labels, and the rival's predictions are
    the observer's.
    """
    cpm = data_root / "predictions/LSP_prediction_model_LSP_6s.mat"
    rival = rivals / "RamakrishnaECCV14_lsp_oc.mat"
    records = lsp(data_root, rivals, tmp_path, "person")
    table = scored(records, cpm, rival, words=("--protocol", "lsp", "--group-by", "sides"))
    groups = table.pop("groups")
    (ours, (low, high)) = totals(table.items()).values()
    assert (round(low, 2), round(high, 2)) == (28.75, 53.43)
    assert [round(a - b, 2) for a, b in zip(ours, (low, high), strict=True)] == [42.41, 30.89]
    assert list(groups) == ["sides agree, 684 people", "sides differ, 316 people"]
    ours, others = totals(groups["sides agree, 684 people"].items()).values()
    assert [round(a - b, 1) for a, b in zip(ours, others, strict=True)] == [36.7, 18.5]
    # on its own labels
    ((_, entry),) = scored(lsp(data_root, rivals, tmp_path, "observer"), rival).items()
    found = [round(entry[key]["total"], 2) for key in ("pck@0.05", "pck@0.1", "pck@0.2", "auc@0.2")]
    assert found == [12.48, 37.24, 68.98, 35.22]
    columns = [round(value, 1) for value in entry["pck@0.2"]["columns"].values()]
    assert columns == [84.9, 77.8, 61.4, 47.2, 73.6, 69.1, 68.8]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sides", "pattern", "expected"),
    [("person", "*_lsp_pc.mat", PERSON), ("observer", "*_lsp_oc.mat", OBSERVER)],
)
def test_figure_9(data_root, rivals, tmp_path, sides, pattern, expected):
    records = lsp(data_root, rivals, tmp_path, sides)
    words = ("--protocol", "lsp", "--curves", tmp_path / "figure9")
    table = scored(records, rivals / pattern, words=words)
    found = {name.split("_")[0]: entry["pck@0.2"]["total"] for name, entry in table.items()}
    assert {name: round(found[name], 1) for name in expected} == expected
    if sides == "person":
        assert set(found) == set(expected)
    with (tmp_path / "figure9.csv").open() as file:
        rows = list(csv.reader(file))
    assert len(rows) == 1 + 8 * len(table)
    assert cv2.imread(str(tmp_path / "figure9.png")) is not None


def test_figure_12(data_root, rivals, tmp_path):
    path = tmp_path / "flic.jsonl"
    run("prepare", "flic", data_root / "flic", path, "--split", "test")
    table = scored(path, rivals / "*_flic_oc.mat", words=("--protocol", "flic"))
    assert len(table) == 5
    # what all of the files have: some lack hips, some the nose
    columns = table["WeiCVPR16_flic_oc"]["pck@0.2"]["columns"]
    assert set(columns) == {"elbow", "wrist", "shoulder"}
    assert [round(columns[part], 2) for part in ("elbow", "wrist")] == [97.59, 95.03]
