"""SavedModel for TensorFlow Serving, and LiteRT for phones; each carries its spec."""

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

import keras
import tensorflow as tf

from ..inference.predictor import Predictor
from ..inference.runner import StoredSpectrum, keepers
from ..models import bundle
from ..models.fourier.layer import direct, held, kept_layers
from . import golden, signatures, warmup
from . import quantize as quantizing
from .artefact import Artefact
from .litert import LiteRTModel

PARTS_FILE = "parts.txt"


def export_saved_model(model, spec, directory):
    """Writes `directory/1/`, a SavedModel that TensorFlow Serving takes as it is, and beside it spec.json,
    golden.npz and manifest.json, with which `keras-cpm verify` tests it on any machine.

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
    part a line in the order of the outputs; where tensorflow-serving-api is installed, `1/assets.extra` holds
    requests with which the server warms up. Layers that take Fourier tiles
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
        functions = signatures.of_saved_model(model, spec)
        _write_saved_model(model, functions, _assets(spec, Path(assets)), partial)
    # the server does without it
    with contextlib.suppress(ImportError):
        warmup.write_warmup(partial)
    artefact = Artefact(directory, exists=False)
    # without it an export is known not to be whole
    artefact.manifest.unlink(missing_ok=True)
    shutil.rmtree(version, ignore_errors=True)
    os.replace(partial, version)
    spec.save(artefact.spec)
    find = Predictor(model, spec)
    golden.write_photographs(artefact.golden, lambda data, box: find(data, box=box))
    artefact.write_manifest("none", signatures_of(tf.saved_model.load(str(version))))


def signatures_of(served):
    """Names, shapes and types of the signatures of a loaded SavedModel, as a manifest holds them."""

    def described(tensors):
        return {
            tensor.name: [tensor.shape.as_list(), tensor.dtype.name]
            for tensor in sorted(tensors, key=lambda tensor: tensor.name)
        }

    return {
        name: {
            "inputs": described(function.structured_input_signature[1].values()),
            "outputs": {
                key: [tensor.shape.as_list(), tensor.dtype.name]
                for key, tensor in sorted(function.structured_outputs.items())
            },
        }
        for name, function in sorted(served.signatures.items())
    }


def export_tflite(model, spec, path, *, quantize="none", calibration=(), input_type="float32"):
    """Writes a LiteRT file with built-in operations only, and beside it `NAME.spec.json`, `NAME.golden.npz` and
    `NAME.manifest.json`, with which `keras-cpm verify` tests it on any machine.

    Input "image" (1, H, W, 3), one network box, RGB 0..255. Outputs by name, float32: "keypoints"
    (1, P, 2) network frame, "scores" (1, P), "beliefs" (1, h, w, C) of the last stage. The phone
    makes the box with the one affine that the spec describes (`geometry.network_from_box`) and
    takes keypoints back with its inverse. The golden file holds boxes of drawn people, what the
    Keras model makes of them ("keras_...") and what the file makes of them here.

    Args:
        model: `keras.Model` as `build_cpm` makes it.
        spec: `PoseSpec` of the model.
        path: ending in ".tflite".
        quantize: "none", "float16", "dynamic" or "int8", see `quantize.quantize`. Peaks are always read
            in float32.
        calibration: list of `Record`, people as they will be seen, for "int8"; 100 do.
        input_type: "float32" or "uint8", of "image".

    Raises:
        ValueError: another backend, another ending, an argument that is none of these, "int8" without
            records, or model and spec do not belong together.
        ImportError: to quantize takes `pip install 'keras-cpm[quantize]'`.

    Example:
        >>> import os, tempfile, keras_cpm
        >>> spec = keras_cpm.PoseSpec(box_size=64)
        >>> folder = tempfile.mkdtemp()
        >>> keras_cpm.export_tflite(keras_cpm.build_cpm(2, spec, width=8), spec, f"{folder}/cpm.tflite")
        >>> sorted(os.listdir(folder))
        ['cpm.golden.npz', 'cpm.manifest.json', 'cpm.spec.json', 'cpm.tflite']
    """
    _check(model, spec)
    path = Path(path)
    if path.suffix != ".tflite":
        raise ValueError(f"`path` must end in .tflite. Received: {path}")
    for name, value, known in (
        ("quantize", quantize, quantizing.KINDS),
        ("input_type", input_type, ("float32", "uint8")),
    ):
        if value not in known:
            raise ValueError(f"`{name}` must be one of {known}. Received: {value!r}")
    if quantize == "int8" and not calibration:
        raise ValueError(
            '`calibration` must hold records of people for quantize="int8", to know the ranges of features. '
            "Received: none"
        )
    box = tf.TensorSpec([1, spec.box_size, spec.box_size, 3], input_type, name="image")
    predict = signatures.of_phone(model, spec)
    flat = _flat(model, predict, box)
    if quantize != "none":
        seen = (golden.network_box(record, spec)[0][None] for record in calibration)
        boxes = [pixels.astype(input_type) for pixels in seen] if quantize == "int8" else []
        flat = quantizing.quantize(flat, quantize, boxes)
    artefact = Artefact(path, exists=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    # without it an export is known not to be whole
    artefact.manifest.unlink(missing_ok=True)
    path.write_bytes(flat)
    spec.save(artefact.spec)
    run = LiteRTModel(path)
    golden.write_boxes(artefact.golden, golden.golden_boxes(spec), predict, run)
    artefact.write_manifest(quantize, {"serving_default": run.signature()})


def _flat(model, predict, box):
    """The bytes of a float32 LiteRT file."""
    with tempfile.TemporaryDirectory() as folder:
        with direct(model):
            _archive(model, {"serving_default": (predict, [box])}, folder)
        converter = tf.lite.TFLiteConverter.from_saved_model(
            folder, signature_keys=["serving_default"]
        )
        return converter.convert()


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
