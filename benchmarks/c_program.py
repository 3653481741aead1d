"""The SavedModel outside Python: the C program of `examples/serving`, on the library of
TensorFlow's wheel.

    python -m benchmarks.c_program MODEL [--records FILE]

exports MODEL, a bundle's folder or name, gives the program photographs, and prints how far
keypoints are from those of the Keras model, and milliseconds. The photographs are the first 100 of
the records, whose people fill them, or drawn ones. Exits with 1 where a keypoint is too far. Needs
a C compiler.
"""

import argparse
import dataclasses
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

import keras_cpm
from keras_cpm.cli.console import print_comparisons, silent_stderr
from keras_cpm.export import compare
from keras_cpm.export.artefact import Artefact

SOURCE = Path(__file__).parents[1] / "examples/serving/predict.c"


def compile_program(folder, source=SOURCE):
    """Compiles the program into `folder`.

    Returns:
        Its path.

    Raises:
        RuntimeError: no compiler, or one that fails.
    """
    compiler = shutil.which("cc") or shutil.which("gcc")
    if not compiler:
        raise RuntimeError("There is no C compiler; install one that is called cc or gcc.")
    library = Path(tf.sysconfig.get_lib())
    binary = Path(folder) / "predict"
    command = [
        *(compiler, "-std=c11", "-O1", "-Wall", "-Wextra", "-Werror", str(source)),
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


def tensor_names(version):
    """Of "image", "keypoints", "scores" and "error", as `saved_model_cli show` prints them."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        meta = tf.compat.v1.saved_model.load(session, ["serve"], str(version))
    signature = meta.signature_def["serving_default"]
    outputs = [signature.outputs[name].name for name in ("keypoints", "scores", "error")]
    return [signature.inputs["image"].name, *outputs]


def run_program(binary, version, names, images):
    """Runs the program on images, one after the other.

    Args:
        binary: that `compile_program` made.
        version: folder of a SavedModel.
        names: its `tensor_names`.
        images: paths.

    Returns:
        list of (P, 3) arrays x, y, score, image frame, or of sentences where an image is bad; and
        the milliseconds of the fastest.

    Raises:
        RuntimeError: with what the program says.
    """
    command = [str(binary), str(version), *names, *map(str, images)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    last = (done.stderr.splitlines() or [""])[-1]
    if done.returncode:
        raise RuntimeError(f"The C program stopped: {last}")
    lines = [line.split(": ", 1)[1] for line in done.stdout.splitlines()]
    return [_row(line) for line in lines], float(last.split()[0])


def _row(line):
    try:
        return np.array(line.split(), np.float64).reshape(-1, 3)
    except ValueError:
        return line


def compare_program(model, spec, records):
    """The program beside the Keras model.

    Args:
        model: `keras.Model`.
        spec: `PoseSpec` of the model.
        records: list of `Record`; only their images are used, the person fills them.

    Returns:
        two `compare.Comparison`, that of the Keras model first.

    Raises:
        RuntimeError: no compiler, one that fails, or what the program says.
    """
    keras = compare.baseline(model, spec, records)
    with tempfile.TemporaryDirectory() as folder:
        binary, served = compile_program(folder), Path(folder) / "served"
        keras_cpm.export_saved_model(model, spec, served)
        images, version = [record.image for record in records], served / "1"
        found, milliseconds = run_program(binary, version, tensor_names(version), images)
        size = Artefact(served).size()
    points = np.stack([row[:, :2] for row in found])
    facts = {"found": points, "milliseconds": milliseconds, "size": size}
    return [keras, dataclasses.replace(keras, name="savedmodel in C", **facts)]


def main(arguments=None):
    """Prints the table; the exit status is 1 where a keypoint is too far."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model")
    parser.add_argument("--records", help="100 drawn people unless given")
    options = parser.parse_args(arguments)
    model, spec = keras_cpm.load(options.model)
    with tempfile.TemporaryDirectory() as folder:
        if options.records:
            records = keras_cpm.read_records(options.records)[: compare.COUNT]
        else:
            records = keras_cpm.draw_records(folder, compare.COUNT, seed=6)
        # what TensorFlow says of its own tools
        with silent_stderr():
            rows = compare_program(model, spec, records)
    print_comparisons(
        rows, f"photographs of {options.records}" if options.records else "drawn people"
    )
    return int(not all(row.within for row in rows))


if __name__ == "__main__":
    sys.exit(main())
