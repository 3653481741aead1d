"""The benchmarks' protocols: a perfect fake model, and hand-made people at the thresholds."""

import cv2
import keras
import numpy as np
import pytest

import keras_cpm
from keras_cpm.evaluation.evaluate import evaluate, evaluate_predictions
from keras_cpm.evaluation.protocols import PROTOCOLS, RELEASE_SCALES, protocol_named
from keras_cpm.inference.predictor import Predictor
from keras_cpm.pose import codec, geometry
from tests.evaluation.people import hand_made, moved

# levels of blue between two records
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


def test_scales_of_the_release():
    assert RELEASE_SCALES == (0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3)
    assert PROTOCOLS["lsp"].thresholds[-1] == 0.2 and len(PROTOCOLS["mpii"].thresholds) == 51
    with pytest.raises(ValueError, match="Received: protocol='coco'"):
        protocol_named("coco")


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


def test_flags_that_contradict_a_protocol():
    records = hand_made(1)
    with pytest.raises(ValueError, match="'lsp' is scored by pck; leave `metric` out"):
        evaluate_predictions(moved(records, 0), records, protocol="lsp", metric="pckh")
    with pytest.raises(ValueError, match='pckh is normalized by "head"'):
        evaluate_predictions(moved(records, 0), records, protocol="mpii", normalizer="torso")
