"""The benchmarks' protocols: a perfect fake model, hand-made people, and the published numbers."""

import csv
import json
from dataclasses import replace

import cv2
import keras
import numpy as np
import pytest
from click.testing import CliRunner

import keras_cpm
from keras_cpm.cli.main import main
from keras_cpm.evaluation.evaluate import evaluate, evaluate_predictions
from keras_cpm.evaluation.metrics import normalizer_lengths
from keras_cpm.evaluation.protocols import PROTOCOLS, RELEASE_SCALES, protocol_named
from keras_cpm.evaluation.scores import group_people
from keras_cpm.images import sampling
from keras_cpm.inference.predictor import Predictor
from keras_cpm.pose import codec, geometry

STEP = 10


@keras.saving.register_keras_serializable(package="keras_cpm_tests")
class Oracle(keras.layers.Layer):
    """Beliefs of a network that knows where every part is in the photograph.

    The photographs are made for it (`coded_photograph`): red is the column, green the row, blue the
    number of the record, so a cell can be asked where it lies, whatever crop it comes from.
    """

    def __init__(self, truth, sigma=6.0, **kwargs):
        super().__init__(**kwargs)
        self.truth, self.sigma = np.asarray(truth, np.float32), sigma

    def call(self, image):
        ops = keras.ops
        cells = ops.average_pool(image, 8, 8, padding="valid")
        number = cells[..., 2] / STEP - 1
        known = ops.abs(number - ops.round(number)) < 0.01
        number = ops.clip(ops.cast(ops.round(number), "int32"), 0, len(self.truth) - 1)
        points = ops.take(ops.convert_to_tensor(self.truth), number, axis=0)
        square = ops.sum((cells[..., None, :2] - points) ** 2, axis=-1)
        beliefs = ops.where(known[..., None], ops.exp(-square / (2 * self.sigma**2)), 0.0)
        background = 1 - ops.max(beliefs, axis=-1, keepdims=True)
        return ops.concatenate([beliefs, background], axis=-1)


def oracle(truth, spec, sigma=6.0):
    image = keras.Input((spec.box_size, spec.box_size, 3), name="image")
    center = keras.Input((spec.box_size, spec.box_size, 1), name="center_map")
    output = keras.layers.Identity(name="stage1")(Oracle(truth, sigma)(image))
    return keras.Model([image, center], [output])


def coded_photograph(folder, number, size):
    height, width = size
    rows, columns = np.mgrid[:height, :width]
    blue = np.full(size, STEP * (number + 1))
    picture = np.stack([columns, rows, blue], axis=-1).astype(np.uint8)
    path = folder / f"{number}.png"
    cv2.imwrite(str(path), picture[..., ::-1])
    return path


def people_like(name, folder, count=4):
    """Records as the reader of that benchmark makes them, on photographs for the oracle."""
    random = np.random.default_rng(5)
    skeleton = {"lsp": keras_cpm.LSP14, "flic": keras_cpm.FLIC9, "mpii": keras_cpm.MPII16}[name]
    records = []
    for number in range(count):
        size = (int(random.integers(150, 250)), int(random.integers(150, 250)))
        points = random.integers([40, 30], [size[1] - 40, size[0] - 30], (skeleton.num_parts, 2))
        left, right = (skeleton.index(part) for part in skeleton.torso)
        points[left], points[right] = (size[1] - 50, 40), (50, size[0] - 40)
        place = {"center": (size[1] / 2 - 3, size[0] / 2 + 4), "height": 0.75 * size[0]}
        if name == "lsp":
            height = geometry.whole_image_height(size)
            place = {"center": geometry.image_center(size).numpy(), "height": float(height)}
        visible = np.full(skeleton.num_parts, 2)
        person = keras_cpm.Person(points, visible, head_size=30.0, **place)
        image = coded_photograph(folder, number, size)
        records.append(keras_cpm.Record(image, size, skeleton.parts, (person,), dataset=name))
    return records


def model_for(records, name, sigma=6.0):
    skeleton = keras_cpm.FLIC9 if name == "flic" else keras_cpm.CPM14
    spec = keras_cpm.PoseSpec(skeleton=skeleton)
    order = [records[0].parts.index(part) for part in skeleton.parts]
    truth = np.stack([record.people[0].keypoints[order] for record in records])
    return oracle(truth, spec, sigma), spec, truth


