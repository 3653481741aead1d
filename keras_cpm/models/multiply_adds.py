"""How much arithmetic a network is."""

import math

import keras


def multiply_adds(model, size=None):
    """Multiplications, each with an addition, that one image takes on its way through a network.

    Those of convolutions and dense layers by their definition: zeros around an image count, biases,
    norms and pools do not, and Fourier tiles take fewer.

    Args:
        model: functional `keras.Model`.
        size: (height, width) of the image; that of the model unless given.

    Returns:
        int; in FLOP, twice that.

    Raises:
        ValueError: the model takes images of any size, and `size` is not given; a layer with
            kernels that is not known here.

    Example:
        >>> from keras_cpm import build_cpm
        >>> from keras_cpm.models.multiply_adds import multiply_adds
        >>> round(multiply_adds(build_cpm(stages=6)) / 1e9, 3)
        175.438
    """
    total = 0

    def counting(layer):
        def call(*args, **kwargs):
            nonlocal total
            if hasattr(layer, "_run_through_graph"):
                return layer._run_through_graph(args, operation_fn=counting)
            outputs = layer.compute_output_spec(*args, **kwargs)
            total += _of_layer(layer, args, outputs)
            return outputs

        return call

    inputs = []
    for one in model.inputs:
        shape = (1, *(size or one.shape[1:3]), one.shape[-1])
        if None in shape:
            raise ValueError(
                "`size` must be (height, width) for a model that takes images of any size. "
                f"Received: size={size!r}"
            )
        inputs.append(keras.KerasTensor(shape, one.dtype))
    model._run_through_graph(inputs, operation_fn=counting)
    return total


def _of_layer(layer, inputs, outputs):
    layers = keras.layers
    if isinstance(layer, layers.SeparableConv2D):
        kernels = math.prod(layer.depthwise_kernel.shape) + math.prod(layer.pointwise_kernel.shape)
        return kernels * _cells(layer, outputs)
    if isinstance(layer, (layers.Conv2D, layers.DepthwiseConv2D)):
        return math.prod(layer.kernel.shape) * _cells(layer, outputs)
    if isinstance(layer, layers.Conv2DTranspose):
        # each cell of the input is spread by the kernel
        return math.prod(layer.kernel.shape) * _cells(layer, inputs[0])
    if isinstance(layer, layers.Dense):
        return math.prod(layer.kernel.shape) * math.prod(outputs.shape[1:-1])
    if any(len(weight.shape) > 1 for weight in getattr(layer, "weights", ())):
        raise ValueError(
            "Only convolutions and dense layers are counted. "
            f"Received: layer {layer.name!r} of type {type(layer).__name__}"
        )
    return 0


def _cells(layer, tensor):
    channels_last = layer.data_format == "channels_last"
    return math.prod(tensor.shape[1:-1] if channels_last else tensor.shape[2:])
