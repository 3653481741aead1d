"""`keras-cpm prepare sleap-io`: labels of other tools, their skeleton, and frames of videos."""

import sys

import pytest

import keras_cpm
from tests.cli.running import failure, run
from tests.data.formats.test_sleap import write_video
from tests.data.formats.tools import assert_same, make_labels, sio, write_photographs


@pytest.fixture
def slp(tmp_path):
    write_video(tmp_path / "run.avi", [(250, 0, 0), (0, 0, 250)])
    path = tmp_path / "mice.slp"
    make_labels(sio.Video.from_filename(str(tmp_path / "run.avi"))).save(str(path), embed=False)
    return path


def test_records_frames_and_a_skeleton(slp, tmp_path):
    out = tmp_path / "runs/mice.jsonl"
    for _ in range(2):  # what is ours is replaced
        output = run("prepare", "sleap-io", slp, out)
    assert "3 records" in output and "--skeleton" in output
    records = keras_cpm.read_records(out)
    assert_same(records)
    assert records[0].image == str(tmp_path / "runs/mice/run-000000.png")
    skeleton = keras_cpm.Skeleton.load(tmp_path / "runs/mice.skeleton.json")
    assert skeleton == keras_cpm.labels_skeleton(slp) and len(skeleton.limbs) == 3
    spec = keras_cpm.PoseSpec(skeleton=skeleton, box_size=64)
    inputs, _ = next(iter(keras_cpm.make_dataset(records, spec, stages=1, batch_size=3)))
    assert inputs["image"].shape == (3, 64, 64, 3)


def test_mistakes_cost_a_sentence(slp, tmp_path, monkeypatch):
    out = tmp_path / "out.jsonl"
    assert "There are no labels at" in failure("prepare", "sleap-io", tmp_path / "a.slp", out)
    (tmp_path / "run.avi").unlink()
    assert "There is no" in (text := failure("prepare", "sleap-io", slp, out))
    assert "run.avi" in text and "--images" in text
    assert not out.exists()
    write_photographs(tmp_path / "mice")
    monkeypatch.setitem(sys.modules, "sleap_io", None)
    assert "keras-cpm[labels]" in failure("prepare", "sleap-io", slp, out)
