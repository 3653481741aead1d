"""Belief maps lie where they are in the photograph, and stages in their order."""

from types import SimpleNamespace

import numpy as np
import pytest

from keras_cpm import CPM14, PoseSpec
from keras_cpm.pose import codec, geometry
from keras_cpm.pose.pose import Pose
from keras_cpm.visualization import beliefs
from tests.visualization.scene import GREY, SPEC, brightest, changed, grey, make_pose


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("rotation", [0.0, 0.7, -2.0])
def test_beliefs_peak_at_the_keypoint_in_the_photograph(rotation, flip):
    pose = make_pose(rotation=rotation, flip=flip)
    for part in ("neck", "left_ankle"):
        image = beliefs.draw_beliefs(grey(), pose, part)
        np.testing.assert_allclose(brightest(image), pose.peaks[CPM14.index(part)], atol=1.0)


def test_beliefs_with_more_cells_than_the_model_has_lie_in_the_same_place():
    pose = make_pose(SPEC.replace(stride=2))
    image = beliefs.draw_beliefs(grey(), pose, "neck")
    np.testing.assert_allclose(brightest(image), pose.peaks[1], atol=1.0)
    panel = beliefs.draw_stages(grey(), pose, "neck")[32:, 32 : 32 + 256]
    point = geometry.apply(pose.network_from_image, pose.peaks[1])
    point = geometry.apply(geometry.resize_matrix(2.0), point)
    np.testing.assert_allclose(brightest(panel), point, atol=2.0)


def test_stages_count_from_one_and_the_last_is_the_default():
    pose = make_pose(stages=3)
    drawn = [beliefs.draw_beliefs(grey(), pose, "neck", stage=stage) for stage in (1, 2, 3)]
    for image, maps in zip(drawn, pose.beliefs, strict=True):
        alone = SimpleNamespace(**{**vars(pose), "beliefs": [maps]})
        np.testing.assert_array_equal(beliefs.draw_beliefs(grey(), alone, "neck"), image)
    np.testing.assert_array_equal(beliefs.draw_beliefs(grey(), pose, "neck"), drawn[-1])
    x, y = np.rint(pose.peaks[1]).astype(int)
    assert drawn[-1][y, x].sum() > drawn[0][y, x].sum() + 50


@pytest.mark.parametrize("stage", [0, -1, 3])
def test_a_stage_the_pose_does_not_have_is_named(stage):
    message = rf"`stage` must be in 1\.\.2, or None .*Received: stage={stage}$"
    with pytest.raises(ValueError, match=message):
        beliefs.draw_beliefs(grey(), make_pose(), "neck", stage=stage)


@pytest.mark.parametrize("draw", [beliefs.draw_beliefs, beliefs.draw_stages])
def test_a_pose_of_a_server_has_no_maps_to_draw(draw):
    pose = Pose(np.zeros((14, 2)), np.ones(14), CPM14.parts)
    with pytest.raises(ValueError, match="`pose` must have belief maps; take one that `Predictor`"):
        draw(np.zeros((48, 64, 3), np.uint8), pose, "neck")


def test_the_background_can_be_chosen():
    pose = make_pose()
    x, y = np.rint(pose.peaks[1]).astype(int)
    background = beliefs.draw_beliefs(grey(), pose, "background")
    assert background[85, 63].sum() > background[y, x].sum() + 60
    # outside the network box nothing is believed
    tall = beliefs.draw_beliefs(grey(600, 600), pose, "background")
    np.testing.assert_array_equal(tall[590, 590], [90, 90, 90])


def test_the_photograph_stays_visible_under_beliefs():
    rng = np.random.default_rng(0)
    photo = rng.integers(0, 256, (200, 160, 3), np.uint8)
    image = beliefs.draw_beliefs(photo, make_pose(), "neck")
    assert np.corrcoef(photo.ravel(), image.ravel())[0, 1] > 0.9
    x, y = np.rint(make_pose().peaks[1]).astype(int)
    around = (slice(y - 4, y + 5), slice(x - 4, x + 5))
    assert np.corrcoef(photo[around].ravel(), image[around].ravel())[0, 1] > 0.1


@pytest.mark.parametrize("stages", [1, 3])
def test_stages_are_panels_in_their_order(stages):
    pose = make_pose(stages=stages)
    strip = beliefs.draw_stages(grey(), pose, "neck")
    side, label, gap = 256, 28, 4
    assert strip.shape == (label + gap + side, label + stages * (gap + side), 3)
    point = geometry.apply(pose.network_from_image, pose.peaks[1]).numpy()
    point = geometry.apply(geometry.resize_matrix(2.0), point).numpy()
    peaks = []
    for stage in range(stages):
        left = label + gap + stage * (side + gap)
        panel = strip[label + gap :, left : left + side]
        np.testing.assert_allclose(brightest(panel), point, atol=2.0)
        peaks.append(int(panel.sum(-1).max()))
        assert changed(strip[:label, left : left + side], 255).any()  # its title
    assert peaks == sorted(peaks) and len(set(peaks)) == stages


def test_several_parts_make_several_rows():
    pose = make_pose()
    both = beliefs.draw_stages(grey(), pose, ["neck", "left_knee"])
    for row, part in enumerate(["neck", "left_knee"]):
        alone = beliefs.draw_stages(grey(), pose, part)
        top = 32 + row * 260
        np.testing.assert_array_equal(both[top : top + 256], alone[32:])
    assert both.shape[0] == 32 + 2 * 260 - 4


def test_targets_show_every_part_but_no_ignored_one():
    pose = make_pose()
    points = geometry.apply(pose.network_from_image, pose.peaks)
    visible = np.full((1, 14), 2)
    visible[0, 3] = 0
    maps = codec.encode(points[None], visible, SPEC).numpy()
    assert (maps[..., 3] == codec.IGNORE).all()
    image = beliefs.draw_targets(grey(128, 128), maps, SPEC)
    for part, (x, y) in enumerate(np.rint(points.numpy()).astype(int)):
        assert (image[y, x].sum() > 350) == (part != 3)
    # nor the background, which is high where no part is
    everything = beliefs.draw_targets(grey(128, 128), pose.beliefs[-1], SPEC)
    np.testing.assert_array_equal(everything[0, 0], [90, 90, 90])
    nothing = beliefs.draw_targets(grey(128, 128), np.full_like(maps, codec.IGNORE), SPEC)
    assert (nothing == nothing[0, 0]).all()


def test_images_are_not_changed():
    image, pose = grey(), make_pose()
    image.flags.writeable = False
    kept = [b.copy() for b in pose.beliefs]
    beliefs.draw_beliefs(image, pose, "neck")
    beliefs.draw_stages(image, pose, "neck")
    beliefs.draw_targets(grey(128, 128), pose.beliefs[0], SPEC)
    assert (image == GREY).all()
    np.testing.assert_array_equal(pose.beliefs, kept)


def test_arguments_that_do_not_fit_are_named():
    pose, bare = make_pose(), make_pose(PoseSpec(box_size=128, background=False))
    cases = [
        (lambda: beliefs.draw_beliefs(grey(), pose, "ear"), "'ear'"),
        (lambda: beliefs.draw_beliefs(grey(), bare, "background"), "'background'"),
        (lambda: beliefs.draw_stages(grey(), pose, ["neck", "ear"]), "'ear'"),
        (lambda: beliefs.draw_targets(grey(), pose.beliefs[0], SPEC), r"128.*\(200, 160, 3\)"),
    ]
    for call, message in cases:
        with pytest.raises(ValueError, match=message):
            call()