@pytest.mark.parametrize("name", list(PROTOCOLS))
def test_a_perfect_model_is_perfect_under_every_protocol(name, tmp_path):
    records = people_like(name, tmp_path)
    model, spec, truth = model_for(records, name)
    result = evaluate(model, records, spec, protocol=name)
    for alpha in (*PROTOCOLS[name].alphas, 0.05):
        entry = next(iter(result.scores(alpha)["stage1"].values()))
        assert entry["total"] == 100.0 and set(entry["columns"].values()) == {100.0}
    # whole pixels, as the release answers, and the right ones
    found = result.predicted["stage1"]
    np.testing.assert_array_equal(found, np.rint(found))
    assert np.abs(found - truth).max() <= 1.0
    assert (found == truth).mean() > 0.8


@pytest.mark.parametrize("flip", [False, True])
def test_the_options_the_release_does_not_have(flip, tmp_path):
    records = people_like("lsp", tmp_path)
    # broad peaks: cubic enlarging moves narrow ones by up to a pixel, as it does in the release
    model, spec, truth = model_for(records, "lsp", sigma=12.0)
    if flip:
        # the oracle answers in image coordinates and names sides as in the photograph, a network
        # names them as it sees them
        plain = model.predict_on_batch
        skeleton = spec.skeleton

        def as_seen(inputs):
            beliefs = np.array(plain(inputs))
            half = len(beliefs) // 2
            beliefs[half:] = codec.swap_left_right(beliefs[half:], skeleton, -1)
            return beliefs

        model.predict_on_batch = as_seen
    result = evaluate(model, records, spec, protocol="lsp", flip=flip, refine="log")
    assert np.linalg.norm(result.predicted["stage1"] - truth, axis=-1).max() < 0.5
    assert (result.predicted["stage1"] % 1 != 0).any()


def test_the_whole_photograph_is_searched_as_the_release_does(tmp_path):
    """What lies outside the box at zoom 1 is seen at zoom 0.7 (resizeIntoScaledImg)."""
    size = (150, 250)
    points = np.full((14, 2), 100)
    points[3] = (240, 75)  # 250 wide where 150 high becomes 294 of 368: the box ends at x = 218
    height = float(geometry.whole_image_height(size))
    person = keras_cpm.Person(points, [2] * 14, center=(124.5, 74.5), height=height)
    record = keras_cpm.Record(
        coded_photograph(tmp_path, 0, size), size, keras_cpm.CPM14.parts, (person,)
    )
    model, spec = oracle(points[None], keras_cpm.PoseSpec()), keras_cpm.PoseSpec()
    result = evaluate(model, [record], spec, protocol="lsp")
    np.testing.assert_allclose(result.predicted["stage1"][0, 3], (240, 75), atol=1)
    boxed = Predictor(model, spec, scales=RELEASE_SCALES)(
        record.image, center=person.center, person_height=height
    )
    assert boxed.keypoints[3, 0] < 221


def test_zooms_are_added_up_at_the_pixels():
    """Two zooms that disagree: the sum decides, a pixel that one does not show counts 0 there."""
    spec = keras_cpm.PoseSpec(box_size=64, skeleton=keras_cpm.Skeleton("dot", ("dot",)))
    # peaks on cells, which cubic enlarging leaves where they are
    near = codec.encode([[[19.5, 19.5]]], [[2]], spec)[None]
    far = codec.encode([[[43.5, 35.5]]], [[2]], spec)[None]
    identity = np.eye(3, dtype=np.float32)
    read = codec.decode_on_image
    keypoints, scores = read([near, 2 * far], [identity, identity], (64, 64), spec, refine="log")
    np.testing.assert_allclose(keypoints[0, 0], (43.5, 35.5), atol=0.01)
    np.testing.assert_allclose(scores[0, 0], 1.0, atol=0.02)
    shifted = identity.copy()
    shifted[0, 2] = -50.0  # shows columns 50 to 113 of the photograph only
    keypoints, _ = read([near, 2 * far], [identity, shifted], (64, 120), spec, refine="log")
    np.testing.assert_allclose(keypoints[0, 0], (93.5, 35.5), atol=0.01)
    keypoints, _ = read([2 * near, far], [identity, shifted], (64, 120), spec, refine="log")
    np.testing.assert_allclose(keypoints[0, 0], (19.5, 19.5), atol=0.01)
    keypoints, scores = read([near], [shifted], (64, 40), spec)
    assert np.isnan(keypoints).all() and not np.any(scores)
    one, _ = read([near], [identity], (64, 1), spec, refine="log")
    np.testing.assert_allclose(one[0, 0], (0, 19.5), atol=0.5)


