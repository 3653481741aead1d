"""The paper's claims in words: what is compared, and what the comparison sees."""

import keras
import numpy as np
import pytest

import keras_cpm
from keras_cpm.paper import ablations, experiments, trial
from tests.paper.outputs import VERDICTS, outputs


@pytest.fixture
def asked(monkeypatch):
    """Leaves out the trainings, which take long; gives what they were asked for."""
    monkeypatch.setattr(experiments, "TESTED", 8)
    asked = []
    monkeypatch.setattr(
        trial,
        "train",
        lambda model, people, others, recipe, spec, **_: asked.append((model, people, spec)),
    )
    return asked


def run(figure, folder):
    lines = []
    verdict = experiments.reproduce(figure, folder, people=6, seed=3, say=lines.append)
    assert verdict.startswith(VERDICTS)
    return lines, outputs(folder, figure)


@pytest.mark.slow
def test_the_center_map_is_left_out(asked, tmp_path):
    lines, (header, *_) = run("center-map", tmp_path)
    assert "of the people in the test have somebody beside them" in lines[1]
    assert [len(model.inputs) for model, *_ in asked] == [2, 1]
    assert header == ["threshold", "with the center map", "without"]


def test_one_set_of_targets_knows_of_nobody_else(asked, tmp_path):
    run("targets", tmp_path)
    (_, both, _), (_, alone, _) = asked
    assert max(len(record.people) for record in both) > 1
    assert {len(record.people) for record in alone} == {1}
    assert [one.people[0] for one in both] == [one.people[0] for one in alone]


@pytest.mark.slow
def test_strides_are_compared(asked, tmp_path):
    run("stride", tmp_path)
    assert [spec.stride for *_, spec in asked] == [8, 4]
    assert [model.outputs[-1].shape[1] for model, *_ in asked] == [12, 24]


def test_who_is_alone_cannot_tell(asked, tmp_path):
    alone = keras_cpm.draw_records(tmp_path / "alone", 2, others=0.0)
    with pytest.raises(ValueError, match=r"people with others beside them. Received: 2 people"):
        experiments.reproduce("center-map", tmp_path / "out", records=alone, test_records=alone)


@pytest.mark.slow
def test_the_scale_is_given_wrongly(asked, tmp_path):
    lines, (header, *_) = run("scales", tmp_path)
    said = [line for line in lines if line.startswith("height given as")]
    assert [float(line.split()[3]) for line in said] == list(ablations.WRONG)
    assert header == ["threshold", "seven scales", "one scale"]


def test_the_map_that_helps_is_found(tmp_path, drawn_records):
    """Stage 2 takes its elbows from the map of the neck after stage 1, and nothing else."""
    spec = keras_cpm.PoseSpec(box_size=64)
    neck, elbow = spec.skeleton.index("neck"), spec.skeleton.index("right_elbow")
    weights = np.zeros((1, 1, 15, 15), np.float32)
    weights[0, 0, neck, elbow] = 1
    image = keras.Input((64, 64, 3), name="image")
    center = keras.Input((64, 64, 1), name="center_map")
    cells = keras.layers.AveragePooling2D(8)(image)
    ones = keras.layers.Conv2D(15, 1, kernel_initializer="zeros", bias_initializer="ones")(cells)
    copied = keras.layers.Conv2D(15, 1, use_bias=False, name="copy")
    stage1 = keras.layers.Identity(name="stage1")(ones)
    model = keras.Model(
        [image, center], [stage1, keras.layers.Identity(name="stage2")(copied(ones))]
    )
    copied.set_weights([weights])
    keras_cpm.save_bundle(tmp_path / "copy", model, spec)
    verdict = experiments.reproduce(
        "context", tmp_path, test_records=drawn_records, model=str(tmp_path / "copy")
    )
    assert "most without the map of neck" in verdict and "1 of 12 other maps help" in verdict
    header, *rows = outputs(tmp_path, "context")
    assert header == ["hidden", "belief_lost", "noise"]
    lost = {name: float(value) for name, value, _ in rows}
    # of two elbows one has it, everywhere 1
    assert lost.pop("neck") == pytest.approx(0.5) and set(lost.values()) == {0.0}
