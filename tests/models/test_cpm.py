"""The networks: every combination runs, and the released ones have the published layers and
sizes.
"""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_cpm import FLIC9, HAND21, PoseSpec, initialize_release, stage_losses
from tests.models.networks import SPEC, build, input_names, layers_of, run, some_inputs

BACKBONES = ("cpm", "vgg19", "light", "lean")
BLOCKS = ("classic", "vgg", "residual", "light", "nested")
PAIRS = list(itertools.product(BACKBONES, BLOCKS))
# each backbone and each block once without the slow ones
FEW = [PAIRS[i] for i in (0, 6, 12, 18, 4)]
SOME = [pytest.param(*pair, marks=() if pair in FEW else pytest.mark.slow) for pair in PAIRS]
COMBINATIONS = pytest.mark.parametrize("backbone, block", SOME, ids=map("-".join, PAIRS))


# every combination -------------------------------------------------------------------------------


# a first stage has no block
@pytest.mark.parametrize(
    "stages, backbone, block",
    [(1, backbone, "classic") for backbone in BACKBONES]
    + [pytest.param(t, *one.values, marks=one.marks) for t in (2, 3) for one in SOME],
)
def test_outputs(stages, backbone, block):
    model = build(stages, backbone=backbone, stage_block=block)
    assert model.output_names == [f"stage{t}" for t in range(1, stages + 1)]
    assert input_names(model) == ["image", "center_map"]
    assert isinstance(model.outputs, list)
    outputs = run(model, some_inputs())
    for symbolic, beliefs in zip(model.outputs, outputs, strict=True):
        assert tuple(symbolic.shape) == (None, 8, 8, 15) and symbolic.dtype == "float32"
        assert beliefs.shape == (2, 8, 8, 15) and beliefs.dtype == np.float32
        assert np.isfinite(beliefs).all() and beliefs.std() > 0
        # untrained beliefs start near zero, so that the first loss is that of an empty map
        assert np.abs(beliefs).max() < 1


@COMBINATIONS
def test_a_saved_model_gives_the_same_beliefs(tmp_path, backbone, block):
    model = build(backbone=backbone, stage_block=block, dropout=0.3)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert again.output_names == model.output_names and input_names(again) == input_names(model)
    for found, expected in zip(run(again, some_inputs()), run(model, some_inputs()), strict=True):
        np.testing.assert_array_equal(found, expected)


@COMBINATIONS
def test_one_step_reaches_every_weight(backbone, block):
    model = build(backbone=backbone, stage_block=block, width=16)
    model.compile(
        keras.optimizers.Adam(1e-3, epsilon=1e-30), loss=stage_losses(model), run_eagerly=True
    )
    before = [np.array(variable) for variable in model.trainable_variables]
    targets = dict.fromkeys(
        model.output_names, np.random.default_rng(0).uniform(size=(2, 8, 8, 15))
    )
    model.fit(some_inputs(), targets, batch_size=2, verbose=0)
    for variable, old in zip(model.trainable_variables, before, strict=True):
        assert np.isfinite(variable).all(), variable.path
        assert (np.asarray(variable) != old).any(), variable.path


def test_one_stage_trains_too():
    model = build(1)
    model.compile("sgd", loss=stage_losses(model))
    targets = np.zeros((2, 8, 8, 15), np.float32)
    expected = np.mean([(beliefs**2).sum() / 2 for beliefs in run(model, some_inputs())[0]])
    history = model.fit(some_inputs(), targets, batch_size=2, verbose=0)
    assert history.history["loss"][0] == pytest.approx(expected, rel=1e-4)


@COMBINATIONS
def test_mixed_precision_keeps_the_beliefs_in_float32(backbone, block):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = build(backbone=backbone, stage_block=block)
    finally:
        keras.config.set_dtype_policy("float32")
    assert {layer.compute_dtype for layer in layers_of(model, keras.layers.Conv2D)} == {"bfloat16"}
    assert {variable.dtype for variable in model.trainable_variables} == {"float32"}
    for beliefs in run(model, some_inputs()):
        assert beliefs.dtype == np.float32 and np.isfinite(beliefs).all()


# the released networks ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "stages, options, count",
    [
        (3, {}, 16_731_021),
        (1, {}, 4_386_095),
        (4, {"spec": PoseSpec(FLIC9, box_size=64)}, 21_323_816),
        (6, {"backbone": "vgg19", "stage_block": "vgg"}, 29_852_058),
    ],
)
def test_parameters(stages, options, count):
    assert build(stages, width=128, **options).count_params() == count


TOWER = [("conv1", 31_232), ("conv2", 1_327_232), ("conv3", 1_327_232), ("conv4", 102_432)]
STAGE = [743_552, 1_982_592, 1_982_592, 16_512, 1_935]


def test_layers_of_the_six_stage_network():
    expected = {f"{name}_stage{t}": count for name, count in TOWER for t in (1, 2)}
    expected |= {"conv5_stage1": 1_327_616, "conv6_stage1": 262_656, "conv7_stage1": 7_695}
    expected |= {f"conv1_stage{t}": 102_432 for t in (3, 4, 5, 6)}
    for t in range(2, 7):
        expected |= {f"Mconv{i}_stage{t}": count for i, count in enumerate(STAGE, 1)}
    model = build(6, width=128, spec=PoseSpec())
    found = {layer.name: layer.count_params() for layer in model.layers if layer.weights}
    assert found == expected
    assert model.count_params() == 31_219_866
    kernels = {"conv1": 9, "conv2": 9, "conv3": 9, "conv4": 5, "Mconv1": 11, "Mconv3": 11}
    for name, side in kernels.items():
        assert model.get_layer(f"{name}_stage2").kernel_size == (side, side)
    assert tuple(model.outputs[5].shape) == (None, 46, 46, 15)