def test_adding_up_is_the_sum_of_what_each_zoom_shows():
    """Step by step, one zoom and one part after the other, gives the same highest pixels."""
    spec = keras_cpm.PoseSpec(box_size=64, skeleton=keras_cpm.FLIC9)
    random = np.random.default_rng(4)
    beliefs = [random.uniform(0, 1, (2, 8, 8, 10)).astype("float32") for _ in RELEASE_SCALES]
    matrix = geometry.network_from_image((60.0, 40.0), 50.0, spec)
    matrices = [
        geometry.compose(geometry.zoomed_from_network(zoom, spec), matrix)
        for zoom in RELEASE_SCALES
    ]
    found, scores = codec.decode_on_image(beliefs, matrices, (90, 130), spec)
    for stage in range(2):
        for part in range(9):
            total = np.zeros((90, 130))
            for zoom, one in zip(beliefs, matrices, strict=True):
                columns, _ = sampling.pixel_axis(one, 0, 130, spec)
                rows, _ = sampling.pixel_axis(one, 1, 90, spec)
                total += rows.numpy() @ zoom[stage, :, :, part] @ columns.numpy().T
            row, column = np.unravel_index(np.argmax(total), total.shape)
            np.testing.assert_array_equal(found[stage, part], (column, row))
            np.testing.assert_allclose(scores[stage, part], total.max() / 7, rtol=1e-5)


def test_equal_pixels_go_to_the_first_column():
    spec = keras_cpm.PoseSpec(box_size=64, skeleton=keras_cpm.Skeleton("dot", ("dot",)))
    beliefs = np.ones((1, 8, 8, 2), np.float32)
    keypoints, _ = codec.decode_on_image([beliefs], [np.eye(3, dtype=np.float32)], (64, 64), spec)
    assert keypoints[0, 0].numpy()[0] <= 1


def test_scales_of_the_release():
    assert RELEASE_SCALES == (0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3)
    assert PROTOCOLS["lsp"].thresholds[-1] == 0.2 and len(PROTOCOLS["mpii"].thresholds) == 51
    with pytest.raises(ValueError, match="Received: protocol='coco'"):
        protocol_named("coco")


# --- hand-made people ------------------------------------------------------------------------------


def hand_made(count=2, skeleton=keras_cpm.LSP14, torso=100.0, head=20.0):
    """People whose torso is 100 pixels long: left shoulder (0, 0), right hip (100, 0)."""
    records = []
    for number in range(count):
        points = np.full((skeleton.num_parts, 2), 50.0)
        points[skeleton.index("left_shoulder")] = 0, 0
        points[skeleton.index("right_hip")] = torso, 0
        person = keras_cpm.Person(
            points, [2] * skeleton.num_parts, head_size=head, attributes={"view": number % 2}
        )
        records.append(
            keras_cpm.Record(
                f"{number}.jpg", None, skeleton.parts, (person,), attributes={"act": "row"}
            )
        )
    return records


def moved(records, distances, part="left_wrist"):
    """The truth with `part` of sample i moved by `distances[i]` pixels."""
    points = np.stack([record.people[0].keypoints for record in records]).astype(float)
    points[:, records[0].parts.index(part), 1] += distances
    return {"moved": (points, records[0].parts)}


@pytest.mark.parametrize(("distance", "correct"), [(20.0, True), (20.01, False)])
def test_lsp_counts_within_a_fifth_of_the_torso(distance, correct):
    records = hand_made(1)
    entry = evaluate_predictions(moved(records, [distance]), records, protocol="lsp").scores(0.2)
    entry = entry["moved"]["pck@0.2"]
    assert entry["parts"]["left_wrist"] == (100.0 if correct else 0.0)
    assert entry["columns"]["wrist"] == (100.0 if correct else 50.0)
    assert entry["total"] == pytest.approx(100.0 if correct else 100 * 13 / 14)


