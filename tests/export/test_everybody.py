"""The signature "people" finds whom `find_poses` finds; by hand-made networks, of glowing dots."""

import functools
import io

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_cpm
from keras_cpm.export.everybody import UNREADABLE
from keras_cpm.inference.people import find_poses
from keras_cpm.inference.person_finder import find_people
from keras_cpm.models.person import MOST_PEOPLE, POSSIBLE, ZOOMS
from tests.inference.test_people import DOTS, SPEC, picture

PERSON_SPEC = keras_cpm.PoseSpec(
    keras_cpm.Skeleton("person1", ("center",)),
    box_size=64,
    person_height=30.0,
    background=False,
    pad_value=0,
)
# to trace the signature takes half a minute; clients of it are in tests/serving/test_answer.py
pytestmark = pytest.mark.slow
# of heights of the lattice, but for a pixel: cells of this network are wide
PEOPLE = [(60, 80, 80), (180, 70, 56)]


def averaging(size, channels):
    """A network whose beliefs are the colors themselves; of 1 channel, green, the middle."""
    image = keras.Input((size, size, 3))
    seen = keras.layers.AveragePooling2D(8)(keras.layers.Rescaling(1 / 255)(image))
    if channels == 1:
        seen = keras.layers.Conv2D(1, 1, use_bias=False)(seen)
    model = keras.Model([image], [seen])
    if channels == 1:
        model.set_weights([np.float32([0, 3, 0]).reshape(1, 1, 3, 1)])
    return model


@pytest.fixture(scope="module")
def person():
    return averaging(None, 1), PERSON_SPEC


@pytest.fixture(scope="module")
def predictor():
    return keras_cpm.Predictor(averaging(64, 3), SPEC)


@pytest.fixture(scope="module")
def served(predictor, person, tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved") / "everybody"
    keras_cpm.export_saved_model(predictor.model, SPEC, folder, person=person)
    return folder


@pytest.fixture(scope="module")
def people(served):
    return tf.saved_model.load(str(served / "1")).signatures["people"]


def encoded(pixels, turn=1):
    image = pytest.importorskip("PIL.Image")
    exif, file = image.Exif(), io.BytesIO()
    exif[0x0112] = turn
    image.fromarray(np.uint8(pixels)).save(file, "PNG", exif=exif)
    return file.getvalue()


def test_everybody_is_found_as_find_poses_finds_them(people, predictor, person):
    crowded = picture(*PEOPLE)
    images = [encoded(crowded), b"no image", encoded(np.zeros((90, 120, 3)))]
    images += [encoded(np.rot90(crowded), turn=6)]
    found = people(image=tf.constant(images))
    assert found["count"].numpy().tolist() == [2, 0, 0, 2]
    assert found["error"].numpy().tolist() == [b"", UNREADABLE.encode(), b"", b""]
    options = {"threshold": POSSIBLE, "zooms": ZOOMS}
    find = functools.partial(find_people, model=person[0], spec=person[1], **options)
    for row in (0, 3):
        for number, one in enumerate(find_poses(images[row], predictor, find)):
            for name, right in (
                ("keypoints", one.pose.keypoints),
                ("scores", one.pose.scores),
                ("boxes", one.box),
                ("person_scores", one.score),
            ):
                np.testing.assert_allclose(found[name][row, number], right, atol=0.01)
    dots = [np.add((x, y), height * DOTS) for x, y, height in PEOPLE]
    order = np.argsort(found["boxes"][0, :2, 0])
    np.testing.assert_allclose(found["keypoints"].numpy()[0, order], dots, atol=0.06 * 80)


def test_behind_the_last_person_are_zeros(people):
    found = people(image=tf.constant([encoded(picture(*PEOPLE))]))
    assert found["keypoints"].shape == (1, MOST_PEOPLE, 3, 2)
    for name in ("keypoints", "scores", "boxes", "person_scores"):
        assert not found[name][0, 2:].numpy().any() and found[name][0, :2].numpy().all()


def test_a_photograph_too_wide_costs_its_own_row(people):
    images = [encoded(np.zeros((2, 200, 3))), encoded(picture(*PEOPLE))]
    found = people(image=tf.constant(images))
    assert found["error"].numpy().tolist() == [UNREADABLE.encode(), b""]
    assert found["count"].numpy().tolist() == [0, 2]


def test_the_export_is_verified(served):
    checks = keras_cpm.verify(served)
    assert all(check.passed for check in checks) and "people" in checks[1].seen


def test_a_pose_network_finds_no_people(predictor, tmp_path):
    with pytest.raises(ValueError, match="must be a person network"):
        keras_cpm.export_saved_model(
            predictor.model, SPEC, tmp_path / "served", person=(predictor.model, SPEC)
        )
    assert not (tmp_path / "served").exists()
