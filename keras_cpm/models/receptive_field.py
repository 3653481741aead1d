"""How much of an image, or of the beliefs before, one belief cell can see (Sec. 3.2.2)."""

from typing import NamedTuple

import keras

_POINTWISE = (
    keras.layers.Activation,
    keras.layers.Add,
    keras.layers.BatchNormalization,
    keras.layers.Concatenate,
    keras.layers.Dropout,
    keras.layers.Identity,
    keras.layers.ReLU,
    keras.layers.Rescaling,
)
_CONVOLUTIONS = (
    keras.layers.Conv2D,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv2D,
)
_POOLS = (keras.layers.AveragePooling2D, keras.layers.MaxPooling2D)


class _Reach(NamedTuple):
    """Cell i sees positions `stride * i + first` to `stride * i + last` of the source."""

    stride: int
    first: int
    last: int


def receptive_field(model, output, source):
    """Side of the square of `source` positions that can influence one cell of `output`.

    Computed from kernels, strides and dilations along every path of the graph, as if the input had
    no border. The released networks pool over 3x3, which gives 167 and 407 where the paper counts
    160 and 400.

    Args:
        model: functional `keras.Model` of layers that see two-dimensional windows.
        output: name of an output or layer, such as "stage2".
        source: name of an input or layer, such as "image", "center_map" or "stage1".

    Returns:
        int, in pixels of an input, or in cells of a layer's output.

    Raises:
        ValueError: an unknown name, a layer of a type that is not known here, or no path.

    Example:
        >>> from keras_cpm import build_cpm
        >>> from keras_cpm.models.receptive_field import receptive_field
        >>> model = build_cpm(stages=2, width=8)
        >>> receptive_field(model, "stage2", "image"), receptive_field(model, "stage2", "stage1")
        (407, 31)
    """
    names = [layer.name for layer in model.layers]
    for argument, name in (("output", output), ("source", source)):
        if name not in names:
            raise ValueError(f"`{argument}` must be one of {names}. Received: {argument}={name!r}")
    sources = _same_values(model.get_layer(source).output)
    reaches = [_reach(model.get_layer(output).output, axis, dict(sources)) for axis in (0, 1)]
    if None in reaches:
        raise ValueError(
            f"Nothing leads from `source` to `output`. Received: {source!r}, {output!r}"
        )
    return max(reach.last - reach.first + 1 for reach in reaches)


def _same_values(tensor):
    """`tensor` and what its Identity names: a stage's output hangs beside the path to the next."""
    sources = {}
    while tensor is not None:
        sources[id(tensor)] = _Reach(1, 0, 0)
        layer, inputs = _origin(tensor)
        tensor = inputs[0] if isinstance(layer, keras.layers.Identity) else None
    return sources


def _origin(tensor):
    """The layer that made `tensor`, and the tensors it was made from."""
    layer, node, _ = tensor._keras_history
    return layer, layer._inbound_nodes[node].input_tensors


def _reach(tensor, axis, known):
    """`_Reach` of one cell of `tensor` along an axis, or `None` where it does not see the source."""
    if id(tensor) not in known:
        layer, inputs = _origin(tensor)
        seen = [_reach(before, axis, known) for before in inputs]
        seen = [reach for reach in seen if reach is not None]
        known[id(tensor)] = _through(layer, axis, seen) if seen else None
    return known[id(tensor)]


def _through(layer, axis, seen):
    """What a layer's cell sees, from what the cells of its inputs see."""
    before, after, stride = _window(layer, axis)
    step = seen[0].stride
    return _Reach(
        step * stride,
        min(reach.first for reach in seen) - step * before,
        max(reach.last for reach in seen) + step * after,
    )


def _window(layer, axis):
    """Cell i of the layer reads cells `stride * i - before` to `stride * i + after` of its input."""
    if isinstance(layer, _POINTWISE):
        return 0, 0, 1
    if isinstance(layer, _CONVOLUTIONS):
        reach = (layer.kernel_size[axis] - 1) * layer.dilation_rate[axis]
    elif isinstance(layer, _POOLS):
        reach = layer.pool_size[axis] - 1
    else:
        raise ValueError(
            "Only convolutions, pools and layers that act on each cell alone are known. "
            f"Received: layer {layer.name!r} of type {type(layer).__name__}"
        )
    stride = layer.strides[axis]
    # "same" pads a size that the stride divides by this much, the odd pixel after
    before = max(0, reach + 1 - stride) // 2 if layer.padding == "same" else 0
    return before, reach - before, stride
