"""Fleets of TensorFlow 2.15.1 and tensorflow-addons: a SavedModel serves there, and learns there.

`make test-addons` makes the environment, and KERAS_CPM_TENSORFLOW_215 is its Python.
"""

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

import keras_cpm
from keras_cpm.models.forward import StageBeliefs
from tests.export.networks import sure_network

SCRIPT = Path(__file__).with_name("in_tensorflow_215.py")


@pytest.fixture(scope="module", params=["direct", "tiles"])
def there(request, tmp_path_factory, tiny_spec):
    """The way large kernels are computed, the model, and what TensorFlow 2.15.1 makes of its
    export.
    """
    python = os.environ.get("KERAS_CPM_TENSORFLOW_215")
    if not python:
        pytest.skip("KERAS_CPM_TENSORFLOW_215 names no Python; `make test-addons` runs these")
    folder = tmp_path_factory.mktemp(request.param)
    model = keras_cpm.build_cpm(2, tiny_spec, width=8, convolution="tiles")
    if request.param == "direct":
        model = sure_network(tiny_spec)
    keras_cpm.export_saved_model(model, tiny_spec, folder)
    # it looks at its own packages alone
    command = [python, "-I", str(SCRIPT), str(folder), str(folder / "found.npz")]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr[-2000:]
    return request.param, model, dict(np.load(folder / "found.npz"))


def test_it_serves_there(there):
    _, _, found = there
    assert str(found["tensorflow"]) == "2.15.1"
    assert found["displacement"] < 1e-3


def test_it_learns_there(there):
    """Where every kernel has a gradient; those by Fourier tiles have none."""
    convolution, _, found = there
    assert found["share"] == 1 if convolution == "direct" else found["share"] < 1
    assert np.all(np.diff(found["losses"]) < 0)


def test_what_it_learnt_comes_back(there, tiny_spec):
    """In the order of the weights."""
    convolution, model, found = there
    if convolution != "direct":
        pytest.skip("spectra of tiles keep the weights of the export")
    for i, variable in enumerate(model.variables):
        variable.assign(found[f"weight{i}"])
    believed = StageBeliefs(model, tiny_spec)(found["image"])
    for name, stage in zip(model.output_names, believed, strict=True):
        np.testing.assert_allclose(stage, found[name], rtol=0, atol=1e-4 * np.abs(stage).max())
