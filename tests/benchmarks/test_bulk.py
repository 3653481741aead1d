"""Whoever is killed, every photograph is there once; at small size."""

from pathlib import Path

import pytest

import keras_cpm

pytest.importorskip("ray", reason="the extra `bulk` is not installed")
from benchmarks import bulk


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").is_file(), reason="processes are found in /proc")
def test_whoever_is_killed_every_photograph_is_there_once(
    tmp_path, tiny_model, tiny_spec, drawn_records
):
    keras_cpm.save_bundle(tmp_path / "tiny", tiny_model, tiny_spec)
    photographs = [Path(record.image) for record in drawn_records]
    folder, out = tmp_path / "album", tmp_path / "out"
    sources = bulk.copies(photographs, folder, 120, bad=5)
    bulk.kills(folder, out, tmp_path / "tiny", deaths=("worker", "command"))
    found = bulk.compare(out, sources, tmp_path / "tiny")
    assert found.pop("pixels") < 0.05
    assert {name: count for name, count in found.items() if count} == {
        "photographs": 120,
        "rows": 120,
        "bad": 5,
    }
    assert len(bulk.files(out)) == 15 and not list(out.glob(".*"))


@pytest.mark.slow
def test_a_long_table_is_given_to_workers():
    found = bulk.plan(1000)
    assert found["rows"] == 1000 and found["blocks"] == 50