# options -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "backbone, block", [("cpm", "classic"), ("vgg19", "vgg"), ("light", "light")]
)
def test_any_size(backbone, block):
    model = build(backbone=backbone, stage_block=block, input_size="any")
    outputs = run(model, some_inputs(1, 64, 96))
    assert [beliefs.shape for beliefs in outputs] == [(1, 8, 12, 15)] * 2
    boxed = build(backbone=backbone, stage_block=block)
    boxed.set_weights(model.get_weights())
    for found, expected in zip(run(model, some_inputs()), run(boxed, some_inputs()), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_stride_4_has_finer_maps_of_as_many_weights(backbone):
    options = {"backbone": backbone, "stage_block": "light"}
    coarse, fine = build(**options), build(spec=SPEC.replace(stride=4), **options)
    assert fine.count_params() == coarse.count_params()
    assert [output.shape[1:3] for output in coarse.outputs] == [(8, 8)] * 2
    assert [output.shape[1:3] for output in fine.outputs] == [(16, 16)] * 2


def test_channels_follow_the_spec():
    assert build(spec=SPEC.replace(background=False)).outputs[1].shape[-1] == 14
    assert build(spec=PoseSpec(HAND21, box_size=64)).outputs[1].shape[-1] == 22
    assert build(spec=PoseSpec(box_size=128)).outputs[0].shape[1:3] == (16, 16)


def test_a_tower_and_a_stage_of_ones_own():
    calls = []

    def tower(image, *, width, name):
        calls.append(name)
        return keras.layers.Conv2D(width, 8, strides=8, name="mine")(image)

    def stage(features, beliefs, center, *, channels, width, name):
        calls.append((name, makers_of(features, beliefs, center), channels, width))
        x = keras.layers.Concatenate()([features, beliefs, center])
        return keras.layers.Conv2D(channels, 3, padding="same", name=f"own_{name}")(x)

    def makers_of(*tensors):
        return [tensor._keras_history.operation.name for tensor in tensors]

    model = build(3, backbone=tower, stage_block=stage)
    assert calls == [
        "stage1",
        ("stage2", ["mine", "conv5_2_CPM", "pool_center_lower"], 15, 8),
        ("stage3", ["mine", "own_stage2", "pool_center_lower"], 15, 8),
    ]
    assert [beliefs.shape for beliefs in run(model, some_inputs())] == [(2, 8, 8, 15)] * 3


@pytest.mark.parametrize(
    "options, message",
    [
        ({"stages": 0}, "`stages` must be .*Received: stages=0"),
        ({"stages": 2.5}, "`stages` must be .*Received: stages=2.5"),
        ({"stages": "6"}, "`stages` must be .*Received: stages='6'"),
        ({"width": 0}, "`width` must be .*Received: width=0"),
        ({"width": 6}, "`width` must be .*Received: width=6"),
        ({"width": 8.0}, "`width` must be .*Received: width=8.0"),
        ({"dropout": 1.0}, "`dropout` must be .*Received: dropout=1.0"),
        ({"dropout": -0.1}, "`dropout` must be .*Received: dropout=-0.1"),
        ({"backbone": "resnet"}, "`backbone` must be .*'vgg19'.*Received: backbone='resnet'"),
        ({"stage_block": 7}, "`stage_block` must be .*'residual'.*Received: stage_block=7"),
        ({"input_size": 368}, "`input_size` must be .*Received: input_size=368"),
        ({"input_size": "all"}, "`input_size` must be .*Received: input_size='all'"),
        ({"spec": SPEC.replace(stride=16)}, r"among \(8, 4\). Received: spec.stride=16"),
        ({"stage_block": "vgg", "share_context": True}, "`share_context` needs a stage block"),
        ({"stage_block": "light", "share_context": True}, "`share_context` needs a stage block"),
    ],
)
def test_errors(options, message):
    with pytest.raises(ValueError, match=message):
        build(**options)


# weights and arithmetic --------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"backbone": "light", "stage_block": "residual"}])
def test_initialize_release(options):
    model = build(width=32, **options)
    for layer in layers_of(model, keras.layers.Conv2D):
        if layer.bias is not None:
            layer.bias.assign(tf.ones_like(layer.bias))
    initialize_release(model, seed=3)
    drawn = [np.asarray(layer.kernel).ravel() for layer in layers_of(model, keras.layers.Conv2D)]
    for kernel in drawn:
        # five standard errors
        assert abs(kernel.std() / 0.01 - 1) < 5 / np.sqrt(2 * kernel.size)
        assert abs(kernel.mean()) < 5 * 0.01 / np.sqrt(kernel.size)
    for layer in layers_of(model, keras.layers.Conv2D):
        assert layer.bias is None or not np.asarray(layer.bias).any()
    # a stream for each layer, the same for the same seed
    heads = {tuple(kernel[:9]) for kernel in drawn}
    assert len(heads) == len(drawn)
    again = build(width=32, **options)
    initialize_release(again, seed=3)
    np.testing.assert_array_equal(again.get_weights()[0], model.get_weights()[0])
    initialize_release(again, seed=4)
    assert (again.get_weights()[0] != model.get_weights()[0]).any()
