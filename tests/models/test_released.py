"""The released networks, layer by layer, against the tables of the release.

Each line is a layer: its name, kind, kernel, stride, channels in and out, side of its output for an
image of 368 pixels, ReLU or not, and what it reads, in this order. Written from
pose_deploy_centerMap.prototxt, _trained_FLIC/pose_deploy.prototxt, pose_deploy_resize.prototxt and
pose_deploy_copy_4sg_resize.prototxt; every convolution there pads by half its kernel.
"""

import keras
import pytest

from keras_cpm import build_released
from keras_cpm.models.fourier.layer import FastConv2D

CENTER = "pool_center_lower ave 9 8 1 1 46 - center_map"

PAPER_STAGES_1_AND_2 = """
conv1_stage1   conv    9 1    3 128  368 relu image
pool1_stage1   max     3 2  128 128  184 -    conv1_stage1
conv2_stage1   conv    9 1  128 128  184 relu pool1_stage1
pool2_stage1   max     3 2  128 128   92 -    conv2_stage1
conv3_stage1   conv    9 1  128 128   92 relu pool2_stage1
pool3_stage1   max     3 2  128 128   46 -    conv3_stage1
conv4_stage1   conv    5 1  128  32   46 relu pool3_stage1
conv5_stage1   conv    9 1   32 512   46 relu conv4_stage1
conv6_stage1   conv    1 1  512 512   46 relu conv5_stage1
conv7_stage1   conv    1 1  512 {C}   46 -    conv6_stage1
conv1_stage2   conv    9 1    3 128  368 relu image
pool1_stage2   max     3 2  128 128  184 -    conv1_stage2
conv2_stage2   conv    9 1  128 128  184 relu pool1_stage2
pool2_stage2   max     3 2  128 128   92 -    conv2_stage2
conv3_stage2   conv    9 1  128 128   92 relu pool2_stage2
pool3_stage2   max     3 2  128 128   46 -    conv3_stage2
conv4_stage2   conv    5 1  128  32   46 relu pool3_stage2
concat_stage2  concat  0 1  {K} {K}   46 -    conv4_stage2 conv7_stage1 pool_center_lower
Mconv1_stage2  conv   11 1  {K} 128   46 relu concat_stage2
Mconv2_stage2  conv   11 1  128 128   46 relu Mconv1_stage2
Mconv3_stage2  conv   11 1  128 128   46 relu Mconv2_stage2
Mconv4_stage2  conv    1 1  128 128   46 relu Mconv3_stage2
Mconv5_stage2  conv    1 1  128 {C}   46 -    Mconv4_stage2
"""
# one for each t >= 3; p is the stage before
PAPER_STAGE_T = """
conv1_stage{t}   conv    5 1  128  32   46 relu pool3_stage2
concat_stage{t}  concat  0 1  {K} {K}   46 -    conv1_stage{t} Mconv5_stage{p} pool_center_lower
Mconv1_stage{t}  conv   11 1  {K} 128   46 relu concat_stage{t}
Mconv2_stage{t}  conv   11 1  128 128   46 relu Mconv1_stage{t}
Mconv3_stage{t}  conv   11 1  128 128   46 relu Mconv2_stage{t}
Mconv4_stage{t}  conv    1 1  128 128   46 relu Mconv3_stage{t}
Mconv5_stage{t}  conv    1 1  128 {C}   46 -    Mconv4_stage{t}
"""
VGG19 = """
conv1_1        conv    3 1    3  64  368 relu image
conv1_2        conv    3 1   64  64  368 relu conv1_1
pool1_stage1   max     2 2   64  64  184 -    conv1_2
conv2_1        conv    3 1   64 128  184 relu pool1_stage1
conv2_2        conv    3 1  128 128  184 relu conv2_1
pool2_stage1   max     2 2  128 128   92 -    conv2_2
conv3_1        conv    3 1  128 256   92 relu pool2_stage1
conv3_2        conv    3 1  256 256   92 relu conv3_1
conv3_3        conv    3 1  256 256   92 relu conv3_2
conv3_4        conv    3 1  256 256   92 relu conv3_3
pool3_stage1   max     2 2  256 256   46 -    conv3_4
conv4_1        conv    3 1  256 512   46 relu pool3_stage1
conv4_2        conv    3 1  512 512   46 relu conv4_1
"""
MPII_VGG_STAGE_1 = """
conv4_3_CPM    conv    3 1  512 256   46 relu conv4_2
conv4_4_CPM    conv    3 1  256 256   46 relu conv4_3_CPM
conv4_5_CPM    conv    3 1  256 256   46 relu conv4_4_CPM
conv4_6_CPM    conv    3 1  256 256   46 relu conv4_5_CPM
conv4_7_CPM    conv    3 1  256 128   46 relu conv4_6_CPM
conv5_1_CPM    conv    1 1  128 512   46 relu conv4_7_CPM
conv5_2_CPM    conv    1 1  512  15   46 -    conv5_1_CPM
"""
PERSON_STAGE_1 = """
conv4_3        conv    3 1  512 512   46 relu conv4_2
conv4_4        conv    3 1  512 512   46 relu conv4_3
conv5_1        conv    3 1  512 512   46 relu conv4_4
conv5_2_CPM    conv    3 1  512 128   46 relu conv5_1
conv6_1_CPM    conv    1 1  128 512   46 relu conv5_2_CPM
conv6_2_CPM    conv    1 1  512   1   46 -    conv6_1_CPM
"""
# beliefs come first here; p is the layer with the beliefs of the stage before
VGG_STAGE_T = """
concat_stage{t}  concat  0 1  {K} {K}   46 -    {p} {features}
Mconv1_stage{t}  conv    7 1  {K} 128   46 relu concat_stage{t}
Mconv2_stage{t}  conv    7 1  128 128   46 relu Mconv1_stage{t}
Mconv3_stage{t}  conv    7 1  128 128   46 relu Mconv2_stage{t}
Mconv4_stage{t}  conv    7 1  128 128   46 relu Mconv3_stage{t}
Mconv5_stage{t}  conv    7 1  128 128   46 relu Mconv4_stage{t}
Mconv6_stage{t}  conv    1 1  128 128   46 relu Mconv5_stage{t}
Mconv7_stage{t}  conv    1 1  128 {C}   46 -    Mconv6_stage{t}
"""


