"""The paper's experiments at a tiny size: pictures, numbers and verdicts."""

import pytest

from keras_cpm.paper import experiments, trial
from keras_cpm.training.recipes import SCHEMES
from tests.paper.outputs import VERDICTS, outputs


@pytest.fixture
def few(monkeypatch):
    """Four people in the test."""
    monkeypatch.setattr(experiments, "TESTED", 4)


@pytest.fixture
def untrained(monkeypatch):
    """Leaves out the trainings, which take long to compile; gives what they were asked for."""
    asked = []
    monkeypatch.setattr(
        trial, "train", lambda model, people, others, recipe, spec, **_: asked.append(recipe)
    )
    return asked


def test_fig4(tmp_path, few, untrained, monkeypatch):
    monkeypatch.setattr(experiments, "DILATIONS", ((0,), (2,)))
    lines = []
    verdict = experiments.reproduce("fig4", tmp_path, people=2, epochs=3, seed=5, say=lines.append)
    assert verdict.startswith(VERDICTS)
    assert "2 people, 3 epochs, 4 other people" in lines[0] and "box of 96 pixels" in lines[0]
    assert [recipe.epochs for recipe in untrained] == [3, 3]
    header, *rows = outputs(tmp_path, "fig4")
    assert header == ["receptive_field_pixels", "parameters", "pck@0.2"]
    assert [row[0] for row in rows] == ["15", "47"]


@pytest.mark.slow
def test_fig5(tmp_path, few):
    verdict = experiments.reproduce("fig5", tmp_path, people=8, epochs=1)
    assert verdict.startswith(VERDICTS) and "after epoch 1" in verdict
    header, *rows = outputs(tmp_path, "fig5")
    assert header == ["epoch", "layer", "std_with", "std_without"]
    # before the training and after its epoch, three layers a stage
    assert len(rows) == 2 * 9 and rows[0][1] == "conv1_stage1"
    # both begin with the same weights, and one has the losses of the stages before as well
    assert float(rows[0][2]) > 3 * float(rows[0][3]) > 0


@pytest.mark.slow
def test_fig6b(tmp_path, few, untrained):
    verdict = experiments.reproduce("fig6b", tmp_path, people=2, epochs=6, seed=4, seeds=2)
    assert verdict.startswith(VERDICTS)
    assert [recipe.scheme for recipe in untrained] == 2 * list(SCHEMES)
    assert [recipe.seed for recipe in untrained] == [4] * 4 + [5] * 4
    # the second part of "stagewise+joint" is as long as "joint"
    assert [recipe.epochs for recipe in untrained] == 2 * [6, 6, 12, 6]
    header, *rows = outputs(tmp_path, "fig6b")
    assert header == ["threshold", *SCHEMES] and len(rows) == 21
    assert rows[0][0] == "0.0" and rows[-1][0] == "0.2"


@pytest.mark.slow
def test_fig6c_of_records(tmp_path, few, drawn_records):
    verdict = experiments.reproduce(
        "fig6c",
        tmp_path,
        records=drawn_records,
        test_records=drawn_records[:2],
        people=4,
        epochs=1,
    )
    assert verdict.startswith(VERDICTS)
    header, *rows = outputs(tmp_path, "fig6c")
    assert header == ["threshold", *(f"stage{t}" for t in range(1, 7))]
    assert all(0 <= float(cell) <= 100 for row in rows for cell in row)
    assert not (tmp_path / "people").exists()


def test_fig7_trains_where_nothing_is_given(tmp_path, few, untrained):
    assert experiments.reproduce("fig7", tmp_path, people=2).startswith(VERDICTS)
    assert len(untrained) == 1


@pytest.mark.parametrize(
    "figure, changes, message",
    [
        ("fig2", {}, "`figure` must be one of .*Received: figure=.fig2"),
        ("fig6c", {"model": "mine"}, "fig6c trains its own networks"),
        ("fig5", {"seeds": 2}, "fig5 is not repeated; leave `seeds` out. Received: seeds=2"),
        ("fig6c", {"records": [1]}, "`records` and `test_records` must be given together"),
        ("fig6c", {"test_records": [1]}, "must be given together. Received: 0 and 1"),
        ("fig7", {"records": [1]}, "must be given together. Received: 1 and 0"),
    ],
)
def test_mistakes(figure, changes, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        experiments.reproduce(figure, tmp_path, **changes)
    assert not list(tmp_path.iterdir())