@pytest.mark.parametrize(("distance", "correct"), [(10.0, True), (10.01, False)])
def test_mpii_counts_within_half_a_head_and_leaves_pelvis_and_thorax_out(distance, correct):
    records = hand_made(1, keras_cpm.MPII16)
    result = evaluate_predictions(moved(records, [distance]), records, protocol="mpii")
    entry = result.scores(0.5)["moved"]["pckh@0.5"]
    assert entry["parts"]["left_wrist"] == (100.0 if correct else 0.0)
    assert len(entry["parts"]) == 14 and "pelvis" not in entry["parts"]
    assert entry["total"] == pytest.approx(100.0 if correct else 100 * 13 / 14)


def test_the_area_is_a_trapezoid_from_zero():
    """A point 5 % of the torso away is right from 0.05 on: 15 full steps of 20 and half a one."""
    records = hand_made(1)
    result = evaluate_predictions(moved(records, [5.0]), records, protocol="lsp")
    area = result.areas(PROTOCOLS["lsp"].thresholds)["moved"]["auc@0.2"]
    assert area["parts"]["left_wrist"] == pytest.approx(100 * 15.5 / 20)
    assert area["columns"]["wrist"] == pytest.approx((100 + 100 * 15.5 / 20) / 2)


def test_the_predicted_torso_as_normalizer():
    """A wrong hip makes the release's FLIC normalizer longer, and so forgives more."""
    records = hand_made(1, keras_cpm.FLIC9)
    points, parts = moved(records, [25.0])["moved"]
    points[0, parts.index("right_hip")] = 130, 0
    predictions = {"moved": (points, parts)}
    by = {
        name: evaluate_predictions(predictions, records, protocol="flic", normalizer=name).scores(
            0.2
        )["moved"]["pck@0.2"]["parts"]["left_wrist"]
        for name in ("torso", "predicted-torso")
    }
    assert by == {"torso": 0.0, "predicted-torso": 100.0}


def test_who_predicts_no_torso_is_wrong_not_left_out():
    records = hand_made(2)
    points, parts = moved(records, [0, 0])["moved"]
    points[1] = 7.0
    result = evaluate_predictions({"dot": (points, parts)}, records, normalizer="predicted-torso")
    assert result.scores(0.2)["dot"]["pck@0.2"]["total"] == 50.0


def test_the_normalizer_does_not_depend_on_who_predicts_what():
    """A second file without a shoulder once turned the torso into a box, for both."""
    records = hand_made(1)
    both = moved(records, [21.0])
    few = (both["moved"][0][:, :3], records[0].parts[:3])
    wrist = records[0].parts.index("left_wrist")
    half = (both["moved"][0][:, wrist : wrist + 1], ("left_wrist",))
    for others in ({}, {"half": half}):
        result = evaluate_predictions(both | others, records)
        assert result.normalizer.tolist() == [100.0]
    assert evaluate_predictions({"few": few}, records, protocol="lsp").normalizer.tolist() == [
        100.0
    ]


def test_flags_that_contradict_a_protocol():
    records = hand_made(1)
    with pytest.raises(ValueError, match="'lsp' is scored by pck; leave `metric` out"):
        evaluate_predictions(moved(records, 0), records, protocol="lsp", metric="pckh")
    with pytest.raises(ValueError, match='pckh is normalized by "head"'):
        evaluate_predictions(moved(records, 0), records, protocol="mpii", normalizer="torso")


def test_named_normalizers():
    truth, labelled = [[[0, 0], [30, 40], [0, 90]]], [[True, True, True]]
    fish = keras_cpm.Skeleton("fish", ("a", "b", "c"), torso=("a", "b"))
    lengths = {
        name: normalizer_lengths(
            name, truth, labelled, fish, predicted=[[[0, 0], [6, 8], [0, 0]]], head_sizes=[7]
        ).tolist()
        for name in (None, "torso", "box", "head", "predicted-torso")
    }
    assert lengths == {
        None: [50.0],
        "torso": [50.0],
        "box": [90.0],
        "head": [7.0],
        "predicted-torso": [10.0],
    }
    snake = replace(fish, torso=None)
    with pytest.raises(ValueError, match='needs a skeleton with a `torso`; take "box"'):
        normalizer_lengths("torso", truth, labelled, snake)
    with pytest.raises(ValueError, match="`normalizer` must be one of"):
        normalizer_lengths("height", truth, labelled, fish)
    with pytest.raises(ValueError, match="needs records with `head_size`"):
        normalizer_lengths("head", truth, labelled, fish, head_sizes=[None])


