"""The towers: layers of the release, who shares them, and pools that are Caffe's."""

import keras
import numpy as np
import pytest

from tests.models.networks import build, layers_of, makers, run, some_inputs


def test_layers_of_the_vgg_network():
    model = build(2, backbone="vgg19", stage_block="vgg", width=128)
    three = lambda i, o: 9 * i * o + o  # noqa: E731
    expected = {
        "conv1_1": three(3, 64),
        "conv1_2": three(64, 64),
        "conv2_1": three(64, 128),
        "conv2_2": three(128, 128),
        "conv3_1": three(128, 256),
        **{f"conv3_{i}": three(256, 256) for i in (2, 3, 4)},
        "conv4_1": three(256, 512),
        "conv4_2": three(512, 512),
        "conv4_3_CPM": three(512, 256),
        **{f"conv4_{i}_CPM": three(256, 256) for i in (4, 5, 6)},
        "conv4_7_CPM": three(256, 128),
        "conv5_1_CPM": 129 * 512,
        "conv5_2_CPM": 513 * 15,
        "Mconv1_stage2": 49 * 144 * 128 + 128,
        **{f"Mconv{i}_stage2": 49 * 128 * 128 + 128 for i in (2, 3, 4, 5)},
        "Mconv6_stage2": 129 * 128,
        "Mconv7_stage2": 129 * 15,
    }
    found = {layer.name: layer.count_params() for layer in model.layers if layer.weights}
    assert found == expected


def test_the_tower_is_shared_by_the_later_stages():
    model = build(6)
    assert {makers(model.get_layer(f"conv1_stage{t}"))[0] for t in (3, 4, 5, 6)} == {"pool3_stage2"}
    assert makers(model.get_layer("conv4_stage2")) == ["pool3_stage2"]
    assert makers(model.get_layer("conv4_stage1")) == ["pool3_stage1"]
    nines = [
        layer.name for layer in layers_of(model, keras.layers.Conv2D) if layer.kernel_size[0] == 9
    ]
    tower = {f"conv{i}_stage{t}" for i in (1, 2, 3) for t in (1, 2)}
    assert set(nines) == tower | {"conv5_stage1"}
    # shared with stage 1 too, where the network says so
    for backbone, first in (("vgg19", "conv5_1_CPM"), ("light", "conv7_1_CPM")):
        model = build(4, backbone=backbone)
        shared = makers(model.get_layer(first))
        assert [makers(model.get_layer(n)) for n in ("conv4_stage2", "conv1_stage4")] == [
            shared
        ] * 2


@pytest.mark.parametrize(
    "backbone, after",
    [
        ("cpm", ["conv5_stage1", "conv6_stage1"]),
        ("vgg19", ["conv5_1_CPM"]),
        ("light", ["conv7_1_CPM"]),
        ("lean", ["conv7_1_CPM"]),
    ],
)
def test_dropout_is_in_stage_1_only(backbone, after):
    assert not layers_of(build(3, backbone=backbone), keras.layers.Dropout)
    model = build(3, backbone=backbone, dropout=0.5)
    drops = layers_of(model, keras.layers.Dropout)
    assert [makers(drop)[0] for drop in drops] == after
    assert {drop.rate for drop in drops} == {0.5}
    assert makers(model.get_layer("stage1"))[0] in ("conv7_stage1", "conv5_2_CPM", "conv7_2_CPM")
    calm, wild = (run(model, some_inputs(), training=training)[0] for training in (False, True))
    assert (calm != wild).any()


def test_a_tower_of_another_stride():
    def tower(image, *, width, name):
        return keras.layers.Conv2D(width, 4, strides=4)(image)

    with pytest.raises(ValueError, match=r"stride 8: 8 cells for 64 pixels.*Received: 16 cells"):
        build(backbone=tower)


def test_grey_of_the_padding_becomes_zero():
    layer = build(1).get_layer("normalize_stage1")
    values = layer(np.array([[[[0.0, 128.0, 255.0]]]]))
    np.testing.assert_array_equal(values, [[[[-0.5, 0.0, 127 / 256]]]])


def caffe_pool(x, kernel, stride, reduce):
    """Caffe's pooling without padding: sizes round up, windows are clipped to the image."""
    sides = [-(-(n - kernel) // stride) + 1 for n in x.shape]
    starts = [[i * stride for i in range(side)] for side in sides]
    windows = [[x[r : r + kernel, c : c + kernel] for c in starts[1]] for r in starts[0]]
    return np.array([[reduce(window) for window in row] for row in windows])


@pytest.mark.parametrize("size", [(8, 8), (46, 24), (92, 2)])
def test_max_pools_are_those_of_caffe(size):
    model = build(1)
    x = np.random.default_rng(0).normal(-5, 1, size).astype(np.float32)
    for i in (1, 2, 3):
        pooled = model.get_layer(f"pool{i}_stage1")(x[None, ..., None])
        expected = caffe_pool(x, 3, 2, np.max)
        assert expected.shape == (size[0] // 2, size[1] // 2)
        np.testing.assert_array_equal(pooled[0, ..., 0], expected)
