import io
import shutil
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_cpm
from keras_cpm.export import compare, signatures
from keras_cpm.images import sampling
from keras_cpm.pose import geometry


@pytest.fixture(scope="module")
def spec():
    return keras_cpm.PoseSpec(box_size=64)


@pytest.fixture(scope="module")
def model(spec):
    """Peaks with character: an untrained network with strong last layers."""
    keras.utils.set_random_seed(3)
    model = keras_cpm.build_cpm(3, spec, backbone="light", stage_block="light", width=8)
    for layer in model.layers:
        if layer.name.startswith(("conv7_2_CPM", "Mconv6")):
            layer.kernel.assign(layer.kernel * 40)
    return model


@pytest.fixture(scope="module")
def saved(model, spec, tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved")
    keras_cpm.export_saved_model(model, spec, folder)
    return tf.saved_model.load(str(folder / "1")).signatures, folder


@pytest.fixture(scope="module")
def mobile(model, spec, tmp_path_factory):
    path = tmp_path_factory.mktemp("mobile") / "cpm.tflite"
    keras_cpm.export_tflite(model, spec, path)
    return path


def bytes_of(records):
    return tf.constant([open(record.image, "rb").read() for record in records])


def test_serving_default_gives_the_predictors_points(saved, model, spec, drawn_records):
    served = saved[0]["serving_default"](image=bytes_of(drawn_records))
    find = keras_cpm.Predictor(model, spec)
    for i, record in enumerate(drawn_records):
        pose = find(record.image)
        np.testing.assert_allclose(served["keypoints"][i], pose.keypoints, atol=0.01)
        np.testing.assert_allclose(served["scores"][i], pose.scores, atol=1e-4)


def test_boxes_give_the_predictors_points(saved, model, spec, drawn_records):
    boxes = np.array([record.people[0].box for record in drawn_records], np.float32)
    served = saved[0]["boxes"](image=bytes_of(drawn_records), box=boxes)
    find = keras_cpm.Predictor(model, spec)
    for i, record in enumerate(drawn_records):
        np.testing.assert_allclose(
            served["keypoints"][i], find(record.image, box=boxes[i]).keypoints, atol=0.01
        )


def test_a_batch_may_mix_sizes_formats_and_orientations(saved, model, spec):
    image = pytest.importorskip("PIL.Image")
    rng = np.random.default_rng(0)
    sources = []
    for kind, size, turn in (("JPEG", (40, 90), 6), ("PNG", (120, 64), 1), ("BMP", (33, 57), 1)):
        picture = image.fromarray(rng.integers(0, 255, (*size, 3), np.uint8))
        exif = image.Exif()
        exif[0x0112] = turn
        file = io.BytesIO()
        picture.save(file, kind, **({"exif": exif} if kind != "BMP" else {}))
        sources.append(file.getvalue())
    served = saved[0]["serving_default"](image=tf.constant(sources))
    find = keras_cpm.Predictor(model, spec)
    for i, source in enumerate(sources):
        np.testing.assert_allclose(served["keypoints"][i], find(source).keypoints, atol=0.01)


def bad_images(good):
    """Bytes that are no image, by what is wrong with them."""
    png = tf.io.encode_png(tf.zeros([8, 8, 3], tf.uint8)).numpy()
    giant = png[:16] + (60_000).to_bytes(4, "big") * 2 + png[24:]
    return {
        "empty": b"",
        "junk": b"these are not the bytes you are looking for",
        "cut off": good[: len(good) // 2],
        "header only": good[:20],
        "giant": giant,
        "no end": good[:-2],
    }


def test_bad_images_cost_their_own_rows_alone(saved, drawn_records):
    serve = saved[0]["serving_default"]
    good = bytes_of(drawn_records[:2])
    alone = serve(image=good)
    bad = list(bad_images(good[0].numpy()).values())
    served = serve(image=tf.concat([good[:1], bad, good[1:]], 0))
    assert served["error"].numpy().tolist()[1:-1] == [signatures.UNREADABLE.encode()] * len(bad)
    assert np.isnan(served["keypoints"][1:-1]).all() and not served["scores"][1:-1].numpy().any()
    for row, same in ((0, 0), (-1, 1)):
        assert served["error"][row] == b""
        np.testing.assert_allclose(served["keypoints"][row], alone["keypoints"][same], atol=1e-3)


UNSOUND = [
    [50, 60, 10, 20],
    [5, 5, 5, 50],
    [5, 5, 50, 5],
    [np.nan, 0, 9, 9],
    [0, 0, np.inf, 9],
    [-np.inf, 0, 9, 9],
    [-3e38, -3e38, 3e38, 3e38],
    [0, 0, 1e-44, 1e-44],
]


def test_unsound_boxes_cost_their_own_rows_alone(saved, drawn_records):
    data = bytes_of(drawn_records[:1])
    good = np.array(drawn_records[0].people[0].box, np.float32)
    alone = saved[0]["boxes"](image=data, box=good[None])
    served = saved[0]["boxes"](
        image=tf.repeat(data, len(UNSOUND) + 1), box=tf.constant([*UNSOUND, good], tf.float32)
    )
    assert served["error"].numpy().tolist() == [signatures.UNSOUND_BOX.encode()] * len(UNSOUND) + [
        b""
    ]
    assert np.isnan(served["keypoints"][:-1]).all() and not served["scores"][:-1].numpy().any()
    np.testing.assert_allclose(served["keypoints"][-1], alone["keypoints"][0], atol=1e-3)


def test_a_request_of_a_wrong_size_is_refused_whole(saved, drawn_records):
    data = bytes_of(drawn_records[:1])
    box = tf.constant([[0.0, 0.0, 50.0, 50.0]])
    with pytest.raises(tf.errors.InvalidArgumentError, match="every image needs one box"):
        saved[0]["boxes"](image=tf.repeat(data, 2), box=box)
    for rows in (0, signatures.MAX_ROWS + 1):
        with pytest.raises(tf.errors.InvalidArgumentError, match="1 to 64 rows"):
            saved[0]["serving_default"](image=tf.repeat(data, rows))
        with pytest.raises(tf.errors.InvalidArgumentError, match="1 to 64 rows"):
            saved[0]["boxes"](image=tf.repeat(data, rows), box=tf.repeat(box, rows, 0))
        for name in ("crops", "beliefs"):
            with pytest.raises(tf.errors.InvalidArgumentError, match="1 to 64 rows"):
                saved[0][name](image=tf.zeros([rows, 64, 64, 3]))


def test_spec_and_part_names_travel_inside(saved, spec, tmp_path):
    moved = shutil.copytree(saved[1] / "1", tmp_path / "moved")
    assert keras_cpm.PoseSpec.load(moved / "assets/spec.json") == spec
    parts = (moved / "assets/parts.txt").read_text("utf-8").splitlines()
    assert tuple(parts) == spec.skeleton.parts
    assert "crops" in tf.saved_model.load(str(moved)).signatures


def test_crops_and_beliefs_take_network_boxes(saved, model, spec):
    crops = np.random.default_rng(0).uniform(0, 255, (2, 64, 64, 3)).astype(np.float32)
    center = np.repeat(keras_cpm.Predictor(model, spec)._center_map, 2, axis=0)
    expected = model.predict_on_batch([crops, center])
    beliefs = saved[0]["beliefs"](image=tf.constant(crops))
    assert sorted(beliefs) == ["stage1", "stage2", "stage3"]
    for t in (1, 2, 3):
        np.testing.assert_allclose(beliefs[f"stage{t}"], expected[t - 1], atol=1e-4)
    served = saved[0]["crops"](image=tf.constant(crops))
    from keras_cpm.pose import codec

    keypoints, scores = codec.decode(expected[-1], spec)
    np.testing.assert_allclose(served["keypoints"], keypoints, atol=0.01)
    np.testing.assert_allclose(served["scores"], scores, atol=1e-4)


def test_the_spec_lies_beside_both(saved, mobile, spec):
    assert keras_cpm.PoseSpec.load(saved[1] / "spec.json") == spec
    assert keras_cpm.PoseSpec.load(mobile.with_suffix(".spec.json")) == spec


def test_exporting_again_replaces_version_1(saved, model, spec):
    keras_cpm.export_saved_model(model, spec, saved[1])
    assert sorted(path.name for path in saved[1].iterdir()) == [
        *("1", "golden.npz", "manifest.json", "spec.json")
    ]


def test_litert_gives_the_models_points(mobile, model, spec, drawn_records):
    run = keras_cpm.LiteRTModel(mobile)
    find = keras_cpm.Predictor(model, spec)
    for record in drawn_records:
        pose = find(record.image)
        pixels = tf.io.decode_jpeg(tf.io.read_file(record.image), dct_method="INTEGER_ACCURATE")
        crop = sampling.warp(pixels, pose.network_from_image, (64, 64), fill=128)
        found = run(crop[None])
        in_image = geometry.apply(geometry.invert(pose.network_from_image), found["keypoints"][0])
        np.testing.assert_allclose(in_image, pose.keypoints, atol=0.02)
        np.testing.assert_allclose(found["scores"][0], pose.scores, atol=1e-3)
        np.testing.assert_allclose(found["beliefs"][0], pose.beliefs[-1], atol=1e-3)


def test_litert_gives_the_models_beliefs_on_golden_boxes(mobile, model, spec):
    golden = np.load(mobile.with_suffix(".golden.npz"))
    run = keras_cpm.LiteRTModel(mobile)
    center = keras_cpm.Predictor(model, spec)._center_map
    assert golden["image"].shape == (3, 64, 64, 3) and golden["image"].dtype == np.uint8
    for i, box in enumerate(golden["image"]):
        beliefs = model.predict_on_batch([box[None].astype(np.float32), center])[-1]
        # not the file without weights that converters can leave
        assert np.abs(beliefs).max() > 0.01
        np.testing.assert_allclose(golden["keras_beliefs"][i], beliefs[0], atol=1e-4)
        np.testing.assert_allclose(run(box[None])["beliefs"], beliefs, atol=1e-3)
        np.testing.assert_allclose(golden["beliefs"][i], beliefs[0], atol=1e-3)
    np.testing.assert_allclose(golden["keypoints"], golden["keras_keypoints"], atol=0.02)


def test_litert_runs_with_tensorflow_alone(mobile, monkeypatch):
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    golden = np.load(mobile.with_suffix(".golden.npz"))
    found = keras_cpm.LiteRTModel(mobile)(golden["image"][:1])
    np.testing.assert_allclose(found["keypoints"], golden["keypoints"][:1], atol=0.02)


def test_litert_without_any_runtime_says_what_to_install(mobile, monkeypatch):
    for name in ("ai_edge_litert.interpreter", "tensorflow"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match="pip install ai-edge-litert"):
        keras_cpm.LiteRTModel(mobile)


def test_litert_has_builtin_operations_only(mobile):
    interpreter = pytest.importorskip("ai_edge_litert.interpreter")
    operations = interpreter.Interpreter(model_path=str(mobile))._get_ops_details()
    assert not [op["op_name"] for op in operations if op["op_name"].startswith("Flex")]


def test_a_model_without_center_map_exports(spec, tmp_path):
    model = keras_cpm.build_cpm(
        1, spec, backbone="light", stage_block="light", width=8, center_map=False
    )
    keras_cpm.export_saved_model(model, spec, tmp_path)
    keras_cpm.export_tflite(model, spec, tmp_path / "m.tflite")
    crops = np.full((1, 64, 64, 3), 77, np.float32)
    served = tf.saved_model.load(str(tmp_path / "1")).signatures["beliefs"](
        image=tf.constant(crops)
    )
    expected = model.predict_on_batch(crops)
    np.testing.assert_allclose(served["stage1"], expected, atol=1e-5)
    found = keras_cpm.LiteRTModel(tmp_path / "m.tflite")(crops)
    np.testing.assert_allclose(found["beliefs"], expected, atol=1e-4)


def test_errors_name_the_remedy(model, spec, tmp_path):
    with pytest.raises(ValueError, match=r"end in \.tflite"):
        keras_cpm.export_tflite(model, spec, tmp_path / "m.lite")
    anywhere = keras_cpm.build_cpm(1, spec, width=8, input_size="any")
    with pytest.raises(ValueError, match="one input size"):
        keras_cpm.export_saved_model(anywhere, spec, tmp_path)
    with pytest.raises(FileNotFoundError, match="no LiteRT file"):
        keras_cpm.LiteRTModel(tmp_path / "absent.tflite")


def test_agreement_measures_and_refuses(model, spec, drawn_records, saved, mobile, monkeypatch):
    monkeypatch.setattr(compare, "SURE", -1.0)  # an untrained network is never sure
    for path in (saved[1], mobile):
        measured = compare.compare(model, spec, drawn_records[:2], path)
        assert measured.checked() < 0.02 and measured.displacements.shape == (28,)
        assert measured.size > 1e4 and measured.milliseconds > 0
    keras.utils.set_random_seed(4)
    other = keras_cpm.build_cpm(3, spec, backbone="light", stage_block="light", width=8)
    for path in (saved[1], mobile):
        with pytest.raises(RuntimeError, match="differs from the Keras model"):
            compare.compare(other, spec, drawn_records[:2], path).checked()


def agreement_of(moved, quantize, scores=0.9):
    """Keypoints of one image, moved to the right by pixels."""
    expected = np.zeros((1, len(moved), 2))
    found = expected + np.stack([moved, np.zeros(len(moved))], -1)
    scores = np.broadcast_to(scores, (1, len(moved)))
    return compare.Agreement("it", quantize, expected, found, scores, 1.0, 1)


@pytest.mark.parametrize(
    "quantize, moved, within",
    [
        ("none", [0, 0.049], True),
        ("none", [0, 0.051], False),
        ("float16", [0.4, 0.49], True),
        ("float16", [0, 0.51], False),
        ("int8", [0.9, 0.9, 30], True),
        ("int8", [1.1, 1.1, 0], False),
        ("dynamic", [1.1, 1.1, 0], False),
        ("none", [0, np.nan], False),
    ],
)
def test_bounds_of_agreement(quantize, moved, within):
    assert agreement_of(moved, quantize).within is within
    # what the Keras model is not sure of counts nothing
    unsure = agreement_of(moved, quantize, scores=0.29)
    assert unsure.within and unsure.displacements.size == 0
    part = agreement_of(moved, quantize).of_part(1)
    assert part.tolist() == [moved[1]] or np.isinf(part).all()
