"""What is drawn lies where it is labelled, and nothing else is drawn."""

import csv
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from keras_cpm import CPM14, HAND21, QUADRUPED17, PoseSpec, Skeleton
from keras_cpm.pose import codec, geometry
from keras_cpm.visualization import beliefs
from keras_cpm.visualization.canvas import write_labels

GREY = 128
SPEC = PoseSpec(box_size=128)
POINTS = np.array([(60, 30), (62.3, 50.7), (40, 60), (30, 80), (28, 100), (80, 60), (95, 80)])
POINTS = np.concatenate([POINTS, [(97, 99), (50, 110), (48, 140), (45, 170), (75, 110)]])
POINTS = np.concatenate([POINTS, [(78, 140), (80.4, 170.2)]]).astype(np.float32)


def canvas(height=200, width=160):
    return np.full((height, width, 3), GREY, np.uint8)


def make_pose(spec=SPEC, stages=2, rotation=0.5, flip=False, scores=None):
    """A `Pose`. Its beliefs peak at `peaks`, image frame: the middles of the cells nearest to
    POINTS, because between cells a belief map has no peak to be looked for."""
    matrix = geometry.network_from_image((65, 100), 150, spec, rotation=rotation, flip=flip)
    cells = geometry.apply(geometry.compose(geometry.belief_from_network(spec), matrix), POINTS)
    moved = geometry.network_from_cells(np.rint(cells), spec)
    beliefs = codec.encode(moved[None], np.full((1, 14), 2), spec).numpy()
    return SimpleNamespace(
        keypoints=POINTS.copy(),
        scores=np.ones(14, np.float32) if scores is None else scores,
        parts=spec.skeleton.parts,
        beliefs=[beliefs * share for share in np.linspace(1, 0.6, stages)[::-1]],
        network_from_image=matrix.numpy(),
        spec=spec,
        peaks=geometry.apply(geometry.invert(matrix), moved).numpy(),
    )


def centroid(weights):
    y, x = np.indices(weights.shape)
    return np.array([(x * weights).sum(), (y * weights).sum()]) / weights.sum()


def changed(image, where=None):
    return (image != (GREY if where is None else where)).any(-1)


def brightest(image):
    light = image.astype(float).sum(-1)
    return centroid(light == light.max())


@pytest.mark.parametrize("visible", [1, 2])
@pytest.mark.parametrize("point", [(40.0, 50.0), (40.3, 50.8), (61.5, 33.25)])
def test_a_dot_is_centered_on_its_keypoint(point, visible):
    one = Skeleton("one", ("right_eye",))
    image = beliefs.draw_keypoints(canvas(1200, 900), [point], [visible], one)
    weights = np.abs(image.astype(float) - GREY).sum(-1)
    np.testing.assert_allclose(centroid(weights), point, atol=0.2)
    x, y = np.rint(point).astype(int)
    expected = beliefs.part_colors(one)[0] if visible == 2 else (GREY,) * 3
    np.testing.assert_array_equal(image[y, x], expected)
    # a hollow dot has its color around the hole
    assert (image == beliefs.part_colors(one)[0]).all(-1).any()


def test_every_part_shows_its_own_color_at_its_keypoint():
    image = beliefs.draw_pose(canvas(), make_pose(), CPM14)
    x, y = np.rint(POINTS).astype(int).T
    np.testing.assert_array_equal(image[y, x], beliefs.part_colors(CPM14))


def test_limbs_join_their_parts_and_no_others():
    image = beliefs.draw_pose(canvas(), make_pose(), CPM14)
    for a in range(14):
        for b in range(a):
            x, y = np.rint((POINTS[a] + POINTS[b]) / 2).astype(int)
            joined = (a, b) in CPM14.limb_indices or (b, a) in CPM14.limb_indices
            if joined:
                assert tuple(image[y, x]) == beliefs.part_colors(CPM14)[a]
    assert (image[85, 63] == GREY).all()  # no limb crosses the torso of this skeleton
    bare = beliefs.draw_pose(canvas(), make_pose(), no_limbs := Skeleton("b", CPM14.parts))
    assert not no_limbs.limbs and changed(bare).sum() < changed(image).sum() / 2


