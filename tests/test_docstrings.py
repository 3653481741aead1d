"""Every public name explains itself, and its example runs."""

import doctest
import importlib.util
import inspect
import re
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


# whose examples train, export or write a report
SLOW = ("training.plan", "training.train", "export.compare", "export.tflite", "export.litert")
SLOW += ("export.operations", "export.verify", "paper.gradients")


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow if name.endswith(SLOW) else ()) for name in MODULES],
)
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


def test_the_reference_has_every_public_name():
    """`make docs` renders these pages; an unknown path fails there."""
    script = PACKAGE.parent / "docs/hooks.py"
    if not script.is_file():
        pytest.skip("the package is installed without its repository")
    spec = importlib.util.spec_from_file_location("docs_hooks", script)
    hooks = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(hooks)
    text = "\n".join(hooks.reference().values())
    shown = dict(re.findall(r"^::: (\S+)\n    options:\n      heading: (\w+)$", text, re.M))
    assert sorted(shown.values()) == keras_cpm.__all__
    for path, name in shown.items():
        value = getattr(keras_cpm, name)
        home = path if inspect.ismodule(value) else path.rpartition(".")[0]
        assert importlib.import_module(home) is value or vars(sys.modules[home])[name] is value
        assert f"[`{name}`][{path}]" in hooks.contents()
