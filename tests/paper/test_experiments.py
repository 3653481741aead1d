"""The paper's experiments at a tiny size, and what their conclusions say of numbers made by hand."""

import csv
import re

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

import keras_cpm
from keras_cpm.cli.commands.reproduce import reproduce as verb
from keras_cpm.cli.main import main
from keras_cpm.models.receptive_field import receptive_field
from keras_cpm.paper import experiments, trial, verdicts
from keras_cpm.paper.dilated import build_dilated
from keras_cpm.training.recipes import SCHEMES

VERDICTS = ("As in the paper: ", "Not as in the paper: ")


@pytest.mark.parametrize(
    "curve, noise, expected",
    [
        (
            {15: 40, 47: 60, 79: 70, 143: 70.4},
            1,
            "As in the paper: .* 70.0 at 79, and then saturates",
        ),
        (
            {15: 40, 47: 55, 143: 70},
            1,
            "Not as in the paper: .* 70.0 at 143, and does not saturate",
        ),
        ({15: 40, 47: 70, 143: 60}, 1, "Not as in the paper: .* 70.0 at 47, and then falls"),
        ({15: 40, 47: 40.5, 143: 40.9}, 1, "Not as in the paper: .* does not rise"),
        ({143: 71, 15: 40, 79: 70}, 2, "As in the paper: .* 70.0 at 79"),
    ],
)
def test_of_receptive_fields(curve, noise, expected):
    check(verdicts.of_receptive_fields(curve, noise), expected)


@pytest.mark.parametrize(
    "near, far, expected",
    [
        (
            (0.5, 0.01),
            (0.6, 0.5),
            "As in the paper: after epoch 1 .* 50 times less .* 1.2 times at",
        ),
        ((0.5, 0.0), (0.6, 0.5), "As in the paper: .* inf times less"),
        ((0.5, 0.4), (0.6, 0.6), "Not as in the paper: .* 1.25 times less"),
        # less everywhere is no vanishing
        ((0.5, 0.05), (0.6, 0.01), "Not as in the paper: .* 10 times less .* 60 times at"),
    ],
)
def test_of_gradients(near, far, expected):
    layers = {"conv1": near, "conv2": (0.1, 0.1), "conv3": far}
    check(verdicts.of_gradients(layers, 1), expected)


@pytest.mark.parametrize(
    "scores, expected",
    [
        (
            (80, 70, 75, 72),
            'As in the paper: "joint" is best by more than the noise of 1.0; PCK@0.2: joint 80.0, stagewise.joint 75.0',
        ),
        (
            (80, 70, 80.5, 72),
            'As in the paper: "joint" and "stagewise.joint" are best, within the noise of 1.0;',
        ),
        ((80, 70, 75, 79.5), 'Not as in the paper: "joint" and "unsupervised" are best, within'),
        (
            (80, 70, 82, 81.5),
            'Not as in the paper: "stagewise.joint" and "unsupervised" ahead of "joint"',
        ),
        ((80, 81.5, 75, 72), 'Not as in the paper: "stagewise" ahead of "joint"'),
    ],
)
def test_of_schemes(scores, expected):
    scores = dict(zip(SCHEMES, scores, strict=True))
    check(verdicts.of_schemes(scores, noise=1.0), expected)


@pytest.mark.parametrize(
    "scores, expected",
    [
        (
            (70, 80, 84),
            "As in the paper: PCK@0.2 grows from stage to stage by more than the noise of 1.0: 70.0, 80.0, 84.0",
        ),
        ((70, 80, 80.5, 80.2), "As in the paper: .* up to stage 2, and stays after it within"),
        ((70, 80, 77), "Not as in the paper: PCK@0.2 falls by 3.0 at stage 3"),
        ((70, 70.5, 80), "Not as in the paper: PCK@0.2 does not grow at stage 2"),
        ((70, 70.5), "Not as in the paper: PCK@0.2 does not grow at stage 2"),
    ],
)
def test_of_stages(scores, expected):
    check(verdicts.of_stages(scores, noise=1.0), expected)


def test_of_beliefs():
    shown = ("right_elbow", [0.8, 0.05])
    more = verdicts.of_beliefs(["right_elbow"], 31, 4, shown)
    check(more, "As in the paper: of right_elbow, .* finds 31 .* misses 4 .* off by 0.80, 0.05 of")
    less = verdicts.of_beliefs(["right_elbow", "left_elbow"], 4, 4, shown)
    check(less, "Not as in the paper: of right_elbow, left_elbow, .* finds 4 ")


def check(sentence, expected):
    assert re.match(expected, sentence), sentence
    assert "\n" not in sentence and sentence.endswith(".")


def test_noise_is_of_the_differences():
    truth, labelled = np.zeros((100, 2, 2)), np.ones((100, 2), bool)
    hard = np.where(np.arange(100) % 2, 9.0, 0.0)[:, None, None]
    rows = {"a": truth + hard, "b": truth + hard, "c": truth}
    pair = keras_cpm.Skeleton("pair", ("left", "right"))
    result = keras_cpm.Evaluation(rows, truth, labelled, np.ones(100), "pck", pair)
    assert trial.noise(result) == trial.noise(result, against="b") == pytest.approx(10)
    first = keras_cpm.Evaluation(
        {name: rows[name] for name in "ab"}, truth, labelled, np.ones(100), "pck", pair
    )
    # who is hard for both tells nothing of their difference
    assert trial.noise(first) == 0


