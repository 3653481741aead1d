"""The whole loop, image -> network -> belief -> network -> image, with a network that is always
right; and several people of one photograph.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_cpm
from keras_cpm.images import sampling
from keras_cpm.inference.predictor import Predictor
from keras_cpm.pose import codec, geometry, multiscale
from tests.threads import answers_of_threads

SIZE = (480, 640)


class PerfectModel:
    """Answers with the ideal beliefs of known points, whatever crop it is shown.

    It is told where the predictor is to look, so every half pixel that is lost on the way shows.
    """

    output_names = ("stage1", "stage2")

    def __init__(self, points, network_from_image, spec, flip=False, scales=(1.0,)):
        self.points, self.network_from_image = points, network_from_image
        self.spec, self.flip, self.scales = spec, flip, scales
        self.inputs = [tf.zeros([1, spec.box_size, spec.box_size, 3]), tf.zeros([1, 1, 1, 1])]
        self.outputs = [tf.zeros([1, *[spec.grid_size] * 2, spec.num_channels])] * 2

    def predict_on_batch(self, inputs):
        crops = []
        for mirrored in (False, True)[: 2 if self.flip else 1]:
            for scale in self.scales:
                zoomed = geometry.compose(
                    geometry.zoomed_from_network(scale, self.spec), self.network_from_image
                )
                points = geometry.apply(zoomed, self.points).numpy()
                if mirrored:
                    points[:, 0] = self.spec.box_size - 1 - points[:, 0]
                    points = points[list(self.spec.skeleton.flip_permutation)]
                crops.append(
                    codec.encode(points[None], np.full((1, len(points)), 2), self.spec).numpy()
                )
        assert len(inputs[0]) == len(crops)
        return [np.stack(crops)] * 2


def network_from_image(spec, center=None, person_height=None, box=None):
    """Where the predictor is to look."""
    if box:
        return geometry.network_from_box(box, spec)
    if center is None:
        return geometry.network_from_size(tf.constant(SIZE), spec)
    return geometry.network_from_image(center, person_height, spec)


def perfect_error(spec, rng, flip=False, scales=(1.0,), **where):
    """Largest distance in image pixels between what was put in and what comes out."""
    matrix = network_from_image(spec, **where)
    margin = 0.15 * spec.box_size * max(scales)
    inside = rng.uniform(margin, spec.box_size - 1 - margin, (spec.num_parts, 2))
    points = geometry.apply(geometry.invert(matrix), inside).numpy()
    perfect = PerfectModel(points, matrix, spec, flip, scales)
    predictor = Predictor(perfect, spec, flip=flip, scales=scales)
    pose = predictor(np.zeros((*SIZE, 3), np.uint8), **where)
    network_scale = np.sqrt(np.linalg.det(matrix.numpy()[:2, :2]))
    return np.abs(pose.stage_keypoints - points).max(), network_scale


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("seed", range(12))
def test_a_perfect_network_gives_perfect_image_points(seed, flip):
    rng = np.random.default_rng(seed)
    spec = keras_cpm.PoseSpec(box_size=int(rng.choice([128, 192, 368])))
    center, height = rng.uniform((50, 50), (600, 400)), rng.uniform(100, 500)
    error, _ = perfect_error(spec, rng, flip, center=center, person_height=height)
    assert error < 0.01


def test_the_loop_closes_for_boxes_and_for_whole_images():
    rng = np.random.default_rng(0)
    spec = keras_cpm.PoseSpec()
    assert perfect_error(spec, rng, box=(100, 50, 300, 420))[0] < 0.01
    assert perfect_error(spec, rng)[0] < 0.01


def test_cells_at_8i_would_fail(monkeypatch):
    monkeypatch.setattr(geometry, "network_from_cells", lambda cells, spec: cells * spec.stride)
    rng = np.random.default_rng(0)
    spec = keras_cpm.PoseSpec()
    # encode and decode would agree on the wrong cells; the truth of the release does not
    monkeypatch.setattr(
        geometry, "belief_axis", lambda spec: 3.5 + 8.0 * tf.range(spec.grid_size, dtype=tf.float32)
    )
    error, scale = perfect_error(spec, rng, center=(300, 200), person_height=300)
    assert error == pytest.approx(3.5 / scale, abs=0.05)


def test_rotated_scaled_flipped_crops_close_the_loop():
    rng = np.random.default_rng(5)
    spec, worst = keras_cpm.PoseSpec(), 0.0
    for _ in range(40):
        flip = bool(rng.integers(2))
        matrix = geometry.network_from_image(
            rng.uniform(0, 600, 2),
            rng.uniform(80, 600),
            spec,
            rotation=rng.uniform(-0.7, 0.7),
            scale=rng.uniform(0.7, 1.3),
            flip=flip,
            shift=rng.uniform(-20, 20, 2),
        )
        points = geometry.apply(geometry.invert(matrix), rng.uniform(8, 359, (14, 2)))
        in_network = geometry.apply(matrix, points)
        if flip:
            in_network = codec.swap_left_right(in_network, spec.skeleton, 0)
        beliefs = codec.encode(in_network[None], np.full((1, 14), 2), spec)
        decoded = codec.decode(beliefs[None], spec)[0][0]
        if flip:
            decoded = codec.swap_left_right(decoded, spec.skeleton, 0)
        worst = max(worst, np.abs(geometry.apply(geometry.invert(matrix), decoded) - points).max())
    assert worst < 0.01


def test_several_scales_agree_with_the_truth_within_an_eighth_of_a_cell():
    rng = np.random.default_rng(1)
    spec = keras_cpm.PoseSpec()
    error, scale = perfect_error(
        spec, rng, True, (0.9, 1.0, 1.1), center=(300, 200), person_height=300
    )
    assert error * scale < 1.0


@pytest.fixture(scope="module")
def predictor():
    spec = keras_cpm.PoseSpec(box_size=64)
    keras.utils.set_random_seed(0)
    return Predictor(keras_cpm.build_cpm(2, spec, width=8), spec)


def test_path_bytes_and_array_agree(predictor, drawn_records):
    path = drawn_records[0].image
    data = open(path, "rb").read()
    pixels = tf.io.decode_jpeg(data, dct_method="INTEGER_ACCURATE").numpy()
    poses = [predictor(source) for source in (path, data, pixels)]
    for pose in poses[1:]:
        np.testing.assert_allclose(pose.keypoints, poses[0].keypoints, atol=1e-3)


def test_pose_says_everything(predictor, drawn_records):
    pose = predictor(drawn_records[0].image, box=drawn_records[0].people[0].box)
    assert pose.keypoints.shape == (14, 2) and pose.stage_keypoints.shape == (2, 14, 2)
    assert [b.shape for b in pose.beliefs] == [(8, 8, 15)] * 2
    as_json = pose.to_dict()["keypoints"]
    assert list(as_json) == list(keras_cpm.CPM14.parts)
    assert as_json["neck"]["x"] == pytest.approx(pose.keypoints[1, 0], abs=0.01)


def test_flip_averages_mirrored_beliefs(predictor, drawn_records):
    """Looking at the mirror image with flip gives the mirrored beliefs of looking at the image
    with flip.
    """
    both = Predictor(predictor.model, predictor.spec, flip=True)
    pixels = tf.io.decode_jpeg(tf.io.read_file(drawn_records[0].image)).numpy()
    straight, mirrored = both(pixels), both(pixels[:, ::-1])
    expected = codec.mirror(straight.beliefs[-1][None], both.spec)[0]
    np.testing.assert_allclose(mirrored.beliefs[-1], expected, atol=1e-4)


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ({"box": (5, 5, 5, 20)}, "x0 < x1"),
        ({"box": (5, 5, np.nan, 20)}, "x0 < x1"),
        ({"box": (700, 5, 800, 20)}, "overlap the image of 640 x 480"),
        ({"center": (5, 5)}, "belong together"),
        ({"center": (5, 5), "person_height": 0}, "positive"),
        ({"center": (5, 5), "person_height": 9, "box": (1, 1, 5, 5)}, "either"),
    ],
)
def test_where_the_person_is_must_make_sense(predictor, where, message):
    with pytest.raises(ValueError, match=message):
        predictor(np.zeros((*SIZE, 3)), **where)


def test_pictures_of_zero_to_one_are_refused(predictor):
    with pytest.raises(ValueError, match="multiply it by 255"):
        predictor(np.full((*SIZE, 3), 0.5))


def test_settings_must_make_sense(predictor):
    with pytest.raises(ValueError, match="scales"):
        Predictor(predictor.model, predictor.spec, scales=())
    with pytest.raises(ValueError, match="refine"):
        Predictor(predictor.model, predictor.spec, refine="cubic")
    with pytest.raises(ValueError, match="belief channels"):
        Predictor(predictor.model, keras_cpm.PoseSpec(box_size=64, skeleton=keras_cpm.FLIC9))
    with pytest.raises(ValueError, match="boxes of 128 pixels"):
        Predictor(predictor.model, keras_cpm.PoseSpec(box_size=128))


# several people ----------------------------------------------------------------------------------


def test_people_in_one_batch_are_people_one_by_one(tiny_model, tiny_spec, drawn_records):
    predictor = Predictor(tiny_model, tiny_spec, scales=(0.8, 1.0), flip=True)
    places = [
        {"box": (10.0, 5.0, 60.0, 90.0)},
        {"center": (70.0, 50.0), "person_height": 40.0},
        {},
    ]
    together = predictor.predict_people(drawn_records[0].image, places)
    for pose, place in zip(together, places, strict=True):
        alone = predictor(drawn_records[0].image, **place)
        np.testing.assert_allclose(pose.keypoints, alone.keypoints, atol=1e-3)
        np.testing.assert_allclose(pose.beliefs[-1], alone.beliefs[-1], atol=1e-6)
    assert predictor.predict_people(drawn_records[0].image, []) == []


def test_a_wrong_place_among_several_is_named(tiny_model, tiny_spec, drawn_records):
    places = [{"box": (10.0, 5.0, 60.0, 90.0)}, {"box": (500.0, 500.0, 600.0, 600.0)}]
    with pytest.raises(ValueError, match="Person 2 of 2: `box` must overlap"):
        Predictor(tiny_model, tiny_spec).predict_people(drawn_records[0].image, places)


def test_more_people_than_a_batch_holds(tiny_model, tiny_spec, drawn_records):
    predictor = Predictor(tiny_model, tiny_spec)
    places = [{"center": (20.0 + 3 * i, 50.0), "person_height": 40.0} for i in range(19)]
    poses = predictor.predict_people(drawn_records[0].image, places)
    last = predictor(drawn_records[0].image, **places[-1])
    assert len(poses) == 19
    np.testing.assert_allclose(poses[-1].keypoints, last.keypoints, atol=1e-3)


def test_new_specs_leave_nothing_behind(monkeypatch):
    """A trace of TensorFlow takes a megabyte and stays: what is called here is called in traces."""
    traced = []

    def watch(module, name):
        function = getattr(module, name)
        monkeypatch.setattr(
            module, name, lambda *arguments: traced.append(name) or function(*arguments)
        )

    watch(sampling, "crop")
    watch(multiscale, "zoom_axis")
    watch(multiscale, "pixel_axis")
    # a box that no other test has, so that nothing is traced yet
    text = keras_cpm.PoseSpec(box_size=104).to_json()
    model = keras_cpm.build_cpm(1, keras_cpm.PoseSpec.from_json(text), width=8)
    image = np.zeros((90, 70, 3), np.uint8)
    for number in range(8):
        spec = keras_cpm.PoseSpec.from_json(text)
        if number % 2:
            spec = spec.replace(person_height=40.0 + number, part_sigma=6.0 + number)
        scales = (1.0, 1.2 + 0.01 * number)
        for merge in ("box", "image"):
            Predictor(model, spec, scales=scales, merge=merge)(image)
        if number == 0:
            first = len(traced)
            assert set(traced) == {"crop", "zoom_axis", "pixel_axis"}
    assert len(traced) == first


@pytest.mark.slow
@pytest.mark.parametrize("merge", ["box", "image"])
def test_threads_get_the_answers_of_one(tiny_model, tiny_spec, drawn_records, merge):
    options = {"scales": (1.0, 1.2), "flip": True, "merge": merge}
    questions = [record.image for record in drawn_records[:3]]
    found = answers_of_threads(Predictor(tiny_model, tiny_spec, **options), questions, calls=2)
    alone = [Predictor(tiny_model, tiny_spec, **options)(question) for question in questions]
    assert len(found) == 16
    for number, pose in found:
        np.testing.assert_allclose(pose.keypoints, alone[number].keypoints, atol=1e-3)
        np.testing.assert_allclose(pose.beliefs[-1], alone[number].beliefs[-1], atol=1e-6)