def paper(stages, channels, concatenated):
    text = CENTER + PAPER_STAGES_1_AND_2.format(C=channels, K=concatenated)
    for t in range(3, stages + 1):
        text += PAPER_STAGE_T.format(t=t, p=t - 1, C=channels, K=concatenated)
    return text


def vgg(first, stages, channels, concatenated, beliefs, features):
    text = VGG19 + first
    for t in range(2, stages + 1):
        before = beliefs if t == 2 else f"Mconv7_stage{t - 1}"
        text += VGG_STAGE_T.format(t=t, p=before, C=channels, K=concatenated, features=features)
    return text


MPII_VGG = vgg(MPII_VGG_STAGE_1, 6, 15, 144, "conv5_2_CPM", "conv4_7_CPM pool_center_lower")
TABLES = {
    "mpii": paper(6, 15, 48),
    "lsp": paper(6, 15, 48),
    "flic": paper(4, 10, 43),
    "mpii-vgg": CENTER + MPII_VGG,
    "person": vgg(PERSON_STAGE_1, 4, 1, 129, "conv6_2_CPM", "conv5_2_CPM"),
}
PARAMETERS = {
    "mpii": 31_219_866,
    "lsp": 31_219_866,
    "flic": 21_323_816,
    "mpii-vgg": 29_852_058,
    "person": 25_714_372,
}
KINDS = {
    keras.layers.Conv2D: "conv",
    FastConv2D: "conv",
    keras.layers.MaxPooling2D: "max",
    keras.layers.AveragePooling2D: "ave",
    keras.layers.Concatenate: "concat",
}


@pytest.fixture(scope="module", params=TABLES)
def released(request):
    return request.param, build_released(request.param)


def reads(layer):
    """Names of the layers that `layer` reads, in order; the normalised image is the image."""
    tensors = layer.input if isinstance(layer.input, list) else [layer.input]
    for tensor in tensors:
        maker = tensor._keras_history.operation
        if isinstance(maker, keras.layers.Rescaling):
            maker = maker.input._keras_history.operation
        yield maker.name


def line(layer):
    """The line of the table that a layer of ours deserves."""
    kind = KINDS[type(layer)]
    kernel, stride, relu = 0, 1, "-"
    if kind == "concat":
        read = sum(tensor.shape[-1] for tensor in layer.input)
        assert layer.axis in (-1, 3)
    else:
        # half the kernel is what "same" pads at stride 1; a pool's "same" is Caffe's rounding up
        # for even sides; for a kernel of 1 there is nothing to pad
        sides = layer.kernel_size if kind == "conv" else layer.pool_size
        assert layer.padding == "same" or set(sides) == {1}
        assert len(set(sides)) == 1 and len(set(layer.strides)) == 1
        kernel, stride, read = sides[0], layer.strides[0], layer.input.shape[-1]
    if kind == "conv":
        assert layer.use_bias and layer.dilation_rate == (1, 1) and layer.groups == 1
        assert layer.kernel.shape[2] == read
        relu = {"relu": "relu", "linear": "-"}[layer.activation.__name__]
    side = layer.output.shape[1]
    values = layer.name, kind, kernel, stride, read, layer.output.shape[3], side, relu
    return [*map(str, values), *reads(layer)]


def test_every_layer(released):
    name, model = released
    expected = {row.split()[0]: row.split() for row in TABLES[name].split("\n") if row}
    found = {layer.name: line(layer) for layer in model.layers if type(layer) in KINDS}
    assert found.keys() == expected.keys()
    for layer, row in expected.items():
        if name == "person":
            row[6] = "None"  # takes images of any size
        assert found[layer] == row


def test_nothing_else(released):
    """Besides the table: inputs, the normalisation that is in Caffe's input, names of outputs."""
    _, model = released
    others = [layer for layer in model.layers if type(layer) not in KINDS]
    for layer in others:
        assert isinstance(
            layer, (keras.layers.InputLayer, keras.layers.Rescaling, keras.layers.Identity)
        )
        if isinstance(layer, keras.layers.Rescaling):
            assert layer.scale == 1 / 256 and layer.offset == -0.5
            assert layer.input is model.inputs[0]


def test_outputs_are_the_layers_without_relu(released):
    name, model = released
    rows = [row.split() for row in TABLES[name].split("\n") if row]
    linear = [row[0] for row in rows if row[1] == "conv" and row[7] == "-"]
    assert [next(reads(model.get_layer(output))) for output in model.output_names] == linear
    assert model.output_names == [f"stage{t}" for t in range(1, len(linear) + 1)]


def test_parameters(released):
    name, model = released
    assert model.count_params() == PARAMETERS[name]


def test_inputs(released):
    name, model = released
    if name == "person":
        assert [tensor.name for tensor in model.inputs] == ["image"]
        assert model.compute_output_shape((1, 376, 656, 3)) == [(1, 47, 82, 1)] * 4
    else:
        assert [tensor.name for tensor in model.inputs] == ["image", "center_map"]
        assert [tuple(tensor.shape) for tensor in model.inputs] == [
            (None, 368, 368, 3),
            (None, 368, 368, 1),
        ]
