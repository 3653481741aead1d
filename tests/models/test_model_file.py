"""Files of models that somebody else wrote: each loads right, or is refused in one sentence."""

import json
import random
import zipfile

import keras
import numpy as np
import pytest

import keras_cpm
from keras_cpm.models import model_file
from tests.data.mutations import mutated


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    spec = keras_cpm.PoseSpec(box_size=64)
    model = keras_cpm.build_cpm(1, spec, backbone="light", stage_block="light", width=8)
    keras_cpm.save_bundle(tmp_path_factory.mktemp("bundle"), model, spec)
    return tmp_path_factory.getbasetemp() / "bundle0" / "model.keras"


def rewritten(path, out, change=lambda config: config, drop=()):
    """A copy of the file whose configuration, JSON or text, is `change` of what it was."""
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name == model_file.CONFIG:
                found = change(json.loads(data))
                data = found if isinstance(found, str) else json.dumps(found)
            if name not in drop:
                new.writestr(name, data)
    return out


def of_layer(kind, **changes):
    """Changes the last layer of a class."""

    def change(config):
        layers = config["config"]["layers"]
        layer = [layer for layer in layers if layer["class_name"] == kind][-1]
        layer["config"] |= changes
        return config

    return change


def nested(depth):
    """Models in models; as text, for Python does not write what is so deep."""
    begin = '{"module": "keras", "class_name": "Sequential", "config": {"name": "a", "layers": ['
    return lambda config: begin * depth + json.dumps(config) + "]}}" * depth


def another_object(config):
    return {"module": "keras.layers", "class_name": "ReLU", "config": {}, "registered_name": None}


def many_layers(config):
    config["config"]["layers"] += [another_object(config)] * 30_000
    return config


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (of_layer("Conv2D", filters=10**9), r"ask for \S+ weights, its model.weights.h5 has \d+"),
        (of_layer("Conv2D", kernel_size=[10**5, 10**5]), "weights, its model.weights.h5 has"),
        (of_layer("Conv2D", filters="many"), "cannot be loaded"),
        (of_layer("Conv2D", colour="red"), "cannot be loaded"),
        (lambda config: "[" * 100_000, "its config.json .*nested too deep"),
        (lambda config: "{", "its config.json is no JSON"),
        (lambda config: [config], "cannot be loaded"),
        (nested(900), "cannot be loaded"),
        (another_object, "must hold a keras.Model. Received: ReLU"),
        (many_layers, r"asks for \d+ objects"),
        (lambda config: " " * (17 * 10**6), "has more than 16000000 bytes"),
    ],
)
def test_what_cannot_be_is_refused_by_name(path, tmp_path, change, message):
    file = rewritten(path, tmp_path / "model.keras", change)
    with pytest.raises(ValueError, match=message) as caught:
        model_file.load(file)
    assert str(file) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "layer",
    [
        keras.layers.SeparableConv2D(256, 9),
        keras.layers.SeparableConv2D(4, 9, depth_multiplier=8),
        keras.layers.Conv2D(128, 5, groups=128),
        keras.layers.DepthwiseConv2D(9, depth_multiplier=2),
        keras.layers.Conv2DTranspose(8, 3),
    ],
)
def test_layers_that_share_weights_among_channels_ask_for_no_more_than_they_have(tmp_path, layer):
    file = tmp_path / "model.keras"
    keras.Sequential([keras.Input((32, 32, 128)), layer]).save(file)
    assert model_file.load(file).count_params() == layer.count_params()


def test_an_encrypted_file_and_a_bomb(path, tmp_path):
    data = bytearray(path.read_bytes())
    # the flag in the directory at the end of the file
    for place in [i for i in range(len(data)) if data[i : i + 4] == b"PK\1\2"]:
        data[place + 8] |= 1
    (tmp_path / "encrypted.keras").write_bytes(data)
    with pytest.raises(ValueError, match="is encrypted"):
        model_file.load(tmp_path / "encrypted.keras")
    bomb = rewritten(path, tmp_path / "bomb.keras", drop=(model_file.WEIGHTS,))
    with pytest.raises(ValueError, match=r"has no model\.weights\.h5"):
        model_file.load(bomb)
    with zipfile.ZipFile(bomb, "a", zipfile.ZIP_DEFLATED) as file:
        file.writestr(model_file.WEIGHTS, bytes(10**8))
    with pytest.raises(ValueError, match="would unpack to 100000000 bytes"):
        model_file.load(bomb)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_no_numbers(path, tmp_path, value):
    model = keras.saving.load_model(path, compile=False)
    kernel = next(weight for weight in model.weights if "kernel" in weight.path)
    kernel.assign(np.full(kernel.shape, value, np.float32))
    model.save(tmp_path / "model.keras")
    with pytest.raises(ValueError, match=r"NaN or infinite, in .*kernel"):
        model_file.load(tmp_path / "model.keras")


def test_mutated_files(path, tmp_path):
    """Half of them in the numbers and names of the configuration, half in any byte of the file."""
    spec = keras_cpm.PoseSpec(box_size=64)
    boxes = [np.full((1, 64, 64, 3), 99.0), np.zeros((1, 64, 64, 1))]
    expected = np.asarray(model_file.load(path)(boxes))
    whole, loaded = path.read_bytes(), 0
    for seed in range(30):
        file = tmp_path / "model.keras"
        if seed % 2:
            rewritten(path, file, lambda config, seed=seed: mutated(config, seed))
        else:
            rng, data = random.Random(seed), bytearray(whole)
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
            file.write_bytes(data)
        try:
            model = model_file.load(file)
            keras_cpm.models.bundle.check_model(model, spec)
        except ValueError as error:
            assert "\n" not in str(error), (seed, error)
            continue
        loaded += 1
        assert np.asarray(model(boxes[: len(model.inputs)])).shape == expected.shape, seed
    assert loaded
