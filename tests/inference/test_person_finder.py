"""Several people in one photograph: where they are, and a pose for each."""

import json
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest
from click.testing import CliRunner

import keras_cpm
from keras_cpm.cli.main import main
from keras_cpm.data.synthetic import groups
from keras_cpm.inference.person_finder import PERSON_SPEC, find_people, read_places
from keras_cpm.inference.predictor import Predictor
from keras_cpm.models import bundle
from keras_cpm.models.released import PERSON1
from keras_cpm.pose import codec, geometry

DOT = keras_cpm.Skeleton("dot", ("dot",))


def person_network(spec, gain=1.0):
    """A stand-in that believes in people where the photograph is red: a mean over each cell."""
    image = keras.Input((None, None, 3), name="image")
    red = keras.layers.AveragePooling2D(8, name="cells")(image)
    weights = np.zeros((1, 1, 3, 1), np.float32)
    weights[0, 0, 0, 0] = gain / 255
    convolution = keras.layers.Conv2D(1, 1, use_bias=False, name="red")
    beliefs = keras.layers.Identity(name="stage1")(convolution(red))
    convolution.set_weights([weights])
    return keras.Model([image], [beliefs])


def photograph(people, size=(184, 300), sigma=6.0):
    """Black, with a red glow of `sigma` pixels at each of `people`."""
    rows, columns = np.mgrid[: size[0], : size[1]]
    glow = sum(np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * sigma**2)) for x, y in people)
    picture = np.zeros((*size, 3), np.uint8)
    picture[..., 0] = np.rint(255 * np.minimum(glow, 1))
    return picture


def test_everybody_is_found_at_the_release_scale():
    spec = keras_cpm.released_spec("person")
    people = [(60.0, 90.0), (150.0, 40.0), (290.0, 120.0)]
    places = find_people(photograph(people), person_network(spec), spec)
    found = sorted(place["center"] for place in places)
    np.testing.assert_allclose(found, people, atol=1.0)
    # the pose network looks at scale 1 of the photograph that is 368 pixels high
    for place in places:
        matrix = geometry.network_from_image(*place.values(), keras_cpm.PoseSpec())
        assert float(matrix[0, 0]) == pytest.approx(368 / 184, rel=1e-6)


def test_what_is_not_sure_is_nobody():
    spec = keras_cpm.released_spec("person")
    dim = person_network(spec, gain=0.5)
    assert find_people(photograph([(60, 90)]), dim, spec) == []
    sure = find_people(photograph([(60, 90)]), dim, spec, threshold=0.2)
    assert len(sure) == 1


@pytest.mark.parametrize("size", [(368, 655), (100, 33), (8, 9), (400, 4)])
def test_any_photograph_fits_the_network(size):
    matrix, (height, width) = geometry.network_from_whole_image(size, keras_cpm.PoseSpec())
    assert height == 368 and width % 8 == 0
    corner = geometry.apply(matrix, [size[1] - 0.5, size[0] - 0.5]).numpy()
    np.testing.assert_allclose(corner[1], 367.5, atol=1e-3)
    assert width - 8 < corner[0] + 0.5 <= width + 1e-2


def test_peaks_of_one_map():
    spec = keras_cpm.PoseSpec(skeleton=DOT, box_size=96)
    points = np.array([[19.5, 27.5], [75.5, 67.5]], np.float32)
    beliefs = codec.encode(points[:, None], np.full((2, 1), 2), spec)[..., 0].numpy()
    beliefs[3, 2] *= 0.9
    found, heights = codec.find_peaks(beliefs, spec, threshold=0.5)
    # a cubic through symmetric neighbours peaks between pixels 75 and 76, 19 and 20
    np.testing.assert_allclose(found, points[::-1], atol=0.51)
    np.testing.assert_allclose(heights, [1.0, 0.9], atol=0.02)
    wide, _ = codec.find_peaks(np.pad(beliefs, ((0, 0), (5, 20))), spec, threshold=0.5)
    np.testing.assert_allclose(wide, points[::-1] + [40, 0], atol=0.51)
    fine = spec.replace(stride=4)  # 5 cells of 4 pixels are no box of a network
    assert codec.find_peaks(np.eye(5), fine, threshold=0.5)[0].shape == (5, 2)


def test_a_plateau_is_one_peak():
    spec = keras_cpm.PoseSpec(skeleton=DOT, box_size=64)
    found, _ = codec.find_peaks(np.ones((8, 8)), spec, threshold=0.5)
    assert found.tolist() == [[0.0, 0.0]]


