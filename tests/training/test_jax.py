"""The same code trains under KERAS_BACKEND=jax, and TensorFlow reads what it saved."""

import importlib.util
import json
import os
import subprocess
import sys

import numpy as np
import pytest

import keras_cpm

SCRIPT = """
import dataclasses, json, sys
import keras, numpy as np, keras_cpm

assert keras.backend.backend() == "jax"
folder = sys.argv[1]
keras.utils.set_random_seed(0)
spec = keras_cpm.PoseSpec(box_size=64)
records = keras_cpm.draw_records(folder + "/people", 8)
model = keras_cpm.build_cpm(2, spec, backbone="light", stage_block="light", width=8)
recipe = dataclasses.replace(keras_cpm.MODERN, epochs=3, batch_size=4, warmup_steps=1, ema=0.5)
history = keras_cpm.train(
    model, records, records[:4], recipe, spec, directory=folder + "/bundle", verbose=0)
pose = keras_cpm.Predictor(model, spec, flip=True)(records[0].image)
release = dataclasses.replace(keras_cpm.RELEASE, epochs=1, batch_size=4)
paper = keras_cpm.build_cpm(2, spec, width=8)
keras_cpm.train(paper, records, (), release, spec, directory=folder + "/paper", verbose=0)
try:
    keras_cpm.export_saved_model(model, spec, folder + "/export")
except ValueError as error:
    refusal = str(error)
print(json.dumps({"loss": history.history["loss"], "keypoints": pose.keypoints.tolist(),
                  "image": records[0].image, "refusal": refusal}))
"""


@pytest.mark.slow
def test_a_few_steps_under_jax(tmp_path):
    if importlib.util.find_spec("jax") is None:
        pytest.skip("jax is not installed: pip install 'keras-cpm[jax]'")
    environment = {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    # compiling takes longer than running
    environment["XLA_FLAGS"] = "--xla_backend_optimization_level=0"
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path)],
        capture_output=True,
        text=True,
        env=environment,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    result = json.loads(done.stdout.splitlines()[-1])
    assert np.isfinite(result["loss"]).all() and result["loss"][-1] < result["loss"][0]
    assert "KERAS_BACKEND=tensorflow" in result["refusal"]
    model, spec = keras_cpm.load(tmp_path / "bundle")
    pose = keras_cpm.Predictor(model, spec, flip=True)(result["image"])
    np.testing.assert_allclose(pose.keypoints, result["keypoints"], atol=0.05)