def test_parts_are_matched_by_name_and_only_shared_ones_count():
    records = hand_made(1)
    points = records[0].people[0].keypoints[None, ::-1]
    result = evaluate_predictions({"turned": (points, records[0].parts[::-1])}, records)
    assert result.scores(0.0)["turned"]["pck@0"]["total"] == 100.0
    few = evaluate_predictions(
        {"few": (points[:, :2], ("head", "neck"))}, records, normalizer="box"
    )
    assert few.skeleton.num_parts == 2


def test_predictions_that_do_not_fit_are_refused():
    records = hand_made(2)
    with pytest.raises(ValueError, match=r"must be \(2, 14, 2\), one pose a record"):
        evaluate_predictions({"one": (np.zeros((1, 14, 2)), records[0].parts)}, records)
    with pytest.raises(ValueError, match="must share parts"):
        evaluate_predictions({"other": (np.zeros((2, 1, 2)), ("fin",))}, records)
    with pytest.raises(ValueError, match="leave `normalizer` out"):
        evaluate_predictions(moved(records, 0), records, metric="pckh", normalizer="box")


def test_groups_by_any_attribute():
    records = hand_made(5)
    result = evaluate_predictions(moved(records, [0, 99, 0, 99, 0]), records, protocol="lsp")
    groups = group_people(records, "view")
    assert {name: people.tolist() for name, people in groups.items()} == {
        "0": [0, 2, 4],
        "1": [1, 3],
    }
    wrists = {
        name: result.subset(people).scores(0.2)["moved"]["pck@0.2"]["parts"]["left_wrist"]
        for name, people in groups.items()
    }
    assert wrists == {"0": 100.0, "1": 0.0}
    assert list(group_people(records, "act")) == ["row"]
    with pytest.raises(ValueError, match=r"they have \['act', 'view'\]"):
        group_people(records, "angle")
    angles = [replace(r, attributes={"angle": 10.0 * i}) for i, r in enumerate(hand_made(13))]
    ranges = group_people(angles, "angle")
    assert len(ranges) == 6 and sorted(np.concatenate(list(ranges.values()))) == list(range(13))
    assert ranges["100 to 120"].tolist() == [10, 11, 12]
    close = [replace(r, attributes={"id": 20_000_000 + i}) for i, r in enumerate(hand_made(14))]
    assert len(group_people(close, "id")) == 6


# --- files and the command line -----------------------------------------------------------------------


def run(*words):
    result = CliRunner().invoke(main, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    return result.output


def test_two_files_in_one_table_one_plot_and_groups(tmp_path):
    records = hand_made(3)
    keras_cpm.write_records(records, tmp_path / "people.jsonl")
    for name, distance in (("good", 0), ("bad", 99)):
        points, _ = moved(records, [distance] * 3)["moved"]
        keras_cpm.write_predictions(tmp_path / f"{name}.mat", points, records[0].parts)
    out = run(
        *("evaluate", tmp_path / "people.jsonl", "--protocol", "lsp"),
        *("--predictions", tmp_path / "good.mat", "--predictions", tmp_path / "bad.mat"),
        *("--json", tmp_path / "table.json", "--curves", tmp_path / "curves"),
        *("--group-by", "view"),
    )
    assert "good" in out and "bad" in out and "100.00" in out and "92.86" in out
    assert "view 0, 2 people" in out and "view 1, 1 people" in out
    table = json.loads((tmp_path / "table.json").read_text())
    assert table["good"]["pck@0.2"]["total"] == 100.0
    assert table["bad"]["pck@0.2"]["columns"]["wrist"] == 50.0
    assert table["groups"]["view 1, 1 people"]["bad"]["auc@0.2"]["parts"]["left_wrist"] == 0.0
    with (tmp_path / "curves.csv").open() as file:
        rows = list(csv.reader(file))
    assert rows[0][:3] == ["row", "column", "0"] and rows[0][-1] == "0.2"
    by_line = {tuple(row[:2]): row[2:] for row in rows[1:]}
    assert by_line["bad", "wrist"][-1] == "50.0000" and len(by_line) == 2 * 8
    assert cv2.imread(str(tmp_path / "curves.png")) is not None


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["only.jsonl"], "Give MODEL and RECORDS"),
        (["r.jsonl", "--predictions", "a.mat", "--flip"], "--flip belongs to a MODEL"),
        (["r.jsonl", "--predictions", "a.mat", "--scale", "2"], "--scale belongs to a MODEL"),
        (["r.jsonl", "--predictions", "a.mat", "--draw", "d"], "--draw belongs to a MODEL"),
        (["r.jsonl", *["--predictions", "a.mat"] * 2], "names the same file twice"),
        (["m", "r.jsonl", "--alpha", "nan"], "--alpha must be"),
        (["m", "r.jsonl", "--curves", "."], "--curves needs"),
        (["m", "r.jsonl", "--mpii-root", "x"], "--mpii-root needs"),
        (["m", "r.jsonl", "--write-predictions", "x.jsonl"], "must name a .mat file"),
    ],
)
def test_flags_that_do_not_go_together(words, message):
    result = CliRunner().invoke(main, ["evaluate", *words])
    assert result.exit_code == 2 and message in result.output