def test_a_pose_network_cannot_find_people(tiny_model, tiny_spec):
    with pytest.raises(ValueError, match="must be a person network"):
        find_people(np.zeros((64, 64, 3)), tiny_model, tiny_spec)


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


def test_a_panorama_is_refused():
    spec = keras_cpm.released_spec("person")
    with pytest.raises(ValueError, match="no wider than 10 times its height"):
        find_people(np.zeros((8, 100, 3)), person_network(spec), spec)


def test_more_people_than_a_batch_holds(tiny_model, tiny_spec, drawn_records):
    predictor = Predictor(tiny_model, tiny_spec)
    places = [{"center": (20.0 + 3 * i, 50.0), "person_height": 40.0} for i in range(19)]
    poses = predictor.predict_people(drawn_records[0].image, places)
    last = predictor(drawn_records[0].image, **places[-1])
    assert len(poses) == 19
    np.testing.assert_allclose(poses[-1].keypoints, last.keypoints, atol=1e-3)


# --- files of boxes, and the command line ------------------------------------------------------------


def boxes(tmp_path, content):
    path = tmp_path / "boxes.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_boxes_of_any_detector(tmp_path):
    path = boxes(tmp_path, [[1, 2, 3, 4], {"box": [5, 6, 7, 8]}, {"center": [1, 2], "height": 9}])
    places = [{"box": (1, 2, 3, 4)}, {"box": (5, 6, 7, 8)}]
    places.append({"center": (1, 2), "person_height": 9})
    assert read_places(path, ["a/b.jpg"]) == {"a/b.jpg": places}
    path = boxes(tmp_path, {"b.jpg": [[1, 2, 3, 4]], "a/c.jpg": []})
    both = read_places(path, ["a/b.jpg", "a/c.jpg"])
    assert both == {"a/b.jpg": [{"box": (1, 2, 3, 4)}], "a/c.jpg": []}


@pytest.mark.parametrize(
    ("content", "count", "message"),
    [
        ("{", 1, "must be JSON"),
        ([[1, 2, 3, 4]], 2, "object from file name to boxes, as there are 2 images"),
        ({"c.jpg": []}, 1, "has no entry for a/b.jpg"),
        ([[1, 2, 3]], 1, r"entry 0 must be one of .* Received: \[1, 2, 3\]"),
        ([{"center": [1, 2]}], 1, "entry 0 must be one of"),
        ([[1, 2, 3, "4"]], 1, "entry 0 must be one of"),
        ([[1, 2, 3, True]], 1, "entry 0 must be one of"),
        ([7], 1, "entry 0 must be one of"),
        (7, 1, "must hold a list of boxes"),
    ],
)
def test_a_wrong_file_of_boxes(tmp_path, content, count, message):
    with pytest.raises(ValueError, match=message):
        read_places(boxes(tmp_path, content), ["a/b.jpg", "d.jpg"][:count])


def test_no_file_of_boxes(tmp_path):
    with pytest.raises(FileNotFoundError, match="no file of boxes"):
        read_places(tmp_path / "boxes.json", ["b.jpg"])


def run(*words):
    return CliRunner().invoke(main, [str(word) for word in words])


@pytest.fixture
def pose_bundle(tmp_path, tiny_model, tiny_spec):
    bundle.save_bundle(tmp_path / "pose", tiny_model, tiny_spec)
    return tmp_path / "pose"


def test_predict_with_boxes(tmp_path, pose_bundle, drawn_records):
    image = drawn_records[0].image
    path = boxes(tmp_path, [[10, 5, 60, 90], {"center": [70, 50], "height": 40}])
    words = ("predict", image, "--model", pose_bundle, "--people", path)
    result = run(*words, "--draw", tmp_path / "pose.png", "--json", tmp_path / "pose.json")
    assert result.exit_code == 0, result.output
    (entry,) = json.loads((tmp_path / "pose.json").read_text()).values()
    assert len(entry["people"]) == 2 and "neck" in entry["people"][1]["keypoints"]
    assert cv2.imread(str(tmp_path / "pose.png")) is not None
    assert "person 2 of 2" in run(*words).output