def test_sizes_grow_with_the_person():
    ink = []
    for factor in (3, 6):
        picture = canvas(200 * factor, 160 * factor)
        points = factor * POINTS
        ink.append(changed(beliefs.draw_keypoints(picture, points, [2] * 14, CPM14)).mean())
    assert ink[1] == pytest.approx(ink[0], rel=0.15)
    # a small one keeps a size that can be seen
    tiny = beliefs.draw_keypoints(canvas(), POINTS[:1] + POINTS / 50, [2] * 14, CPM14)
    assert changed(tiny).sum() > 12


def test_a_part_below_the_threshold_is_not_drawn_nor_its_limbs():
    wrist, elbow = CPM14.index("right_wrist"), CPM14.index("right_elbow")
    scores = np.full(14, 0.5, np.float32)
    scores[elbow] = 0.14
    image = beliefs.draw_pose(canvas(), make_pose(scores=scores), CPM14)
    x, y = POINTS[elbow].astype(int)
    assert (image[y - 12 : y + 12, x - 4 : x + 5] == GREY).all()
    x, y = POINTS[wrist].astype(int)
    assert tuple(image[y, x]) == beliefs.part_colors(CPM14)[wrist]
    image = beliefs.draw_pose(canvas(), make_pose(scores=scores), CPM14, threshold=0.6)
    assert (image == GREY).all()
    lower = beliefs.draw_pose(canvas(), make_pose(scores=scores), CPM14, threshold=0.14)
    assert tuple(lower[80, 30]) == beliefs.part_colors(CPM14)[elbow]


def test_the_colored_area_of_a_dot_is_its_score():
    one, picture = Skeleton("one", ("right_eye",)), canvas(2000, 2000)

    def colored(score):
        point = np.array([[700.25, 900.5]])
        pose = SimpleNamespace(keypoints=point, scores=np.array([score]), parts=one.parts)
        image = beliefs.draw_pose(picture, pose, one)
        return (image == beliefs.part_colors(one)[0]).all(-1).sum(), changed(image).sum()

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
        image = beliefs.draw_pose(canvas(1000, 1000), pose, two)
        return (image[:, 500] == beliefs.part_colors(two)[0]).all(-1).sum()

    assert width([1, 1]) == pytest.approx(0.017 * 800, abs=1.5)
    for scores in ([1, 0.5], [0.5, 0.9]):
        assert width(scores) == pytest.approx(0.5 * 0.017 * 800, abs=1)


def test_names_stand_beside_their_parts_and_hide_none():
    factor = 4
    picture, pose = canvas(220 * factor, 200 * factor), make_pose()
    pose.keypoints = factor * (POINTS + [20, 10])
    bare = beliefs.draw_pose(picture, pose, CPM14)
    named = beliefs.draw_pose(picture, pose, CPM14, names=True)
    x, y = np.rint(pose.keypoints).astype(int).T
    np.testing.assert_array_equal(named[y, x], bare[y, x])
    written = (named != bare).any(-1)
    for column, row in zip(x, y, strict=True):
        around = written[row - 60 : row + 61, max(column - 90, 0) : column + 91]
        assert around.sum() > 100
    labelled = beliefs.draw_keypoints(picture, pose.keypoints, [2] * 14, CPM14, names=True)
    assert ((labelled != bare).any(-1) & written).sum() > 0.5 * written.sum() > 0
    # a point that is none has no name either
    pose.keypoints[3] = np.nan
    assert (beliefs.draw_pose(picture, pose, CPM14, names=True) != named).any()
    # nobody is there to be named
    pose.scores = np.zeros(14)
    np.testing.assert_array_equal(beliefs.draw_pose(picture, pose, CPM14, names=True), picture)


