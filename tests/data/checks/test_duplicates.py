"""The same person in two records, labelled twice or mirrored: and those who only nearly are."""

import shutil
import time

import cv2
import numpy as np
import pytest

from keras_cpm.data.checks import duplicates
from keras_cpm.data.checks.check import check
from tests.data.checks.people import FIGURE, LSP14, POINTS, SWAP, figure, mirrored, record


def find(*records):
    return duplicates.find(records, [record.size for record in records])


def only_pair(*records):
    ((number, kind, problem),) = find(*records)
    assert number == len(records) - 1
    return kind, problem


class TestMirrors:
    @pytest.mark.parametrize("order", [1, -1])
    @pytest.mark.parametrize("about", [139, 140])
    def test_sides_not_swapped(self, order, about):
        flipped = figure(mirrored(FIGURE, about=about, swap=False), "flipped.jpg")
        kind, problem = only_pair(figure(FIGURE + 30), *(figure(), flipped)[::order])
        assert kind == "sides" and "names of right and left" in problem
        assert ("about width" in problem) == (about == 140)

    def test_within_rounding(self):
        noise = np.random.default_rng(0).uniform(-0.9, 0.9, (14, 2))
        flipped = mirrored(FIGURE + noise, swap=False)
        assert only_pair(figure(), figure(flipped, "b.jpg"))[0] == "sides"
        flipped[0] += 3
        assert find(figure(), figure(flipped, "b.jpg")) == []

    def test_about_width(self):
        flipped = figure(mirrored(FIGURE, about=140), "flipped.jpg")
        kind, problem = only_pair(figure(), flipped)
        assert kind == "mirror" and "record 0 mirrored about width instead of width - 1" in problem

    def test_done_right(self):
        assert find(figure(), figure(mirrored(FIGURE), "b.jpg")) == []
        small = np.random.default_rng(0).uniform(-0.4, 0.4, (14, 2))
        assert find(figure(), figure(mirrored(FIGURE) + small, "b.jpg")) == []

    def test_unlabelled_parts_move_with_the_names(self):
        visible = np.full(14, 2)
        visible[LSP14.index("right_wrist")] = 0
        half = figure(visible=visible)
        wrong = figure(mirrored(FIGURE, swap=False), "b.jpg", visible=visible)
        right = figure(mirrored(FIGURE), "b.jpg", visible=visible[SWAP])
        beside = figure(mirrored(FIGURE, about=140), "b.jpg", visible=visible[SWAP])
        assert only_pair(half, wrong)[0] == "sides"
        assert only_pair(half, beside)[0] == "mirror"
        assert find(half, right) == []

    def test_chance(self):
        """Few labels, a figure that is its own mirror image, one that stands still in a film, a
        profile whose sides are in the same places.
        """
        few = np.arange(14) < 3
        flipped = mirrored(FIGURE, swap=False)
        assert find(figure(visible=2 * few), figure(flipped, "b.jpg", visible=2 * few)) == []
        own = (FIGURE + mirrored(FIGURE)) / 2
        for moved in ((0, 0), (1, 0)):
            assert find(figure(own), figure(own + moved, "b.jpg")) == []
        profile = (FIGURE + FIGURE[SWAP]) / 2
        assert find(figure(profile), figure(mirrored(profile), "b.jpg")) == []

    def test_another_width(self):
        flipped = mirrored(FIGURE, swap=False)
        assert find(figure(), figure(flipped, "b.jpg", size=(200, 150))) == []
        assert find(figure(size=None), figure(flipped, "b.jpg", size=None)) == []

    def test_parts_without_sides(self):
        flipped = record("b.png", mirrored(POINTS, about=39, swap=False))
        assert find(record("a.png"), flipped) == []


def only_duplicate(records):
    (finding,) = check(records)
    assert finding["kind"] == "duplicate"
    return finding["problem"]


class TestDuplicates:
    def test_in_two_records(self, picture):
        problem = only_duplicate([record(picture), record(picture, POINTS + 0.4)])
        assert "same person as in record 0" in problem
        assert check([record(picture), record(picture, POINTS + 0.7)]) == []
        corner = POINTS - POINTS[1]  # what is not labelled is stored as (0, 0)
        assert check([record(picture, corner), record(picture, corner, (2, 0, 2, 2))]) == []

    def test_in_a_copy_of_the_photograph(self, picture, tmp_path):
        copy, other = str(tmp_path / "copy.png"), str(tmp_path / "other.png")
        shutil.copy(picture, copy)
        cv2.imwrite(other, np.full((80, 40, 3), 9, np.uint8))
        problem = only_duplicate([record(picture), record(copy)])
        assert "same person and photograph as in record 0" in problem
        assert check([record(picture), record(other)]) == [], "who stands still in a film"

    def test_each_is_counted_once(self, picture):
        found = check([record(picture)] * 4)
        assert [(f["record"], f["kind"]) for f in found] == [(i, "duplicate") for i in (1, 2, 3)]

    def test_another_person_of_the_photograph(self):
        one = figure(others=[FIGURE + 30])
        assert find(one, figure(FIGURE + 30, others=[FIGURE])) == []


@pytest.mark.parametrize("spread", [0, 1, 60])
def test_many_records_take_seconds(spread):
    """Also where all have the same labels, and where somebody stands still in a film."""
    noise = np.random.default_rng(0).normal(0, spread, (4000, 14, 2))
    records = [figure(FIGURE + n, f"{i}.jpg", size=(400, 400)) for i, n in enumerate(noise)]
    start = time.monotonic()
    assert find(*records) == []
    assert time.monotonic() - start < 20
