"""The release's SGD against Caffe's formula, AdamW in one operation, and the schedules."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_cpm import MODERN, RELEASE, TrainSpec, build_cpm, stage_losses
from keras_cpm.training.optimizers import FusedAdamW, ReleaseSGD, make_optimizer

RATE, MOMENTUM, DECAY = 1e-4, 0.9, 3.0


def some_batch(seed=0):
    rng = np.random.default_rng(seed)
    inputs = {
        "image": rng.uniform(0, 255, (2, 64, 64, 3)).astype(np.float32),
        "center_map": rng.uniform(0, 1, (2, 64, 64, 1)).astype(np.float32),
    }
    targets = [rng.uniform(0, 1, (2, 8, 8, 15)).astype(np.float32) for _ in range(2)]
    return inputs, targets


def gradients(model, inputs, targets):
    with tf.GradientTape() as tape:
        outputs = model([inputs["image"], inputs["center_map"]], training=True)
        squares = [tf.reduce_sum((b - t) ** 2) for b, t in zip(outputs, targets, strict=True)]
        loss = tf.add_n(squares) / 2 / 2  # Eq. 4, mean over the batch of two, Eq. 5
    return [
        np.asarray(g) for g in tape.gradient(loss, [v.value for v in model.trainable_variables])
    ]


def lr_mult(name):
    """genProto.py: 5 and 10 in stage 1, 1 and 2 in the others."""
    return {
        "conv1_stage1/kernel": 5,
        "conv1_stage1/bias": 10,
        "conv7_stage1/kernel": 5,
        "conv7_stage1/bias": 10,
        "conv1_stage2/kernel": 1,
        "conv4_stage2/bias": 2,
        "Mconv1_stage2/kernel": 1,
        "Mconv5_stage2/kernel": 1,
        "Mconv5_stage2/bias": 2,
    }.get(name)


@pytest.mark.parametrize("decay_biases", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_three_steps_follow_caffes_formula(tiny_model, decay_biases):
    # the rate halves after the second step; Caffe's history holds the rates of its time
    rate = keras.optimizers.schedules.PiecewiseConstantDecay([1], [RATE, RATE / 2])
    optimizer = ReleaseSGD(rate, MOMENTUM, kernel_decay=DECAY, decay_biases=decay_biases)
    tiny_model.compile(optimizer, loss=stage_losses(tiny_model))
    names = [variable.path for variable in tiny_model.trainable_variables]
    weights = [np.array(variable) for variable in tiny_model.trainable_variables]
    start, history = list(weights), [0.0] * len(weights)
    for step in range(3):
        inputs, targets = some_batch(step)
        grads = gradients(tiny_model, inputs, targets)
        named = dict(zip(tiny_model.output_names, targets, strict=True))
        tiny_model.train_on_batch(inputs, named)
        for i, name in enumerate(names):
            if lr_mult(name) is None:
                continue
            local_rate = lr_mult(name) * (RATE if step < 2 else RATE / 2)
            decay = DECAY if decay_biases or name.endswith("kernel") else 0
            history[i] = MOMENTUM * history[i] + local_rate * (grads[i] + decay * weights[i])
            weights[i] = weights[i] - history[i]
            found = np.asarray(tiny_model.trainable_variables[i])
            change = np.abs(weights[i] - start[i]).max()
            assert change > 1e-6
            np.testing.assert_allclose(found, weights[i], atol=2e-3 * change, err_msg=name)
            weights[i] = found
    assert sum(lr_mult(name) is not None for name in names) == 9


@pytest.mark.parametrize(
    "path, factor",
    [
        ("conv1_stage1/kernel", 5),
        ("conv3_stage1/bias", 10),
        ("conv4_7_CPM/kernel", 5),
        ("conv5_2_CPM/bias", 10),
        ("conv3_a_norm/gamma", 5),
        ("conv1_stage2/kernel", 1),
        ("conv1_stage9/bias", 2),
        ("Mconv3_stage10/kernel", 1),
        ("Mconv1_stage2_norm/beta", 1),
    ],
)
def test_factors_of_the_rate(path, factor):
    assert ReleaseSGD().multiplier(path) == factor


def test_every_variable_of_a_later_stage_is_known():
    for options in ({}, {"backbone": "light", "stage_block": "residual"}):
        model = build_cpm(3, width=8, **options)
        own = build_cpm(1, width=8, **options)
        first = {variable.path for variable in own.trainable_variables}
        factor = ReleaseSGD(bias_multiplier=1.0).multiplier
        slow = {v.path for v in model.trainable_variables if factor(v.path) == 1}
        assert slow == {v.path for v in model.trainable_variables} - first


def test_config_round_trip():
    optimizer = ReleaseSGD(
        keras.optimizers.schedules.ExponentialDecay(1e-3, 7, 0.3, staircase=True),
        momentum=0.7,
        kernel_decay=0.2,
        decay_biases=True,
        stage1_multiplier=3.0,
        bias_multiplier=4.0,
        use_ema=True,
        ema_momentum=0.9,
    )
    again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert isinstance(again, ReleaseSGD)
    assert again.get_config() == optimizer.get_config()
    assert (again.kernel_decay, again.decay_biases, again.momentum) == (0.2, True, 0.7)
    assert (again.stage1_multiplier, again.bias_multiplier) == (3.0, 4.0)


@pytest.mark.parametrize("compiled", [False, True])
def test_fused_adamw_is_adamw(compiled):
    """Weights, averages and both moments, over steps of a changing rate, decay and average on."""
    rng = np.random.default_rng(0)
    start = [rng.normal(size=shape).astype("float32") for shape in ((5, 5, 3, 4), (4,), ())]
    steps = [[rng.normal(size=w.shape).astype("float32") for w in start] for _ in range(6)]
    rate = keras.optimizers.schedules.CosineDecay(0.1, 6)
    found = []
    for kind in (FusedAdamW, keras.optimizers.AdamW):
        weights = [keras.Variable(w, name=f"w{i}") for i, w in enumerate(start)]
        optimizer = kind(rate, weight_decay=0.1, use_ema=True, ema_momentum=0.7)
        optimizer.build(weights)
        apply = tf.function(optimizer.apply) if compiled else optimizer.apply
        for grads in steps:
            apply(list(map(tf.constant, grads)))
        found.append([np.asarray(v) for v in [*weights, *optimizer.variables]])
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-5)  # 1e-4 of a step
    assert np.abs(found[0][0] - start[0]).max() > 0.1


# make_optimizer ----------------------------------------------------------------------------------


def rate_at(optimizer, step):
    optimizer.iterations.assign(step)
    return float(optimizer.learning_rate)


@pytest.mark.parametrize("kind", ["adamw", "sgd"])
def test_cosine_rises_and_ends_at_zero(kind):
    recipe = TrainSpec(optimizer=kind, learning_rate=0.02, warmup_steps=50)
    rates = [rate_at(make_optimizer(recipe, 250), step) for step in range(251)]
    np.testing.assert_allclose(rates[:51], np.linspace(0, 0.02, 51), atol=1e-7)
    expected = 0.01 * (1 + np.cos(np.pi * np.arange(201) / 200))
    np.testing.assert_allclose(rates[50:], expected, atol=1e-7)
    assert rates[-1] == pytest.approx(0, abs=1e-9)


def test_cosine_of_a_short_training_and_without_warm_up():
    rates = [rate_at(make_optimizer(MODERN, 10), step) for step in range(11)]
    assert np.argmax(rates) == 5 and max(rates) == pytest.approx(1e-3)
    assert rates[0] == 0 and rates[10] == pytest.approx(0, abs=1e-9)
    for total in (1, 10):
        plain = make_optimizer(dataclasses.replace(MODERN, warmup_steps=0), total)
        assert rate_at(plain, 0) == pytest.approx(1e-3)
        assert rate_at(plain, total) == pytest.approx(0, abs=1e-9)


def test_steps_of_the_release():
    optimizer = make_optimizer(RELEASE, 600_000)
    steps = [0, 136_105, 136_106, 272_211, 272_212]
    expected = 8e-5 * np.array([1, 1, 0.333, 0.333, 0.333**2])
    np.testing.assert_allclose([rate_at(optimizer, step) for step in steps], expected, rtol=1e-5)
    assert isinstance(optimizer, ReleaseSGD)
    assert (optimizer.momentum, optimizer.kernel_decay) == (0.9, 5e-4)
    assert (optimizer.stage1_multiplier, optimizer.bias_multiplier) == (5.0, 2.0)
    assert not optimizer.decay_biases and not optimizer.use_ema


def test_constant_rate():
    recipe = TrainSpec(schedule="constant", learning_rate=0.3)
    assert [rate_at(make_optimizer(recipe, 10), s) for s in (0, 99)] == [pytest.approx(0.3)] * 2


@pytest.mark.parametrize("decay_biases", [False, True])
def test_adamw_decays_kernels_only_unless_told(tiny_spec, decay_biases):
    model = build_cpm(2, tiny_spec, backbone="light", stage_block="light", width=8)
    recipe = TrainSpec(
        schedule="constant", learning_rate=0.5, weight_decay=0.1, decay_biases=decay_biases
    )
    optimizer = make_optimizer(recipe, 10)
    for variable in model.trainable_variables:
        variable.assign(tf.ones_like(variable.value))
    optimizer.apply(
        [tf.zeros_like(v.value) for v in model.trainable_variables], model.trainable_variables
    )
    for variable in model.trainable_variables:
        decayed = decay_biases or variable.path.endswith("kernel")
        expected = 1 - 0.5 * 0.1 if decayed else 1
        np.testing.assert_allclose(variable, np.full(variable.shape, expected), rtol=1e-6)


def test_moving_average():
    optimizer = make_optimizer(MODERN, 100_000)
    assert optimizer.use_ema and optimizer.ema_momentum == 0.999
    assert not make_optimizer(dataclasses.replace(MODERN, ema=0.0), 10).use_ema
    assert make_optimizer(dataclasses.replace(RELEASE, ema=0.9), 1000).ema_momentum == 0.9


@pytest.mark.parametrize("total_steps", [180, 2000])
def test_a_short_training_forgets_its_untrained_weights(total_steps):
    momentum = make_optimizer(MODERN, total_steps).ema_momentum
    assert momentum**total_steps < 1e-4
    assert momentum > 0.9