def test_labels_stay_inside_and_apart():
    """Crowded in a corner, each shows as many of its pixels as alone in the middle."""
    texts = ["first 1.00", "second 1.00", "third 1.00", "fourth 1.00"]
    colors = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0)]
    points = np.array([[5.0, 6], [5, 16], [690, 11], [8, 20]])
    crowd = canvas(400, 700)
    write_labels(crowd, texts, points, colors, 8, 30)
    for text, color in zip(texts, colors, strict=True):
        alone = canvas(400, 700)
        write_labels(alone, [text], np.array([[250.0, 200]]), [color], 8, 30)
        shown = [(image == color).all(-1).sum() for image in (crowd, alone)]
        assert shown[0] == shown[1] > 200


def test_parts_without_label_are_not_drawn():
    visible = [2, 0] + [0] * 12
    image = beliefs.draw_keypoints(canvas(), POINTS, visible, CPM14)
    x, y = centroid(changed(image).astype(float))
    assert (x, y) == pytest.approx(POINTS[0], abs=0.1)
    assert (beliefs.draw_keypoints(canvas(), POINTS, [0] * 14, CPM14) == GREY).all()


def test_keypoints_outside_the_picture_are_no_error():
    points = POINTS.copy()
    points[0], points[2] = (-5e7, 4e9), (500, -500)
    points[5] = np.nan
    image = beliefs.draw_keypoints(canvas(), points, [2] * 14, CPM14)
    assert changed(image).any()
    far = beliefs.draw_keypoints(canvas(), POINTS + 5000, [2] * 14, CPM14)
    assert (far == GREY).all()


def test_right_is_warm_left_is_cool_and_fingers_differ():
    for skeleton in (CPM14, QUADRUPED17):
        for part, color in zip(skeleton.parts, beliefs.part_colors(skeleton), strict=True):
            warmth = int(color[0]) - int(color[2])
            side = part.split("_")[0]
            assert {"right": warmth > 100, "left": warmth < -100}.get(side, warmth == 0), part
    colors = beliefs.part_colors(HAND21)
    fingers = [set(colors[1 + 4 * i : 5 + 4 * i]) for i in range(5)]
    assert all(len(finger) == 1 for finger in fingers)
    assert len(set.union(*fingers)) == 5


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("rotation", [0.0, 0.7, -2.0])
def test_beliefs_peak_at_the_keypoint_in_the_photograph(rotation, flip):
    pose = make_pose(rotation=rotation, flip=flip)
    for part in ("neck", "left_ankle"):
        image = beliefs.draw_beliefs(canvas(), pose, part)
        np.testing.assert_allclose(brightest(image), pose.peaks[CPM14.index(part)], atol=1.0)


def test_beliefs_with_more_cells_than_the_model_has_lie_in_the_same_place():
    pose = make_pose(SPEC.replace(stride=2))
    image = beliefs.draw_beliefs(canvas(), pose, "neck")
    np.testing.assert_allclose(brightest(image), pose.peaks[1], atol=1.0)
    panel = beliefs.draw_stages(canvas(), pose, "neck")[32:, 32 : 32 + 256]
    point = geometry.apply(pose.network_from_image, pose.peaks[1])
    point = geometry.apply(geometry.resize_matrix(2.0), point)
    np.testing.assert_allclose(brightest(panel), point, atol=2.0)


def test_stages_count_from_one_and_the_last_is_the_default():
    pose = make_pose(stages=3)
    drawn = [beliefs.draw_beliefs(canvas(), pose, "neck", stage=stage) for stage in (1, 2, 3)]
    for image, maps in zip(drawn, pose.beliefs, strict=True):
        alone = SimpleNamespace(**{**vars(pose), "beliefs": [maps]})
        np.testing.assert_array_equal(beliefs.draw_beliefs(canvas(), alone, "neck"), image)
    np.testing.assert_array_equal(beliefs.draw_beliefs(canvas(), pose, "neck"), drawn[-1])
    x, y = np.rint(pose.peaks[1]).astype(int)
    assert drawn[-1][y, x].sum() > drawn[0][y, x].sum() + 50


