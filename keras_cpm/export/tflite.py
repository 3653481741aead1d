"""LiteRT files for phones; each has its spec and golden vectors beside it."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import keras
import tensorflow as tf

from ..data.records import Record
from ..pose import output
from ..pose.spec import PoseSpec
from . import one_box
from . import quantize as quantizing
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

    def convert(model, predict, box, boxes):
        if quantize != "none":
            # said before a conversion that takes a minute
            quantizing.library()
        flat = _flat(model, predict, box)
        return flat if quantize == "none" else quantizing.quantize(flat, quantize, boxes)

    one_box.write(
        convert,
        model,
        spec,
        path,
        ".tflite",
        kinds=quantizing.KINDS,
        quantize=quantize,
        calibration=calibration,
        input_type=input_type,
    )


def _flat(model, predict, box):
    """The bytes of a float32 LiteRT file."""
    with tempfile.TemporaryDirectory() as folder:
        archive = keras.export.ExportArchive()
        archive.track(model)
        archive.add_endpoint("serving_default", predict, [box])
        with output.naming(folder), disk_errors():
            archive.write_out(folder, verbose=False)
        keys = ["serving_default"]
        return tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=keys).convert()