@pytest.fixture
def tiny_bundle(tmp_path, tiny_model, tiny_spec):
    keras_cpm.save_bundle(tmp_path / "bundle", tiny_model, tiny_spec)
    return tmp_path / "bundle"


@pytest.mark.parametrize("protocol", [(), ("--protocol", "lsp")])
def test_written_predictions_score_as_the_model_does(
    protocol, tmp_path, tiny_bundle, drawn_records
):
    """The records' parts are in an order of their own: CPM14, where others' files have LSP14."""
    keras_cpm.write_records(drawn_records, tmp_path / "r.jsonl")
    words = ("--json", tmp_path / "a.json", "--curves", tmp_path / "c/curves.png")
    words += ("--write-predictions", tmp_path / "mine.mat", "--draw", tmp_path / "d")
    run("evaluate", tiny_bundle, tmp_path / "r.jsonl", *words, *protocol)
    assert (tmp_path / "c/curves.csv").is_file() and (tmp_path / "d/predictions.png").is_file()
    words = ("--json", tmp_path / "b.json", "--predictions", tmp_path / "mine.mat")
    run("evaluate", tmp_path / "r.jsonl", *words, *protocol)
    of_model = json.loads((tmp_path / "a.json").read_text())["stage2"]
    assert json.loads((tmp_path / "b.json").read_text())["mine"] == of_model
    _, parts = keras_cpm.read_predictions(tmp_path / "mine.mat")
    assert parts == keras_cpm.LSP14.parts


def test_people_without_labels_are_predicted_only(tmp_path, tiny_bundle, drawn_records):
    records = [replace(r, people=(replace(r.people[0], visible=[0] * 14),)) for r in drawn_records]
    keras_cpm.write_records(records, tmp_path / "r.jsonl")
    words = ["evaluate", str(tiny_bundle), str(tmp_path / "r.jsonl")]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 1 and "--write-predictions" in result.output
    run(*words, "--write-predictions", tmp_path / "mine.mat")
    assert np.isfinite(keras_cpm.read_predictions(tmp_path / "mine.mat")[0]).all()
    words += ["--write-predictions", str(tmp_path / "mine.mat")]
    result = CliRunner().invoke(main, [*words, "--json", str(tmp_path / "x.json")])
    assert result.exit_code == 2 and "nothing to score" in result.output
    result = CliRunner().invoke(main, [*words, "--mpii-root", str(tmp_path)])
    assert result.exit_code == 1 and "mpii_human_pose_v1_u12_1.mat" in result.output


def lsp_files(data_root, tmp_path):
    run("prepare", "lsp", data_root / "lsp", tmp_path / "lsp.jsonl", "--split", "test")
    folder = data_root / "predictions"
    return [folder / f"LSP_prediction_model_{name}.mat" for name in ("LSP_6s", "MPII_LSP_6s")]


