"""A SavedModel's signatures give what the predictor gives, and refuse what has no answer."""

import io

import numpy as np
import pytest
import tensorflow as tf

import keras_cpm
from keras_cpm.export.signatures import MAX_ROWS, UNREADABLE, UNSOUND_BOX
from keras_cpm.models.forward import centered_map
from keras_cpm.pose import codec


def bytes_of(records):
    return tf.constant([open(record.image, "rb").read() for record in records])


def test_serving_default_gives_the_predictors_points(signatures, model, tiny_spec, drawn_records):
    served = signatures["serving_default"](image=bytes_of(drawn_records))
    predictor = keras_cpm.Predictor(model, tiny_spec)
    for i, record in enumerate(drawn_records):
        pose = predictor(record.image)
        np.testing.assert_allclose(served["keypoints"][i], pose.keypoints, atol=0.01)
        np.testing.assert_allclose(served["scores"][i], pose.scores, atol=1e-4)


def test_boxes_give_the_predictors_points(signatures, model, tiny_spec, drawn_records):
    boxes = np.array([record.people[0].box for record in drawn_records], np.float32)
    served = signatures["boxes"](image=bytes_of(drawn_records), box=boxes)
    predictor = keras_cpm.Predictor(model, tiny_spec)
    for i, record in enumerate(drawn_records):
        np.testing.assert_allclose(
            served["keypoints"][i], predictor(record.image, box=boxes[i]).keypoints, atol=0.01
        )


def test_a_batch_may_mix_sizes_formats_and_orientations(signatures, model, tiny_spec):
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
    served = signatures["serving_default"](image=tf.constant(sources))
    predictor = keras_cpm.Predictor(model, tiny_spec)
    for i, source in enumerate(sources):
        np.testing.assert_allclose(served["keypoints"][i], predictor(source).keypoints, atol=0.01)


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


def test_bad_images_cost_their_own_rows_alone(signatures, drawn_records):
    serve = signatures["serving_default"]
    good = bytes_of(drawn_records[:2])
    alone = serve(image=good)
    bad = list(bad_images(good[0].numpy()).values())
    served = serve(image=tf.concat([good[:1], bad, good[1:]], 0))
    assert served["error"].numpy().tolist()[1:-1] == [UNREADABLE.encode()] * len(bad)
    assert np.isnan(served["keypoints"][1:-1]).all() and not served["scores"][1:-1].numpy().any()
    for row, same in ((0, 0), (-1, 1)):
        assert served["error"][row] == b""
        np.testing.assert_allclose(served["keypoints"][row], alone["keypoints"][same], atol=1e-3)


def test_rows_stay_in_their_order(signatures):
    """Of photographs that are opened side by side the small ones are done first."""
    rng, serve = np.random.default_rng(0), signatures["serving_default"]
    sizes = [(900, 700), (30, 40), (600, 500), (20, 60), (300, 300)] * 2
    images = [rng.integers(0, 256, (*size, 3), np.uint8) for size in sizes]
    data = [tf.io.encode_png(image) for image in images]
    data[3:3] = [b"junk"]
    together = serve(image=tf.stack(data))
    assert [error != b"" for error in together["error"].numpy()] == [i == 3 for i in range(11)]
    for row, one in enumerate(data):
        alone = serve(image=tf.stack([one]))["keypoints"][0]
        np.testing.assert_allclose(together["keypoints"][row], alone, atol=1e-3)


def test_a_request_without_a_photograph_has_only_errors(signatures):
    served = signatures["serving_default"](image=tf.constant(["", "junk"]))
    assert served["error"].numpy().tolist() == [UNREADABLE.encode()] * 2
    assert np.isnan(served["keypoints"]).all()


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


def test_unsound_boxes_cost_their_own_rows_alone(signatures, drawn_records):
    data = bytes_of(drawn_records[:1])
    good = np.array(drawn_records[0].people[0].box, np.float32)
    alone = signatures["boxes"](image=data, box=good[None])
    served = signatures["boxes"](
        image=tf.repeat(data, len(UNSOUND) + 1), box=tf.constant([*UNSOUND, good], tf.float32)
    )
    errors = served["error"].numpy().tolist()
    assert errors == [UNSOUND_BOX.encode()] * len(UNSOUND) + [b""]
    assert np.isnan(served["keypoints"][:-1]).all() and not served["scores"][:-1].numpy().any()
    np.testing.assert_allclose(served["keypoints"][-1], alone["keypoints"][0], atol=1e-3)


def test_a_request_of_a_wrong_size_is_refused_whole(signatures, drawn_records):
    data = bytes_of(drawn_records[:1])
    box = tf.constant([[0.0, 0.0, 50.0, 50.0]])
    with pytest.raises(tf.errors.InvalidArgumentError, match="every image needs one box"):
        signatures["boxes"](image=tf.repeat(data, 2), box=box)
    for rows in (0, MAX_ROWS + 1):
        with pytest.raises(tf.errors.InvalidArgumentError, match="1 to 64 rows"):
            signatures["serving_default"](image=tf.repeat(data, rows))
        with pytest.raises(tf.errors.InvalidArgumentError, match="1 to 64 rows"):
            signatures["boxes"](image=tf.repeat(data, rows), box=tf.repeat(box, rows, 0))
        for name in ("crops", "beliefs"):
            with pytest.raises(tf.errors.InvalidArgumentError, match="1 to 64 rows"):
                signatures[name](image=tf.zeros([rows, 64, 64, 3]))


def test_crops_and_beliefs_take_network_boxes(signatures, model, tiny_spec):
    crops = np.random.default_rng(0).uniform(0, 255, (2, 64, 64, 3)).astype(np.float32)
    center = np.repeat(centered_map(tiny_spec), 2, axis=0)
    expected = model.predict_on_batch([crops, center])
    beliefs = signatures["beliefs"](image=tf.constant(crops))
    assert sorted(beliefs) == ["stage1", "stage2", "stage3"]
    for t in (1, 2, 3):
        np.testing.assert_allclose(beliefs[f"stage{t}"], expected[t - 1], atol=1e-4)
    served = signatures["crops"](image=tf.constant(crops))
    keypoints, scores = codec.decode(expected[-1], tiny_spec)
    np.testing.assert_allclose(served["keypoints"], keypoints, atol=0.01)
    np.testing.assert_allclose(served["scores"], scores, atol=1e-4)
