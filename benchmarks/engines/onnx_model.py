"""A table of layers as an ONNX model, for ONNX Runtime, OpenVINO and others; onnx does not come
with this package.
"""

from __future__ import annotations

import numpy as np


def onnx_model(table, sizes=(None, None, None)):
    """The network as an ONNX model, for ONNX Runtime, OpenVINO and others.

    Args:
        table: list of `layer_table.Row`.
        sizes: (n, h, w) of the inputs, `None` where it is free; engines like them fixed.

    Returns:
        bytes: inputs and outputs (n, h, w, c) by their names in the table.

    Raises:
        ImportError: the package onnx is not installed.

    Example:
        >>> from importlib.util import find_spec
        >>> from benchmarks.engines.layer_table import Row
        >>> from benchmarks.engines.onnx_model import onnx_model
        >>> table = [Row("image", "input", (), {"shape": (8, 8, 3)})]
        >>> table += [Row("stage1", "output", ("image",))]
        >>> if find_spec("onnx"):
        ...     assert b"stage1" in onnx_model(table)
    """
    from onnx import TensorProto, helper, numpy_helper

    nodes, constants = [], []
    for row in table:
        # names of values end in a colon, so that they are not those of inputs and outputs
        read = [f"{name}:" for name in row.inputs] or [row.name]
        steps = _ONNX[row.kind](row)
        for step, (operation, attributes, arrays) in enumerate(steps):
            names = [f"{row.name}:{step}:{i}" for i in range(len(arrays))]
            constants += [numpy_helper.from_array(a, n) for a, n in zip(arrays, names, strict=True)]
            written = f"{row.name}:{step}:"
            if step + 1 == len(steps):
                written = row.name if row.kind == "output" else f"{row.name}:"
            nodes.append(helper.make_node(operation, [*read, *names], [written], **attributes))
            read = [written]
    ends = {"input": [], "output": []}
    for row in table:
        if row.kind in ends:
            shape = _onnx_shape(row, sizes) if row.kind == "input" else None
            value = helper.make_tensor_value_info(row.name, TensorProto.FLOAT, shape)
            ends[row.kind].append(value)
    graph = helper.make_graph(nodes, "keras_cpm", ends["input"], ends["output"], constants)
    opset = [helper.make_opsetid("", 13)]
    return helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()


def _onnx_shape(row, sizes):
    *own, channels = (None, *row.settings["shape"])
    axes = zip(sizes, own, "nhw", strict=True)
    return [*(size or fixed or f"{row.name}_{axis}" for size, fixed, axis in axes), channels]


# --- row -> list of (operation, attributes, constants), each reads the result of the one before


def _onnx_turn(*axes):
    return lambda row: [("Transpose", {"perm": axes}, [])]


def _onnx_rescale(row):
    scale, offset = (
        np.array(row.settings[name], np.float32)[:, None, None] for name in ("scale", "offset")
    )
    return [("Mul", {}, [scale]), ("Add", {}, [offset])]


def _onnx_conv(row):
    kernel, *bias = row.weights
    attributes = {
        "kernel_shape": kernel.shape[:2],
        "strides": row.settings["strides"],
        "dilations": row.settings["dilation"],
        "group": row.settings["groups"],
        "pads": _onnx_pads(row),
    }
    return [("Conv", attributes, [np.ascontiguousarray(kernel.transpose(3, 2, 0, 1)), *bias])]


def _onnx_grow(row):
    kernel, *bias = row.weights
    strides = row.settings["strides"]
    attributes = {"kernel_shape": strides, "strides": strides}
    turned = np.ascontiguousarray(kernel.transpose(2, 3, 0, 1))
    return [("ConvTranspose", attributes, [turned, *bias])]


def _onnx_pool(operation, **more):
    def steps(row):
        attributes = {
            "kernel_shape": row.settings["window"],
            "strides": row.settings["strides"],
            "pads": _onnx_pads(row),
        }
        return [(operation, attributes | more, [])]

    return steps


def _onnx_pads(row):
    (top, bottom), (left, right) = row.settings["pads"]
    return top, left, bottom, right


def _onnx_norm(row):
    return [("BatchNormalization", {"epsilon": row.settings["epsilon"]}, list(row.weights))]


_ONNX = {
    "input": _onnx_turn(0, 3, 1, 2),
    "rescale": _onnx_rescale,
    "conv": _onnx_conv,
    "grow": _onnx_grow,
    "max_pool": _onnx_pool("MaxPool"),
    "mean_pool": _onnx_pool("AveragePool", count_include_pad=0),
    "norm": _onnx_norm,
    "relu": lambda row: [("Relu", {}, [])],
    "add": lambda row: [("Sum", {}, [])],
    "concat": lambda row: [("Concat", {"axis": 1}, [])],
    "output": _onnx_turn(0, 2, 3, 1),
}
