"""Figures are pure by seed, drawn where they are labelled, plausible, and darker on their left."""

from itertools import pairwise

import cv2
import numpy as np
import pytest

from keras_cpm import Skeleton, read_records, write_records
from keras_cpm.data.synthetic.draw import draw_figure, draw_records
from keras_cpm.data.synthetic.figures import HAND, PERSON, QUADRUPED, Bone, Color, Panel
from tests.data.synthetic.test_figures import tail

FIGURES = pytest.mark.parametrize(
    "figure", [PERSON, HAND, QUADRUPED], ids=["person", "hand", "animal"]
)
ALONE = {"others": 0, "occluders": 0}
GREY = 128


def pixels(image, person):
    x, y = np.rint(person.keypoints).astype(int).T
    return image[y, x].astype(int)


def lengths(figure, person):
    index = figure.skeleton.index
    ends = [(index(bone.parent), index(bone.child)) for bone in figure.bones]
    return np.array([np.hypot(*(person.keypoints[a] - person.keypoints[b])) for a, b in ends])


def whole_people(figure, count, **options):
    """Pictures of single figures that lie in the picture with every part."""
    drawn = [draw_figure(figure, 1, i, **(ALONE | options)) for i in range(count)]
    drawn = [(image, people[0]) for image, people in drawn if people[0].labelled.all()]
    assert len(drawn) > 0.8 * count
    return drawn


@FIGURES
def test_a_picture_depends_on_seed_and_index_only(figure):
    first, people = draw_figure(figure, 3, 5)
    draw_figure(figure, 3, 4)
    again, same = draw_figure(figure, 3, 5)
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(people[0].keypoints, same[0].keypoints)
    assert first.shape == (224, 224, 3) and first.dtype == np.uint8
    for seed, index in ((3, 6), (4, 5)):
        other, others = draw_figure(figure, seed, index)
        assert np.abs(first.astype(int) - other).mean() > 10
        assert np.abs(people[0].keypoints - others[0].keypoints).max() > 3


def test_a_larger_count_continues_the_series(tmp_path):
    short = draw_records(tmp_path / "a", 3, seed=7, image_size=(64, 80))
    long = draw_records(tmp_path / "b", 5, seed=7, image_size=(64, 80))
    for one, other in zip(short, long, strict=False):
        assert one.to_dict() == other.to_dict() | {"image": one.image}
        with open(one.image, "rb") as a, open(other.image, "rb") as b:
            assert a.read() == b.read()
    assert len({record.image for record in long}) == 5


def test_another_seed_wears_other_colors():
    shirts = []
    for seed in range(8):
        image, (person,) = draw_figure(PERSON, seed, 0, plain=True, **ALONE)
        x, y = np.rint(person.keypoints[[2, 5, 8, 11]].mean(0)).astype(int)
        shirts.append(tuple(image[y, x]))
    assert len(set(shirts)) > 5


def test_figures_are_drawn_on_their_labels_to_a_fraction_of_a_pixel():
    # A black stick of one width: the middle of its ink is the middle of its ends.
    stick = tail(
        skeleton=Skeleton("stick", ("base", "tip")),
        bones=(Bone("base", "tip", 30, (-180, 180), (2, 2), ("ink",)),),
        colors=(Color("ink", value=(0, 0)),),
        height_parts=("base", "tip"),
    )
    errors = []
    for index in range(40):
        image, (person,) = draw_figure(stick, 0, index, plain=True, **ALONE)
        ink = 1 - image[..., 0] / GREY
        y, x = np.indices(ink.shape)
        points = np.stack([x, y], -1)
        errors.append((points * ink[..., None]).sum((0, 1)) / ink.sum() - person.keypoints.mean(0))
        # and it reaches from end to end, half its width and a soft edge beyond each
        along = np.diff(person.keypoints, axis=0)[0] / person.height
        extent = np.ptp(points[ink > 0.5] @ along)
        assert extent == pytest.approx(person.height * 32 / 30, abs=2.5)
    # The short edges of a round end are rendered a little unevenly, but not to one side.
    assert np.abs(errors).max() < 0.15
    assert np.abs(np.mean(errors, axis=0)).max() < 0.02


@FIGURES
def test_every_visible_part_is_painted(figure):
    for image, person in whole_people(figure, 20, plain=True):
        assert (pixels(image, person) != GREY).any(-1)[person.visible == 2].all()
        assert (image == GREY).all(-1).mean() > 0.5  # nothing else is


