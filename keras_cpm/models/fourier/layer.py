"""`FastConv2D`: a `Conv2D` that takes Fourier tiles where they are faster; and its spectra.

Same weights, same names, same outputs to about 1e-6; a model file of one is read by the other.
"""

from __future__ import annotations

import contextlib
import contextvars
import types

import keras
from keras import ops

from .convolution import kernel_spectrum, tile_convolution
from .costs import best_tile

# "auto": tiles where the cost model finds them faster, on a CPU; "small-tiles": the same with the
# least memory: predictions compute one layer at a time and keep no spectra, for which smaller tiles
# are best; "tiles": wherever they can be; "direct": never
CONVOLUTIONS = ("auto", "tiles", "small-tiles", "direct")

# layer -> (tile, keeper) while a function is traced that is given the spectra, see `held`; what
# other threads do with the same layers meanwhile is no part of it
_HELD = contextvars.ContextVar("held", default=types.MappingProxyType({}))


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

    def plain(self, config):
        """Keras' own layer that computes the same.

        Args:
            config: of this layer, see `get_config`.
        """
        own = {name: value for name, value in config.items() if name != "convolution"}
        return keras.layers.Conv2D.from_config(own)

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
        tile, keeper = _HELD.get().get(self, (None, None))
        if keeper is None:
            tile = self.tile(inputs.shape, training=training is True)
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
    """The same model of Keras' own layers, its weights copied: what is saved needs no keras_cpm.

    It computes in float32 and has nothing of what `compile` gave to `model`.
    """
    if not any(hasattr(layer, "plain") for layer in model.layers) and _computes_in_float32(model):
        return keras.Model(model.inputs, model.outputs, name=model.name)
    return _copy(
        model, lambda layer: layer.plain if hasattr(layer, "plain") else type(layer).from_config
    )


def fast_copy(model, convolution="auto"):
    """The same model with `FastConv2D` for each `Conv2D`, or `model` where that changes nothing.

    It computes in float32.
    """

    def maker(layer):
        if type(layer) is keras.layers.Conv2D:
            return lambda config: FastConv2D.from_config({**config, "convolution": convolution})
        return type(layer).from_config

    copy = _copy(model, maker)
    return copy if tiled_layers(copy) or not _computes_in_float32(model) else model


def float32_copy(model):
    """The same model computing in float32, or `model` where it does."""
    if _computes_in_float32(model):
        return model
    return _copy(model, lambda layer: type(layer).from_config)


def _computes_in_float32(model):
    # what others call a model is for others to judge
    layers = getattr(model, "layers", ())
    configs = [layer.get_config() for layer in layers]
    return [in_float32(config) for config in configs] == configs


def in_float32(config):
    """A configuration of Keras with float32 for every other float that layers compute in.

    Example:
        >>> import keras
        >>> from keras_cpm.models.fourier.layer import in_float32
        >>> config = keras.layers.ReLU(dtype="mixed_bfloat16").get_config()
        >>> keras.layers.ReLU.from_config(in_float32(config)).compute_dtype
        'float32'
    """
    if isinstance(config, dict):
        if config.get("class_name") == "DTypePolicy" and "float" in config["config"]["name"]:
            return {**config, "config": {"name": "float32"}}
        return {name: in_float32(value) for name, value in config.items()}
    if isinstance(config, (list, tuple)):
        return type(config)(map(in_float32, config))
    return config


def _copy(model, maker):
    """Copies each layer by `maker(layer)`, a function of its configuration in float32."""
    copy = keras.models.clone_model(
        # not what `compile` left on it: others' losses need not say how they are made again
        keras.Model(model.inputs, model.outputs, name=model.name),
        clone_function=lambda layer: maker(layer)(in_float32(layer.get_config())),
    )
    copy.set_weights(model.get_weights())
    return copy


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
    token = _HELD.set(dict(zip(tiles, zip(tiles.values(), keepers, strict=True), strict=True)))
    try:
        yield
    finally:
        _HELD.reset(token)


def _on_cpu():
    """Whether TensorFlow computes here, and on a CPU."""
    return keras.backend.backend() == "tensorflow" and not keras.distribution.list_devices("gpu")
