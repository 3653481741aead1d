"""LiteRT files of fewer bits. Only the network is touched: peaks are read in float32."""

import contextlib
import io
import tempfile
from pathlib import Path

from ..pose import output

KINDS = ("none", "float16", "dynamic", "int8")
# The name scope of the network in the file. The last convolution stands outside, for the converter
# names it after the output "beliefs": so beliefs are sums in float32 over 8-bit features, finer
# than 8-bit beliefs, whose peaks would stand still and then jump.
SCOPE = "network/"


def quantize(flat, kind, boxes=()):
    """The same LiteRT file with other numbers inside.

    Args:
        flat: bytes of a float32 file, as `export_tflite` makes it.
        kind: "float16" halves the file, weights are widened when it is loaded; "dynamic" has
            weights of 8 bits and takes features as they come; "int8" has features of 8 bits too, in
            the ranges that they take on `boxes`.
        boxes: list of (1, H, W, 3), network boxes in the file's input type, for "int8".

    Returns:
        bytes.

    Raises:
        ImportError: without ai-edge-quantizer.
    """
    quantizer, types = library()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "float.tflite"
        output.write_bytes(path, flat)
        # the library reports on stdout and stderr
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            work = quantizer.Quantizer(str(path))
            _RECIPES[kind](work, types)
            ranges = None
            if kind == "int8":
                ranges = work.calibrate(
                    {"serving_default": [{"image": box} for box in boxes]}, num_threads=1
                )
            return bytes(work.quantize(ranges).quantized_model)


def _float16(work, types):
    half = types.TensorQuantizationConfig(num_bits=16, dtype=types.TensorDataType.FLOAT)
    config = types.OpQuantizationConfig(
        weight_tensor_config=half,
        compute_precision=types.ComputePrecision.FLOAT,
        explicit_dequantize=True,
    )
    for name in ("CONV_2D", "CONV_2D_TRANSPOSE", "DEPTHWISE_CONV_2D"):
        operation = types.TFLOperationName[name]
        work.update_quantization_recipe(SCOPE, operation, config, "float_casting")


def _dynamic(work, types):
    work.add_dynamic_config(SCOPE, types.TFLOperationName.ALL_SUPPORTED, num_bits=8)


def _int8(work, types):
    work.add_static_config(
        SCOPE, types.TFLOperationName.ALL_SUPPORTED, activation_num_bits=8, weight_num_bits=8
    )


_RECIPES = {"float16": _float16, "dynamic": _dynamic, "int8": _int8}


def library():
    """The modules `quantizer` and `qtyping` of ai-edge-quantizer.

    Raises:
        ImportError: it is not installed.

    Example:
        >>> import importlib.util
        >>> from keras_cpm.export import quantize
        >>> if importlib.util.find_spec("ai_edge_quantizer"):
        ...     assert all(quantize.library())
    """
    try:
        from ai_edge_quantizer import qtyping, quantizer
    except ImportError:
        raise ImportError(
            "`quantize` other than \"none\" needs a library: pip install 'keras-cpm[quantize]'"
        ) from None
    return quantizer, qtyping
