"""Limbs and dots lie where they are labelled, and nothing else is drawn."""

from types import SimpleNamespace

import numpy as np
import pytest

from keras_cpm import CPM14, HAND21, QUADRUPED17, Skeleton
from keras_cpm.visualization.pose import draw_keypoints, draw_pose, part_colors, write_ids
from tests.visualization.scene import GREY, POINTS, centroid, changed, grey, make_pose


@pytest.mark.parametrize("visible", [1, 2])
@pytest.mark.parametrize("point", [(40.0, 50.0), (40.3, 50.8), (61.5, 33.25)])
def test_a_dot_is_centered_on_its_keypoint(point, visible):
    one = Skeleton("one", ("right_eye",))
    image = draw_keypoints(grey(1200, 900), [point], [visible], one)
    weights = np.abs(image.astype(float) - GREY).sum(-1)
    np.testing.assert_allclose(centroid(weights), point, atol=0.2)
    x, y = np.rint(point).astype(int)
    expected = part_colors(one)[0] if visible == 2 else (GREY,) * 3
    np.testing.assert_array_equal(image[y, x], expected)
    # a hollow dot has its color around the hole
    assert (image == part_colors(one)[0]).all(-1).any()


def test_every_part_shows_its_own_color_at_its_keypoint():
    image = draw_pose(grey(), make_pose(), CPM14)
    x, y = np.rint(POINTS).astype(int).T
    np.testing.assert_array_equal(image[y, x], part_colors(CPM14))


def test_limbs_join_their_parts_and_no_others():
    image = draw_pose(grey(), make_pose(), CPM14)
    for a in range(14):
        for b in range(a):
            x, y = np.rint((POINTS[a] + POINTS[b]) / 2).astype(int)
            joined = (a, b) in CPM14.limb_indices or (b, a) in CPM14.limb_indices
            if joined:
                assert tuple(image[y, x]) == part_colors(CPM14)[a]
    assert (image[85, 63] == GREY).all()  # no limb crosses the torso of this skeleton
    bare = draw_pose(grey(), make_pose(), no_limbs := Skeleton("b", CPM14.parts))
    assert not no_limbs.limbs and changed(bare).sum() < changed(image).sum() / 2


def test_sizes_grow_with_the_person():
    ink = []
    for factor in (3, 6):
        picture = grey(200 * factor, 160 * factor)
        points = factor * POINTS
        ink.append(changed(draw_keypoints(picture, points, [2] * 14, CPM14)).mean())
    assert ink[1] == pytest.approx(ink[0], rel=0.15)
    # a small one keeps a size that can be seen
    tiny = draw_keypoints(grey(), POINTS[:1] + POINTS / 50, [2] * 14, CPM14)
    assert changed(tiny).sum() > 12


def test_a_part_below_the_threshold_is_not_drawn_nor_its_limbs():
    wrist, elbow = CPM14.index("right_wrist"), CPM14.index("right_elbow")
    scores = np.full(14, 0.5, np.float32)
    scores[elbow] = 0.14
    image = draw_pose(grey(), make_pose(scores=scores), CPM14)
    x, y = POINTS[elbow].astype(int)
    assert (image[y - 12 : y + 12, x - 4 : x + 5] == GREY).all()
    x, y = POINTS[wrist].astype(int)
    assert tuple(image[y, x]) == part_colors(CPM14)[wrist]
    image = draw_pose(grey(), make_pose(scores=scores), CPM14, threshold=0.6)
    assert (image == GREY).all()
    lower = draw_pose(grey(), make_pose(scores=scores), CPM14, threshold=0.14)
    assert tuple(lower[80, 30]) == part_colors(CPM14)[elbow]


def test_the_colored_area_of_a_dot_is_its_score():
    one, picture = Skeleton("one", ("right_eye",)), grey(2000, 2000)

    def colored(score):
        point = np.array([[700.25, 900.5]])
        pose = SimpleNamespace(keypoints=point, scores=np.array([score]), parts=one.parts)
        image = draw_pose(picture, pose, one)
        return (image == part_colors(one)[0]).all(-1).sum(), changed(image).sum()

    full, everything = colored(1.0)
    for score in (0.2, 0.5, 0.8):
        assert colored(score)[0] == pytest.approx(score * full, rel=0.06)
        # the dark rest keeps the dot as large as it is
        assert colored(score)[1] == everything
    assert colored(1.7) == (full, everything)


