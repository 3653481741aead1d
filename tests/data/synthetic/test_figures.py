"""A figure whose fields do not fit together says so when it is made."""

from dataclasses import replace

import pytest

from keras_cpm import Skeleton
from keras_cpm.data.synthetic.figures import Bone, Color, Figure, Panel

FUR = ("fur",)


def tail(**changes):
    """A figure of three parts in a row."""
    fields = {
        "skeleton": Skeleton("tail", ("base", "bend", "tip")),
        "root": "base",
        "bones": (
            Bone("base", "bend", 30, (80, 100), (8, 8), FUR),
            Bone("bend", "tip", 20, (-40, 40), (8, 6), FUR),
        ),
        "colors": (Color("fur"),),
        "height_parts": ("base", "bend", "tip"),
    }
    return Figure(**(fields | changes))


BAD_FIGURES = {
    "a bone to an unknown part": (
        {"bones": (Bone("base", "ear", 1, (0, 1), (1, 1), FUR),)},
        "'ear'",
    ),
    "a part without bone": ({"bones": tail().bones[:1], "height_parts": ("base", "bend")}, "'tip'"),
    "bones out of order": ({"bones": tail().bones[::-1]}, "'bend' to 'tip'"),
    "a part reached twice": ({"bones": tail().bones + tail().bones[1:]}, "'bend' to 'tip'"),
    "an unknown root": ({"root": "ear"}, "'ear'"),
    "an unknown color": ({"colors": (Color("skin"),)}, "'fur'"),
    "an unknown part in a panel": ({"panels": (Panel(("base", "ear"), 1, FUR),)}, "'ear'"),
    "a height across no bone": ({"height_parts": ("base", "tip")}, "height_parts"),
    "a height of one part": ({"height_parts": ("base",)}, "height_parts"),
    "no length": ({"bones": (replace(tail().bones[0], length=0), tail().bones[1])}, "length=0"),
    "a range upside down": (
        {"bones": (replace(tail().bones[0], angle=(9, 8)), tail().bones[1])},
        r"\(9, 8\)",
    ),
}


@pytest.mark.parametrize("name", BAD_FIGURES)
def test_a_figure_that_does_not_fit_says_what(name):
    changes, message = BAD_FIGURES[name]
    with pytest.raises(ValueError, match=message):
        tail(**changes)
