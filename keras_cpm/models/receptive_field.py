"""How much of an image, or of the beliefs before, one belief cell can see (Sec. 3.2.2)."""

import keras

from .layers import CutLike

_POINTWISE = (
    keras.layers.Activation,
    keras.layers.Add,
    keras.layers.BatchNormalization,
    keras.layers.Concatenate,
    keras.layers.Dropout,
    keras.layers.Identity,
    keras.layers.ReLU,
    keras.layers.Rescaling,
    CutLike,
)
_CONVOLUTIONS = (
    keras.layers.Conv2D,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv2D,
)
_POOLS = (keras.layers.AveragePooling2D, keras.layers.MaxPooling2D)

# where a cell lies in the windows of a coarser map can matter; none has a larger stride
_CELLS = range(32)


def receptive_field(model, output, source):
    """Side of the square of `source` positions that can influence one cell of `output`.

    Computed from kernels, strides and dilations along every path of the graph, as if the input had
    no border; the largest where the cells differ. The released networks pool over 3x3, which gives
    167 and 407 where the paper counts 160 and 400.

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
    start = model.get_layer(output).output
    sources = _same_values(model.get_layer(source).output)
    between = _tensors_between(start, sources)
    if not any(id(tensor) in sources for tensor in between):
        raise ValueError(
            f"Nothing leads from `source` to `output`. Received: {source!r}, {output!r}"
        )
    return max(_side(between, sources, axis, cell) for axis in (0, 1) for cell in _CELLS)


def _same_values(tensor):
    """ids of `tensor` and of what it names: a stage's output hangs beside the path to the next."""
    same = set()
    while tensor is not None:
        same.add(id(tensor))
        layer, inputs = _origin(tensor)
        tensor = inputs[0] if isinstance(layer, keras.layers.Identity) else None
    return same


def _origin(tensor):
    """The layer that made `tensor`, and the tensors it was made from."""
    layer, node, _ = tensor._keras_history
    return layer, layer._inbound_nodes[node].input_tensors


def _tensors_between(start, sources):
    """What lies on the paths to the sources, each tensor after all that are made from it."""
    leads, order = {}, []

    def visit(tensor):
        if id(tensor) not in leads:
            before = [] if id(tensor) in sources else [visit(one) for one in _origin(tensor)[1]]
            leads[id(tensor)] = id(tensor) in sources or any(before)
            if leads[id(tensor)]:
                order.append(tensor)
        return leads[id(tensor)]

    visit(start)
    return order[::-1]


def _side(between, sources, axis, cell):
    """How many positions of the sources one cell of the first tensor sees along an axis."""
    seen = {id(between[0]): (cell, cell)}
    for tensor in between:
        if id(tensor) not in sources:
            layer, inputs = _origin(tensor)
            first, last = _window(layer, axis, *seen[id(tensor)])
            for before in inputs:
                known = seen.get(id(before), (first, last))
                seen[id(before)] = min(first, known[0]), max(last, known[1])
    firsts, lasts = zip(*(seen[one] for one in sources if one in seen), strict=True)
    return max(lasts) - min(firsts) + 1


def _window(layer, axis, first, last):
    """Which cells of its input the layer reads for its cells `first` to `last`."""
    if isinstance(layer, _POINTWISE):
        return first, last
    if isinstance(layer, keras.layers.Conv2DTranspose):
        stride, reach = layer.strides[axis], layer.kernel_size[axis] - 1
        # cell i of the input writes cells stride * i - cut to stride * i - cut + reach
        cut = max(0, reach + 1 - stride) // 2 if layer.padding == "same" else 0
        return -((reach - cut - first) // stride), (last + cut) // stride
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
    return stride * first - before, stride * last - before + reach
