"""What the verdicts say of numbers made by hand."""

import re

import pytest

from keras_cpm.paper import verdicts
from keras_cpm.training.recipes import SCHEMES


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
        ({15: 40, 47: 40.5, 143: 40.9}, 1, "Too small a run to judge: .* does not rise"),
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
    check(verdicts.of_gradients({1: layers}), expected)


@pytest.mark.parametrize(
    "near, far, expected",
    [
        ((0.2, 0.01), (0.3, 0.6), "As in the paper: .* shrink in 2 of 2 layers .* least 20 times"),
        # larger at the end than at the beginning, in one layer
        ((0.2, 0.01), (0.7, 0.6), "Not as in the paper: .* shrink in 1 of 2 layers"),
        # those near the input wake up without supervision, too
        ((0.2, 0.2), (0.3, 0.6), "Not as in the paper: .* at least 1 times less near the input"),
    ],
)
def test_of_gradients_of_later_epochs(near, far, expected):
    epochs = {1: {"conv1": (0.5, 0.01), "conv3": (0.6, 0.5)}, 7: {"conv1": near, "conv3": far}}
    check(verdicts.of_gradients(epochs), expected)


@pytest.mark.parametrize(
    "scores, expected",
    [
        (
            (80, 70, 79.5, 72),
            'As in the paper: "joint" is best; PCK@0.2: joint 80.0, stagewise.joi',
        ),
        ((80, 70, 80.5, 72), 'As in the paper: "joint" is best; PCK@0.2: stagewise.joint 80.5, jo'),
        # a quarter of what training stage by stage lacks is close
        ((80, 70, 77.6, 72), 'As in the paper: "joint" is best'),
        ((80, 70, 77.4, 72), 'Not as in the paper: "stagewise.joint" does not come close .* 2.6 b'),
        ((80, 70, 79, 79.5), 'Too small a run to judge: "joint" and "unsupervised" are equal with'),
        ((80, 79.5, 80, 79), 'Too small .* "joint" and "stagewise" are equal and "joint" and "uns'),
        ((80, 70, 82, 81.5), 'Not .* "unsupervised" is ahead of "joint" and "stagewise.joint" is '),
        ((80, 81.5, 80, 72), 'Not as in the paper: "stagewise" is ahead of "joint" .noise 1.0.;'),
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
            "As in the paper: PCK@0.2 grows from stage to stage by more than the noise of 1.0: "
            "70.0, 80.0, 84.0",
        ),
        ((70, 80, 82, 84, 86, 86.5), "As in the paper: .* up to stage 5, and stays after it with"),
        ((70, 80, 80.5, 80.2), "Too small a run to judge: .* up to stage 2, and stays after it"),
        ((70, 80, 77), "Not as in the paper: PCK@0.2 falls by 3.0 at stage 3"),
        ((70, 70.5, 80), "Too small a run to judge: PCK@0.2 does not grow at stage 2"),
        ((70, 70.5), "Too small a run to judge: PCK@0.2 does not grow at stage 2"),
    ],
)
def test_of_stages(scores, expected):
    check(verdicts.of_stages(scores, noise=1.0), expected)


@pytest.mark.parametrize(
    "scores, noise, expected",
    [
        (
            {0.1: (20.0, 45.0), 0.2: (45.0, 70.0)},
            2.0,
            r"As in the paper: the network leads the Pose Machine by 25\.0 at 0\.1 \(45\.0 against "
            r"20\.0\) and 25\.0 at 0\.2",
        ),
        # at one threshold by no more than the noise
        (
            {0.1: (20.0, 22.0), 0.2: (45.0, 70.0)},
            2.0,
            r"Not as in the paper: the network does not lead the Pose Machine at both thresholds: ",
        ),
        ({0.1: (20.0, 50.0), 0.2: (70.0, 60.0)}, 1.0, r"Not as in the paper: .* -10\.0 at 0\.2"),
    ],
)
def test_of_predecessor(scores, noise, expected):
    check(verdicts.of_predecessor(scores, noise), expected)


@pytest.mark.parametrize(
    "lost, noise, expected",
    [
        (
            0.2,
            0.05,
            "As in the paper: .* without the map of neck, by 0.200 .* 1 of 2 other maps help",
        ),
        (0.002, 0.001, "Not as in the paper: .* 0 of 2 other maps help"),
        (0.03, 0.05, "Too small a run to judge: .* 0 of 2 other maps help"),
    ],
)
def test_of_context(lost, noise, expected):
    rows = [("elbow", 0.5, 0.01), ("neck", lost, noise), ("knee", -0.1, noise)]
    check(verdicts.of_context(["elbow"], rows), expected)


def test_of_beliefs():
    shown = ("right_elbow", [0.8, 0.05])
    more = verdicts.of_beliefs(["right_elbow"], 31, 4, shown)
    check(more, "As in the paper: of right_elbow, .* finds 31 .* misses 4 .* off by 0.80, 0.05 of")
    less = verdicts.of_beliefs(["right_elbow", "left_elbow"], 4, 4, shown)
    check(less, "Not as in the paper: of right_elbow, left_elbow, .* finds 4 ")


def check(sentence, expected):
    assert re.match(expected, sentence), sentence
    assert "\n" not in sentence and sentence.endswith(".")
