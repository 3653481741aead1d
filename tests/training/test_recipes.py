"""What a recipe refuses, and how one makes another."""

import dataclasses

import pytest

from keras_cpm import RELEASE, TrainSpec


@pytest.mark.parametrize(
    "options, message",
    [
        (
            {"optimizer": "adam"},
            r"`optimizer` must be one of .*'adamw'.*Received: optimizer='adam'",
        ),
        ({"schedule": "linear"}, r"`schedule` must be one of .*Received: schedule='linear'"),
        ({"missing": "nan"}, r"`missing` must be one of .*Received: missing='nan'"),
        ({"precision": "half"}, r"`precision` must be one of .*Received: precision='half'"),
        ({"epochs": 0}, r"`epochs` must be positive. Received: epochs=0"),
        ({"batch_size": -4}, r"`batch_size` must be positive. Received: batch_size=-4"),
        ({"learning_rate": 0.0}, r"`learning_rate` must be positive. Received: learning_rate=0.0"),
        ({"learning_rate": float("nan")}, r"`learning_rate` must be positive"),
        ({"ema": 1.0}, r"`ema` must be in \[0, 1\). Received: ema=1.0"),
        ({"ema": -0.1}, r"`ema` must be in \[0, 1\). Received: ema=-0.1"),
        ({"stage1_multiplier": 5.0}, r"need optimizer=\"sgd\".*Received: 5.0 and 1.0"),
        ({"bias_multiplier": 2.0}, r"need optimizer=\"sgd\".*Received: 1.0 and 2.0"),
        ({"schedule": "step"}, r"needs a positive `step_size`. Received: 0"),
    ],
)
def test_recipes_that_make_no_sense(options, message):
    with pytest.raises(ValueError, match=message):
        TrainSpec(**options)


def test_recipes_change_with_replace():
    fast = dataclasses.replace(RELEASE, learning_rate=1e-3, epochs=2)
    assert (fast.learning_rate, fast.epochs, fast.momentum) == (1e-3, 2, 0.9)
    with pytest.raises(ValueError, match='need optimizer="sgd"'):
        dataclasses.replace(RELEASE, optimizer="adamw")
