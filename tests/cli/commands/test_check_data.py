"""`keras-cpm check-data`: what it prints, writes and draws."""

import json

from click.testing import CliRunner

import keras_cpm
from keras_cpm.cli.main import main
from tests.cli import running
from tests.data.checks.people import POINTS, record


def run(records, tmp_path, *options):
    keras_cpm.write_records(records, tmp_path / "records.jsonl")
    arguments = ["check-data", str(tmp_path / "records.jsonl"), "--box-size", "64", *options]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 1, result.output
    return result.stdout.splitlines()


def test_at_most_five_of_a_kind(picture, tmp_path):
    records = [record(picture, POINTS + 0.9 * i, height=2.0) for i in range(8)]
    records += [record(picture, POINTS - (900, 0))]
    lines = run(records, tmp_path, "--json", str(tmp_path / "found.json"))
    assert [line.split(",")[0] for line in lines[:5]] == ["scale"] * 5
    assert lines[5] == "... and 3 more of this kind (all with --json)"
    assert lines[6].startswith("outside, record 8 (")
    assert lines[7:] == ["9 records, 9 findings: 8 scale, 1 outside"]
    found = json.loads((tmp_path / "found.json").read_text())
    assert len(found["findings"]) == 9
    assert set(found["findings"][0]) == {"kind", "problem", "where", "record"}


def test_draws_what_it_can(picture, tmp_path):
    absent = record(str(tmp_path / "absent.png"))
    names = [tmp_path / "look" / f"{name}.png" for name in ("findings", "labels", "targets")]
    options = ("--draw", str(tmp_path / "look"))
    assert run([absent], tmp_path, *options)[-1] == "Drawn: nothing"
    lines = run([absent, record(picture, height=2.0)], tmp_path, *options)
    assert lines[-1] == "Drawn: " + ", ".join(map(str, names))
    assert all(name.is_file() for name in names)


def test_finds_nothing_and_draws(people, tmp_path):
    words = ["--draw", tmp_path, "--json", tmp_path / "found.json"]
    output = running.run("check-data", people, *words)
    assert "8 records, 0 findings" in output
    assert (tmp_path / "labels.png").is_file() and (tmp_path / "targets.png").is_file()
    assert json.loads((tmp_path / "found.json").read_text()) == {"records": 8, "findings": []}


def test_missing_records(tmp_path):
    message = running.failure("check-data", tmp_path / "absent.jsonl")
    assert "absent.jsonl" in message and "prepare" in message


def test_nan_names_line_part_and_remedy(people, tmp_path):
    lines = people.read_text().splitlines()
    broken = json.loads(lines[1])
    broken["people"][0]["keypoints"][3] = [float("nan"), 1, 2]
    (tmp_path / "bad.jsonl").write_text("\n".join([lines[0], json.dumps(broken)]))
    message = running.failure("check-data", tmp_path / "bad.jsonl")
    assert "line 2" in message and "right_elbow" in message and "[0, 0, 0]" in message
