"""Runs `keras-cpm` in this process."""

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
