"""Every public name explains itself, and its example runs."""

import doctest
import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import keras_cpm

PACKAGE = Path(keras_cpm.__file__).parent
MODULES = sorted(
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
    for path in PACKAGE.rglob("*.py")
    if path.name != "__init__.py" and ">>>" in path.read_text("utf-8")
)


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    failed, tried = doctest.testmod(importlib.import_module(name), verbose=False)
    assert tried and not failed


@pytest.mark.parametrize("name", keras_cpm.__all__)
def test_public_names_have_an_example(name):
    value = getattr(keras_cpm, name)
    if inspect.isfunction(value) or inspect.isclass(value):
        # what a figure is made of is shown where the figure is
        assert ">>>" in value.__doc__ or name in ("Bone", "Panel", "Color")


def test_the_reference_has_every_public_name(tmp_path):
    pytest.importorskip("pdoc")
    script = PACKAGE.parent / "docs/build_api.py"
    if not script.is_file():
        pytest.skip("the package is installed without its repository")
    subprocess.run([sys.executable, str(script), str(tmp_path)], check=True, capture_output=True)
    page = (tmp_path / "keras_cpm.html").read_text("utf-8")
    modules = {"geometry", "codec"}
    assert not [name for name in {*keras_cpm.__all__} - modules if f'id="{name}"' not in page]
