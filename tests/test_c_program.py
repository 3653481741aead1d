"""The SavedModel outside Python: a C program on the library that TensorFlow's wheel brings."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import keras_cpm
from keras_cpm import endpoints

SOURCE = Path(__file__).parents[1] / "examples/serving/predict.c"


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    compiler, library = shutil.which("cc") or shutil.which("gcc"), Path(tf.sysconfig.get_lib())
    if not compiler:
        pytest.skip("no C compiler here")
    libraries = [
        *library.glob("libtensorflow_cc.*.*"),
        *library.glob("libtensorflow_framework.*.*"),
    ]
    binary = tmp_path_factory.mktemp("c") / "predict"
    flags = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-I", tf.sysconfig.get_include()]
    paths = [*map(str, libraries), f"-Wl,-rpath,{library}", "-o", str(binary)]
    subprocess.run([compiler, *flags, str(SOURCE), *paths], check=True)
    return binary


def tensors(version, signature="serving_default"):
    """The names that `saved_model_cli show` prints."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        meta = tf.compat.v1.saved_model.load(session, ["serve"], str(version))
    signature = meta.signature_def[signature]
    outputs = [signature.outputs[name].name for name in ("keypoints", "scores", "error")]
    return [signature.inputs["image"].name, *outputs]


@pytest.mark.parametrize("backbone", ["light", "cpm"])
def test_a_c_program_gives_the_predictors_points(program, backbone, drawn_records, tmp_path):
    spec = keras_cpm.PoseSpec(box_size=64)
    block = {"light": "light", "cpm": "classic"}[backbone]
    model = keras_cpm.build_cpm(
        2, spec, backbone=backbone, stage_block=block, width=16, convolution="tiles"
    )
    keras_cpm.export_saved_model(model, spec, tmp_path)
    torn = tmp_path / "torn.jpg"
    torn.write_bytes(Path(drawn_records[0].image).read_bytes()[:300])
    images = [drawn_records[0].image, str(torn), drawn_records[1].image]
    run = [program, tmp_path / "1", *tensors(tmp_path / "1"), *images]
    printed = subprocess.run(run, capture_output=True, text=True, check=True).stdout.splitlines()
    rows = dict(line.split(": ", 1) for line in printed)
    assert list(rows) == images and rows[str(torn)] == endpoints.UNREADABLE
    find = keras_cpm.Predictor(model, spec)
    for image in (images[0], images[2]):
        pose = find(image)
        found = np.array(rows[image].split(), np.float64).reshape(-1, 3)
        np.testing.assert_allclose(found[:, :2], pose.keypoints, atol=0.01)
        np.testing.assert_allclose(found[:, 2], pose.scores, atol=1e-4)


def test_what_is_no_model_ends_in_a_sentence(program, tmp_path):
    run = subprocess.run(
        [program, tmp_path, "a", "b", "c", "d", "e"], capture_output=True, text=True, check=False
    )
    assert run.returncode == 1 and "cannot be loaded" in run.stderr
