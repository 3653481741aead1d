"""Fills a network with the weights of a .caffemodel file, by the names of its layers.

Caffe keeps kernels as (out, in, height, width) where Keras has (height, width, in, out); both
correlate, so nothing is flipped. Caffe's networks read photographs as BGR, ours as RGB: the kernels
of the convolutions that read the photograph have their input channels reversed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from ..released import RELEASED
from .caffemodel import read_caffemodel

_CHOOSE = "choose another --net or another file"


@dataclass(frozen=True)
class FilledLayer:
    """One layer that `load_caffe_weights` has filled.

    Args:
        name: of the layer, in the file and in the model.
        caffe_shape: of its kernel in the file, (out, in, height, width).
        keras_shape: of its kernel in the model, (height, width, in, out).
        parameters: of kernel and bias.
    """

    name: str
    caffe_shape: tuple[int, ...]
    keras_shape: tuple[int, ...]
    parameters: int

    def __str__(self):
        return (
            f"{self.name}: {self.caffe_shape} -> {self.keras_shape}, {self.parameters:,} parameters"
        )


def load_caffe_weights(model: keras.Model, path: Path | str) -> list[FilledLayer]:
    """Fills every convolution of `model` from a .caffemodel file, or changes nothing.

    Args:
        model: `keras.Model` of a released network, see `build_released`; changed in place.
        path: of the .caffemodel file.

    Returns:
        What was filled, in the order of the model's layers.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: one sentence: a damaged file (see `read_caffemodel`), a model with other weights
            than convolutions, or a file that does not fit it layer by layer, with nothing missing
            and nothing left over. The model is as it was.

    Example:
        >>> from keras_cpm import build_released
        >>> from keras_cpm.models.caffe.weights import load_caffe_weights
        >>> load_caffe_weights(build_released("flic", width=8), "flic.caffemodel")
        Traceback (most recent call last):
        ...
        FileNotFoundError: There is no file flic.caffemodel; give the path of a .caffemodel file.
    """
    convolutions = _convolutions(model)
    readers = _image_readers(model, convolutions)
    weights = _weights(read_caffemodel(path), path)
    _check_names(convolutions, weights, path)
    for layer in convolutions:
        _check_shapes(layer, weights, path)
    # nothing was changed so far, and nothing can fail from here on
    return [_fill(layer, weights[layer.name], layer.name in readers) for layer in convolutions]


def _convolutions(model):
    weighted = [layer for layer in model.layers if layer.weights]
    for layer in weighted:
        if not isinstance(layer, keras.layers.Conv2D):
            raise ValueError(
                "`model` must be a released network, whose weights are all of convolutions; "
                f"build it with `build_released`. Received: layer {layer.name!r} of type "
                f"{type(layer).__name__}"
            )
    return weighted


def _image_readers(model, convolutions):
    """Names of the convolutions that read the normalised photograph."""
    names = set()
    for layer in convolutions:
        before = _maker(layer)
        if isinstance(before, keras.layers.Rescaling) and isinstance(
            _maker(before), keras.layers.InputLayer
        ):
            names.add(layer.name)
    if not names:
        raise ValueError(
            "`model` must have a convolution that reads the normalised image; build it with "
            f"`build_released`. Received: model {model.name!r}, which has none"
        )
    return names


def _maker(layer):
    """The layer whose output `layer` reads."""
    return layer.input._keras_history.operation


def _weights(layers, path):
    """dict of name -> `CaffeLayer` of the layers that have weights."""
    weights = {}
    for layer in layers:
        if not any(blob.size for blob in layer.blobs):
            continue  # a trained file also lists data, ReLU, pools and losses
        if layer.kind != "Convolution":
            raise ValueError(
                f"{path} has weights of a {layer.kind or 'nameless type'!r}, layer {layer.name!r} "
                f"at byte {layer.offset}, and the released networks only of convolutions; "
                f"{_CHOOSE}."
            )
        if layer.name in weights:
            raise ValueError(
                f"{path} has two layers {layer.name!r}, at byte {weights[layer.name].offset} and "
                f"at byte {layer.offset}; copy the file again, or choose another."
            )
        weights[layer.name] = layer
    return weights


def _check_names(convolutions, weights, path):
    names = [layer.name for layer in convolutions]
    surplus = [layer for name, layer in weights.items() if name not in names]
    if surplus:
        raise ValueError(
            f"{path} does not fit the model: layer {surplus[0].name!r} at byte {surplus[0].offset}"
            f"{_and_more(surplus)} not in the model{_hint(weights)}; {_CHOOSE}."
        )
    missing = [name for name in names if name not in weights]
    if missing:
        raise ValueError(
            f"{path} does not fit the model: layer {missing[0]!r}{_and_more(missing)} not in the "
            f"file{_hint(weights)}; copy the file again if it is cut off, or {_CHOOSE}."
        )


def _and_more(items):
    return f" and {len(items) - 1} more are" if len(items) > 1 else " is"


def _hint(weights):
    looks = _looks_like(weights)
    return f" (the file looks like the released {' or '.join(map(repr, looks))})" if looks else ""


def _looks_like(weights):
    """Names of the released networks that end as the file does: last layer and belief channels."""
    ends = []
    for name, network in RELEASED.items():
        stages = network.network["stages"]
        last = {"classic": 5, "vgg": 7}[network.network["stage_block"]]
        layer = weights.get(f"Mconv{last}_stage{stages}")
        if layer and layer.blobs[0].shape[:1] == (network.spec.num_channels,):
            ends.append(name)
    return ends


def _check_shapes(layer, weights, path):
    """Kernel (out, in, height, width), then bias (out,) or (1, 1, 1, out) of older files."""
    blobs = weights[layer.name].blobs
    where = f"{layer.name!r} at byte {weights[layer.name].offset} of {path}"
    if len(blobs) != len(layer.weights):
        raise ValueError(
            f"Layer {where} must have {len(layer.weights)} blobs, as in the model; copy the file "
            f"again, or choose another. Received: {len(blobs)}"
        )
    height, width, read, out = layer.kernel.shape
    allowed = [[(out, read, height, width)], [(out,), (1, 1, 1, out)]]
    for blob, shapes in zip(blobs, allowed, strict=False):
        if blob.shape not in shapes:
            what = "kernel" if shapes is allowed[0] else "bias"
            raise ValueError(
                f"Layer {where} has a {what} of shape {blob.shape}, in the model it is {shapes[0]}"
                f"{_hint(weights)}; {_CHOOSE}."
            )


def _fill(layer, source, reads_image):
    kernel = source.blobs[0].transpose(2, 3, 1, 0)
    if reads_image:
        kernel = kernel[:, :, ::-1]
    layer.kernel.assign(np.ascontiguousarray(kernel))
    if layer.use_bias:
        layer.bias.assign(source.blobs[1].reshape(-1).copy())
    shapes = source.blobs[0].shape, tuple(layer.kernel.shape)
    return FilledLayer(layer.name, *shapes, sum(math.prod(w.shape) for w in layer.weights))