def test_the_same_size_sees_farther(tiny_spec):
    fields, sizes = [], []
    for dilations in experiments._DILATIONS:
        model = build_dilated(dilations, tiny_spec)
        fields.append(receptive_field(model, "stage2", "image"))
        sizes.append(model.count_params())
    assert fields == [15, 31, 47, 63, 79, 111]
    assert max(sizes) < 1.05 * min(sizes)


@pytest.fixture
def tiny(monkeypatch):
    """Networks and tests of the smallest size."""
    monkeypatch.setattr(experiments, "TESTED", 4)
    for name in ("_LIGHT", "_CLASSIC", "_PAPER"):
        monkeypatch.setattr(experiments, name, getattr(experiments, name) | {"width": 8})


@pytest.fixture
def untrained(monkeypatch):
    """Leaves out the trainings, which take long to compile; gives what they were asked for."""
    asked = []
    monkeypatch.setattr(
        trial.training,
        "train",
        lambda model, people, others, recipe, spec, **_: asked.append(recipe),
    )
    return asked


def outputs(folder, figure):
    """Rows of the table and the picture."""
    image = cv2.imread(str(folder / f"{figure}.png"))
    assert image is not None and np.ptp(image) > 100
    with (folder / f"{figure}.csv").open(newline="") as file:
        return list(csv.reader(file))


def test_fig4(tmp_path, tiny, untrained, monkeypatch):
    monkeypatch.setattr(experiments, "_DILATIONS", ((0,), (2,)))
    lines = []
    conclusion = experiments.reproduce(
        "fig4", tmp_path, people=2, epochs=3, seed=5, say=lines.append
    )
    assert conclusion.startswith(VERDICTS)
    assert "2 people, 3 epochs, 4 other people" in lines[0] and "box of 96 pixels" in lines[0]
    assert [recipe.epochs for recipe in untrained] == [3, 3]
    header, *rows = outputs(tmp_path, "fig4")
    assert header == ["receptive_field_pixels", "parameters", "pck@0.2"]
    assert [row[0] for row in rows] == ["15", "47"]


@pytest.mark.slow
def test_fig5(tmp_path, tiny):
    conclusion = experiments.reproduce("fig5", tmp_path, people=8, epochs=1)
    assert conclusion.startswith(VERDICTS) and "after epoch 1" in conclusion
    header, *rows = outputs(tmp_path, "fig5")
    assert header == ["epoch", "layer", "std_with", "std_without"]
    # before the training and after its epoch, three layers a stage
    assert len(rows) == 2 * 9 and rows[0][1] == "conv1_stage1"
    # both begin with the same weights, and one has the losses of the stages before as well
    assert float(rows[0][2]) > 3 * float(rows[0][3]) > 0


def test_fig6b(tmp_path, tiny, untrained):
    conclusion = experiments.reproduce("fig6b", tmp_path, people=2, epochs=6)
    assert conclusion.startswith(VERDICTS)
    assert [recipe.scheme for recipe in untrained] == list(SCHEMES)
    header, *rows = outputs(tmp_path, "fig6b")
    assert header == ["threshold", *SCHEMES] and len(rows) == 21
    assert rows[0][0] == "0.0" and rows[-1][0] == "0.2"


@pytest.mark.slow
def test_fig6c_of_records(tmp_path, tiny, drawn_records):
    conclusion = experiments.reproduce(
        "fig6c",
        tmp_path,
        records=drawn_records,
        test_records=drawn_records[:2],
        people=4,
        epochs=1,
    )
    assert conclusion.startswith(VERDICTS)
    header, *rows = outputs(tmp_path, "fig6c")
    assert header == ["threshold", *(f"stage{t}" for t in range(1, 6))]
    assert all(0 <= float(cell) <= 100 for row in rows for cell in row)
    assert not (tmp_path / "people").exists()


def test_fig1_and_fig7_of_a_bundle(tmp_path, tiny, tiny_model, tiny_spec):
    keras_cpm.save_bundle(tmp_path / "bundle", tiny_model, tiny_spec)
    for figure, rows in (("fig1", 1 * 2), ("fig7", 2 * 2 * 2)):
        options = ["--model", tmp_path / "bundle", "--out", tmp_path / "out"]
        result = CliRunner().invoke(main, ["reproduce", figure, *map(str, options)])
        assert result.exit_code == 0, result.output
        assert result.output.splitlines()[-1].startswith(VERDICTS)
        header, *found = outputs(tmp_path / "out", figure)
        assert header == ["image", "part", "stage", "distance_in_normalizers", "belief"]
        assert len(found) == rows


def test_fig7_trains_where_nothing_is_given(tmp_path, tiny, untrained):
    assert experiments.reproduce("fig7", tmp_path, people=2).startswith(VERDICTS)
    assert len(untrained) == 1


@pytest.mark.parametrize(
    "figure, changes, message",
    [
        ("fig6c", {"model": "mine"}, "fig6c trains its own networks"),
        ("fig6c", {"records": [1]}, "`records` and `test_records` must be given together"),
        ("fig6c", {"test_records": [1]}, "must be given together. Received: 0 and 1"),
        ("fig7", {"records": [1]}, "must be given together. Received: 1 and 0"),
    ],
)
def test_mistakes(figure, changes, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        experiments.reproduce(figure, tmp_path, **changes)
    assert not list(tmp_path.iterdir())


def test_the_verb_knows_every_experiment():
    assert list(verb.params[0].type.choices) == sorted(experiments.EXPERIMENTS)
