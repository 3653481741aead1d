"""A LiteRT file gives what the Keras model gives."""

import numpy as np
import pytest
import tensorflow as tf

import keras_cpm
from keras_cpm.images import sampling
from keras_cpm.models.forward import centered_map
from keras_cpm.models.fourier.layer import set_convolution
from keras_cpm.pose import geometry


def test_it_gives_the_models_points(phone_file, model, tiny_spec, drawn_records):
    run = keras_cpm.LiteRTModel(phone_file)
    predictor = keras_cpm.Predictor(model, tiny_spec)
    for record in drawn_records:
        pose = predictor(record.image)
        pixels = tf.io.decode_jpeg(tf.io.read_file(record.image), dct_method="INTEGER_ACCURATE")
        crop = sampling.warp(pixels, pose.network_from_image, (64, 64), fill=128)
        found = run(crop[None])
        in_image = geometry.apply(geometry.invert(pose.network_from_image), found["keypoints"][0])
        np.testing.assert_allclose(in_image, pose.keypoints, atol=0.02)
        np.testing.assert_allclose(found["scores"][0], pose.scores, atol=1e-3)
        np.testing.assert_allclose(found["beliefs"][0], pose.beliefs[-1], atol=1e-3)


def test_it_gives_the_models_beliefs_on_golden_boxes(phone_file, model, tiny_spec):
    golden = np.load(phone_file.with_suffix(".golden.npz"))
    run = keras_cpm.LiteRTModel(phone_file)
    center = centered_map(tiny_spec)
    assert golden["image"].shape == (3, 64, 64, 3) and golden["image"].dtype == np.uint8
    for i, box in enumerate(golden["image"]):
        beliefs = model.predict_on_batch([box[None].astype(np.float32), center])[-1]
        # not the file without weights that converters can leave
        assert np.ptp(beliefs) > 0.01
        np.testing.assert_allclose(golden["keras_beliefs"][i], beliefs[0], atol=1e-4)
        np.testing.assert_allclose(run(box[None])["beliefs"], beliefs, atol=1e-3)
        np.testing.assert_allclose(golden["beliefs"][i], beliefs[0], atol=1e-3)
    np.testing.assert_allclose(golden["keypoints"], golden["keras_keypoints"], atol=0.02)


def test_the_spec_lies_beside_it(phone_file, tiny_spec):
    assert keras_cpm.PoseSpec.load(phone_file.with_suffix(".spec.json")) == tiny_spec


def test_it_has_builtin_operations_only(phone_file):
    interpreter = pytest.importorskip("ai_edge_litert.interpreter")
    operations = interpreter.Interpreter(model_path=str(phone_file))._get_ops_details()
    assert not [op["op_name"] for op in operations if op["op_name"].startswith("Flex")]


@pytest.mark.slow
def test_a_model_without_center_map(tiny_spec, tmp_path):
    model = keras_cpm.build_cpm(
        1, tiny_spec, backbone="light", stage_block="light", width=8, center_map=False
    )
    keras_cpm.export_tflite(model, tiny_spec, tmp_path / "m.tflite")
    crops = np.full((1, 64, 64, 3), 77, np.float32)
    found = keras_cpm.LiteRTModel(tmp_path / "m.tflite")(crops)
    np.testing.assert_allclose(found["beliefs"], model.predict_on_batch(crops), atol=1e-4)


def test_errors_name_the_remedy(model, tiny_spec, tmp_path):
    with pytest.raises(ValueError, match=r"end in \.tflite"):
        keras_cpm.export_tflite(model, tiny_spec, tmp_path / "m.lite")
    with pytest.raises(ValueError, match="`calibration` must hold records"):
        keras_cpm.export_tflite(model, tiny_spec, tmp_path / "a.tflite", quantize="int8")
    with pytest.raises(ValueError, match=r"`quantize` must be one of .*'int8'.*Received: 'int4'"):
        keras_cpm.export_tflite(model, tiny_spec, tmp_path / "a.tflite", quantize="int4")
    with pytest.raises(ValueError, match="`input_type` must be one of"):
        keras_cpm.export_tflite(model, tiny_spec, tmp_path / "a.tflite", input_type="int8")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_phone_gets_the_direct_convolution(tiny_spec, tmp_path):
    model = keras_cpm.build_cpm(2, tiny_spec, width=8, convolution="tiles")
    keras_cpm.export_tflite(model, tiny_spec, tmp_path / "a.tflite")
    set_convolution(model, "direct")
    keras_cpm.export_tflite(model, tiny_spec, tmp_path / "b.tflite")
    sizes = [(tmp_path / name).stat().st_size for name in ("a.tflite", "b.tflite")]
    assert abs(sizes[0] - sizes[1]) < 2000


@pytest.mark.parametrize("name", ["cpm.tflite", "cpm.spec.json", "cpm.manifest.json"])
def test_what_no_export_wrote_is_not_replaced(name, model, tiny_spec, tmp_path):
    (tmp_path / name).write_text("somebody's")
    with pytest.raises(ValueError, match=f"holds {name}, which no export"):
        keras_cpm.export_tflite(model, tiny_spec, tmp_path / "cpm.tflite")
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "somebody's"