@pytest.mark.parametrize("stage", [0, -1, 3])
def test_a_stage_the_pose_does_not_have_is_named(stage):
    message = rf"`stage` must be in 1\.\.2, or None .*Received: stage={stage}$"
    with pytest.raises(ValueError, match=message):
        beliefs.draw_beliefs(canvas(), make_pose(), "neck", stage=stage)


def test_the_background_can_be_chosen():
    pose = make_pose()
    x, y = np.rint(pose.peaks[1]).astype(int)
    background = beliefs.draw_beliefs(canvas(), pose, "background")
    assert background[85, 63].sum() > background[y, x].sum() + 60
    # outside the network box nothing is believed
    tall = beliefs.draw_beliefs(canvas(600, 600), pose, "background")
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
    strip = beliefs.draw_stages(canvas(), pose, "neck")
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
    both = beliefs.draw_stages(canvas(), pose, ["neck", "left_knee"])
    for row, part in enumerate(["neck", "left_knee"]):
        alone = beliefs.draw_stages(canvas(), pose, part)
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
    image = beliefs.draw_targets(canvas(128, 128), maps, SPEC)
    for part, (x, y) in enumerate(np.rint(points.numpy()).astype(int)):
        assert (image[y, x].sum() > 350) == (part != 3)
    # nor the background, which is high where no part is
    everything = beliefs.draw_targets(canvas(128, 128), pose.beliefs[-1], SPEC)
    np.testing.assert_array_equal(everything[0, 0], [90, 90, 90])
    nothing = beliefs.draw_targets(canvas(128, 128), np.full_like(maps, codec.IGNORE), SPEC)
    assert (nothing == nothing[0, 0]).all()


def test_images_are_not_changed():
    image, pose = canvas(), make_pose()
    image.flags.writeable = False
    kept = [b.copy() for b in pose.beliefs]
    beliefs.draw_pose(image, pose, CPM14)
    beliefs.draw_keypoints(image, POINTS, [1] * 14, CPM14)
    beliefs.draw_beliefs(image, pose, "neck")
    beliefs.draw_stages(image, pose, "neck")
    beliefs.draw_targets(canvas(128, 128), pose.beliefs[0], SPEC)
    beliefs.contact_sheet([image])
    assert (image == GREY).all()
    np.testing.assert_array_equal(pose.beliefs, kept)


def test_a_contact_sheet_letterboxes_pictures_in_reading_order():
    shades = [10, 60, 110, 160, 210]
    images = [
        np.full((20, 40, 3) if i % 2 else (90, 30, 3), s, np.uint8) for i, s in enumerate(shades)
    ]
    sheet = beliefs.contact_sheet(images, columns=2, cell=60)
    assert sheet.shape == (3 * 60 + 2 * 4, 2 * 60 + 4, 3)
    for i, level in enumerate(shades):
        top, left = (i // 2) * 64, (i % 2) * 64
        cell = sheet[top : top + 60, left : left + 60, 0]
        assert cell[30, 30] == level
        assert (cell == level).sum() == (60 * 30 if i % 2 else 60 * 20)
    assert (sheet[128:, 64:] == 255).all()  # an empty cell
    titled = beliefs.contact_sheet(images, columns=2, cell=60, titles=list("abcde"))
    assert titled.shape == (3 * 88 + 2 * 4, 2 * 60 + 4, 3)
    assert titled[:28, :60].min() < 128


@pytest.mark.parametrize("name", ["a.png", "deep/er/b.PNG", "c.jpg", "ü/d.webp", "e.bmp"])
def test_files_hold_the_picture(name, tmp_path):
    image = np.zeros((16, 24, 3), np.uint8)
    image[..., 0] = 200
    beliefs.save_image(tmp_path / name, image)
    data = np.frombuffer((tmp_path / name).read_bytes(), np.uint8)
    read = cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1]
    np.testing.assert_allclose(read, image, atol=4)


def write_log(path, columns):
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(columns)
        rows.writerows(zip(*columns.values(), strict=True))
    return path


