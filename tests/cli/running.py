"""Runs `keras-cpm` in this process, or in one of its own."""

import subprocess
import sys

from click.testing import CliRunner

from keras_cpm.cli.main import main

# a training of seconds
TRAIN = ["--box-size", 64, "--width", 8, "--stages", 2, "--batch-size", 4, "--epochs", 1]


def run(*words, code=0):
    """The output of a command that exits with `code`."""
    result = CliRunner().invoke(main, [str(word) for word in words])
    assert result.exit_code == code, result.output
    return result.output


def failure(*words, code=1):
    """The one sentence a mistake ends in."""
    lines = [line for line in run(*words, code=code).splitlines() if line.startswith("Error:")]
    assert len(lines) == 1
    return lines[0]


def imported_by(*words):
    """Which heavy packages a command imports, in a process of its own; it says nothing beside."""
    code = """
import sys
from keras_cpm.cli.main import main
main(sys.argv[1:], standalone_mode=False)
print(*sorted({"tensorflow", "keras", "scipy"} & set(sys.modules)))
"""
    command = [sys.executable, "-c", code, *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True)
    # neither LiteRT nor TensorFlow says that it is there
    assert not any(word in done.stderr for word in ("INFO", "WARNING", "oneDNN"))
    return done.stdout.splitlines()[-1]
