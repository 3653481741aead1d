"""A network as a table of layers: enough to build it in any other engine. numpy only.

Rows are in an order in which they can be computed. Values are (n, h, w, c); kernels (kh, kw, ci,
co), as Keras has them. What a convolution's activation does is a row of its own, and what changes
nothing when predicting (Identity, Dropout) has none.

| kind | settings | weights |
|---|---|---|
| input | shape (h, w, c), `None` where free | |
| rescale | scale, offset: tuples of 1 or c numbers | |
| conv | strides, dilation, pads, groups | kernel, and a bias (co,) if it has one |
| grow | strides: a cell becomes that many | kernel, and a bias if it has one |
| max_pool, mean_pool | window, strides, pads | |
| norm | epsilon, momentum | gamma, beta, mean, variance, each (c,) |
| relu, add, concat | | |
| output | | |

strides, dilation and window are (down, across), pads ((top, bottom), (left, right)): zeros around a
convolution, nothing around a pool, whose mean is that of the pixels there are. An output row stands
for one output of the network; its name is that of the output.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import numpy as np

KINDS = (
    *("input", "rescale", "conv", "grow", "max_pool", "mean_pool", "norm"),
    *("relu", "add", "concat", "output"),
)


@dataclass(frozen=True, eq=False)
class Row:
    """One layer.

    Args:
        name: of the layer, or of the output.
        kind: one of `KINDS`.
        inputs: names of the rows that it reads.
        settings: see the table above.
        weights: arrays float32, see the table above.

    Example:
        >>> from benchmarks.engines.layer_table import Row
        >>> Row("relu1", "relu", ("conv1",)).settings
        {}
    """

    name: str
    kind: str
    inputs: tuple[str, ...] = ()
    settings: dict = field(default_factory=dict)
    weights: tuple[np.ndarray, ...] = ()


def layer_table(model):
    """The table of a functional Keras model, such as `build_cpm` and `load` return.

    Where the size of the input is free, it counts as divisible by all strides, as the networks ask
    for (`build_cpm(input_size="any")`).

    Args:
        model: `keras.Model` with weights.

    Returns:
        list of `Row`.

    Raises:
        ValueError: a layer that the table has no kind for, or one that is used twice.

    Example:
        >>> from keras_cpm import PoseSpec, build_cpm
        >>> from benchmarks.engines.layer_table import layer_table
        >>> table = layer_table(build_cpm(2, PoseSpec(box_size=64), width=8))
        >>> (conv,) = [row for row in table if row.name == "conv1_stage1"]
        >>> conv.kind, conv.inputs, conv.settings["pads"], conv.weights[0].shape
        ('conv', ('normalize_stage1',), ((4, 4), (4, 4)), (9, 9, 3, 8))
        >>> table[-1].name, table[-1].kind, table[-1].inputs
        ('stage2', 'output', ('Mconv5_stage2',))
    """
    nodes = _nodes(model)
    rows, names = [], {}
    # Keras has the layers in an order in which they can be computed
    for layer in [*map(_layer_of, model.inputs), *model.layers]:
        if layer.name in names or layer.name not in nodes:
            continue
        tensors = layer._inbound_nodes[nodes[layer.name]].input_tensors
        inputs = tuple(names[_layer_of(tensor).name] for tensor in tensors)
        found = _rows_of(layer, inputs, tensors)
        rows += found
        names[layer.name] = found[-1].name if found else inputs[0]
    for name, tensor in zip(model.output_names, model.outputs, strict=True):
        rows.append(Row(name, "output", (names[_layer_of(tensor).name],)))
    return rows


def _layer_of(tensor):
    return tensor._keras_history[0]


def _nodes(model):
    """By layer name: which of its uses belongs to the model."""
    found = {_layer_of(tensor).name: 0 for tensor in model.inputs}
    waiting = list(model.outputs)
    while waiting:
        layer, node, _ = waiting.pop()._keras_history
        if layer.name not in found:
            waiting += layer._inbound_nodes[node].input_tensors
        if found.setdefault(layer.name, node) != node:
            raise ValueError(
                "The table knows layers that are used once; give each use a layer of its own. "
                f"Received: layer {layer.name!r}"
            )
    return found


def _rows_of(layer, inputs, tensors):
    if _class_of(layer) in _WITHOUT_ROW:
        return []
    reader = _READERS.get(_class_of(layer))
    found = reader(layer, tensors) if reader else None
    if found is None:
        raise ValueError(
            "The table has no kind for this layer with these settings; build the network of the "
            "kinds that benchmarks/engines/layer_table.py lists, or measure TensorFlow alone. "
            f"Received: layer {layer.name!r} of class {type(layer).__name__}"
        )
    if not found:
        return []
    kind, settings, *weights = found
    weights = tuple(np.asarray(weight, np.float32) for weight in weights)
    row = Row(layer.name, kind, inputs, settings, weights)
    if kind == "relu" or _activation(layer) != "relu":
        return [row]
    return [row, Row(f"{layer.name}/relu", "relu", (layer.name,))]


def _class_of(layer):
    """Name of a class of Keras or ours; ours have the names of those that they stand for."""
    kind = type(layer)
    return kind.__name__ if kind.__module__.split(".")[0] in ("keras", "keras_cpm") else None


def _activation(layer):
    return getattr(getattr(layer, "activation", None), "__name__", "linear")


# --- readers: layer and the tensors it reads -> kind, settings, weights; None for settings that no
# kind has


def _input(layer, tensors):
    return "input", {"shape": tuple(layer.batch_shape[1:])}


def _rescale(layer, tensors):
    numbers = (np.ravel(value).tolist() for value in (layer.scale, layer.offset))
    return "rescale", dict(zip(("scale", "offset"), map(tuple, numbers), strict=True))


def _conv(layer, tensors):
    if not _has_pads(layer) or _activation(layer) not in ("linear", "relu"):
        return None
    reach = [d * (k - 1) + 1 for k, d in zip(layer.kernel_size, layer.dilation_rate, strict=True)]
    settings = {
        "strides": layer.strides,
        "dilation": layer.dilation_rate,
        "pads": _pads(layer, reach, tensors[0].shape),
        "groups": layer.groups,
    }
    return ("conv", settings, layer.kernel, *([layer.bias] if layer.use_bias else []))


def _grow(layer, tensors):
    if layer.kernel_size != layer.strides or _activation(layer) not in ("linear", "relu"):
        return None
    kernel = np.swapaxes(layer.kernel, 2, 3)
    return "grow", {"strides": layer.strides}, kernel, *([layer.bias] if layer.use_bias else [])


def _cut(layer, tensors):
    # what was halved is divisible, see `layer_table`
    return () if _same_or_free(*(tensor.shape[1:3] for tensor in tensors)) else None


def _same_or_free(first, second):
    return all(None in pair or pair[0] == pair[1] for pair in zip(first, second, strict=True))


def _pool(kind):
    def read(layer, tensors):
        if not _has_pads(layer):
            return None
        pads = _pads(layer, layer.pool_size, tensors[0].shape)
        return kind, {"window": layer.pool_size, "strides": layer.strides, "pads": pads}

    return read


def _norm(layer, tensors):
    if layer.axis not in (-1, 3):
        return None
    weights = [
        np.ones_like(layer.moving_mean) if layer.gamma is None else layer.gamma,
        np.zeros_like(layer.moving_mean) if layer.beta is None else layer.beta,
    ]
    settings = {"epsilon": layer.epsilon, "momentum": layer.momentum}
    return "norm", settings, *weights, layer.moving_mean, layer.moving_variance


def _relu(layer, tensors):
    plain = layer.max_value is None and layer.negative_slope == layer.threshold == 0
    return ("relu", {}) if plain else None


def _activation_layer(layer, tensors):
    return ("relu", {}) if _activation(layer) == "relu" else None


def _add(layer, tensors):
    # what Keras would broadcast is another operation elsewhere
    return ("add", {}) if len({tensor.shape for tensor in tensors}) == 1 else None


def _concat(layer, tensors):
    return ("concat", {}) if layer.axis in (-1, 3) else None


_READERS = {
    "InputLayer": _input,
    "Rescaling": _rescale,
    "Conv2D": _conv,
    "Conv2DTranspose": _grow,
    "CutLike": _cut,
    "MaxPooling2D": _pool("max_pool"),
    "AveragePooling2D": _pool("mean_pool"),
    "BatchNormalization": _norm,
    "ReLU": _relu,
    "Activation": _activation_layer,
    "Add": _add,
    "Concatenate": _concat,
}
_WITHOUT_ROW = ("Identity", "Dropout")


def _has_pads(layer):
    return layer.padding in ("same", "valid") and layer.data_format == "channels_last"


def _pads(layer, reach, shape):
    """TensorFlow's "same": as many outputs as strides fit in, and the odd pixel comes last."""
    if layer.padding == "valid":
        return ((0, 0), (0, 0))
    totals = [
        # of a free size: divisible
        (
            max(0, taps - stride)
            if side is None
            else max(0, (-(-side // stride) - 1) * stride + taps - side)
        )
        for taps, stride, side in zip(reach, layer.strides, shape[1:3], strict=True)
    ]
    return tuple((total // 2, total - total // 2) for total in totals)


# --- files ----------------------------------------------------------------------------------------


def write_table(path, rows):
    """Writes a table to an .npz file, for processes that shall not load Keras.

    Example:
        >>> import os, tempfile
        >>> from benchmarks.engines.layer_table import Row, read_table, write_table
        >>> path = os.path.join(tempfile.mkdtemp(), "table.npz")
        >>> write_table(path, [Row("sum", "add", ("a", "b"))])
        >>> read_table(path)[0].inputs
        ('a', 'b')
    """
    heads = [[row.name, row.kind, row.inputs, row.settings, len(row.weights)] for row in rows]
    weights = {
        f"{i}/{k}": weight for i, row in enumerate(rows) for k, weight in enumerate(row.weights)
    }
    np.savez(path, rows=json.dumps(heads), **weights)


def read_table(path):
    """The rows that `write_table` wrote."""
    with np.load(path) as file:
        return [
            Row(
                name,
                kind,
                tuple(inputs),
                {key: _tuples(value) for key, value in settings.items()},
                tuple(file[f"{i}/{k}"] for k in range(count)),
            )
            for i, (name, kind, inputs, settings, count) in enumerate(json.loads(str(file["rows"])))
        ]


def _tuples(value):
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