@FIGURES
def test_bones_keep_their_ratios_and_both_sides_agree(figure):
    expected = np.array([bone.length for bone in figure.bones])
    flipped = [figure.partner(i) for i in range(len(expected))]
    unlike = []
    for _, person in whole_people(figure, 20, plain=True):
        measured = lengths(figure, person)
        np.testing.assert_allclose(measured, measured[flipped], rtol=1e-3)
        shares = measured / expected
        low, high = 1 - figure.variation, 1 + figure.variation
        assert shares.max() / shares.min() <= high / low * 1.001
        unlike.append(shares[0] / shares[1])
    assert np.std(unlike) > 0.02  # proportions differ from figure to figure


@FIGURES
def test_joints_bend_within_their_range(figure):
    index = figure.skeleton.index
    for _, person in whole_people(figure, 20, plain=True):
        angle, bends = {}, []
        for bone in figure.bones:
            step = person.keypoints[index(bone.child)] - person.keypoints[index(bone.parent)]
            angle[bone.child] = np.degrees(np.arctan2(step[0], -step[1]))
            if bone.parent != figure.root:
                bends.append((angle[bone.child] - angle[bone.parent], bone.angle))
        fits = [
            all(
                -0.5 <= (side * bend - low) % 360 <= high - low + 0.5
                or (side * bend - low) % 360 > 359.5
                for bend, (low, high) in bends
            )
            for side in (1, -1)
        ]
        assert any(fits)  # as given, or all of it mirrored


@FIGURES
def test_height_is_that_of_the_stretched_figure(figure):
    index, heights = figure.skeleton.index, []
    for _, person in whole_people(figure, 40, plain=True):
        chain = [person.keypoints[index(part)] for part in figure.height_parts]
        assert person.height == pytest.approx(
            sum(np.hypot(*(a - b)) for a, b in pairwise(chain)), rel=1e-4
        )
        heights.append(person.height / 224)
    assert 0.45 <= min(heights) < 0.5 and 0.7 < max(heights) <= 0.75


def test_people_stand_upright_and_face_either_way():
    facing = []
    for _, person in whole_people(PERSON, 60, plain=True):
        head, neck, right, left, hips = (
            *person.keypoints[[0, 1, 2, 5]],
            person.keypoints[[8, 11]].mean(0),
        )
        lean = np.degrees(np.arctan2(*(neck - hips) * (1, -1)))
        assert abs(lean) < 30
        assert head[1] < neck[1] < hips[1]
        assert person.head_size == pytest.approx(np.hypot(*(head - neck)), rel=1e-4)
        facing.append(right[0] < left[0])
    assert 0.25 < np.mean(facing) < 0.75


@pytest.mark.parametrize("limb", ["elbow wrist", "shoulder elbow", "knee ankle"])
@pytest.mark.parametrize("plain", [True, False])
def test_left_limbs_are_darker_than_right_ones(limb, plain):
    darker = []
    for image, person in whole_people(PERSON, 40, plain=plain):
        light = {}
        for side in ("left", "right"):
            ends = [PERSON.skeleton.index(f"{side}_{part}") for part in limb.split()]
            x, y = np.rint(person.keypoints[ends].mean(0)).astype(int)
            light[side] = image[y - 1 : y + 2, x - 1 : x + 2].mean()
        darker.append(light["left"] < 0.9 * light["right"])
    # a few middles lie behind another limb
    assert np.mean(darker) > 0.85


def test_the_side_of_a_limb_shows_on_the_limb_itself():
    light = {"left": [], "right": []}
    for image, person in whole_people(PERSON, 40, plain=True):
        for side, values in light.items():
            values.append(pixels(image, person)[PERSON.skeleton.index(f"{side}_knee")].mean())
    assert np.max(light["left"]) < np.min(light["right"])


@pytest.mark.parametrize("what", ["occluders", "others"])
def test_what_is_painted_over_is_labelled_occluded(what):
    hidden = 0
    for index in range(60):
        before, (person,) = draw_figure(PERSON, 2, index, plain=True, **ALONE)
        after, people = draw_figure(PERSON, 2, index, plain=True, **(ALONE | {what: 1}))
        np.testing.assert_array_equal(person.keypoints, people[0].keypoints)
        newly = (person.visible == 2) & (people[0].visible == 1)
        # Only what lies well inside or outside of the new shape is certain; its border is soft.
        changed = (before != after).any(-1).astype(np.uint8)
        covered = pixels(cv2.erode(changed, np.ones((5, 5))), person) > 0
        spared = pixels(cv2.dilate(changed, np.ones((5, 5))), person) == 0
        assert newly[covered & (person.visible == 2)].all()
        assert not newly[spared].any()
        hidden += newly.sum()
    assert hidden > 20


