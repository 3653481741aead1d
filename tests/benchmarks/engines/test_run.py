"""Every engine that is here is measured, and what is not is said. No times are asserted."""

import dataclasses

import pytest
from keras import layers

import keras_cpm
from benchmarks.engines import peers, run
from keras_cpm.cli.allocator import SETTINGS

ROW = {"title", "precision", "milliseconds", "speed", "difference", "peak_gb"}


@pytest.mark.slow
def test_every_engine_that_is_here_agrees(tiny, in_this_process):
    lines = []
    result = run.run_bench(tiny / "bundle", rounds=1, malloc="without", say=lines.append)
    table = result["tables"]["without"]
    absent = {name for name, engine in peers.INFERENCE.items() if engine.absent()}
    assert list(table) == [name for name in peers.INFERENCE if name not in absent]
    for name, row in table.items():
        assert set(row) == ROW and row["milliseconds"] > 0
        assert row["difference"] < 1e-5, name
        assert f"{name} is ready" in lines
    assert table["tensorflow"]["speed"] == 1 and table["tensorflow"]["difference"] == 0
    assert "round 1 of 1" in lines
    assert all(any(line.startswith(f"{name} does not") for line in lines) for name in absent)
    facts = {"task": "inference", "box": 64, "stages": 1, "batch": 1, "rounds": 1}
    assert facts.items() <= result.items() and result["threads"] == run.cores()


def test_without_tensorflow_there_is_no_ratio(tiny, in_this_process):
    result = run.run_bench(tiny / "bundle", engines=["keras_cpm"], rounds=1, malloc="without")
    row = result["tables"]["without"]["keras_cpm"]
    assert row["speed"] is None and row["difference"] is None


@pytest.mark.parametrize("glibc", [True, False])
def test_both_environments_of_the_allocator(tiny, in_this_process, glibc, monkeypatch):
    monkeypatch.setattr(run, "is_glibc", lambda: glibc)
    result = run.run_bench(tiny / "bundle", engines=["tensorflow"], rounds=1)
    assert list(result["tables"]) == (["without", "with"] if glibc else ["without"])
    # preparing; time and memory of each
    assert in_this_process == [{}] * 3 + [SETTINGS] * (2 if glibc else 0)


@pytest.mark.slow
def test_a_network_that_an_engine_cannot_run(tmp_path, in_this_process, monkeypatch):
    """Engines that cannot are left out, or refused where they were asked for."""
    # it is refused before anything of it is loaded
    here = dataclasses.replace(peers.INFERENCE["pytorch"], packages={})
    monkeypatch.setitem(peers.INFERENCE, "pytorch", here)

    def tower(image, *, width, name):
        return layers.DepthwiseConv2D(3, strides=8, padding="same")(image)

    spec = keras_cpm.PoseSpec(box_size=64)
    model = keras_cpm.build_cpm(
        1, spec, backbone=tower, width=8, center_map=False, input_size="any"
    )
    keras_cpm.save_bundle(tmp_path, model, spec)
    lines = []
    options = {"rounds": 1, "malloc": "without", "say": lines.append}
    result = run.run_bench(tmp_path, **options)
    ours = ["keras_cpm", "savedmodel", "small-tiles", "tensorflow"]
    # what takes an ONNX file, where it is installed
    others = ["onnxruntime", "openvino"]
    able = [*ours, *(name for name in others if not peers.INFERENCE[name].absent())]
    assert list(result["tables"]["without"]) == able
    assert any("pytorch does not take part" in line for line in lines)
    with pytest.raises(ValueError, match=r"pytorch cannot run this network\. The table has no"):
        run.run_bench(tmp_path, engines=["pytorch", "tensorflow"], **options)


def test_mistakes_are_one_sentence(monkeypatch):
    for options, sentence in [
        ({"engines": ["caffe"]}, "`engines` must be of .*'keras_cpm'.* Received: caffe"),
        ({"engines": ["savedmodel"], "train": True}, "`engines` must be of"),
        ({"rounds": 0}, "`rounds` must be at least 1"),
        ({"train": True, "batch": 0}, "`batch` must be at least 1"),
        ({"malloc": "some"}, "`malloc` must be one of"),
    ]:
        with pytest.raises(ValueError, match=sentence):
            run.run_bench(**options)
    monkeypatch.setattr(peers.Engine, "absent", lambda self: list(self.packages.values()))
    with pytest.raises(ValueError, match="pytorch is not installed; pip install torch"):
        run.run_bench(engines=["pytorch"])
