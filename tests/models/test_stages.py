"""The stages: what each reads, in which order, and the center map as they see it."""

import keras
import numpy as np
import pytest

from keras_cpm import PoseSpec
from keras_cpm.models.stages import STAGE_BLOCKS
from keras_cpm.pose import codec
from tests.models.networks import build, input_names, layers_of, makers, run, some_inputs
from tests.models.test_backbones import caffe_pool


def test_order_of_the_concatenations():
    model = build(3)
    assert makers(model.get_layer("concat_stage2")) == [
        "conv4_stage2",
        "conv7_stage1",
        "pool_center_lower",
    ]
    assert makers(model.get_layer("concat_stage3")) == [
        "conv1_stage3",
        "Mconv5_stage2",
        "pool_center_lower",
    ]
    model = build(3, backbone="vgg19", stage_block="vgg")
    assert makers(model.get_layer("concat_stage2")) == [
        "conv5_2_CPM",
        "conv4_7_CPM",
        "pool_center_lower",
    ]
    assert makers(model.get_layer("concat_stage3")) == [
        "Mconv7_stage2",
        "conv4_7_CPM",
        "pool_center_lower",
    ]


def test_relu_everywhere_but_on_the_beliefs():
    for options in ({}, {"backbone": "vgg19", "stage_block": "vgg"}):
        model = build(3, **options)
        linear = [
            layer.name
            for layer in layers_of(model, keras.layers.Conv2D)
            if layer.activation is keras.activations.linear
        ]
        assert linear == [makers(model.get_layer(f"stage{t}"))[0] for t in (1, 2, 3)]


@pytest.mark.parametrize("block", ["classic", "residual"])
def test_share_context(block):
    apart, shared = build(4, stage_block=block), build(4, stage_block=block, share_context=True)
    assert [makers(apart.get_layer(f"concat_stage{t}"))[0] for t in (2, 3, 4)] == [
        "conv4_stage2",
        "conv1_stage3",
        "conv1_stage4",
    ]
    assert {makers(shared.get_layer(f"concat_stage{t}"))[0] for t in (2, 3, 4)} == {"conv4_stage2"}
    one = apart.get_layer("conv1_stage3").count_params()
    assert apart.count_params() - shared.count_params() == 2 * one


@pytest.mark.parametrize("block", STAGE_BLOCKS)
def test_without_center_map(block):
    model = build(stage_block=block, center_map=False)
    assert input_names(model) == ["image"]
    # one channel less, the last
    channels = [
        m.get_layer("Mconv1_stage2").kernel.shape[2] for m in (model, build(stage_block=block))
    ]
    assert channels[1] - channels[0] == 1
    assert [beliefs.shape for beliefs in run(model, some_inputs())] == [(2, 8, 8, 15)] * 2


@pytest.mark.parametrize("size", [(8, 8), (64, 24), (368, 368)])
def test_the_center_pool_is_that_of_caffe(size):
    x = np.random.default_rng(0).uniform(0, 1, size).astype(np.float32)
    pooled = build(2).get_layer("pool_center_lower")(x[None, ..., None])
    expected = caffe_pool(x, 9, 8, np.mean)
    assert expected.shape == (size[0] // 8, size[1] // 8)
    np.testing.assert_allclose(pooled[0, ..., 0], expected, rtol=1e-5)


@pytest.mark.parametrize(
    "center, peak, cells",
    [(184.0, 0.9504, [(22, 22), (22, 23), (23, 22), (23, 23)]), (183.0, 0.9654, [(22, 22)])],
)
def test_the_pooled_center_map_of_the_release(center, peak, cells):
    center_map = codec.encode_center([center, center], PoseSpec())
    pooled = np.asarray(build(2).get_layer("pool_center_lower")(center_map[None]))[0, ..., 0]
    assert pooled.max() == pytest.approx(peak, abs=1e-4)
    highest = np.argwhere(pooled > pooled.max() - 1e-5)
    assert [tuple(cell) for cell in highest] == cells
