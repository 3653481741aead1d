"""Weights of .caffemodel files land where they belong, all of them, or nothing changes."""

import re

import keras
import numpy as np
import pytest

from benchmarks import caffe_files
from keras_cpm import PoseSpec, build_cpm, build_released
from keras_cpm.models.caffe.weights import FilledLayer, load_caffe_weights


@pytest.fixture(scope="module")
def flic():
    rows = caffe_files.network_rows("flic", 8)
    return rows, caffe_files.random_caffemodel(rows, 0)


@pytest.fixture(scope="module")
def model():
    return build_released("flic", width=8, input_size="any")


@pytest.fixture
def write(flic, tmp_path):
    """Writes the FLIC network's file, with changes to its weights; None leaves a layer out."""

    def write(changes=(), weights=None, rows=None, **options):
        rows, weights = rows or flic[0], {**(weights or flic[1]), **dict(changes)}
        layers = caffe_files.trained_layers(rows, weights)
        layers = [layer for layer in layers if layer.blobs is not None]
        caffe_files.write_caffemodel(tmp_path / "some.caffemodel", layers, **options)
        return tmp_path / "some.caffemodel"

    return write


def values(model):
    return [weight.copy() for weight in model.get_weights()]


# filling -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout, shapes", [("new", "new"), ("v1", "legacy")])
def test_kernels_and_biases(flic, model, write, layout, shapes):
    """Element by element: (out, in, y, x) becomes (y, x, in, out), BGR becomes RGB."""
    load_caffe_weights(model, write(layout=layout, shapes=shapes))
    for name, (kernel, bias) in flic[1].items():
        filled, filled_bias = model.get_layer(name).get_weights()
        turned = np.einsum("oiyx->yxio", kernel)
        if name in ("conv1_stage1", "conv1_stage2"):
            turned = turned[:, :, [2, 1, 0]]
        np.testing.assert_array_equal(filled, turned, err_msg=name)
        np.testing.assert_array_equal(filled_bias, bias, err_msg=name)


@pytest.mark.parametrize(
    "name, first", [("flic", "conv1_stage1"), ("flic", "conv1_stage2"), ("person", "conv1_1")]
)
def test_a_photograph_reads_as_caffe_reads_it(tmp_path, name, first):
    """The first convolution on RGB 0..255, against Caffe's sum on BGR / 256 - 0.5, at one pixel."""
    rows = caffe_files.network_rows(name, 8)
    weights = caffe_files.random_caffemodel(rows, 1)
    caffe_files.write_caffemodel(tmp_path / "a", caffe_files.trained_layers(rows, weights))
    model = build_released(name, width=8, input_size="any")
    load_caffe_weights(model, tmp_path / "a")
    image = np.random.default_rng(0).integers(0, 256, (1, 16, 16, 3)).astype(np.float32)
    shown = keras.Model(model.inputs[0], model.get_layer(first).output)(image)

    kernel, bias = weights[first]
    bgr = image[0, :, :, ::-1].transpose(2, 0, 1) / 256 - 0.5
    reach = kernel.shape[2] // 2
    window = bgr[:, 7 - reach : 8 + reach, 9 - reach : 10 + reach]
    expected = np.maximum(0, (kernel.astype(float) * window).sum((1, 2, 3)) + bias)
    assert (expected > 0).any()
    np.testing.assert_allclose(np.asarray(shown)[0, 7, 9], expected, atol=1e-5)


@pytest.mark.parametrize("name", caffe_files.NETWORKS)
def test_the_report(name, tmp_path):
    rows = caffe_files.network_rows(name, 8)
    weights = caffe_files.random_caffemodel(rows, 1)
    caffe_files.write_caffemodel(tmp_path / "a", caffe_files.trained_layers(rows, weights))
    model = build_released(name, width=8)
    report = load_caffe_weights(model, tmp_path / "a")
    assert sorted(filled.name for filled in report) == sorted(weights)
    assert sum(filled.parameters for filled in report) == model.count_params()
    for filled in report:
        kernel, bias = weights[filled.name]
        assert filled.caffe_shape == kernel.shape
        assert filled.keras_shape == tuple(model.get_layer(filled.name).kernel.shape)
        assert filled.parameters == kernel.size + bias.size


def test_a_line_of_the_report():
    line = FilledLayer("conv1_stage1", (128, 3, 9, 9), (9, 9, 3, 128), 31_232)
    assert str(line) == "conv1_stage1: (128, 3, 9, 9) -> (9, 9, 3, 128), 31,232 parameters"


