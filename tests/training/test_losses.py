"""Eq. 4 by hand, what is not labelled, and the loss as Keras sees it."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_cpm import BeliefL2, belief_l2, stage_losses
from keras_cpm.pose.codec import IGNORE


def some_maps(count=3, seed=0):
    truth, beliefs = np.random.default_rng(seed).uniform(0, 1, (2, count, 4, 5, 3))
    return truth.astype(np.float32), beliefs.astype(np.float32)


def test_eq_4_by_hand():
    truth = np.array([[[[0.0, 1.0], [0.5, 0.0]], [[1.0, 0.0], [0.0, 0.0]]]])
    beliefs = np.array([[[[1.0, 1.0], [0.0, 2.0]], [[1.0, -3.0], [0.0, 0.1]]]])
    # half of 1 + 0.25 + 4 + 9 + 0.01
    np.testing.assert_allclose(belief_l2(truth, beliefs), [7.13], rtol=1e-6)


def test_a_sum_over_cells_and_channels_and_one_number_a_sample():
    truth, beliefs = some_maps()
    loss = belief_l2(truth, beliefs)
    assert loss.shape == (3,) and loss.dtype == tf.float32
    expected = [((b - t) ** 2).sum() / 2 for t, b in zip(truth, beliefs, strict=True)]
    np.testing.assert_allclose(loss, expected, rtol=1e-5)


def test_ignored_entries_have_no_loss_and_no_gradient():
    truth, beliefs = some_maps()
    truth[0, ..., 1] = truth[2, 1, 1] = IGNORE
    counted = truth != IGNORE
    beliefs = tf.constant(beliefs)
    with tf.GradientTape() as tape:
        tape.watch(beliefs)
        loss = belief_l2(truth, beliefs)
    gradient = tape.gradient(loss, beliefs)
    np.testing.assert_allclose(gradient, np.where(counted, beliefs - truth, 0), rtol=1e-5)
    expected = (np.where(counted, beliefs - truth, 0) ** 2).sum(axis=(1, 2, 3)) / 2
    np.testing.assert_allclose(loss, expected, rtol=1e-5)


def test_nothing_labelled_costs_nothing_even_where_beliefs_are_wild():
    beliefs = tf.constant(np.full((1, 2, 2, 3), np.inf, np.float32))
    with tf.GradientTape() as tape:
        tape.watch(beliefs)
        loss = belief_l2(np.full((1, 2, 2, 3), IGNORE), beliefs)
    assert loss.numpy().tolist() == [0]
    assert not np.asarray(tape.gradient(loss, beliefs)).any()


def test_zero_targets_count():
    # unlike IGNORE: "nobody's wrist is here"
    np.testing.assert_allclose(belief_l2(np.zeros((1, 2, 2, 1)), np.ones((1, 2, 2, 1))), [2.0])


def test_half_precision_beliefs_are_summed_in_float32():
    truth = np.zeros((1, 46, 46, 15), np.float32)
    beliefs = tf.constant(np.ones((1, 46, 46, 15)), tf.bfloat16)
    loss = belief_l2(truth, beliefs)
    assert loss.dtype == tf.float32
    np.testing.assert_allclose(loss, [46 * 46 * 15 / 2])


def test_the_keras_loss_is_the_mean_over_the_batch():
    truth, beliefs = some_maps()
    expected = np.mean(belief_l2(truth, beliefs))
    np.testing.assert_allclose(BeliefL2()(truth, beliefs), expected, rtol=1e-6)


def test_sample_weights():
    truth, beliefs = some_maps()
    weighted = BeliefL2()(truth, beliefs, sample_weight=np.array([1.0, 0.0, 2.0]))
    each = np.asarray(belief_l2(truth, beliefs))
    np.testing.assert_allclose(weighted, (each[0] + 2 * each[2]) / 3, rtol=1e-6)


def test_the_keras_loss_is_saved_by_name():
    loss = BeliefL2(name="cells", reduction="sum")
    config = keras.saving.serialize_keras_object(loss)
    assert config["registered_name"] == "keras_cpm>BeliefL2"
    again = keras.saving.deserialize_keras_object(config)
    assert isinstance(again, BeliefL2) and again.name == "cells"
    truth, beliefs = some_maps()
    np.testing.assert_allclose(again(truth, beliefs), np.sum(belief_l2(truth, beliefs)), rtol=1e-6)


def test_stage_losses(tiny_model):
    losses = stage_losses(tiny_model)
    assert list(losses) == ["stage1", "stage2"]
    assert all(isinstance(loss, BeliefL2) for loss in losses.values())


def test_eq_5_is_the_weighted_sum_of_the_stages(tiny_model):
    weights = {"stage1": 0.5, "stage2": 3.0}
    tiny_model.compile("sgd", loss=stage_losses(tiny_model), loss_weights=weights)
    rng = np.random.default_rng(0)
    inputs = {
        "image": rng.uniform(0, 255, (3, 64, 64, 3)),
        "center_map": rng.uniform(0, 1, (3, 64, 64, 1)),
    }
    targets = {name: rng.uniform(0, 1, (3, 8, 8, 15)) for name in weights}
    log = tiny_model.evaluate(inputs, targets, batch_size=3, return_dict=True, verbose=0)
    stages = tiny_model.predict(inputs, verbose=0)
    by_hand = [((b - targets[n]) ** 2).sum() / 2 / 3 for b, n in zip(stages, weights, strict=True)]
    assert log["stage1_loss"] == pytest.approx(by_hand[0], rel=1e-4)
    assert log["stage2_loss"] == pytest.approx(by_hand[1], rel=1e-4)
    assert log["loss"] == pytest.approx(0.5 * by_hand[0] + 3 * by_hand[1], rel=1e-4)
