"""Photographs by the million: what is kept, refused and done once.

`test_looking` has the rows of a block, `test_blocks` what becomes one, `tests/benchmarks/test_bulk`
what is there when workers and the command are killed.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

import keras_cpm
from keras_cpm.inference import bulk
from keras_cpm.inference.blocks import blocks_of
from keras_cpm.inference.looking import Looker

pa = pytest.importorskip("pyarrow", reason="the extra `bulk` is not installed")
parquet = pytest.importorskip("pyarrow.parquet")
pytest.importorskip("ray", reason="the extra `bulk` is not installed")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory, tiny_spec):
    """The folder of an untrained bundle."""
    folder = tmp_path_factory.mktemp("tiny")
    keras_cpm.save_bundle(folder, keras_cpm.build_cpm(2, tiny_spec, width=8), tiny_spec)
    return folder


@pytest.fixture
def album(tmp_path, drawn_records):
    """Function: a folder of so many photographs, of which some are cut off."""

    def make(count, bad=0):
        folder = tmp_path / "album"
        folder.mkdir(exist_ok=True)
        for number in range(count):
            source, path = drawn_records[number % 6].image, folder / f"{number:04d}.png"
            shutil.copy(source, path)
            if number in range(7, 7 + 11 * bad, 11):
                path.write_bytes(path.read_bytes()[:300])
        return folder

    return make


def rows_in(out):
    return [row for path in out.glob("*.parquet") for row in parquet.read_table(path).to_pylist()]


def once(out, album):
    """The rows of a folder by path, each photograph of the album once."""
    rows = rows_in(out)
    assert sorted(row["path"] for row in rows) == sorted(map(str, album.iterdir()))
    return {row["path"]: row for row in rows}


def begun(out, album, model, blocks):
    """Leaves what a call leaves that was killed after some blocks."""
    looker = Looker(str(out), "/", str(model), "whole", None, None)
    for block in list(blocks_of([album]))[:blocks]:
        looker(pa.table({"block": [json.dumps(vars(block))]}))


def test_a_finished_folder_is_left_as_it_is(album, tiny, tmp_path):
    folder, out = album(12), tmp_path / "out"
    with pytest.raises(ValueError, match=r"must be \"auto\" or \"whole\". Received: people='all'"):
        keras_cpm.predict_many(folder, out, people="all")
    with pytest.raises(ValueError, match=r"`workers` must be at least 1. Received: workers=0"):
        keras_cpm.predict_many(folder, out, workers=0)
    with pytest.raises(FileNotFoundError, match="no photograph, folder or table at"):
        keras_cpm.predict_many(tmp_path / "nothing", out, model=tiny)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="There is no photograph in"):
        keras_cpm.predict_many(tmp_path / "empty", out, model=tiny)
    begun(out, folder, tiny, blocks=2)
    before = {path: path.stat().st_mtime_ns for path in out.glob("*.parquet")}
    counts = keras_cpm.predict_many(folder, out, model=tiny)
    assert counts == {"photographs": 0, "people": 0, "errors": 0, "kept": 12}
    assert before == {path: path.stat().st_mtime_ns for path in out.glob("*.parquet")}
    with pytest.raises(ValueError, match="`out` holds poses of another people; name another"):
        keras_cpm.predict_many(folder, out, model=tiny, people="auto")
    (tiny / "more.txt").touch()
    with pytest.raises(ValueError, match="`out` holds poses of another model; name another"):
        keras_cpm.predict_many(folder, out, model=tiny)
    (tiny / "more.txt").unlink()


def test_a_folder_of_somebody_is_refused(album, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "letter.txt").write_text("dear")
    with pytest.raises(ValueError, match=r"must be a new folder.+ which holds letter.txt"):
        keras_cpm.predict_many(album(2), out)
    assert {path.name for path in out.iterdir()} <= {"letter.txt", "_lock"}


@pytest.mark.parametrize("address", ["127.0.0.1:1", "head", "head:port"])
def test_nobody_at_an_address_costs_a_sentence(album, tiny, tmp_path, address):
    with pytest.raises(ValueError, match=f"`cluster` must be .+ Received: {address} "):
        keras_cpm.predict_many(album(2), tmp_path / "new", model=tiny, cluster=address)


@pytest.fixture(scope="module")
def cluster():
    """Address of a cluster of one machine that somebody else started."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = "127.0.0.1:{1}".format(*free.getsockname())
    words = ["start", "--head", "--block", "--node-ip-address=127.0.0.1", "--num-cpus=2"]
    words += ["--include-dashboard=false", f"--port={address.split(':')[1]}"]
    # paths of sockets must be short
    folder = tempfile.mkdtemp()
    head = subprocess.Popen(
        [sys.executable, "-m", "ray.scripts.scripts", *words, f"--temp-dir={folder}"],
        env={**os.environ, "RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    said = []
    while not said or (said[-1] and "--block" not in said[-1]):
        said.append(head.stdout.readline())
    assert said[-1], "".join(said)
    yield address
    # asked to end, it takes half a minute; what it started dies with it
    head.kill()
    head.communicate()
    shutil.rmtree(folder, ignore_errors=True)


class Newcomer(Looker):
    """A worker that dies as it starts, where none did before, and leaves half a file."""

    def __init__(self, folder, *settings, **more):
        super().__init__(folder, *settings, **more)
        if not os.path.exists(f"{folder}/.died"):
            Path(folder, ".died").touch()
            Path(folder, ".0123456789abcdef.partial.parquet").touch()
            raise RuntimeError("died")


@pytest.mark.slow
def test_a_worker_that_dies_as_it_starts_is_replaced(album, tiny, tmp_path, cluster, monkeypatch):
    monkeypatch.setattr(bulk, "Looker", Newcomer)
    folder, out = album(3), tmp_path / "out"
    counts = keras_cpm.predict_many(folder, out, model=tiny, workers=1, cluster=cluster)
    assert (out / ".died").exists() and counts["photographs"] == len(once(out, folder)) == 3
    assert not list(out.glob("*.partial*"))


@pytest.mark.slow
def test_a_cluster_looks_at_what_a_folder_has_not(album, tiny, tmp_path, cluster):
    folder, out, told = album(20, bad=1), tmp_path / "out", []
    with pytest.raises(ValueError, match="There is no folder"):
        keras_cpm.predict_many(folder, tmp_path / "other", model=tmp_path / "no", cluster=cluster)
    with pytest.raises(FileNotFoundError, match="no photograph, folder or table at"):
        keras_cpm.predict_many(tmp_path / "nothing", out, model=tiny, cluster=cluster)
    begun(out, folder, tiny, blocks=1)
    # a photograph before all others, so that every block becomes another
    shutil.copy(folder / "0000.png", folder / "0000.first.png")
    counts = keras_cpm.predict_many(
        [folder], out, model=tiny, workers=1, cluster=cluster, tell=lambda *n: told.append(n)
    )
    assert counts == {"photographs": 13, "people": 13, "errors": 0, "kept": 8}
    assert told == sorted(set(told)) and told[-1] == (13, 13, 0)
    assert "cannot be decoded" in once(out, folder)[str(folder / "0007.png")]["error"]
