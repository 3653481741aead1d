"""What the README shows works, and what it names exists."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.S)


def test_the_readme_has_python():
    assert len(BLOCKS) >= 2


@pytest.mark.parametrize("block", BLOCKS)
def test_python_blocks_run(block, tmp_path, monkeypatch, shrink):
    monkeypatch.chdir(tmp_path)
    exec(compile(shrink(block), "README.md", "exec"), {})


@pytest.fixture
def shrink():
    """Makes the README's sizes small; each replacement must be found somewhere in the README."""
    smaller = {"box_size=128": "box_size=64", "2000": "8", "epochs=20": "epochs=1"}
    for text in smaller:
        assert text in README, f"the README no longer says {text}"

    def apply(block):
        for text, small in smaller.items():
            block = block.replace(text, small)
        return block

    return apply


def test_verbs_and_flags_of_the_readme_exist():
    from click.testing import CliRunner

    from keras_cpm.cli.main import main

    for command in re.findall(
        r"^ *(?:\.venv/bin/)?keras-cpm (.+?)(?:  #.*)?$", README.replace("\\\n", " "), re.M
    ):
        verb, *words = command.split()
        usage = CliRunner().invoke(main, [verb, "--help"]).output
        for flag in (word for word in words if word.startswith("--")):
            assert flag in usage, f"keras-cpm {verb} has no {flag}"


def test_files_of_the_readme_exist():
    for path in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / path).exists(), path
