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
    assert lines[7] == "9 records, 9 findings: 8 scale, 1 outside"
    assert lines[8].startswith("Mirror pairs: none; a mirrored sample keeps its part names.")
    assert len(lines) == 9
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


def test_says_which_mirror_pairs_it_took(picture, tmp_path):
    """Names as people write them: every mirrored sample teaches the wrong thing without pairs."""
    parts = ("Nose", "Right_Fin", "Left_Fin", "R_eye", "L_eye")
    person = keras_cpm.Person([(i, i * i) for i in range(5)], [2] * 5, center=(2, 8), height=20)
    fish = keras_cpm.Record(picture, (80, 40), parts, (person,))
    keras_cpm.write_records([fish], tmp_path / "fish.jsonl")
    output = running.run("check-data", tmp_path / "fish.jsonl", "--box-size", 64)
    assert "Mirror pairs: Right_Fin / Left_Fin, R_eye / L_eye\n" in output
    hand = (f"{side} {i}" for i in range(40) for side in ("left", "right"))
    many = keras_cpm.Record(picture, (80, 40), tuple(hand), (figure_of(80),))
    keras_cpm.write_records([many], tmp_path / "many.jsonl")
    output = running.run("check-data", tmp_path / "many.jsonl", "--box-size", 64)
    assert "right 19 / left 19, ... and 20 more\n" in output


def figure_of(count):
    points = [(i % 9, i // 9) for i in range(count)]
    return keras_cpm.Person(points, [2] * count, center=(4, 4), height=12)
