"""Drawn people as a file of records, and a bundle that `keras-cpm train` made of them."""

import cv2
import numpy as np
import pytest

from tests.cli.running import TRAIN, run


@pytest.fixture(scope="session")
def people(tmp_path_factory):
    """Eight drawn people as a file of records."""
    root = tmp_path_factory.mktemp("people")
    output = run("prepare", "synthetic", root / "images", root / "people.jsonl", "--count", 8)
    assert "8 records" in output and "--flip-probability 0" in output
    return root / "people.jsonl"


@pytest.fixture(scope="session")
def model(people, tmp_path_factory):
    """A bundle that `keras-cpm train` made; it knows nothing."""
    out = tmp_path_factory.mktemp("run") / "bundle"
    output = run("train", people, "--validation", people, "--out", out, *TRAIN)
    assert "8 people, 8 held out" in output
    assert (out / "curves.png").is_file()
    return out


@pytest.fixture
def grey(tmp_path):
    """Function: a grey photograph of a size in the test's folder; its path."""

    def make(name="grey.png", height=480, width=480, level=128):
        picture = np.full((height, width, 3), level, np.uint8)
        (tmp_path / name).write_bytes(cv2.imencode(".png", picture)[1].tobytes())
        return tmp_path / name

    return make
