"""The SavedModel outside Python: the C program of `examples/serving`, on the library of TensorFlow's wheel."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import tensorflow as tf

SOURCE = Path(__file__).parents[1] / "examples/serving/predict.c"


def compile_program(folder):
    """Compiles the program into `folder`.

    Returns:
        Its path.

    Raises:
        RuntimeError: no source (it is in the repository, not in a wheel), no compiler, or one that fails.
    """
    compiler = shutil.which("cc") or shutil.which("gcc")
    if not SOURCE.is_file() or not compiler:
        missing = (
            "C compiler (cc)" if SOURCE.is_file() else "C program; it comes with the repository"
        )
        raise RuntimeError(f"There is no {missing}.")
    library = Path(tf.sysconfig.get_lib())
    binary = Path(folder) / "predict"
    command = [
        *(compiler, "-std=c11", "-O1", "-Wall", "-Wextra", "-Werror", str(SOURCE)),
        *("-I", tf.sysconfig.get_include(), "-o", str(binary), f"-Wl,-rpath,{library}"),
        *(
            str(path)
            for name in ("cc", "framework")
            for path in library.glob(f"libtensorflow_{name}.*.*")
        ),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"The C program cannot be compiled: {done.stderr.splitlines()[0]}")
    return binary


def run_program(binary, version, images):
    """Runs the program on images, one after the other.

    Args:
        binary: that `compile_program` made.
        version: folder of a SavedModel.
        images: paths.

    Returns:
        list of (P, 3) arrays x, y, score, image frame, or of sentences where an image is bad; and the
        milliseconds of the fastest.

    Raises:
        RuntimeError: with what the program says.
    """
    command = [str(binary), str(version), *tensor_names(version), *map(str, images)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    last = (done.stderr.splitlines() or [""])[-1]
    if done.returncode:
        raise RuntimeError(f"The C program stopped: {last}")
    lines = [line.split(": ", 1)[1] for line in done.stdout.splitlines()]
    return [_row(line) for line in lines], float(last.split()[0])


def tensor_names(version):
    """Of "image", "keypoints", "scores" and "error", as `saved_model_cli show` prints them."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        meta = tf.compat.v1.saved_model.load(session, ["serve"], str(version))
    signature = meta.signature_def["serving_default"]
    outputs = [signature.outputs[name].name for name in ("keypoints", "scores", "error")]
    return [signature.inputs["image"].name, *outputs]


def _row(line):
    try:
        return np.array(line.split(), np.float64).reshape(-1, 3)
    except ValueError:
        return line
