"""SavedModel for TensorFlow Serving, and LiteRT for phones; each carries its spec."""

import os
import shutil
import tempfile
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from . import bundle, endpoints
from .inference import StoredSpectrum, keepers
from .models.fast_conv import direct, held, kept_layers

PARTS_FILE = "parts.txt"


def export_saved_model(model, spec, directory):
    """Writes `directory/1/`, a SavedModel that TensorFlow Serving takes as it is, and `directory/spec.json`.

    Signatures, outputs by name; keypoints are (B, P, 2) points (x, y), scores (B, P), error (B,):
        serving_default   image (B,) encoded bytes, JPEG PNG GIF BMP of any size
                          -> keypoints, scores, error; image frame, the person fills the image
        boxes             image (B,) encoded bytes, box (B, 4) x0 y0 x1 y1, image frame
                          -> keypoints, scores, error; image frame
        crops             image (B, H, W, 3) network boxes, RGB 0..255
                          -> keypoints, scores; network frame
        beliefs           image (B, H, W, 3) network boxes -> stage1 .. stageT (B, h, w, C)

    Decoding, turning upright by EXIF, cropping, the network, the peaks and the way back to image pixels
    are all inside the graph; the center map of a centred person is a constant in it. A bad image or box
    costs its own row alone: its keypoints are NaN, its scores 0, and "error" says why ("" elsewhere). A
    request has at most `endpoints.MAX_ROWS` rows. The folder `1/assets` holds spec.json and parts.txt, a
    part a line in the order of the outputs. Layers that take Fourier tiles
    (`build_cpm(convolution=...)`) keep the spectra of their kernels in memory; the file does not hold
    them, loading computes them.

    Args:
        model: `keras.Model` as `build_cpm` makes it.
        spec: `PoseSpec` of the model.
        directory: made if it is not there. A version 1 in it is replaced.

    Raises:
        ValueError: another backend than TensorFlow, or model and spec do not belong together.

    Example:
        >>> import tempfile, keras_cpm
        >>> spec = keras_cpm.PoseSpec(box_size=64)
        >>> folder = tempfile.mkdtemp()
        >>> keras_cpm.export_saved_model(keras_cpm.build_cpm(2, spec, width=8), spec, folder)
        >>> import tensorflow as tf
        >>> sorted(tf.saved_model.load(f"{folder}/1").signatures)
        ['beliefs', 'boxes', 'crops', 'serving_default']
    """
    _check(model, spec)
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    version, partial = directory / "1", directory / "partial"
    shutil.rmtree(partial, ignore_errors=True)
    with tempfile.TemporaryDirectory() as assets:
        functions = endpoints.of_saved_model(model, spec)
        _write_saved_model(model, functions, _assets(spec, Path(assets)), partial)
    shutil.rmtree(version, ignore_errors=True)
    os.replace(partial, version)
    spec.save(directory / bundle.SPEC_FILE)


def export_tflite(model, spec, path):
    """Writes a LiteRT file with built-in operations only, `NAME.spec.json` and `NAME.golden.npz` beside it.

    Input "image" (1, H, W, 3), one network box, float32 RGB 0..255. Outputs by name: "keypoints"
    (1, P, 2) network frame, "scores" (1, P), "beliefs" (1, h, w, C) of the last stage. The phone
    makes the box with the one affine that the spec describes (`geometry.network_from_box`) and
    takes keypoints back with its inverse. The golden file holds an input and the outputs it must
    give.

    Args:
        model: `keras.Model` as `build_cpm` makes it.
        spec: `PoseSpec` of the model.
        path: ending in ".tflite".

    Raises:
        ValueError: another backend, another ending, or model and spec do not belong together.

    Example:
        >>> import os, tempfile, keras_cpm
        >>> spec = keras_cpm.PoseSpec(box_size=64)
        >>> folder = tempfile.mkdtemp()
        >>> keras_cpm.export_tflite(keras_cpm.build_cpm(2, spec, width=8), spec, f"{folder}/cpm.tflite")
        >>> sorted(os.listdir(folder))
        ['cpm.golden.npz', 'cpm.spec.json', 'cpm.tflite']
    """
    _check(model, spec)
    path = Path(path)
    if path.suffix != ".tflite":
        raise ValueError(f"`path` must end in .tflite. Received: {path}")
    path.parent.mkdir(parents=True, exist_ok=True)
    box = tf.TensorSpec([1, spec.box_size, spec.box_size, 3], tf.float32, name="image")
    predict = endpoints.of_phone(model, spec)
    with tempfile.TemporaryDirectory() as folder:
        with direct(model):
            _archive(model, {"serving_default": (predict, [box])}, folder)
        converter = tf.lite.TFLiteConverter.from_saved_model(
            folder, signature_keys=["serving_default"]
        )
        flat = converter.convert()
    partial = path.with_name(f"partial.{path.name}")
    partial.write_bytes(flat)
    os.replace(partial, path)
    spec.save(path.with_suffix(".spec.json"))
    image = np.random.default_rng(0).uniform(0, 255, box.shape).astype(np.float32)
    np.savez_compressed(
        path.with_suffix(".golden.npz"), image=image, **_as_numpy(predict(tf.constant(image)))
    )


def _check(model, spec):
    bundle.check_model(model, spec)
    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            "Exports need the TensorFlow backend: set KERAS_BACKEND=tensorflow and load the bundle there. "
            f"Received: KERAS_BACKEND={keras.backend.backend()}"
        )
    if None in model.inputs[0].shape[1:]:
        raise ValueError(
            f"Exports need a model of one input size; build it with input_size=None for boxes of {spec.box_size} "
            'pixels. Received: input_size="any"'
        )


def _assets(spec, folder):
    """Files that travel inside the SavedModel, for clients that have nothing else."""
    spec.save(folder / bundle.SPEC_FILE)
    (folder / PARTS_FILE).write_text("".join(f"{part}\n" for part in spec.skeleton.parts), "utf-8")
    return [folder / bundle.SPEC_FILE, folder / PARTS_FILE]


def _write_saved_model(model, functions, assets, directory):
    """As `keras.export.ExportArchive` does, which would store and load every weight twice."""
    module = tf.Module()
    module.assets = [tf.saved_model.Asset(str(path)) for path in assets]
    module.weights = [variable.value for variable in model.variables]
    module.spectra = [StoredSpectrum(layer, tile) for layer, tile in kept_layers(model).items()]
    with held(model, keepers(model, [spectrum.read for spectrum in module.spectra])):
        signatures = {
            name: tf.function(function, input_signature=signature).get_concrete_function()
            for name, (function, signature) in functions.items()
        }
        tf.saved_model.save(module, str(directory), signatures=signatures)


def _archive(model, functions, directory):
    archive = keras.export.ExportArchive()
    archive.track(model)
    for name, (function, signature) in functions.items():
        archive.add_endpoint(name, function, signature)
    archive.write_out(str(directory), verbose=False)


def _as_numpy(outputs):
    return {name: value.numpy() for name, value in outputs.items()}