def test_predict_finds_people_with_a_person_network(tmp_path, pose_bundle):
    spec = keras_cpm.PoseSpec(skeleton=PERSON1, background=False)
    bundle.save_bundle(tmp_path / "person", person_network(spec), spec)
    keras_cpm.visualization.beliefs.save_image(
        tmp_path / "red.png", photograph([(60, 90), (150, 40)])
    )
    result = run(
        *("predict", tmp_path / "red.png", "--model", pose_bundle, "--people", "auto"),
        *("--person-model", tmp_path / "person"),
    )
    assert result.exit_code == 0 and "person 2 of 2" in result.output, result.output


def test_auto_without_a_person_network_says_so_in_one_sentence(
    drawn_records, pose_bundle, monkeypatch
):
    monkeypatch.setattr(bundle, "shipped_bundles", dict)
    result = run("predict", drawn_records[0].image, "--model", pose_bundle, "--people", "auto")
    assert result.exit_code == 1
    assert "--person-model" in result.output and "BOXES.json" in result.output
    assert "Traceback" not in result.output and result.output.strip().count("\n") == 0


def test_ways_to_say_where_exclude_each_other(drawn_records):
    image = drawn_records[0].image
    assert run("predict", image, "--people", "auto", "--box", 1, 2, 3, 4).exit_code == 2
    assert run("predict", image, "--person-model", "x").exit_code == 2


# a person network of this project ------------------------------------------------------------------


def test_a_zoom_says_how_tall_people_are():
    """Small glows are seen at the zoom at which they are as large as the network knows them."""
    matrix, (height, width) = geometry.network_from_whole_image((300, 400), PERSON_SPEC, zoom=2.0)
    assert (height, width) == (384, 512)
    np.testing.assert_allclose(geometry.apply(matrix, [399.5, 299.5]), [511.5, 383.5], atol=1e-3)
    found = find_people(
        photograph([(60, 90)]), person_network(PERSON_SPEC), PERSON_SPEC, zooms=(2,)
    )
    # of 184 pixels in height 384 are made, in which people are 80 tall
    assert [place["person_height"] for place in found] == [pytest.approx(80 * 184 / 384)]
    np.testing.assert_allclose(found[0]["center"], (60, 90), atol=1)


def test_of_several_zooms_the_surest_counts():
    people = [(60.0, 90.0), (230.0, 60.0)]
    network = person_network(PERSON_SPEC)
    found = find_people(photograph(people), network, PERSON_SPEC)
    alone = find_people(photograph(people), network, PERSON_SPEC, zooms=(2.0,))
    # a glow is brightest in the mean over the cells of the finest zoom
    assert found == alone and len(found) == 2


def test_groups_say_who_is_to_be_found(drawn_records, tmp_path):
    spec = PERSON_SPEC.replace(box_size=96, person_height=40.0)
    found = groups.draw_groups(drawn_records, tmp_path / "a", 12, spec, seed=1)
    again = groups.draw_groups(drawn_records, tmp_path / "b", 12, spec, seed=1)
    for one, other in zip(found, again, strict=True):
        assert Path(one.image).read_bytes() == Path(other.image).read_bytes()
    counts = [sum(bool(p.labelled[0]) for p in record.people) for record in found]
    assert min(counts) == 0 and max(counts) > 1
    for record in found:
        assert record.size == (96, 96) and record.parts == groups.PARTS
        # the picture is the network box
        person = record.people[0]
        matrix = geometry.network_from_image(person.center, person.height, spec)
        np.testing.assert_allclose(matrix, np.eye(3), atol=1e-5)
        for person in record.people:
            assert not person.labelled[0] or (person.keypoints >= 0).all()


def test_the_center_of_a_group_is_that_of_the_person(tmp_path):
    """A photograph with a white dot in its person's centre: the label is the dot."""
    picture = np.zeros((120, 90, 3), np.uint8)
    cv2.circle(picture, (40, 70), 2, (255, 255, 255), -1)
    cv2.imwrite(str(tmp_path / "dot.png"), picture)
    person = keras_cpm.Person([(40, 70)], [2], center=(40, 70), height=80)
    record = keras_cpm.Record(str(tmp_path / "dot.png"), (120, 90), ("center",), (person,))
    checked = 0
    for group in groups.draw_groups([record], tmp_path / "groups", 10, PERSON_SPEC):
        gray = cv2.imread(group.image, cv2.IMREAD_GRAYSCALE)
        for one in group.people:
            x, y = one.keypoints[0]
            # the picture's edges, and those between two or three people
            edges = np.abs(x - np.array([0, 64, 96, 128, 191])).min()
            if one.labelled[0] and edges > 7 and 7 < y < 184:
                window = gray[round(y) - 7 : round(y) + 8, round(x) - 7 : round(x) + 8].astype(
                    float
                )
                window[window < 128] = 0
                rows, columns = np.mgrid[-7:8, -7:8]
                dx, dy = ((window * axis).sum() / window.sum() for axis in (columns, rows))
                assert abs(round(x) + dx - x) < 0.5 and abs(round(y) + dy - y) < 0.5
                checked += 1
    assert checked > 3


