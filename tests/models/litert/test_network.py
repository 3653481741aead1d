"""LiteRT gives the beliefs of Keras, or says why it does not."""

import copy
import pickle
import sys
import zipfile

import keras
import numpy as np
import pytest

import keras_cpm
from keras_cpm.models import bundle
from keras_cpm.models.litert import graph
from keras_cpm.models.litert.network import LiteRTNetwork
from tests.models.networks import SPEC, build, input_names, run, some_inputs
from tests.threads import answers_of_threads

pytest.importorskip("ai_edge_litert", reason="the extra `mobile`")

NETWORKS = {
    "cpm": {},
    "one stage": {"stages": 1, "center_map": False},
    "vgg": {"backbone": "vgg19", "stage_block": "vgg"},
    "residual": {"stage_block": "residual", "share_context": True},
    "light": {"backbone": "light", "stage_block": "light", "dropout": 0.5},
    "nested": {"backbone": "lean", "stage_block": "nested", "stages": 3},
    "any size": {"backbone": "light", "stage_block": "nested", "input_size": "any"},
}


def shaken(model):
    """Weights as a training leaves them: no average and no offset is the first one."""
    random = np.random.default_rng(0)
    model.set_weights([w + random.uniform(0.05, 0.1, w.shape) for w in model.get_weights()])
    return model


def saved(model, folder):
    keras_cpm.save_bundle(folder, model, SPEC)
    return folder / bundle.MODEL_FILE


def arrays(model, **size):
    inputs = some_inputs(**size)
    return [inputs[name] for name in input_names(model)]


@pytest.fixture
def path(tmp_path):
    return saved(build(backbone="light", stage_block="light"), tmp_path)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_beliefs_are_those_of_keras(name, tmp_path):
    model = shaken(build(**NETWORKS[name]))
    network = LiteRTNetwork(saved(model, tmp_path))
    assert network.output_names == model.output_names
    assert [tuple(x.shape) for x in network.outputs] == [tuple(x.shape) for x in model.outputs]
    bundle.check_model(network, SPEC)
    for ours, theirs in zip(network(arrays(model)), run(model, some_inputs()), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5 * np.abs(theirs).max())


@pytest.mark.parametrize("size", [(56, 104), (64, 8)])
def test_any_size(size, tmp_path):
    model = shaken(build(**NETWORKS["any size"]))
    network = LiteRTNetwork(saved(model, tmp_path))
    inputs = {"height": size[0], "width": size[1]}
    expected = run(model, some_inputs(**inputs))
    for ours, theirs in zip(network(arrays(model, **inputs)), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5 * np.abs(theirs).max())


def test_layers_are_folded(path):
    kinds = [node.kind for node in graph.read(path).nodes.values()]
    # the normalisation of the photograph is left
    assert kinds.count("Scale") == 1 and "ReLU" not in kinds and "Identity" not in kinds


def test_sizes_are_kept_and_let_go(tmp_path):
    model = build(**NETWORKS["any size"])
    network = LiteRTNetwork(saved(model, tmp_path))
    first = network(arrays(model, height=64, width=64))
    for width in range(8, 96, 8):
        network(arrays(model, height=16, width=width))
    for one, other in zip(network(arrays(model, height=64, width=64)), first, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_a_copy_gives_the_same(path, copied):
    network, inputs = LiteRTNetwork(path), list(some_inputs().values())
    for one, other in zip(copied(network)(inputs), network(inputs), strict=True):
        np.testing.assert_array_equal(one, other)


def test_threads_get_the_answers_of_one(path):
    network, random = LiteRTNetwork(path), np.random.default_rng(0)
    questions = [[random.uniform(0, 255, (1, 64, 64, n)) for n in (3, 1)] for _ in range(4)]
    alone = [network(question) for question in questions]
    for number, answer in answers_of_threads(network, questions, threads=8, calls=10):
        np.testing.assert_array_equal(answer[-1], alone[number][-1])


def test_a_layer_that_only_keras_computes(tmp_path):
    image = keras.Input((64, 64, 3), name="image")
    x = keras.layers.Conv2D(15, 8, strides=8, activation="gelu", name="patches")(image)
    keras.Model(image, x).save(tmp_path / "gelu.keras")
    with pytest.raises(graph.Unsupported, match="'patches' has activation='gelu'"):
        LiteRTNetwork(tmp_path / "gelu.keras")
    x = keras.layers.LayerNormalization(name="norm")(keras.layers.Conv2D(15, 8, strides=8)(image))
    keras.Model(image, x).save(tmp_path / "norm.keras")
    with pytest.raises(graph.Unsupported, match="'norm' is a LayerNormalization"):
        LiteRTNetwork(tmp_path / "norm.keras")


def test_damaged_files(path, tmp_path):
    (tmp_path / "text.keras").write_text("a text")
    with pytest.raises(ValueError, match="no Keras file"):
        LiteRTNetwork(tmp_path / "text.keras")
    with zipfile.ZipFile(path) as before, zipfile.ZipFile(tmp_path / "bad.keras", "w") as after:
        for name in before.namelist():
            after.writestr(name, before.read(name)[: 5000 if name.endswith("h5") else None])
    with pytest.raises(ValueError, match=r"bad\.keras"):
        LiteRTNetwork(tmp_path / "bad.keras")


def test_weights_that_are_no_numbers(tmp_path):
    model = build(1)
    model.set_weights([np.full_like(w, np.nan) for w in model.get_weights()])
    with pytest.raises(ValueError, match="NaN or infinite"):
        LiteRTNetwork(saved(model, tmp_path))


def test_without_litert(path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    with pytest.raises(ImportError, match=r"pip install 'keras-cpm\[mobile\]'"):
        LiteRTNetwork(path)