def test_a_training_is_plotted_loss_left_pck_right(tmp_path):
    columns = {"epoch": range(4), "loss": [9, 7, 5, 3], "learning_rate": [1e-3] * 4}
    columns |= {"stage1_loss": [5, 4, 3, 2], "stage2_loss": [4, 3, 2, 1]}
    log = write_log(tmp_path / "log.csv", columns)
    small = beliefs.plot_training(log, tmp_path / "a.png")
    columns |= {"stage2_pck": [0.1, 0.2, 0.4, 0.8], "val_stage2_pck": ["", "NA", 0.3, 0.5]}
    both = beliefs.plot_training(write_log(log, columns), tmp_path / "b.png")
    assert both.shape == (400, 2 * 640 + 4, 3) and small.shape == (400, 640, 3)
    np.testing.assert_array_equal(both[:, :640], small)
    read = cv2.imread(str(tmp_path / "b.png"))[..., ::-1]
    np.testing.assert_array_equal(read, both)


def test_curves_pass_through_their_values(tmp_path):
    log = write_log(tmp_path / "log.csv", {"epoch": range(3), "loss": [10, 10, 5]})
    image = beliefs.plot_training(log, tmp_path / "a.png")
    color = np.array(cv2.applyColorMap(np.zeros((1, 1), np.uint8), cv2.COLORMAP_VIRIDIS)[0, 0])
    inked = np.abs(image.astype(int) - color[::-1]).sum(-1) < 60
    # from the top of the axes at 10 down to the middle between 0 and 10
    assert inked[53:60, 200].any() and not inked[60:350, 200].any()
    assert inked[199:208, 616].any() and not inked[215:345, 616].any()


@pytest.mark.parametrize("loss", ["nan", "inf", "0", "12345678"])
def test_a_training_that_went_wrong_is_plotted_too(loss, tmp_path):
    log = write_log(tmp_path / "log.csv", {"epoch": [0], "loss": [loss], "val_loss": ["NA"]})
    assert beliefs.plot_training(log, tmp_path / "a.png").min() < 100


def test_arguments_that_do_not_fit_are_named(tmp_path):
    pose, log = make_pose(), tmp_path / "log.csv"
    bare = make_pose(PoseSpec(box_size=128, background=False))
    cases = [
        (lambda: beliefs.draw_pose(canvas(), pose, HAND21), "hand21"),
        (lambda: beliefs.draw_keypoints(canvas(), POINTS[:3], [2] * 3, CPM14), r"\(3, 2\)"),
        (lambda: beliefs.draw_pose(np.zeros((9, 9)), pose, CPM14), "float64.*upright|upright.*f"),
        (lambda: beliefs.draw_beliefs(canvas(), pose, "ear"), "'ear'"),
        (lambda: beliefs.draw_beliefs(canvas(), bare, "background"), "'background'"),
        (lambda: beliefs.draw_stages(canvas(), pose, ["neck", "ear"]), "'ear'"),
        (lambda: beliefs.draw_targets(canvas(), pose.beliefs[0], SPEC), r"128.*\(200, 160, 3\)"),
        (lambda: beliefs.contact_sheet([]), "0 images"),
        (lambda: beliefs.contact_sheet([canvas()], titles=["a", "b"]), "2 titles"),
        (lambda: beliefs.contact_sheet([canvas()], columns=0), "columns=0"),
        (lambda: beliefs.save_image(tmp_path / "new" / "a.tga", canvas()), r"\.png.*a\.tga"),
        (lambda: beliefs.plot_training(write_log(log, {"a": [1]}), tmp_path / "a.png"), "epoch"),
        (lambda: beliefs.plot_training(write_log(log, {"epoch": []}), "a.png"), "at least one"),
    ]
    for call, message in cases:
        with pytest.raises(ValueError, match=message):
            call()
    assert not (tmp_path / "new").exists()
    with pytest.raises(FileNotFoundError, match=r"log\.csv"):
        beliefs.plot_training(tmp_path / "no.csv", "a.png")
