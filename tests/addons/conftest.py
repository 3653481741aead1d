"""tensorflow-addons, where it is installed: `make test-addons` makes such an environment."""

import importlib.util

import pytest

import keras_cpm


@pytest.fixture(scope="session")
def tfa():
    """The module `tensorflow_addons`."""
    if not all(map(importlib.util.find_spec, ("tensorflow_addons", "tf_keras"))):
        pytest.skip("tensorflow-addons is not installed; `make test-addons` runs these")
    return keras_cpm.load_addons()