def test_a_person_network_learns_everybody_at_every_stage(drawn_records, tmp_path):
    spec = PERSON_SPEC.replace(box_size=96, person_height=40.0)
    found = groups.draw_groups(drawn_records, tmp_path, 12, spec, seed=1)
    options = {"stages": 2, "batch_size": 12, "missing": "zero", "center_map": False}
    ((inputs, targets),) = keras_cpm.make_dataset(found, spec, **options)
    assert list(inputs) == ["image"]
    np.testing.assert_array_equal(targets["stage1"], targets["stage2"])
    for record, maps in zip(found, targets["stage2"].numpy(), strict=True):
        peaks, _ = codec.find_peaks(maps[..., 0], spec, threshold=0.5)
        labelled = [p.keypoints[0] for p in record.people if p.labelled[0]]
        inside = [p for p in labelled if (np.abs(p - 47.5) < 40).all()]
        for center in inside:
            assert np.linalg.norm(peaks - center, axis=1).min() < 4
        assert labelled or not len(peaks)


@pytest.mark.slow
def test_training_on_centers_makes_a_person_network(drawn_records, tmp_path):
    keras_cpm.write_records(drawn_records, tmp_path / "people.jsonl")
    run = CliRunner().invoke
    out = run(
        main,
        ["prepare", "groups", *(str(tmp_path / f"{n}.jsonl") for n in ("people", "groups"))]
        + ["--count", "4"],
    )
    assert out.exit_code == 0, out.output
    assert "4 records" in out.output and len(list((tmp_path / "groups").glob("*.jpg"))) == 4
    command = (
        f"train {tmp_path}/groups.jsonl --out {tmp_path}/run --epochs 1 --batch-size 2 --width 8"
    )
    out = run(main, command.split())
    assert out.exit_code == 0, out.output
    model, spec = keras_cpm.load(tmp_path / "run")
    assert spec == PERSON_SPEC and len(model.inputs) == 1
    assert find_people(drawn_records[0].image, model, spec, threshold=2.0) == []
    photo = drawn_records[0].image
    out = run(main, ["predict", photo, "--people", "auto", "--person-model", str(tmp_path / "run")])
    assert out.exit_code == 0, out.output


@pytest.mark.slow
def test_a_person_network_starts_from_the_features_of_a_pose_network(
    drawn_records, tiny_spec, tmp_path
):
    network = {"stages": 2, "backbone": "light", "stage_block": "light", "width": 8}
    pose = keras_cpm.build_cpm(spec=tiny_spec, **network)
    bundle.save_bundle(tmp_path / "pose", pose, tiny_spec)
    (tmp_path / "pose" / bundle.NETWORK_FILE).write_text(json.dumps(network))
    found = groups.draw_groups(drawn_records, tmp_path / "groups", 2, PERSON_SPEC)
    keras_cpm.write_records(found, tmp_path / "groups.jsonl")
    command = (
        f"train {tmp_path}/groups.jsonl --out {tmp_path}/run --init {tmp_path}/pose --epochs 1"
    )
    # so slow that it stays where it starts
    out = CliRunner().invoke(main, [*command.split(), "--learning-rate", "1e-12", "--ema", "0"])
    assert out.exit_code == 0 and "Started from" in out.output, out.output
    model, spec = keras_cpm.load(tmp_path / "run")
    assert spec == PERSON_SPEC and len(model.inputs) == 1 and model.inputs[0].shape[1] is None
    for name in ("conv1", "conv4_a"):
        np.testing.assert_allclose(
            model.get_layer(name).kernel, pose.get_layer(name).kernel, atol=1e-6
        )


def test_the_shipped_finder_is_the_default_and_knows_no_box():
    name = bundle.default_person_bundle()
    model, spec = bundle.load(name)
    assert spec.num_parts == 1 and not bundle.takes_center_map(model)
    # nobody in an empty photograph of any shape
    for size in ((120, 300), (300, 120)):
        assert find_people(np.full((*size, 3), 120, np.uint8), model, spec) == []
    assert bundle.default_bundle() == "cpm-light-lsp"
