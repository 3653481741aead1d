"""Gradients that are measured are those that a training follows."""

import keras
import numpy as np
import pytest

import keras_cpm
from keras_cpm.paper.gradients import kernel_gradients, layers_in_depth


@pytest.mark.slow
def test_a_step_goes_against_them(tiny_spec, drawn_records):
    keras.utils.set_random_seed(0)
    model = keras_cpm.build_cpm(2, tiny_spec, backbone="cpm", stage_block="classic", width=8)
    model.compile(keras.optimizers.SGD(0.5), loss=keras_cpm.stage_losses(model))
    dataset = keras_cpm.make_dataset(drawn_records[:3], tiny_spec, stages=2, batch_size=3)
    layers = layers_in_depth(model)
    before = {name: model.get_layer(name).kernel.numpy() for name in layers}
    measured = kernel_gradients(model, dataset, layers)
    model.fit(dataset, verbose=0, shuffle=False)
    for name in layers:
        step = before[name] - model.get_layer(name).kernel.numpy()
        largest = np.abs(measured[name]).max()
        assert largest > 0
        np.testing.assert_allclose(step.ravel() / 0.5, measured[name], atol=1e-3 * largest)
