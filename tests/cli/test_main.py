"""What all commands share: the overview, help, errors in the words of the command line."""

import os
import subprocess
import sys

import pytest

from keras_cpm.cli.main import main
from tests.cli.running import failure, run

COMMANDS = [
    *("app", "check-data", "demo", "doctor", "evaluate", "explain", "export", "import-caffe"),
    *("inspect", "pack", "predict", "predict-many", "prepare", "push", "reproduce", "serve-test"),
    *("train", "verify"),
]


def test_every_command_is_here():
    assert sorted(main.commands) == COMMANDS


def test_help_lists_every_command_without_loading_what_is_heavy():
    script = (
        "import sys; from keras_cpm.cli.main import main; main(['--help'], standalone_mode=False); "
        "sys.exit(str({'tensorflow', 'keras', 'cv2', 'scipy', 'rich'} & {*sys.modules} or ''))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stderr.strip() == ""
    assert all(f"  {command} " in done.stdout for command in COMMANDS)


@pytest.mark.parametrize("command", sorted(main.commands))
def test_every_command_explains_itself(command):
    output = run(command, "--help")
    assert output.startswith(f"Usage: main {command}") and "-h, --help" in output


def test_the_overview_has_whole_sentences():
    overview = run("--help").split("Commands:")[1]
    sentences = " ".join(overview.split()).count(". ")
    assert "..." not in overview and sentences >= len(main.commands) - 1


def test_the_package_runs_as_a_program():
    """`python -m keras_cpm`, with the name of the command line and its exit codes."""
    program = [sys.executable, "-m", "keras_cpm"]
    shown = subprocess.run([*program, "--help"], capture_output=True, text=True)
    assert shown.returncode == 0 and shown.stdout.startswith("Usage: keras-cpm ")
    mistaken = subprocess.run([*program, "predict"], capture_output=True, text=True)
    assert mistaken.returncode == 2 and "Give IMAGES" in mistaken.stderr


def test_errors_are_a_sentence_of_flags(tmp_path):
    words = ["export", "cpm-light-lsp", "--to", "tflite", "--out", tmp_path / "x"]
    assert "--out must end in .tflite" in failure(*words)


def test_tracebacks_are_for_those_who_ask(monkeypatch):
    assert "no folder" in failure("inspect", "no-such-model")
    monkeypatch.setenv("KERAS_CPM_TRACEBACK", "1")
    with pytest.raises(FileNotFoundError, match="no-such-model"):
        main(["inspect", "no-such-model"], standalone_mode=False)


def test_nobody_who_reads_is_no_error():
    """As in `keras-cpm doctor | head -1`."""
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "keras_cpm", "doctor"]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    assert done.returncode == 1 and done.stderr == b""


def test_errors_steer_no_terminal():
    name = "a\x1b[31m.jpg"
    assert r"There is no image at a\x1b[31m.jpg" in failure("predict", name)
    assert r"There is no folder \x1b[31m" in failure("inspect", "\x1b[31m")
