"""A network of `graph` as the bytes of a LiteRT file, for one box of a size.

It is made anew wherever it is needed, in a hundredth of a second: no TensorFlow, no file on the
disk that could be older than the model. What phones get is `export.tflite`'s.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .graph import Graph, Node, Unsupported, pair

# the version of the form of files, and the four letters by which they are known
_VERSION, _IDENTIFIER = 3, b"TFL3"
# bytes of all but weights; ten times what the largest network has
_BESIDE_WEIGHTS = 1 << 18


def content(graph: Graph, height: int, width: int) -> bytes:
    """The bytes of a file; inputs and outputs in the order of the graph, all float32.

    Args:
        graph: `graph.Graph`.
        height: of every input, pixels.
        width: the same.

    Raises:
        Unsupported: layers that do not fit each other at that size.

    Example:
        >>> from keras_cpm.models import bundle
        >>> from keras_cpm.models.litert import flatbuffer, graph
        >>> network = graph.read(bundle.bundle_directory("cpm-light") / bundle.MODEL_FILE)
        >>> flatbuffer.content(network, 192, 192)[4:8]
        b'TFL3'
    """
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    file, shapes = _File(schema), graph.shapes(height, width)
    # in the order in which arrays come
    places = {name: file.tensor((1, *shapes[name])) for name in graph.inputs}
    for name, node in graph.nodes.items():
        if name not in places:
            reads = [places[one] for one in node.reads]
            places[name] = _WRITERS[node.kind](file, node, reads, (1, *shapes[name]))
    inputs = [places[name] for name in graph.inputs]
    outputs = [places[name] for name in graph.outputs.values()]
    weights = sum(array.nbytes for node in graph.nodes.values() for array in node.weights)
    # one that is too small grows by copying
    builder = flatbuffers.Builder(weights + _BESIDE_WEIGHTS)
    builder.Finish(file.model(inputs, outputs).Pack(builder), _IDENTIFIER)
    return bytes(builder.Output())


@dataclass
class _File:
    """What a file will hold."""

    schema: Any
    tensors: list[Any] = field(default_factory=list)
    # the first stands for none
    buffers: list[Any] = field(default_factory=list)
    codes: dict[int, int] = field(default_factory=dict)
    operators: list[Any] = field(default_factory=list)

    def tensor(self, shape: tuple[int, ...], values: np.ndarray | None = None) -> int:
        """The number of a new tensor; a constant where there are values."""
        if not self.buffers:
            self.buffers.append(self.schema.BufferT())
        number = 0
        if values is not None:
            # flat bytes: of other arrays the builder copies a number at a time
            data = np.ascontiguousarray(values).reshape(-1).view(np.uint8)
            self.buffers.append(self.schema.BufferT(data=data))
            number = len(self.buffers) - 1
        whole = values is not None and values.dtype == np.int32
        kind = self.schema.TensorType.INT32 if whole else self.schema.TensorType.FLOAT32
        name = f"t{len(self.tensors)}"
        self.tensors.append(
            self.schema.TensorT(shape=list(shape), type=kind, buffer=number, name=name)
        )
        return len(self.tensors) - 1

    def constant(self, values: np.ndarray) -> int:
        return self.tensor(values.shape, values)

    def operator(
        self, name: str, reads: list[int], shape: tuple[int, ...], options: Any = None, **numbers
    ) -> int:
        """The number of the tensor that a new operation gives.

        Args:
            name: of `schema.BuiltinOperator`.
            reads: tensors.
            shape: of what it gives.
            options: the name of its options, and in `numbers` these.
        """
        code, given = getattr(self.schema.BuiltinOperator, name), None
        out, kind = self.tensor(shape), 0
        if options is not None:
            given = getattr(self.schema, f"{options}T")()
            kind = getattr(self.schema.BuiltinOptions, options)
            for option, value in numbers.items():
                setattr(given, option, value)
        index = self.codes.setdefault(code, len(self.codes))
        self.operators.append(
            self.schema.OperatorT(
                opcodeIndex=index,
                inputs=reads,
                outputs=[out],
                builtinOptionsType=kind,
                builtinOptions=given,
            )
        )
        return out

    def activation(self, node: Node) -> int:
        kinds = self.schema.ActivationFunctionType
        return kinds.RELU if node.relu else kinds.NONE

    def padding(self, node: Node) -> int:
        return getattr(self.schema.Padding, node.config["padding"].upper())

    def model(self, inputs: list[int], outputs: list[int]) -> Any:
        # numbers above 127 have a field of their own since there are so many operations
        codes = [
            self.schema.OperatorCodeT(builtinCode=code, deprecatedBuiltinCode=min(code, 127))
            for code in self.codes
        ]
        part = self.schema.SubGraphT(
            tensors=self.tensors, inputs=inputs, outputs=outputs, operators=self.operators
        )
        return self.schema.ModelT(
            version=_VERSION,
            operatorCodes=codes,
            subgraphs=[part],
            buffers=self.buffers,
            description="",
        )


def _convolution(file, node, reads, shape):
    kernel, bias = node.weights
    (down, right), (far_down, far_right) = (pair(node, o) for o in ("strides", "dilation_rate"))
    weights = [file.constant(kernel.transpose(3, 0, 1, 2)), file.constant(bias)]
    return file.operator(
        *("CONV_2D", [reads[0], *weights], shape, "Conv2DOptions"),
        padding=file.padding(node),
        strideH=down,
        strideW=right,
        dilationHFactor=far_down,
        dilationWFactor=far_right,
        fusedActivationFunction=file.activation(node),
    )


def _transposed(file, node, reads, shape):
    kernel, bias = node.weights
    down, right = pair(node, "strides")
    size, weights = file.constant(np.int32(shape)), file.constant(kernel.transpose(2, 0, 1, 3))
    out = file.operator(
        *("TRANSPOSE_CONV", [size, weights, reads[0]], shape, "TransposeConvOptions"),
        padding=file.schema.Padding.VALID,
        strideH=down,
        strideW=right,
    )
    # not every version of the operation takes an offset
    return _sum(file, node, [out, file.constant(bias)], shape)


def _scale(file, node, reads, shape):
    factor, offset = node.weights
    scaled = file.operator("MUL", [reads[0], file.constant(factor)], shape, "MulOptions")
    return _sum(file, node, [scaled, file.constant(offset)], shape)


def _sum(file, node, reads, shape):
    if len(reads) != 2:
        raise Unsupported(f"A layer adds {len(reads)} maps, of which LiteRT takes two.")
    given = {"fusedActivationFunction": file.activation(node)}
    return file.operator("ADD", reads, shape, "AddOptions", **given)


def _relu(file, node, reads, shape):
    return file.operator("RELU", reads, shape)


def _concatenated(file, node, reads, shape):
    return file.operator("CONCATENATION", reads, shape, "ConcatenationOptions", axis=3)


def _pool(name):
    def write(file, node, reads, shape):
        (rows, columns), (down, right) = pair(node, "pool_size"), pair(node, "strides")
        return file.operator(
            *(name, reads, shape, "Pool2DOptions"),
            padding=file.padding(node),
            strideH=down,
            strideW=right,
            filterHeight=rows,
            filterWidth=columns,
        )

    return write


def _cut(file, node, reads, shape):
    corners = [file.constant(np.int32(values)) for values in ((0, 0, 0, 0), shape)]
    return file.operator("SLICE", [reads[0], *corners], shape, "SliceOptions")


_WRITERS: dict[str, Callable[[_File, Node, list[int], tuple[int, ...]], int]] = {
    "Conv2D": _convolution,
    "Conv2DTranspose": _transposed,
    "Scale": _scale,
    "ReLU": _relu,
    "Add": _sum,
    "Concatenate": _concatenated,
    "MaxPooling2D": _pool("MAX_POOL_2D"),
    "AveragePooling2D": _pool("AVERAGE_POOL_2D"),
    "CutLike": _cut,
}
