"""Weights of one network in another: what fits by name and shape."""

import keras
import numpy as np
import pytest

import keras_cpm


def small_model(spec, **options):
    options = {"backbone": "light", "stage_block": "light", "width": 8, **options}
    return keras_cpm.build_cpm(3, spec, **options)


def test_transfer_to_another_skeleton_keeps_the_tower(tiny_spec):
    source = small_model(tiny_spec)
    target = small_model(tiny_spec.replace(skeleton=keras_cpm.HAND21))
    keras.utils.set_random_seed(1)
    fresh = keras_cpm.transfer_weights(source, target)
    for t in (2, 3):
        assert f"Mconv6_stage{t}" in fresh and f"Mconv1_stage{t}" in fresh
        assert f"Mconv3_stage{t}_a" not in fresh
    np.testing.assert_array_equal(
        source.get_layer("conv1").kernel.numpy(), target.get_layer("conv1").kernel.numpy()
    )
    with pytest.raises(ValueError, match="none in common"):
        keras_cpm.transfer_weights(source, small_model(tiny_spec, width=64))
