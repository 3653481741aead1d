"""The arithmetic of the released networks, and the same numbers from gradients."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_cpm import PoseSpec, build_cpm
from keras_cpm.models.receptive_field import receptive_field


@pytest.fixture(scope="module")
def released():
    return build_cpm(6, width=8)


@pytest.mark.parametrize(
    "stage, pixels", [(1, 167), (2, 407), (3, 647), (4, 887), (5, 1127), (6, 1367)]
)
def test_the_released_network_sees(released, stage, pixels):
    assert receptive_field(released, f"stage{stage}", "image") == pixels


def test_the_vgg_network_sees():
    model = build_cpm(3, width=8, backbone="vgg19", stage_block="vgg")
    sides = [receptive_field(model, f"stage{t}", "image") for t in (1, 2, 3)]
    assert sides == [164, 404, 644]


@pytest.mark.parametrize(
    "block, cells, of_two",
    [
        ("classic", 31, 61),
        ("vgg", 31, 61),
        ("residual", 31, 61),
        ("light", 13, 25),
        # two of its widest windows do not begin at one of its coarsest cells
        ("nested", 35, 67),
    ],
)
def test_a_stage_sees_these_cells_of_the_stage_before(block, cells, of_two):
    model = build_cpm(3, PoseSpec(box_size=64), width=8, stage_block=block)
    assert receptive_field(model, "stage2", "stage1") == cells
    assert receptive_field(model, "stage3", "stage2") == cells
    assert receptive_field(model, "stage3", "stage1") == of_two


def test_inner_layers_and_the_center_map(released):
    # the tower alone, with its 5x5 convolution, and that branch at the output of a stage
    assert receptive_field(released, "conv4_stage2", "image") == 103
    assert receptive_field(released, "stage2", "conv4_stage2") == 31
    assert (31 - 1) * 8 + 103 == 343
    assert receptive_field(released, "pool_center_lower", "center_map") == 9
    assert receptive_field(released, "stage2", "center_map") == 30 * 8 + 9
    assert receptive_field(released, "stage1", "stage1") == 1


def _measured(model, output, source, shift):
    """Side of the support of the gradient of the cell `shift` from the middle; kernels and inputs
    must be positive.
    """
    # the output "stage1" hangs beside the path to stage 2
    if source == "stage1":
        source = model.get_layer(source)._inbound_nodes[0].input_tensors[0]._keras_history[0].name
    source = model.get_layer(source)
    output = model.get_layer(output)
    probe = keras.Model(model.inputs, [source.output, output.output])
    is_input = isinstance(source, keras.layers.InputLayer)
    reached = 0
    for seed in range(6):
        rng = np.random.default_rng(seed)
        inputs = {
            tensor.name: tf.constant(rng.uniform(200, 255, (1, *tensor.shape[1:])), tf.float32)
            for tensor in model.inputs
        }
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            start, end = probe(list(inputs.values()))
            middle = end.shape[1] // 2 + shift
            # a corner is reached on one path of very many: keep it above the smallest float
            value = 1e20 * tf.reduce_sum(end[:, middle, middle])
        gradient = (
            tape.gradient(value, inputs[source.name]) if is_input else tape.gradient(value, start)
        )
        reached = reached + np.abs(gradient).sum(axis=(0, 3))
    rows, columns = np.nonzero(reached)
    assert np.ptp(rows) == np.ptp(columns)
    # the window lies inside, so that its whole side is seen
    assert rows.min() > 0 and rows.max() < reached.shape[0] - 1
    return np.ptp(rows) + 1


def _make_positive(model):
    """Positive kernels: ReLUs live and nothing cancels."""
    rng = np.random.default_rng(0)
    for variable in model.trainable_variables:
        if variable.path.endswith("kernel"):
            fan_in = np.prod(variable.shape[:-1])
            variable.assign(rng.uniform(0.5, 1.5, variable.shape) / fan_in)


@pytest.mark.parametrize(
    "options, box, output, source",
    [
        ({"stages": 1}, 216, "stage1", "image"),
        ({"stages": 2}, 464, "stage2", "image"),
        ({"stages": 1, "backbone": "vgg19"}, 216, "stage1", "image"),
        ({"stages": 1, "backbone": "light"}, 216, "stage1", "image"),
        ({"stages": 2, "backbone": "light"}, 304, "stage2", "stage1"),
        ({"stages": 2, "backbone": "light", "stage_block": "light"}, 304, "stage2", "stage1"),
        ({"stages": 2, "backbone": "light", "stage_block": "residual"}, 304, "stage2", "stage1"),
        ({"stages": 2, "backbone": "lean", "stage_block": "nested"}, 384, "stage2", "stage1"),
        ({"stages": 2, "backbone": "light"}, 304, "stage2", "center_map"),
    ],
)
def test_analytic_equals_the_support_of_the_gradient(options, box, output, source):
    model = build_cpm(spec=PoseSpec(box_size=box), width=4, **options)
    _make_positive(model)
    # neighbours lie differently in the coarser cells of a light or nested stage
    shifts = range(4 if options.get("stage_block") == "nested" else 2)
    measured = [_measured(model, output, source, shift) for shift in shifts]
    assert receptive_field(model, output, source) == max(measured)


def test_windows_of_unequal_paths_and_sides():
    image = keras.Input((None, None, 3), name="image")
    left = keras.layers.Conv2D(2, (3, 1), padding="same", dilation_rate=(4, 1))(image)
    right = keras.layers.Conv2D(2, (1, 5), padding="same")(image)
    both = keras.layers.Add(name="both")([left, right])
    pooled = keras.layers.AveragePooling2D(2, name="pooled")(both)
    last = keras.layers.DepthwiseConv2D(3, padding="valid", name="last")(pooled)
    model = keras.Model(image, last)
    assert receptive_field(model, "both", "image") == 9
    assert receptive_field(model, "pooled", "image") == 10
    assert receptive_field(model, "last", "image") == 14


def test_paths_that_look_to_different_sides_see_the_union():
    image = keras.Input((16, 16, 1), name="image")
    even = keras.layers.Conv2D(1, 2, padding="same")(image)  # one to the right
    far = keras.layers.Conv2D(1, 4, padding="same")(image)  # one to the left, two to the right
    model = keras.Model(image, keras.layers.Concatenate(name="both")([even, far]))
    assert receptive_field(model, "both", "image") == 4


def test_errors_are_one_sentence(released):
    with pytest.raises(ValueError, match=r"`output` must be one of .*Received: output='stage7'"):
        receptive_field(released, "stage7", "image")
    with pytest.raises(ValueError, match=r"`source` must be one of .*Received: source='picture'"):
        receptive_field(released, "stage2", "picture")
    with pytest.raises(ValueError, match=r"Nothing leads from .* 'center_map', 'stage1'"):
        receptive_field(released, "stage1", "center_map")
    image = keras.Input((16, 16, 1), name="image")
    turned = keras.layers.Permute((2, 1, 3), name="turned")(image)
    with pytest.raises(ValueError, match="layer 'turned' of type Permute"):
        receptive_field(keras.Model(image, turned), "turned", "image")
