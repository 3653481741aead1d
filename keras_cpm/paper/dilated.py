"""Networks that differ in what they can see, not in how many parameters they have (Figure 4)."""

import keras

from ..models.cpm import build_cpm
from ..models.layers import conv_beliefs, conv_norm

# of four convolutions: 15 to 111 pixels; wider kernels read little but a box's padding
DILATIONS = ((0, 0, 0, 0), (0, 0, 0, 1), (0, 0, 1, 1), (0, 1, 1, 1), (1, 1, 1, 1), (1, 1, 2, 2))
_WIDTH = 32


def build_dilated(dilations, spec):
    """A CPM of two stages whose second sees as far as its dilations let it.

    Its tower sees 15 pixels, and so does stage 1. A convolution of stage 2 adds 16 pixels times its
    dilation; more filters make up for the weights that a 1x1 convolution lacks.

    Args:
        dilations: of the 3x3 convolutions of stage 2; 0 for a 1x1 convolution.
        spec: `PoseSpec`.

    Returns:
        `keras.Model`, see `build_cpm`.

    Example:
        >>> from keras_cpm import PoseSpec
        >>> from keras_cpm.paper.dilated import build_dilated
        >>> from keras_cpm.models.receptive_field import receptive_field
        >>> near, far = (build_dilated(d, PoseSpec(box_size=96)) for d in ((0, 0), (2, 2)))
        >>> receptive_field(near, "stage2", "image"), receptive_field(far, "stage2", "image")
        (15, 79)
        >>> abs(near.count_params() / far.count_params() - 1) < 0.05
        True
    """
    kernels = [3 if dilation else 1 for dilation in dilations]
    target = _weights(_WIDTH, [3] * len(kernels), spec.num_channels)
    filters = min(
        range(4, 8 * _WIDTH, 2),
        key=lambda n: abs(_weights(n, kernels, spec.num_channels) - target),
    )

    def stage(features, beliefs, center, *, channels, width, name):
        del width  # as many as make the number of parameters
        x = keras.layers.Concatenate(name=f"concat_{name}")([features, beliefs, center])
        for i, (kernel, dilation) in enumerate(zip(kernels, dilations, strict=True), 1):
            x = conv_norm(x, filters, kernel, dilation=max(1, dilation), name=f"Mconv{i}_{name}")
        return conv_beliefs(x, channels, name=f"Mconv{len(kernels) + 1}_{name}")

    return build_cpm(2, spec, backbone=_tower, stage_block=stage, width=_WIDTH)


def _weights(filters, kernels, channels):
    """Of the second stage, which reads features, beliefs and the center map."""
    inputs = [_WIDTH + channels + 1] + [filters] * (len(kernels) - 1)
    inner = sum(k * k * n * filters for k, n in zip(kernels, inputs, strict=True))
    return inner + filters * channels


def _tower(image, *, width, name):
    """Stride 8 with as little sight as that takes."""
    del name
    x = keras.layers.Rescaling(1 / 256, offset=-0.5, name="normalize")(image)
    for i, filters in enumerate((width // 2, width, width), 1):
        x = conv_norm(x, filters, 3, strides=2, name=f"conv{i}")
    return x
