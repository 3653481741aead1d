"""ONNX files for engines that are not TensorFlow's; each has its spec and golden vectors beside it.

Converted by tf2onnx, which Keras' own exporter uses, too: that one takes a model alone, and so no
keypoints.
"""

from __future__ import annotations

import contextlib
import logging
import tempfile
from collections.abc import Sequence
from pathlib import Path

import keras
import tensorflow as tf

from ..data.records import Record
from ..pose import output
from ..pose.spec import PoseSpec
from . import one_box

KINDS = ("none", "int8")
# of 2022, which engines of all kinds read
_OPSET = 17
# operations with weights
_WEIGHTED = ("Conv", "ConvTranspose", "MatMul")


def export_onnx(
    model: keras.Model,
    spec: PoseSpec,
    path: Path | str,
    *,
    quantize: str = "none",
    calibration: Sequence[Record] = (),
    input_type: str = "float32",
) -> None:
    """Writes an ONNX file of standard operations only, and beside it
    `NAME.onnx.spec.json`, `NAME.onnx.golden.npz` and `NAME.onnx.manifest.json`, with which
    `keras-cpm verify` tests it on any machine.

    Input and outputs are those of `export_tflite`, by the same names: "image" (1, H, W, 3), one
    network box, RGB 0..255; "keypoints" (1, P, 2) network frame, "scores" (1, P), "beliefs"
    (1, h, w, C) of the last stage. The batch is 1, the size fixed.

    Args:
        model: `keras.Model` as `build_cpm` makes it; what it computes in bfloat16 or float16, the
            export computes in float32.
        spec: `PoseSpec` of the model.
        path: ending in ".onnx".
        quantize: "none" or "int8": weights and features of 8 bits, by nodes QuantizeLinear and
            DequantizeLinear, weights by channel. The last convolution and the reading of peaks stay
            in float32.
        calibration: list of `Record`, people as they will be seen, for "int8"; 100 do.
        input_type: "float32" or "uint8", of "image".

    Raises:
        ValueError: another backend, another ending, an argument that is none of these, "int8"
            without records, model and spec do not belong together, or files of somebody else's
            are where the export would go; an export of ours is replaced, whole or not at all.
        OSError: no room, or no right to write there.
        ImportError: it takes `pip install 'keras-cpm[onnx]'`.

    Example:
        >>> import importlib.util, os, tempfile, keras_cpm
        >>> spec, folder = keras_cpm.PoseSpec(box_size=64), tempfile.mkdtemp()
        >>> model = keras_cpm.build_cpm(1, spec, width=8)
        >>> if importlib.util.find_spec("tf2onnx"):
        ...     keras_cpm.export_onnx(model, spec, f"{folder}/cpm.onnx")
        ...     assert "cpm.onnx.golden.npz" in os.listdir(folder)
    """

    def convert(_, predict, box, boxes):
        flat = converted(predict, [box])
        return _int8(flat, boxes) if quantize == "int8" else flat.SerializeToString()

    one_box.write(
        convert,
        model,
        spec,
        path,
        ".onnx",
        kinds=KINDS,
        quantize=quantize,
        calibration=calibration,
        input_type=input_type,
    )


def converted(function, inputs):
    """A function of TensorFlow as an ONNX model, whose weights are constants.

    Args:
        function: of tensors; the outputs have the names of the dict that it returns.
        inputs: list of `TensorSpec`, named.

    Returns:
        `onnx.ModelProto`.

    Raises:
        ImportError: without tf2onnx and ONNX Runtime.
    """
    tf2onnx, _ = _libraries()
    traced = tf.function(function, input_signature=inputs, autograph=False)
    with _quiet():
        return tf2onnx.convert.from_function(traced, input_signature=inputs, opset=_OPSET)[0]


def _int8(flat, boxes):
    """The bytes of the same model with features and weights of 8 bits, fitted to `boxes`."""
    _, quantization = _libraries()

    class Boxes(quantization.CalibrationDataReader):
        def __init__(self):
            self._left = iter(boxes)

        def get_next(self):
            return next(({"image": box} for box in self._left), None)

    with tempfile.TemporaryDirectory() as folder:
        before, after = Path(folder) / "float.onnx", Path(folder) / "int8.onnx"
        output.write_bytes(before, flat.SerializeToString())
        with output.naming(folder), _quiet():
            quantization.quantize_static(
                before,
                after,
                Boxes(),
                quant_format=quantization.QuantFormat.QDQ,
                per_channel=True,
                activation_type=quantization.QuantType.QUInt8,
                weight_type=quantization.QuantType.QInt8,
                nodes_to_quantize=_network(flat.graph),
            )
        return after.read_bytes()


def _network(graph):
    """Names of the nodes before the last convolution: see `quantize.SCOPE` for why it stays."""
    maker = {name: node for node in graph.node for name in node.output}

    def back_from(names, until=()):
        found, waiting = {}, list(names)
        while waiting:
            node = maker.get(waiting.pop())
            if node and node.name not in found:
                found[node.name] = node
                waiting += [] if node.op_type in until else node.input
        return found

    last = back_from(["beliefs"], until=_WEIGHTED)
    read = (node.input for node in last.values() if node.op_type in _WEIGHTED)
    return sorted(back_from(name for names in read for name in names).keys() - last.keys())


@contextlib.contextmanager
def _quiet():
    """Both libraries speak to the root logger, which would begin to print."""
    nowhere = logging.NullHandler()
    logging.getLogger().addHandler(nowhere)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(nowhere)


def _libraries():
    try:
        import tf2onnx
        from onnxruntime import quantization
    except ImportError:
        raise ImportError(
            "Writing an .onnx file needs two libraries: pip install 'keras-cpm[onnx]'"
        ) from None
    return tf2onnx, quantization