def test_the_published_numbers_of_lsp(data_root, tmp_path):
    files = lsp_files(data_root, tmp_path)
    flags = [word for file in files for word in ("--predictions", file)]
    run(
        *("evaluate", *flags, tmp_path / "lsp.jsonl", "--protocol", "lsp"),
        *("--json", tmp_path / "table.json"),
    )
    table = json.loads((tmp_path / "table.json").read_text())
    expected = {
        "LSP_6s": ((84.32, 71.16, 43.59, 59.29), (96.85, 87.10, 80.40, 75.10, 86.50, 83.15, 81.15)),
        "MPII_LSP_6s": (
            (90.50, 78.75, 50.33, 65.44),
            (97.80, 92.50, 87.05, 83.90, 91.50, 90.85, 89.90),
        ),
    }
    for name, (totals, columns) in expected.items():
        entry = table[f"LSP_prediction_model_{name}"]
        found = [entry[key]["total"] for key in ("pck@0.2", "pck@0.1", "pck@0.05", "auc@0.2")]
        assert [round(value, 2) for value in found] == list(totals)
        assert [round(v, 2) for v in entry["pck@0.2"]["columns"].values()] == list(columns)


SHIFTS = {
    (0, 0): (71.16, 78.75),
    (1, 0): (69.23, 76.52),
    (-1, 0): (71.22, 78.64),
    (0, 1): (71.03, 78.81),
    (0, -1): (69.00, 76.01),
    (1, 1): (68.85, 76.79),
    (-1, -1): (68.86, 75.88),
}


def test_what_an_off_by_one_would_do(data_root, tmp_path):
    """An off-by-one hides in single numbers; it cannot hide in the table."""
    files = lsp_files(data_root, tmp_path)
    records = keras_cpm.read_records(tmp_path / "lsp.jsonl")
    read = [keras_cpm.read_predictions(file) for file in files]
    for shift, expected in SHIFTS.items():
        moved_by = {str(i): (points + shift, parts) for i, (points, parts) in enumerate(read)}
        scores = evaluate_predictions(moved_by, records, protocol="lsp").scores(0.1)
        assert tuple(round(s["pck@0.1"]["total"], 2) for s in scores.values()) == expected


def test_the_published_numbers_of_flic(data_root, tmp_path):
    run("prepare", "flic", data_root / "flic", tmp_path / "flic.jsonl", "--split", "test")
    file = data_root / "predictions" / "FLIC_prediction_model_FLIC_4s.mat"
    words = ("evaluate", "--predictions", file, tmp_path / "flic.jsonl", "--protocol", "flic")
    run(*words, "--json", tmp_path / "table.json")
    (entry,) = json.loads((tmp_path / "table.json").read_text()).values()
    expected = {"pck@0.2": (97.59, 95.03), "pck@0.1": (89.76, 87.80), "pck@0.05": (62.70, 67.52)}
    for metric, numbers in expected.items():
        found = tuple(round(entry[metric]["columns"][part], 2) for part in ("elbow", "wrist"))
        assert found == numbers
    # what the release's code computes, which normalizes by what it predicts
    run(*words, "--normalizer", "predicted-torso", "--json", tmp_path / "release.json")
    (entry,) = json.loads((tmp_path / "release.json").read_text()).values()
    columns = entry["pck@0.2"]["columns"]
    assert (round(columns["elbow"], 2), round(columns["wrist"], 2)) == (97.54, 94.98)


def test_the_numbers_of_tompson_on_mpii(data_root, tmp_path):
    run("prepare", "mpii", data_root / "mpii", tmp_path / "mpii.jsonl", "--split", "validation")
    run("prepare", "mpii", data_root / "mpii", tmp_path / "tompson.jsonl", "--split", "tompson")
    for file in (data_root / "mpii" / "detections.mat", tmp_path / "tompson.jsonl"):
        words = ("evaluate", "--predictions", file, tmp_path / "mpii.jsonl", "--protocol", "mpii")
        run(*words, "--json", tmp_path / "table.json")
        (entry,) = json.loads((tmp_path / "table.json").read_text()).values()
        assert round(entry["pckh@0.5"]["total"], 2) == 82.32
        parts = {name: round(value, 2) for name, value in entry["pckh@0.5"]["parts"].items()}
        assert (parts["neck"], parts["head"]) == (97.71, 95.50)
        assert (parts["right_ankle"], parts["left_ankle"]) == (65.15, 65.64)