def test_the_far_legs_of_an_animal_are_the_hidden_ones():
    index = QUADRUPED.skeleton.index
    hidden = {"left": 0, "right": 0}
    for _, person in whole_people(QUADRUPED, 30, plain=True):
        far = (
            "right"
            if person.keypoints[index("nose")][0] < person.keypoints[index("rump")][0]
            else "left"
        )
        near = {"left": "right", "right": "left"}[far]
        tops = [[index(f"{side}_{end}_top") for end in ("front", "hind")] for side in (far, near)]
        hidden[far] += (person.visible[tops[0]] == 1).sum()
        assert (person.visible[tops[1]] == 2).all()
    assert min(hidden.values()) > 3


def test_others_stand_beside_at_the_stated_rate():
    people = [draw_figure(PERSON, 0, i, (64, 64), plain=True)[1] for i in range(200)]
    assert 0.2 < np.mean([len(group) == 2 for group in people]) < 0.4
    assert all(len(draw_figure(PERSON, 0, i, (64, 64), **ALONE)[1]) == 1 for i in range(5))
    for first, second in (group for group in people if len(group) == 2):
        assert 0.8 < second.height / first.height < 1.2


@FIGURES
def test_labels_lie_in_the_picture_and_boxes_around_them(figure):
    height, width = 120, 200
    unlabelled = 0
    for index in range(60):
        _, people = draw_figure(figure, 0, index, (height, width), others=1)
        assert people[0].labelled.mean() > 0.5
        for person in people:
            points = person.keypoints[person.labelled]
            assert (points >= -0.5).all() and (points <= (width - 0.5, height - 0.5)).all()
            middle = (points.min(0) + points.max(0)) / 2
            np.testing.assert_allclose(person.center, middle, atol=1e-3)
            x0, y0, x1, y1 = person.box
            assert 0 <= x0 < x1 <= width - 1 and 0 <= y0 < y1 <= height - 1
            assert x0 < middle[0] < x1 and y0 < middle[1] < y1
            assert (points >= (x0 - 0.5, y0 - 0.5)).all() and (points <= (x1 + 0.5, y1 + 0.5)).all()
            unlabelled += (~person.labelled).sum()
    assert unlabelled > 0


@FIGURES
def test_records_are_read_back(figure, tmp_path):
    seen = []

    def progress(indices):
        seen.append(indices)
        return indices

    records = draw_records(
        tmp_path / "pictures", 3, figure=figure, seed=2, image_size=(96, 128), progress=progress
    )
    write_records(records, tmp_path / "records.jsonl")
    assert seen == [range(3)]
    for index, (record, read) in enumerate(
        zip(records, read_records(tmp_path / "records.jsonl"), strict=True)
    ):
        assert read.image == record.image and read.size == (96, 128)
        assert read.parts == figure.skeleton.parts
        assert (read.dataset, read.split) == ("synthetic", "train")
        image, people = draw_figure(figure, 2, index, (96, 128))
        assert len(read.people) == len(people)
        np.testing.assert_allclose(read.people[0].keypoints, people[0].keypoints, atol=1e-3)
        stored = cv2.imread(record.image).astype(int)
        right, swapped = (np.abs(stored[..., ::step] - image).mean() for step in (-1, 1))
        assert right < 8 and right < swapped / 2


def test_a_figure_of_ones_own_needs_data_only():
    panel = Panel(("base", "bend", "tip"), 4, ("fur",), layer=1)
    for figure in (tail(), tail(panels=[panel]), tail(mirror=False)):
        image, people = draw_figure(figure, 0, 0, (64, 96))
        assert image.shape == (64, 96, 3)
        assert people[0].keypoints.shape == (3, 2) and people[0].head_size is None
    below = [
        draw_figure(tail(mirror=False), 0, i, plain=True, **ALONE)[1][0].keypoints
        for i in range(20)
    ]
    assert all(points[1, 0] > points[0, 0] for points in below)


BAD_OPTIONS = (
    {"count": 0},
    {"count": 1.5},
    {"seed": -1},
    {"image_size": (16, 64)},
    {"image_size": 64},
    {"others": 1.5},
    {"occluders": -0.1},
)


@pytest.mark.parametrize("options", BAD_OPTIONS, ids=str)
def test_bad_arguments_are_named_before_anything_is_written(options, tmp_path):
    (value,) = options.values()
    with pytest.raises(ValueError) as error:
        draw_records(tmp_path / "pictures", **({"count": 2} | options))
    assert str(value) in str(error.value)
    assert not (tmp_path / "pictures").exists()


def test_a_figure_larger_than_its_picture_is_refused():
    huge = tail(
        skeleton=Skeleton("huge", ("base", "bend", "tip")),
        bones=(tail().bones[0], Bone("bend", "tip", 900, (0, 0), (8, 6), ("fur",))),
        height_parts=("base", "bend"),
    )
    with pytest.raises(ValueError, match="height_parts"):
        draw_figure(huge, 0, 0)
