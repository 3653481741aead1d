"""Exports that are one file and take one network box: what LiteRT and ONNX files share."""

from pathlib import Path

import numpy as np
import tensorflow as tf

from ..data.crop import network_box
from ..models.forward import at_box_size
from ..models.fourier.layer import direct, float32_copy
from . import golden, signatures
from .artefact import Artefact
from .verify import RUNTIMES


def write(convert, model, spec, path, suffix, *, kinds, quantize, calibration, input_type):
    """Writes the file, and what belongs to it; whole or not at all.

    Args:
        convert: makes the bytes of the file of model, `signatures.of_box`, `TensorSpec` of its
            input, and, for "int8", a list of such inputs.
        model, spec, path, quantize, calibration, input_type: as in `export_tflite`.
        suffix: that `path` must have.
        kinds: that `quantize` may be.

    Raises:
        ValueError, OSError, ImportError: as in `export_tflite`.
    """
    model = at_box_size(float32_copy(model), spec)
    predict = signatures.of_box(model, spec)
    path = Path(path)
    if path.suffix != suffix:
        raise ValueError(f"`path` must end in {suffix}. Received: {path}")
    _check_arguments(kinds, quantize, calibration, input_type)
    artefact = Artefact(path, exists=False)
    artefact.check_replaceable()
    box = tf.TensorSpec([1, spec.box_size, spec.box_size, 3], input_type, name="image")
    people = calibration if quantize == "int8" else ()
    boxes = [np.asarray(network_box(one, spec)[0][None], input_type) for one in people]
    with direct(model):
        content = convert(model, predict, box, boxes)
    with artefact.replaced() as new:
        new.path.write_bytes(content)
        spec.save(new.spec)
        run = RUNTIMES[new.kind](new.path)
        golden.write_boxes(new.golden, spec, predict, run)
        new.write_manifest(quantize, {"serving_default": run.signature()})


def _check_arguments(kinds, quantize, calibration, input_type):
    for name, value, known in (
        ("quantize", quantize, kinds),
        ("input_type", input_type, ("float32", "uint8")),
    ):
        if value not in known:
            raise ValueError(f"`{name}` must be one of {known}. Received: {value!r}")
    if quantize == "int8" and not calibration:
        raise ValueError(
            '`calibration` must hold records of people for quantize="int8", to know the ranges of '
            "features. Received: none"
        )
