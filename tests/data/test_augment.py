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


def test_colours_and_halves_are_drawn_as_often_and_as_far_as_asked():
    augment = AugmentSpec(
        half_body_probability=0.3, color=0.25, gray_probability=0.2, blur=1.5, erase_probability=0.4
    )
    draws = [draw_augmentation(augment, [3, i]) for i in range(300)]
    columns = {name: np.stack([draw[name] for draw in draws]) for name in draws[0]}
    assert columns["half"].mean() == pytest.approx(0.3, abs=0.08)
    assert 0 <= columns["half_around"].min() < 0.05 and 0.95 < columns["half_around"].max() < 1
    gray = columns["color"][:, 2] == 0
    assert gray.mean() == pytest.approx(0.2, abs=0.07)
    factors = np.concatenate([columns["color"][:, :2].ravel(), columns["color"][~gray, 2]])
    assert 0.8 <= factors.min() < 0.81 and 1.24 < factors.max() <= 1.25
    assert 0 <= columns["blur"].min() < 0.05 and 1.45 < columns["blur"].max() <= 1.5
    assert columns["erase"][:, 0].mean() == pytest.approx(0.4, abs=0.08)
    assert columns["erase"][:, 3:5].min() >= 0.1 and columns["erase"][:, 3:5].max() <= 0.4


def test_a_photograph_ends_as_often_as_asked_and_anywhere():
    draws = np.stack(
        [draw_augmentation(AugmentSpec(cut_probability=0.3), [3, i])["cut"] for i in range(300)]
    )
    assert draws[:, 0].mean() == pytest.approx(0.3, abs=0.08)
    assert draws[:, 1:].min() < 0.02 and draws[:, 1:].max() > 0.98


def test_what_is_drawn_besides_leaves_the_paper_s_draws_as_they_are():
    more = draw_augmentation(
        AugmentSpec(half_body_probability=1, cut_probability=1, color=0.5), [5, 6]
    )
    for name, value in draw_augmentation(AugmentSpec(), [5, 6]).items():
        np.testing.assert_array_equal(more[name], value)


@pytest.mark.parametrize(
    "options",
    [
        {"half_body_probability": 1.5},
        {"cut_probability": -0.5},
        {"color": -0.1},
        {"gray_probability": float("nan")},
        {"blur": 4},
        {"erase_probability": 2},
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
