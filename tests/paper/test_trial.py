"""What the networks of an experiment find, and how sure that is."""

import numpy as np
import pytest

import keras_cpm
from keras_cpm.paper import trial


def test_noise_of_seeds():
    """Two standard errors of each difference: steps of 10, 14 and of 2, 0 points."""
    scores = [[60, 70, 72], [60, 74, 74]]
    assert trial.noise_of_seeds(scores) == pytest.approx(4)
    assert trial.noise_of_seeds(scores, against=2) == pytest.approx(2)
    assert trial.noise_of_seeds(scores[:1]) == 0


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
