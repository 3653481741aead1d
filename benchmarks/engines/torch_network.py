"""A table of layers as a PyTorch module; PyTorch does not come with this package.

Images come and go as Keras has them, (n, h, w, c): the module turns them to channels first itself.
"""

from __future__ import annotations

import dataclasses

import numpy as np


def torch_network(table):
    """The network as a trainable `torch.nn.Module`, in the memory format channels_last.

    Args:
        table: list of `layer_table.Row`.

    Returns:
        module: tensors (n, h, w, c), one an input -> list of tensors (n, h, w, c), one an output.

    Raises:
        ImportError: PyTorch is not installed.

    Example:
        >>> from importlib.util import find_spec
        >>> from benchmarks.engines.layer_table import Row
        >>> from benchmarks.engines.torch_network import torch_network
        >>> table = [Row("image", "input"), Row("relu", "relu", ("image",))]
        >>> table += [Row("stage1", "output", ("relu",))]
        >>> if find_spec("torch"):
        ...     import torch
        ...     assert torch_network(table)(-torch.ones(1, 2, 2, 3))[0].sum() == 0
    """
    import torch

    # the weights are in the layers
    rows = [dataclasses.replace(row, weights=()) for row in table]
    readers = [name for row in rows for name in row.inputs]
    # in place, as PyTorch's own networks have it, where nobody else reads what was there
    lone = {row.name for row in rows if row.kind in _SPARED and readers.count(row.name) == 1}
    last_reader = {name: row for row in rows for name in row.inputs}

    class Network(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.rows, self.layers = rows, torch.nn.ModuleList(_TORCH[r.kind](r) for r in table)
            for row, layer in zip(rows, self.layers, strict=True):
                if row.kind == "relu":
                    layer.inplace = row.inputs[0] in lone

        def forward(self, *images):
            values, outputs, images = {}, [], list(images)
            for row, layer in zip(rows, self.layers, strict=True):
                read = [values[name] for name in row.inputs] or [images.pop(0)]
                for name in row.inputs:
                    if last_reader[name] is row:
                        values.pop(name, None)
                result = layer(*read)
                if row.kind == "output":
                    outputs.append(result)
                else:
                    values[row.name] = result
            return outputs

    return Network().to(memory_format=torch.channels_last)


# kinds whose gradients do not need their outputs
_SPARED = ("conv", "grow", "norm", "add")


def torch_gradients(network):
    """Gradients of a `torch_network` by the paths of Keras' variables, in Keras' layout.

    Args:
        network: after a call of `backward`.

    Returns:
        dict such as {"conv1_stage1/kernel": (9, 9, 3, 128), "conv1_stage1/bias": (128,), ...}.
    """
    kernel = ("kernel", "bias")
    names = {"conv": kernel, "grow": kernel, "norm": ("gamma", "beta")}
    return {
        f"{row.name}/{name}": _keras_layout(parameter.grad.numpy())
        for row, layer in zip(network.rows, network.layers, strict=True)
        for name, parameter in zip(names.get(row.kind, ()), layer.parameters(), strict=False)
    }


def _keras_layout(array):
    return array.transpose(2, 3, 1, 0) if array.ndim == 4 else array


def _torch_lambda(function):
    import torch

    class Layer(torch.nn.Module):
        def forward(self, *images):
            return function(*images)

    return Layer()


def _torch_rescale(row):
    import torch

    scale, offset = (
        torch.tensor(row.settings[name])[:, None, None] for name in ("scale", "offset")
    )
    return _torch_lambda(lambda image: image * scale + offset)


def _torch_conv(row):
    import torch

    kernel, pads, groups = row.weights[0], row.settings["pads"], row.settings["groups"]
    layer = torch.nn.Conv2d(
        kernel.shape[2] * groups,
        kernel.shape[3],
        kernel.shape[:2],
        stride=row.settings["strides"],
        dilation=row.settings["dilation"],
        groups=groups,
        bias=len(row.weights) > 1,
    )
    layer.weight.data = _tensor(kernel.transpose(3, 2, 0, 1))
    if layer.bias is not None:
        layer.bias.data = _tensor(row.weights[1])
    if all(before == after for before, after in pads):
        layer.padding = tuple(before for before, _ in pads)
        return layer
    return torch.nn.Sequential(torch.nn.ZeroPad2d(_torch_pads(pads)), layer)


def _torch_grow(row):
    import torch

    kernel, strides = row.weights[0], row.settings["strides"]
    bias = len(row.weights) > 1
    layer = torch.nn.ConvTranspose2d(*kernel.shape[2:], strides, stride=strides, bias=bias)
    layer.weight.data = _tensor(kernel.transpose(2, 3, 0, 1))
    if bias:
        layer.bias.data = _tensor(row.weights[1])
    return layer


def _torch_pads(pads):
    (top, bottom), (left, right) = pads
    return left, right, top, bottom


def _torch_pool(row):
    from torch.nn import functional

    window, strides, pads = (row.settings[name] for name in ("window", "strides", "pads"))
    (top, bottom), (left, right) = pads
    if not top and not left and bottom < strides[0] and right < strides[1]:
        # windows that stick out at the end only: what ceil_mode is
        pool = functional.max_pool2d if row.kind == "max_pool" else functional.avg_pool2d
        more = {} if row.kind == "max_pool" else {"count_include_pad": False}
        ceil = bool(bottom or right)
        return _torch_lambda(lambda image: pool(image, window, strides, ceil_mode=ceil, **more))

    def most(image):
        padded = functional.pad(image, _torch_pads(pads), value=-float("inf"))
        return functional.max_pool2d(padded, window, strides)

    def mean(image):
        padded, there = (
            functional.avg_pool2d(functional.pad(x, _torch_pads(pads)), window, strides)
            for x in (image, image.new_ones(image.shape)[:1, :1])
        )
        return padded / there

    return _torch_lambda(most if row.kind == "max_pool" else mean)


def _torch_norm(row):
    import torch

    # PyTorch's momentum is what the new value gets
    momentum = 1 - row.settings["momentum"]
    layer = torch.nn.BatchNorm2d(len(row.weights[0]), row.settings["epsilon"], momentum)
    layer.weight.data, layer.bias.data, *statistics = map(_tensor, row.weights)
    layer.running_mean, layer.running_var = statistics
    return layer


def _tensor(array):
    import torch

    # a copy: training must not change the table
    return torch.from_numpy(np.array(array, order="C"))


def _torch_relu(row):
    import torch

    return torch.nn.ReLU()


def _torch_concat(row):
    import torch

    return _torch_lambda(lambda *images: torch.cat(images, 1))


_TORCH = {
    "input": lambda row: _torch_lambda(lambda image: image.permute(0, 3, 1, 2)),
    "rescale": _torch_rescale,
    "conv": _torch_conv,
    "grow": _torch_grow,
    "max_pool": _torch_pool,
    "mean_pool": _torch_pool,
    "norm": _torch_norm,
    "relu": _torch_relu,
    "add": lambda row: _torch_lambda(lambda *images: sum(images[1:], images[0])),
    "concat": _torch_concat,
    "output": lambda row: _torch_lambda(lambda image: image.permute(0, 2, 3, 1)),
}