def test_a_limb_is_as_thin_as_its_less_sure_end():
    two = Skeleton("two", ("right_hip", "right_knee"), limbs=(("right_hip", "right_knee"),))
    points = np.array([[100.0, 500.0], [900.0, 500.0]])

    def width(scores):
        pose = SimpleNamespace(keypoints=points, scores=np.array(scores), parts=two.parts)
        image = draw_pose(grey(1000, 1000), pose, two)
        return (image[:, 500] == part_colors(two)[0]).all(-1).sum()

    assert width([1, 1]) == pytest.approx(0.017 * 800, abs=1.5)
    for scores in ([1, 0.5], [0.5, 0.9]):
        assert width(scores) == pytest.approx(0.5 * 0.017 * 800, abs=1)


def test_names_stand_beside_their_parts_and_hide_none():
    factor = 4
    picture, pose = grey(220 * factor, 200 * factor), make_pose()
    pose.keypoints = factor * (POINTS + [20, 10])
    bare = draw_pose(picture, pose, CPM14)
    named = draw_pose(picture, pose, CPM14, names=True)
    x, y = np.rint(pose.keypoints).astype(int).T
    np.testing.assert_array_equal(named[y, x], bare[y, x])
    written = (named != bare).any(-1)
    for column, row in zip(x, y, strict=True):
        around = written[row - 60 : row + 61, max(column - 90, 0) : column + 91]
        assert around.sum() > 100
    labelled = draw_keypoints(picture, pose.keypoints, [2] * 14, CPM14, names=True)
    assert ((labelled != bare).any(-1) & written).sum() > 0.5 * written.sum() > 0
    # a point that is none has no name either
    pose.keypoints[3] = np.nan
    assert (draw_pose(picture, pose, CPM14, names=True) != named).any()
    # nobody is there to be named
    pose.scores = np.zeros(14)
    np.testing.assert_array_equal(draw_pose(picture, pose, CPM14, names=True), picture)


def test_parts_without_label_are_not_drawn():
    visible = [2, 0] + [0] * 12
    image = draw_keypoints(grey(), POINTS, visible, CPM14)
    x, y = centroid(changed(image).astype(float))
    assert (x, y) == pytest.approx(POINTS[0], abs=0.1)
    assert (draw_keypoints(grey(), POINTS, [0] * 14, CPM14) == GREY).all()


def test_keypoints_outside_the_picture_are_no_error():
    points = POINTS.copy()
    points[0], points[2] = (-5e7, 4e9), (500, -500)
    points[5] = np.nan
    image = draw_keypoints(grey(), points, [2] * 14, CPM14)
    assert changed(image).any()
    far = draw_keypoints(grey(), POINTS + 5000, [2] * 14, CPM14)
    assert (far == GREY).all()


def test_right_is_warm_left_is_cool_and_fingers_differ():
    for skeleton in (CPM14, QUADRUPED17):
        for part, color in zip(skeleton.parts, part_colors(skeleton), strict=True):
            warmth = int(color[0]) - int(color[2])
            side = part.split("_")[0]
            assert {"right": warmth > 100, "left": warmth < -100}.get(side, warmth == 0), part
    colors = part_colors(HAND21)
    fingers = [set(colors[1 + 4 * i : 5 + 4 * i]) for i in range(5)]
    assert all(len(finger) == 1 for finger in fingers)
    assert len(set.union(*fingers)) == 5


def test_the_photograph_is_not_changed():
    image = grey()
    image.flags.writeable = False
    draw_pose(image, make_pose(), CPM14)
    draw_keypoints(image, POINTS, [1] * 14, CPM14)
    assert (image == GREY).all()


def test_arguments_that_do_not_fit_are_named():
    with pytest.raises(ValueError, match="hand21"):
        draw_pose(grey(), make_pose(), HAND21)
    with pytest.raises(ValueError, match=r"\(3, 2\)"):
        draw_keypoints(grey(), POINTS[:3], [2] * 3, CPM14)
    with pytest.raises(ValueError, match=r"upright_array.*float64"):
        draw_pose(np.zeros((9, 9)), make_pose(), CPM14)


def test_the_number_of_a_person_stands_above_the_box():
    boxes = [(60, 80, 120, 200), (200, 2, 260, 90)]
    drawn = write_ids(np.full((240, 320, 3), 128, np.uint8), [1, 12], boxes)
    rows, columns = np.nonzero((drawn != 128).any(axis=2))
    first = columns < 160
    assert rows[first].max() <= 80 and abs(columns[first].mean() - 90) < 16
    # inside the picture where there is no room above
    assert (~first).sum() > first.sum() and abs(columns[~first].mean() - 230) < 16
    # each in a color of its own, and nobody, nothing
    inks = [
        set(map(tuple, drawn[:, part].reshape(-1, 3))) for part in (slice(160), slice(160, 320))
    ]
    brightest = [max(ink, key=lambda color: sum(map(int, color))) for ink in inks]
    assert brightest[0] != brightest[1]
    assert not (write_ids(drawn, [], []) != drawn).any()
