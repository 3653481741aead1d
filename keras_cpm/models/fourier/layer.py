"""`FastConv2D`: a `Conv2D` that takes Fourier tiles where they are faster; and its spectra.

Same weights, same names, same outputs to about 1e-6; a model file of one is read by the other.
"""

from __future__ import annotations

import contextlib

import keras
from keras import ops

from .convolution import kernel_spectrum, tile_convolution
from .costs import best_tile

# "auto": tiles where the cost model finds them faster, on a CPU; "small-tiles": the same with the
# least memory: predictions compute one layer at a time and keep no spectra, for which smaller tiles
# are best; "tiles": wherever they can be; "direct": never
CONVOLUTIONS = ("auto", "tiles", "small-tiles", "direct")


@keras.saving.register_keras_serializable(package="keras_cpm", name="FastConv2D")
class Conv2D(keras.layers.Conv2D):
    """`keras.layers.Conv2D`, which takes Fourier tiles where they are faster.

    Args:
        convolution: "auto", "tiles", "small-tiles" or "direct", see `build_cpm`. What tiles cannot
            do (strides, dilation, groups, another padding, kernels that are not square) is direct.
        everything else: as in `keras.layers.Conv2D`.

    Example:
        >>> import numpy as np
        >>> from keras_cpm.models.fourier.layer import FastConv2D
        >>> layer = FastConv2D(8, 9, padding="same", convolution="tiles")
        >>> layer(np.zeros((1, 46, 46, 8), "float32")).shape
        TensorShape([1, 46, 46, 8])
    """

    def __init__(self, *args, convolution="auto", **kwargs):
        super().__init__(*args, **kwargs)
        check_convolution(convolution)
        self.convolution = convolution
        # set while a function is traced that keeps the spectra of the kernels, see `held`
        self._held = None

    def plain(self):
        """Keras' own layer that computes the same."""
        config = self.get_config()
        del config["convolution"]
        return keras.layers.Conv2D.from_config(config)

    def tile(self, image_shape, *, held=False, training=False):
        """Side of the tile for images (n, h, w, c), or `None` for the direct convolution.

        Args:
            image_shape: tuple.
            held: whether the spectrum of the kernel is there already; see `held`.
            training: whether gradients will be wanted.
        """
        if self.convolution == "direct" or not self._can_tile():
            return None
        if self.convolution == "auto" and not _on_cpu():
            return None
        return best_tile(
            tuple(image_shape[1:3]),
            self.kernel_size[0],
            (image_shape[-1], self.filters),
            dtype=self.compute_dtype,
            forced=self.convolution == "tiles",
            held=held and self.convolution != "small-tiles",
            training=training,
        )

    def _can_tile(self):
        return (
            self.padding == "same"
            and self.data_format == "channels_last"
            and self.strides == (1, 1)
            and self.dilation_rate == (1, 1)
            and self.groups == 1
            and self.kernel_size[0] == self.kernel_size[1] > 1
        )

    def call(self, inputs, training=None):
        tile, keeper = self._held or (self.tile(inputs.shape, training=training is True), None)
        if tile is None:
            return super().call(inputs)
        spectrum = None
        if keeper is not None:
            inputs, spectrum = keeper.begin(inputs)
        # Fourier transforms in bfloat16 would be of no use
        image, kernel = ops.cast(inputs, "float32"), ops.cast(self.kernel, "float32")
        outputs = tile_convolution(image, kernel, tile, spectrum)
        if keeper is not None:
            keeper.end(outputs)
        outputs = ops.cast(outputs, self.compute_dtype)
        if self.use_bias:
            outputs = ops.add(outputs, ops.reshape(self.bias, (1, 1, 1, self.filters)))
        return outputs if self.activation is None else self.activation(outputs)

    def get_config(self):
        return {**super().get_config(), "convolution": self.convolution}


# Files of weights name a layer by its class, so the class has the name of the one it stands for
FastConv2D = Conv2D


def check_convolution(convolution):
    if convolution not in CONVOLUTIONS:
        raise ValueError(
            f"`convolution` must be one of {list(CONVOLUTIONS)}. "
            f"Received: convolution={convolution!r}"
        )


def set_convolution(model, convolution):
    """Chooses for all layers of a model; see `build_cpm`. Functions traced before keep theirs."""
    check_convolution(convolution)
    for layer in _fast_layers(model):
        layer.convolution = convolution


@contextlib.contextmanager
def direct(model):
    """Within it, a function that calls `model` is traced with direct convolutions: for LiteRT."""
    chosen = {layer: layer.convolution for layer in _fast_layers(model)}
    set_convolution(model, "direct")
    try:
        yield
    finally:
        for layer, convolution in chosen.items():
            layer.convolution = convolution


def plain_copy(model):
    """The same model of Keras' own layers, its weights copied: what is saved needs no keras_cpm."""
    if not any(hasattr(layer, "plain") for layer in model.layers):
        return keras.Model(model.inputs, model.outputs, name=model.name)
    return _copy(
        model,
        lambda layer: (
            layer.plain()
            if hasattr(layer, "plain")
            else type(layer).from_config(layer.get_config())
        ),
    )


def fast_copy(model, convolution="auto"):
    """The same model with `FastConv2D` for each `Conv2D`, or `model` where that changes nothing."""

    def fast(layer):
        config = layer.get_config()
        if type(layer) is keras.layers.Conv2D:
            return FastConv2D.from_config({**config, "convolution": convolution})
        return type(layer).from_config(config)

    copy = _copy(model, fast)
    return copy if tiled_layers(copy) else model


def _copy(model, clone):
    copy = keras.models.clone_model(model, clone_function=clone)
    copy.set_weights(model.get_weights())
    # without what `compile` left on it
    return keras.Model(copy.inputs, copy.outputs, name=model.name)


def _fast_layers(model):
    # whatever predicts counts as a model
    layers = getattr(model, "layers", ())
    return [layer for layer in layers if isinstance(layer, FastConv2D)]


def tiled_layers(model):
    """The layers that take tiles, each with the side of its tile."""
    tiles = {}
    for layer in _fast_layers(model):
        if tile := layer.tile(layer.input.shape, held=True):
            tiles[layer] = tile
    return tiles


def kept_layers(model):
    """Those of `tiled_layers` whose spectra are computed once for many predictions."""
    return {
        layer: tile
        for layer, tile in tiled_layers(model).items()
        if layer.convolution != "small-tiles"
    }


def spectra(model):
    """The spectra of `kept_layers`, in their order; they hold as long as the weights do."""
    return [
        kernel_spectrum(ops.cast(layer.kernel, "float32"), tile)
        for layer, tile in kept_layers(model).items()
    ]


@contextlib.contextmanager
def held(model, keepers):
    """Within it, a function that calls `model` is traced with the spectra that the keepers give.

    Args:
        model: `keras.Model`.
        keepers: for each of `tiled_layers` an object with two methods: `begin(inputs)` returns the
            inputs of the layer and its spectrum, `end(outputs)` hears that both have been used.
    """
    tiles = tiled_layers(model)
    for (layer, tile), keeper in zip(tiles.items(), keepers, strict=True):
        layer._held = (tile, keeper)
    try:
        yield
    finally:
        for layer in tiles:
            layer._held = None


def _on_cpu():
    """Whether TensorFlow computes here, and on a CPU."""
    return keras.backend.backend() == "tensorflow" and not keras.distribution.list_devices("gpu")
