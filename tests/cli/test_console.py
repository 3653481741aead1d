"""What is printed and written for people and for programs."""

import json
import os
import sys
from pathlib import Path

import pytest

import keras_cpm
from keras_cpm.cli.console import (
    clean,
    echo,
    print_pose,
    print_scores,
    progress,
    silent_stderr,
    write_json,
)


def test_scores_are_a_row_a_stage_and_a_column_a_part(capsys):
    entries = {"stage1": (12.345, None), "[file]": (100.0, 7.0)}
    table = {
        row: {"pck@0.2": {"total": total, "columns": {"head": head, "hip": 50.0}}}
        for row, (total, head) in entries.items()
    }
    print_scores(table)
    printed = capsys.readouterr().out
    assert "pck@0.2 in percent" in printed
    rows = [line.replace("\u2502", " ").split() for line in printed.splitlines()]
    # what has no labels has no score; names are no markup
    assert ["stage1", "12.35", "-", "50.00"] in rows
    assert ["[file]", "100.00", "7.00", "50.00"] in rows


def test_a_pose_is_a_row_a_part(capsys):
    print_pose({"keypoints": {"left_wrist": {"x": 1.5, "y": -2.0, "score": 0.25}}})
    words = capsys.readouterr().out.split()
    assert words == ["left_wrist", "x", "1.50", "y", "-2.00", "score", "0.250"]


def test_json_makes_its_folder_and_is_not_always_wanted(tmp_path):
    write_json(tmp_path / "new" / "a.json", {"a": [1]})
    assert json.loads((tmp_path / "new" / "a.json").read_text()) == {"a": [1]}
    write_json(None, {"a": [1]})
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


def test_what_is_iterated_over_stays_what_it_is():
    assert list(progress("counting")(range(3))) == [0, 1, 2]


def test_what_libraries_say_is_not_heard(capfd):
    os.write(2, b"before ")
    with silent_stderr():
        os.write(2, b"library ")
    sys.stderr.write("after")
    sys.stderr.flush()
    assert capfd.readouterr().err == "before after"


STEERING = "\x1b[2J\x07\r\x9b1m\u202e\u2028\udce9"


def test_what_steers_a_terminal_is_written_out(capsys):
    assert clean("left\twrist\n\u00e9\u5de6") == "left\twrist\n\u00e9\u5de6"
    shown = r"\x1b[2J\x07\x0d\x9b1m\u202e\u2028\xe9"
    assert clean(STEERING) == shown
    echo(STEERING)
    print_pose({"keypoints": {STEERING: {"x": 1.5, "y": -2.0, "score": 0.25}}})
    entry = {"total": 1.0, "columns": {STEERING: 2.0}}
    print_scores({STEERING: {"pck@0.2": entry}})
    printed = capsys.readouterr().out
    assert not {*STEERING} & {*printed} - {*"[2J1m"} and printed.count(shown) == 4


def test_only_the_console_prints():
    """What comes from a file or a server is cleaned in one place."""
    folder = Path(keras_cpm.__file__).parent / "cli"
    others = [path for path in folder.rglob("*.py") if path.name != "console.py"]
    assert not [path for path in others if "click.echo" in path.read_text("utf-8")]


def test_json_has_no_nan(tmp_path):
    value = {"a": [float("nan"), (1.5, float("-inf"))], "b": {"c": float("inf"), "d": "NaN"}}
    write_json(tmp_path / "a.json", value)
    text = (tmp_path / "a.json").read_text()
    read = json.loads(text, parse_constant=lambda name: pytest.fail(name))
    assert read == {"a": [None, [1.5, None]], "b": {"c": None, "d": "NaN"}}
