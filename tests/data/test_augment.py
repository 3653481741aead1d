"""What is drawn at random stays in its ranges, and ranges that make no sense are refused."""

import numpy as np
import pytest

from keras_cpm import AugmentSpec
from keras_cpm.data.augment import draw_augmentation


def test_draws_stay_in_their_ranges_and_fill_them():
    augment = AugmentSpec(30.0, (0.8, 1.5), flip_probability=0.25, shift=0.1)
    draws = [draw_augmentation(augment, [7, i]) for i in range(300)]
    columns = {name: np.stack([draw[name] for draw in draws]) for name in draws[0]}
    assert columns["shift"].shape == (300, 2)
    for name, low, high in (
        ("rotation", -np.pi / 6, np.pi / 6),
        ("scale", 0.8, 1.5),
        ("shift", -0.1, 0.1),
    ):
        values, width = columns[name], high - low
        assert low <= values.min() < low + 0.05 * width
        assert high - 0.05 * width < values.max() <= high
        assert values.mean() == pytest.approx((low + high) / 2, abs=0.06 * width)
    assert set(columns["flip"].tolist()) == {0, 1}
    assert columns["flip"].mean() == pytest.approx(0.25, abs=0.08)
    # one number for all would make turned people large
    assert abs(np.corrcoef(columns["rotation"], columns["scale"])[0, 1]) < 0.2


def test_no_augmentation_draws_nothing():
    draw = draw_augmentation(None, [1, 2])
    assert {name: np.asarray(value).tolist() for name, value in draw.items()} == {
        "rotation": 0,
        "scale": 1,
        "flip": 0,
        "shift": [0, 0],
    }


@pytest.mark.parametrize(
    "options",
    [
        {"rotation_degrees": 181},
        {"rotation_degrees": -1},
        {"scale_range": (1.3, 0.7)},
        {"scale_range": (0, 1)},
        {"scale_range": (1,)},
        {"flip_probability": 1.5},
        {"shift": -0.1},
    ],
)
def test_ranges_that_make_no_sense(options):
    (name,) = options
    with pytest.raises(ValueError, match=f"`{name}` must be .*Received: {name}="):
        AugmentSpec(**options)
