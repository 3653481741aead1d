"""`keras-cpm doctor`: what is installed."""

from click.testing import CliRunner

from keras_cpm.cli.main import main


def test_it_looks_at_what_is_installed():
    output = CliRunner().invoke(main, ["doctor"]).output
    assert "tensorflow" in output and "Keras backend tensorflow" in output


def test_each_line_says_whether_to_mend():
    """Other backends: tests/test_import.py."""
    result = CliRunner().invoke(main, ["doctor"])
    lines = result.output.splitlines()
    assert all(line.startswith(("ok      ", "-       ", "mend    ")) for line in lines)
    assert "ok      Keras backend tensorflow" in lines
    assert result.exit_code == any(line.startswith("mend") for line in lines)
