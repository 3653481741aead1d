"""`keras-cpm doctor`: what is installed."""

import pytest
from click.testing import CliRunner

from keras_cpm.cli.main import main


def test_it_looks_at_what_is_installed():
    output = CliRunner().invoke(main, ["doctor"]).output
    assert "tensorflow" in output and "Keras backend tensorflow" in output


@pytest.mark.parametrize(
    ("backend", "begin"),
    [("tensorflow", "ok      Keras"), ("torch", "mend    Keras backend torch is not supported")],
)
def test_each_line_says_whether_to_mend(backend, begin, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", backend)
    result = CliRunner().invoke(main, ["doctor"])
    lines = result.output.splitlines()
    assert any(line.startswith(begin) for line in lines)
    broken = any(line.startswith("mend") for line in lines)
    assert result.exit_code == broken