def test_the_networks_of_mpii_and_lsp_are_one(tmp_path):
    rows = caffe_files.network_rows("mpii", 8)
    weights = caffe_files.random_caffemodel(rows, 1)
    caffe_files.write_caffemodel(tmp_path / "a", caffe_files.trained_layers(rows, weights))
    filled = [build_released(name, width=8) for name in ("mpii", "lsp")]
    for model in filled:
        load_caffe_weights(model, tmp_path / "a")
    for one, other in zip(*(model.get_weights() for model in filled), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_saved_model_keeps_them(model, write, tmp_path):
    path = write()
    load_caffe_weights(model, path)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    # and a model from a file can be filled, too
    assert len(load_caffe_weights(again, path)) == 28
    for one, other in zip(again.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


# refusing ----------------------------------------------------------------------------------------

KERNEL, BIAS = np.zeros((8, 8, 11, 11), np.float32), np.zeros(8, np.float32)
REFUSED = {
    "kernel": (
        {"Mconv2_stage3": (np.zeros((8, 8, 9, 9)), BIAS)},
        r"^Layer 'Mconv2_stage3' at byte \d+ of .*some\.caffemodel has a kernel of shape "
        r"\(8, 8, 9, 9\), in the model it is \(8, 8, 11, 11\) \(the file looks like the released "
        r"'flic'\); choose another --net or another file\.$",
    ),
    "transposed kernel": (
        {"Mconv1_stage2": (np.zeros((13, 8, 11, 11)), BIAS)},
        r"a kernel of shape \(13, 8, 11, 11\), in the model it is \(8, 13, 11, 11\)",
    ),
    "flat kernel": (
        {"Mconv2_stage3": (KERNEL.reshape(1, -1), BIAS)},
        r"a kernel of shape \(1, 7744\), in the model it is \(8, 8, 11, 11\)",
    ),
    "bias": (
        {"Mconv2_stage3": (KERNEL, np.zeros(9))},
        r"'Mconv2_stage3' at byte \d+ of .* has a bias of shape \(9,\), in the model it is \(8,\)",
    ),
    "bias along another axis": (
        {"Mconv2_stage3": (KERNEL, BIAS.reshape(1, 8, 1, 1))},
        r"a bias of shape \(1, 8, 1, 1\), in the model it is \(8,\)",
    ),
    "no bias": (
        {"Mconv2_stage3": (KERNEL,)},
        r"'Mconv2_stage3' at byte \d+ of .* must have 2 blobs, as in the model; copy the file "
        r"again, or choose another\. Received: 1$",
    ),
    "three blobs": (
        {"Mconv2_stage3": (KERNEL, BIAS, BIAS)},
        r"must have 2 blobs, as in the model; .* Received: 3$",
    ),
    "an empty bias": (
        {"Mconv2_stage3": (KERNEL, np.zeros(0))},
        r"a bias of shape \(0,\), in the model it is \(8,\)",
    ),
    "left out": (
        {"conv5_stage1": None},
        r"does not fit the model: layer 'conv5_stage1' is not in the file \(the file looks like "
        r"the released 'flic'\); copy the file again if it is cut off, or choose another --net or "
        r"another file\.$",
    ),
    "two left out": (
        {"conv5_stage1": None, "Mconv1_stage4": ()},
        r"layer 'conv5_stage1' and 1 more are not in the file",
    ),
    "another kind": (
        {"pool1_stage1": (KERNEL, BIAS)},
        r"has weights of a 'Pooling', layer 'pool1_stage1' at byte \d+, and the released networks "
        r"only of convolutions",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(model, write, case):
    changes, expected = REFUSED[case]
    before = values(model)
    with pytest.raises(ValueError, match=expected):
        load_caffe_weights(model, write(changes))
    for now, old in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, old)


@pytest.mark.parametrize(
    "name, layer, more, looks",
    [
        ("mpii", "conv1_stage5", " and 11 more are", "'mpii' or 'lsp'"),
        ("mpii-vgg", "conv1_1", " and 36 more are", "'mpii-vgg'"),
        ("person", "conv1_1", " and 21 more are", "'person'"),
    ],
)
def test_the_file_of_another_network(model, tmp_path, name, layer, more, looks):
    rows = caffe_files.network_rows(name, 8)
    weights = caffe_files.random_caffemodel(rows, 1)
    caffe_files.write_caffemodel(tmp_path / "a", caffe_files.trained_layers(rows, weights))
    expected = (
        rf"^{re.escape(str(tmp_path))}/a does not fit the model: layer '{layer}' at byte \d+{more} "
        rf"not in the model \(the file looks like the released {looks}\); choose another --net or "
        r"another file\.$"
    )
    with pytest.raises(ValueError, match=expected):
        load_caffe_weights(model, tmp_path / "a")


def test_the_file_of_another_width(model, tmp_path):
    rows = caffe_files.network_rows("flic", 16)
    weights = caffe_files.random_caffemodel(rows, 1)
    caffe_files.write_caffemodel(tmp_path / "a", caffe_files.trained_layers(rows, weights))
    with pytest.raises(
        ValueError, match=r"shape \(16, 3, 9, 9\), in the model it is \(8, 3, 9, 9\)"
    ):
        load_caffe_weights(model, tmp_path / "a")


def test_a_layer_twice(flic, model, write):
    rows = [*flic[0], flic[0][2]]
    with pytest.raises(
        ValueError, match=r"has two layers 'conv1_stage1', at byte \d+ and at byte \d+; copy"
    ):
        load_caffe_weights(model, write(rows=rows))


def test_networks_that_are_not_the_releases(write):
    spec = PoseSpec(box_size=64)
    light = build_cpm(2, spec, backbone="light", stage_block="light", width=8)
    refused = (
        r"`model` must be a released network.* Received: layer 'conv1_norm' of type "
        r"BatchNormalization$"
    )
    with pytest.raises(ValueError, match=refused):
        load_caffe_weights(light, write())
    image = keras.Input((64, 64, 3))
    plain = keras.Model(image, keras.layers.Conv2D(8, 9, name="conv1_stage1")(image), name="plain")
    refused = (
        r"`model` must have a convolution that reads the normalised.* Received: model 'plain', "
        r"which has none$"
    )
    with pytest.raises(ValueError, match=refused):
        load_caffe_weights(plain, write())


def test_a_damaged_file_changes_nothing(model, write):
    path, before = write(), values(model)
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(ValueError, match=r"damaged or no caffemodel: .* at byte"):
        load_caffe_weights(model, path)
    for now, old in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, old)
