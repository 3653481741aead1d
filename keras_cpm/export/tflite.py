"""LiteRT files for phones; each has its spec and golden vectors beside it."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import keras
import tensorflow as tf

from ..data.crop import network_box
from ..data.records import Record
from ..models.forward import at_box_size
from ..models.fourier.layer import direct, float32_copy
from ..pose import output
from ..pose.spec import PoseSpec
from . import golden, signatures
from . import quantize as quantizing
from .artefact import Artefact
from .litert import LiteRTModel
from .saved_model import disk_errors


def export_tflite(
    model: keras.Model,
    spec: PoseSpec,
    path: Path | str,
    *,
    quantize: str = "none",
    calibration: Sequence[Record] = (),
    input_type: str = "float32",
) -> None:
    """Writes a LiteRT file with built-in operations only, and beside it `NAME.spec.json`,
    `NAME.golden.npz` and `NAME.manifest.json`, with which `keras-cpm verify` tests it on any
    machine.

    Input "image" (1, H, W, 3), one network box, RGB 0..255. Outputs by name, float32: "keypoints"
    (1, P, 2) network frame, "scores" (1, P), "beliefs" (1, h, w, C) of the last stage. The phone
    makes the box with the one affine that the spec describes (`geometry.network_from_box`) and
    takes keypoints back with its inverse. The golden file holds boxes of drawn people, what the
    Keras model makes of them ("keras_...") and what the file makes of them here.

    Args:
        model: `keras.Model` as `build_cpm` makes it; what it computes in bfloat16 or float16, the
            export computes in float32.
        spec: `PoseSpec` of the model.
        path: ending in ".tflite".
        quantize: "none", "float16", "dynamic" or "int8", see `quantize.quantize`. Peaks are always
            read in float32.
        calibration: list of `Record`, people as they will be seen, for "int8"; 100 do.
        input_type: "float32" or "uint8", of "image".

    Raises:
        ValueError: another backend, another ending, an argument that is none of these, "int8"
            without records, model and spec do not belong together, or files of somebody else's
            are where the export would go; an export of ours is replaced, whole or not at all.
        OSError: no room, or no right to write there.
        ImportError: to quantize takes `pip install 'keras-cpm[quantize]'`.

    Example:
        >>> import os, tempfile, keras_cpm
        >>> spec, folder = keras_cpm.PoseSpec(box_size=64), tempfile.mkdtemp()
        >>> model = keras_cpm.build_cpm(2, spec, width=8)
        >>> keras_cpm.export_tflite(model, spec, f"{folder}/cpm.tflite")
        >>> sorted(os.listdir(folder))
        ['cpm.golden.npz', 'cpm.manifest.json', 'cpm.spec.json', 'cpm.tflite']
    """
    model = at_box_size(float32_copy(model), spec)
    predict = signatures.of_tflite(model, spec)
    path = Path(path)
    _check_arguments(path, quantize, calibration, input_type)
    artefact = Artefact(path, exists=False)
    artefact.check_replaceable()
    box = tf.TensorSpec([1, spec.box_size, spec.box_size, 3], input_type, name="image")
    flat = _flat(model, predict, box)
    if quantize != "none":
        seen = (network_box(record, spec)[0][None] for record in calibration)
        boxes = [pixels.astype(input_type) for pixels in seen] if quantize == "int8" else []
        flat = quantizing.quantize(flat, quantize, boxes)
    with artefact.replaced() as new:
        new.path.write_bytes(flat)
        spec.save(new.spec)
        run = LiteRTModel(new.path)
        golden.write_boxes(new.golden, spec, predict, run)
        new.write_manifest(quantize, {"serving_default": run.signature()})


def _check_arguments(path, quantize, calibration, input_type):
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
            '`calibration` must hold records of people for quantize="int8", to know the ranges of '
            "features. Received: none"
        )


def _flat(model, predict, box):
    """The bytes of a float32 LiteRT file."""
    with tempfile.TemporaryDirectory() as folder:
        with direct(model):
            archive = keras.export.ExportArchive()
            archive.track(model)
            archive.add_endpoint("serving_default", predict, [box])
            with output.naming(folder), disk_errors():
                archive.write_out(folder, verbose=False)
        keys = ["serving_default"]
        return tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=keys).convert()
