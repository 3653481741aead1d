"""Every benchmark can be started, and the examples of the engine benchmark run."""

import doctest
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in sorted((ROOT / "benchmarks").rglob("*.py"))
    if path.name != "__init__.py"
]


@pytest.mark.parametrize("name", MODULES)
def test_a_module_loads_and_its_examples_run(name):
    if name.endswith("saliency"):
        pytest.importorskip("tf_keras_vis")
    failed, _ = doctest.testmod(importlib.import_module(name), verbose=False)
    assert not failed


@pytest.mark.parametrize("name", [name for name in MODULES if name.count(".") == 1])
def test_a_script_says_how_it_is_started(name):
    text = (ROOT / name.replace(".", "/")).with_suffix(".py").read_text("utf-8")
    is_script = '__name__ == "__main__"' in text
    assert is_script == (f"python -m {name}" in text)
