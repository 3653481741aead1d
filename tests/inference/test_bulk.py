"""Photographs by the million: what is kept, refused and done once, whoever is killed.

`test_looking` has the rows of a block, `test_blocks` what becomes one.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import keras_cpm
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
        looker(pa.Table.from_pylist([vars(block)]))


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


@pytest.mark.slow
def test_only_what_a_folder_has_not_is_looked_at(album, tiny, tmp_path):
    folder, out, told = album(20, bad=1), tmp_path / "out", []
    options = {"model": tiny, "workers": 1}
    counts = keras_cpm.predict_many(folder, out, tell=lambda *n: told.append(n), **options)
    assert counts == {"photographs": 20, "people": 19, "errors": 1, "kept": 0}
    assert told[-1] == (20, 20, 1) and [done for done, _, _ in told] == sorted({*map(min, told)})
    # a photograph before all others, so that every block becomes another
    shutil.copy(folder / "0000.png", folder / "0000.first.png")
    counts = keras_cpm.predict_many([folder], out, **options)
    assert counts == {"photographs": 1, "people": 1, "errors": 0, "kept": 20}
    rows = once(out, folder)
    predictor = keras_cpm.Predictor(*keras_cpm.load(tiny))
    pose = predictor(folder / "0003.png")
    np.testing.assert_allclose(
        rows[str(folder / "0003.png")]["keypoints"], pose.keypoints, atol=0.05
    )
    assert "cannot be decoded" in rows[str(folder / "0007.png")]["error"]


@pytest.mark.slow
def test_a_model_that_is_none_ends_the_call(album, tmp_path):
    with pytest.raises(ValueError, match="There is no folder"):
        keras_cpm.predict_many(album(2), tmp_path / "out", model=tmp_path / "none", workers=1)


def started(folder, out, model):
    words = ["predict-many", folder, "--out", out, "--model", model, "--workers", 1]
    return subprocess.Popen([sys.executable, "-m", "keras_cpm", *map(str, words)])


def wait_for(out, count, process):
    """Until so many blocks are there."""
    end = time.monotonic() + 600
    while len(list(out.glob("*.parquet"))) < count:
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.01)


def workers_of(pid):
    """The processes of Ray, below one, that hold a model."""
    parents, found = {}, []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(path.name)] = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            if b"MapWorker" in (path / "cmdline").read_bytes():
                found.append(int(path.name))
        except OSError:
            continue

    def below(one):
        return one == pid or (one in parents and below(parents[one]))

    return [one for one in found if below(one)]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").is_file(), reason="workers are found in /proc")
def test_whoever_is_killed_every_photograph_is_there_once(album, tiny, tmp_path):
    folder, out = album(200, bad=5), tmp_path / "out"
    driver = started(folder, out, tiny)
    wait_for(out, 2, driver)
    (worker,) = workers_of(driver.pid)
    os.kill(worker, signal.SIGKILL)
    wait_for(out, 5, driver)
    driver.kill()
    driver.wait()
    done = len(list(out.glob("*.parquet")))
    assert 5 <= done < 21
    assert started(folder, out, tiny).wait(timeout=900) == 0
    rows = once(out, folder)
    assert sum(bool(row["error"]) for row in rows.values()) == 5
    assert len(list(out.glob("*.parquet"))) == 21 and not list(out.glob(".*"))
    predictor = keras_cpm.Predictor(*keras_cpm.load(tiny))
    poses = [predictor(folder / f"{number:04d}.png") for number in range(6)]
    for number in (n for n in range(200) if n not in range(7, 62, 11)):
        found = rows[str(folder / f"{number:04d}.png")]["keypoints"]
        np.testing.assert_allclose(found, poses[number % 6].keypoints, atol=0.05)
