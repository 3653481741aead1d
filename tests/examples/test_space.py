"""The Space of `examples/space`: its head, and what it starts."""

import re
import runpy
import types
from pathlib import Path

import pytest

import keras_cpm

ROOT = Path(__file__).parents[2]
SPACE = ROOT / "examples/space"


def test_the_head_names_what_is_there():
    yaml = pytest.importorskip("yaml")
    _, head, _ = (SPACE / "README.md").read_text("utf-8").split("---\n", 2)
    fields = yaml.safe_load(head)
    assert fields["sdk"] == "gradio" and (SPACE / fields["app_file"]).is_file()
    # which the hub asks for
    assert len(fields["short_description"]) <= 60
    setup = (ROOT / "setup.py").read_text("utf-8")
    lowest, beyond = re.search(r'"gradio>=([\d.]+),<(\d+)"', setup).groups()
    version = [int(number) for number in fields["sdk_version"].split(".")]
    assert [*map(int, lowest.split("."))] <= version < [int(beyond)]
    assert (SPACE / "requirements.txt").read_text() == "keras-cpm[app]\n"


def test_it_shows_the_page(monkeypatch):
    shown = []
    page = types.SimpleNamespace(block_thread=lambda: shown.append("waits"))

    def show(predictor, find):
        shown.append((predictor.spec.box_size, find))
        return page

    monkeypatch.setattr(keras_cpm, "launch_app", show)
    runpy.run_path(str(SPACE / "app.py"))
    (size, find), last = shown
    assert size == 192 and callable(find) and last == "waits"
