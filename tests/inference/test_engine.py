"""LiteRT answers as Keras does, where it is there and knows all layers."""

import sys

import keras
import numpy as np
import pytest
from PIL import Image

import keras_cpm
from keras_cpm.inference import engine
from keras_cpm.inference.people import find_poses
from keras_cpm.inference.person_finder import finder_of
from keras_cpm.models import bundle
from keras_cpm.models.litert.graph import Unsupported
from tests.cli import running
from tests.models.networks import SPEC, build

pytest.importorskip("ai_edge_litert", reason="the extra `mobile`")

SHIPPED = ["cpm-light", "cpm-light-person"]
# the pose is the same to this share of a pixel
NEAR = 0.05


@pytest.fixture(scope="module")
def group(tmp_path_factory):
    """A photograph of drawn people."""
    return keras_cpm.draw_records(tmp_path_factory.mktemp("group"), 3, image_size=(240, 320))[0]


def answers(by_litert, ask):
    networks = engine.load_by_litert(SHIPPED, "litert") if by_litert else None
    with engine.computing(by_litert):
        return ask(*(networks or [bundle.load(name) for name in SHIPPED]))


@pytest.mark.parametrize(
    "looks",
    [
        {"flip": True, "scales": (0.9, 1.1)},
        pytest.param({}, marks=pytest.mark.slow),
        pytest.param({"merge": "image", "scales": (1.0, 1.2)}, marks=pytest.mark.slow),
    ],
)
def test_the_pose_is_the_same(group, looks):
    def ask(pose_network, _):
        return keras_cpm.Predictor(*pose_network, **looks)(group.image, box=(60, 10, 240, 230))

    ours, theirs = answers(True, ask), answers(False, ask)
    assert isinstance(ours.keypoints, np.ndarray) and ours.parts == theirs.parts
    np.testing.assert_allclose(ours.keypoints, theirs.keypoints, atol=NEAR)
    np.testing.assert_allclose(ours.stage_keypoints, theirs.stage_keypoints, atol=NEAR)
    np.testing.assert_allclose(ours.scores, theirs.scores, atol=1e-3)
    for one, other in zip(ours.beliefs, theirs.beliefs, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-3)


def test_the_people_are_the_same(group):
    def ask(pose_network, person_network):
        predictor = keras_cpm.Predictor(*pose_network)
        return find_poses(group.image, predictor, finder_of(*person_network), threshold=0.2)

    ours, theirs = answers(True, ask), answers(False, ask)
    assert len(ours) == len(theirs) > 0
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one.pose.keypoints, other.pose.keypoints, atol=NEAR)
        assert one.score == pytest.approx(other.score, abs=1e-3)
        np.testing.assert_allclose(one.box, other.box, atol=NEAR)


def test_who_answers(tmp_path, monkeypatch):
    keras_cpm.save_bundle(tmp_path / "large", build(), SPEC)
    names = [tmp_path / "large"]
    assert engine.load_by_litert(names, "keras") is None
    assert engine.load_by_litert(names, "auto") is not None
    # a network of large kernels is Keras' for a folder and a video
    assert engine.load_by_litert(names, "auto", many=True) is None
    assert engine.load_by_litert(names, "litert", many=True) is not None
    assert engine.load_by_litert(["cpm-light"], "auto", many=True) is not None
    with pytest.raises(ValueError, match="`engine` must be one of"):
        engine.load_by_litert(names, "onnx")
    with pytest.raises(FileNotFoundError, match="no shipped bundle of that name"):
        engine.load_by_litert(["absent"])
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    assert engine.load_by_litert(names, "auto") is None
    with pytest.raises(ImportError, match="pip install"):
        engine.load_by_litert(names, "litert")


def test_a_layer_that_litert_does_not_know(tmp_path):
    image = keras.Input((64, 64, 3), name="image")
    model = keras.Model(image, keras.layers.Conv2D(15, 8, strides=8, activation="gelu")(image))
    keras_cpm.save_bundle(tmp_path / "odd", model, SPEC)
    assert engine.load_by_litert([tmp_path / "odd"], "auto") is None
    with pytest.raises(Unsupported, match="activation='gelu'"):
        engine.load_by_litert([tmp_path / "odd"], "litert")


def test_a_spec_of_another_model(tmp_path):
    keras_cpm.save_bundle(tmp_path / "one", build(1), SPEC)
    keras_cpm.PoseSpec(keras_cpm.LSP14, box_size=64, stride=4).save(tmp_path / "one/spec.json")
    with pytest.raises(ValueError, match=r"one: `model` must return belief maps of 16 cells"):
        engine.load_by_litert([tmp_path / "one"])


def test_tensorflow_is_not_imported(group, tmp_path):
    draw = ["--people", "auto", "--draw", tmp_path / "drawn.png", "--json", tmp_path / "poses.json"]
    for flags in (["--part", "neck", *draw[2:]], [*draw, "--coco", tmp_path / "coco.json"]):
        assert running.imported_by("predict", group.image, *flags) == ""


@pytest.mark.slow
def test_tensorflow_decodes_what_is_not_plain(group, tmp_path):
    with Image.open(group.image) as photograph:
        photograph.save(tmp_path / "photograph.gif")
    flags = ["--engine", "litert", "--json", tmp_path / "pose.json"]
    assert "tensorflow" in running.imported_by("predict", tmp_path / "photograph.gif", *flags)
