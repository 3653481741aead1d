"""What a model.keras file says, read without Keras: layers, what they read, and their weights.

Batch normalisation and ReLU are folded into the convolution before them where nothing else reads
it, as LiteRT's converter does.
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from .. import model_file

_CONVOLUTIONS = ("Conv2D", "Conv2DTranspose")
# kinds of layers that do nothing where nothing is trained
_SILENT = ("Identity", "Dropout")
_KINDS = (
    *(*_CONVOLUTIONS, *_SILENT, "InputLayer", "Rescaling", "BatchNormalization", "ReLU", "Add"),
    *("Concatenate", "MaxPooling2D", "AveragePooling2D", "CutLike"),
)


class Unsupported(ValueError):
    """Why a file is left to Keras: a sentence."""


@dataclass(frozen=True, eq=False)
class Node:
    """A layer.

    Args:
        kind: its class in Keras, or "Scale": times the first weight, plus the second.
        reads: names of the layers before.
        config: of the layer, as Keras writes it.
        weights: float32 arrays; of a convolution always kernel and bias.
        relu: whether negative values become 0 in the end.
    """

    kind: str
    reads: tuple[str, ...]
    config: dict[str, Any] = field(default_factory=dict)
    weights: tuple[np.ndarray, ...] = ()
    relu: bool = False


@dataclass(frozen=True, eq=False)
class Graph:
    """A network.

    Args:
        nodes: by name, each after those that it reads.
        inputs: name -> (height, width, channels) of a batch; `None` for any.
        outputs: stage name -> name of a node.

    Example:
        >>> from keras_cpm.models import bundle
        >>> from keras_cpm.models.litert import graph
        >>> network = graph.read(bundle.bundle_directory("cpm-light") / bundle.MODEL_FILE)
        >>> network.inputs["image"], list(network.outputs)
        ((192, 192, 3), ['stage1', 'stage2', 'stage3'])
    """

    nodes: dict[str, Node]
    inputs: dict[str, tuple[int | None, ...]]
    outputs: dict[str, str]

    def shapes(self, height: int, width: int) -> dict[str, tuple[int, int, int]]:
        """Of inputs of that size, pixels, the height, width and channels of what each node gives.

        Example:
            >>> from keras_cpm.models import bundle
            >>> from keras_cpm.models.litert import graph
            >>> network = graph.read(bundle.bundle_directory("cpm-light") / bundle.MODEL_FILE)
            >>> network.shapes(192, 192)[network.outputs["stage3"]]
            (24, 24, 15)
        """
        found: dict[str, tuple[int, int, int]] = {}
        for name, node in self.nodes.items():
            before = [found[one] for one in node.reads]
            if node.kind == "InputLayer":
                found[name] = (height, width, self.inputs[name][2] or 0)
            elif node.kind == "Concatenate":
                found[name] = (*before[0][:2], sum(channels for *_, channels in before))
            elif node.kind == "CutLike":
                found[name] = (*before[1][:2], before[0][2])
            elif node.kind == "Conv2DTranspose":
                down, right = pair(node, "strides")
                found[name] = (before[0][0] * down, before[0][1] * right, len(node.weights[1]))
            elif node.kind in ("Conv2D", "MaxPooling2D", "AveragePooling2D"):
                filters = len(node.weights[1]) if node.weights else before[0][2]
                found[name] = (*_windows(before[0], node), filters)
            else:
                found[name] = before[0]
        return found


def pair(node: Node, option: str) -> tuple[int, int]:
    """Of rows and of columns."""
    value = node.config[option]
    return (value[0], value[1]) if isinstance(value, list) else (value, value)


def _windows(shape, node):
    """Height and width of what goes over a map in windows."""
    window = pair(node, "kernel_size" if node.kind == "Conv2D" else "pool_size")
    apart = pair(node, "dilation_rate") if node.kind == "Conv2D" else (1, 1)
    sides = zip(shape[:2], window, apart, pair(node, "strides"), strict=True)
    if node.config["padding"] == "same":
        return [-(-side // step) for side, _, _, step in sides]
    return [(side - (cells - 1) * gap - 1) // step + 1 for side, cells, gap, step in sides]


def read(path: Path | str) -> Graph:
    """The network in a file that Keras wrote.

    Args:
        path: of a .keras file.

    Raises:
        Unsupported: a layer that is not known here.
        ValueError: as `model_file.load`, one sentence with the path.
    """
    config = model_file.look_into(path)
    try:
        model = config["config"]
        weights = _weights(path)
        layers = [_layer(entry, weights) for entry in model["layers"]]
        nodes = _in_order(dict(layers))
        inputs = {name: tuple(nodes[name].config["batch_shape"][1:]) for name in _ends(model, "in")}
        outputs = {name: name for name in _ends(model, "out")}
        return _folded(Graph(nodes, inputs, outputs))
    except (KeyError, TypeError, IndexError, AttributeError, OSError) as error:
        raise Unsupported(f"{path} is no plain functional model: {error!r:.200}") from error


def _ends(model, side):
    """Names of the layers that a model begins or ends with."""
    ends = model[f"{side}put_layers"]
    # of a single one
    return [end[0] for end in ([ends] if isinstance(ends[0], str) else ends)]


def _weights(path):
    """Layer -> its weights."""
    with zipfile.ZipFile(path) as archive:
        file = h5py.File(io.BytesIO(archive.read(model_file.WEIGHTS)), "r")
    found = {}
    for group in file["layers"].values():
        values = group["vars"]
        if len(values):
            arrays = [np.asarray(values[str(i)], np.float32) for i in range(len(values))]
            found[values.attrs["name"]] = arrays
    for name, arrays in found.items():
        model_file.check_numbers(arrays, path, name)
    return found


def _layer(entry, weights):
    kind, config, name = entry["class_name"], entry["config"], entry["name"]
    if kind not in _KINDS:
        raise Unsupported(f"The layer {name!r} is a {kind}, which only Keras computes.")
    reads = tuple(_tensors(entry["inbound_nodes"]))
    values = weights.get(name, [])
    if kind in _CONVOLUTIONS:
        _check_convolution(name, kind, config)
        if not config["use_bias"]:
            values = [*values, np.zeros(config["filters"], np.float32)]
        relu = config["activation"] == "relu"
        return name, Node(kind, reads, config, tuple(values), relu)
    if kind == "BatchNormalization":
        factor, offset = _normalization(config, list(values))
        return name, Node("Scale", reads, {}, (factor, offset))
    if kind == "Rescaling":
        scale = (np.float32([config["scale"]]), np.float32([config["offset"]]))
        return name, Node("Scale", reads, {}, scale)
    plain = {"ReLU": ("max_value", "negative_slope", "threshold")}.get(kind, ())
    if any(config.get(option) for option in plain) or config.get("axis", -1) not in (-1, 3):
        raise Unsupported(f"The layer {name!r} is a {kind} of a form that only Keras computes.")
    return name, Node(kind, reads, config)


def _check_convolution(name, kind, config):
    transposed = kind == "Conv2DTranspose"
    plain = {
        "data_format": ("channels_last",),
        "groups": (1, None),
        "activation": ("linear", "relu"),
        "padding": ("valid",) if transposed else ("same", "valid"),
        "output_padding": (None,),
        "dilation_rate": ([1, 1],) if transposed else (config["dilation_rate"],),
    }
    for option, known in plain.items():
        if config.get(option, known[0]) not in known:
            raise Unsupported(f"The layer {name!r} has {option}={config[option]!r}.")
    if transposed and config["kernel_size"] != config["strides"]:
        raise Unsupported(f"The layer {name!r} has a kernel that is not as large as its strides.")


def _normalization(config, values):
    """Factor and offset of a batch normalisation that is not trained."""
    gamma = values.pop(0) if config["scale"] else np.float32(1)
    beta = values.pop(0) if config["center"] else np.float32(0)
    mean, variance = values
    factor = gamma / np.sqrt(variance + np.float32(config["epsilon"]))
    return factor, beta - mean * factor


def _tensors(value):
    """Names of the layers whose tensors stand anywhere in what Keras keeps of a call."""
    if isinstance(value, dict):
        if value.get("class_name") == "__keras_tensor__":
            yield value["config"]["keras_history"][0]
            return
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from _tensors(one)


def _in_order(nodes):
    done = {}
    while left := [name for name in nodes if name not in done]:
        ready = [name for name in left if all(one in done for one in nodes[name].reads)]
        if not ready:
            raise KeyError(left[0])
        done |= {name: nodes[name] for name in ready}
    return done


def _folded(graph):
    """The same network, of fewer nodes."""
    uses, stands_for, nodes = {}, {}, {}
    read = [name for node in graph.nodes.values() for name in node.reads]
    for name in [*graph.outputs.values(), *read]:
        uses[name] = uses.get(name, 0) + 1
    for name, node in graph.nodes.items():
        reads = tuple(stands_for.get(one, one) for one in node.reads)
        before = nodes.get(reads[0]) if reads else None
        alone = bool(reads) and uses.get(node.reads[0]) == 1
        joined = _joined(before, node) if before is not None and alone else None
        if node.kind in _SILENT:
            stands_for[name] = reads[0]
            # whoever reads this, reads that
            uses[reads[0]] = uses.get(reads[0], 0) + uses.get(name, 0) - 1
        elif joined is not None:
            nodes[reads[0]], stands_for[name] = joined, reads[0]
            uses[reads[0]] = uses.get(name, 0)
        else:
            nodes[name] = replace(node, reads=reads)
    outputs = {name: stands_for.get(one, one) for name, one in graph.outputs.items()}
    return Graph(nodes, graph.inputs, outputs)


def _joined(before, node):
    """One node for two, or `None`."""
    if before.relu:
        return None
    if node.kind == "ReLU" and before.kind in (*_CONVOLUTIONS, "Add"):
        return replace(before, relu=True)
    if node.kind == "Scale" and before.kind in _CONVOLUTIONS:
        (kernel, bias), (factor, offset) = before.weights, node.weights
        # a transposed kernel has its outputs before its inputs
        along = factor[:, None] if before.kind == "Conv2DTranspose" else factor
        return replace(before, weights=(kernel * along, bias * factor + offset))
    return None
