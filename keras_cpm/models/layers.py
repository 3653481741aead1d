"""The few layers that towers and stages are made of; small functions on Keras tensors."""

import keras

from .batch_norm import BatchNorm
from .fourier.layer import FastConv2D


def normalize(image, *, name):
    """(v - 128) / 256: -0.5 .. 0.496, and padding of 128 becomes exactly 0 (applyModel.m)."""
    return keras.layers.Rescaling(1 / 256, offset=-0.5, name=name)(image)


def conv(x, filters, kernel, *, name):
    """Convolution with bias, "same" padding and ReLU: every inner convolution of the released
    networks.
    """
    return FastConv2D(
        filters,
        kernel,
        padding="same",
        activation="relu",
        kernel_initializer="he_normal",
        name=name,
    )(x)


def conv_beliefs(x, channels, *, name):
    """The 1x1 convolution that ends a stage: linear, started near zero so that beliefs start near
    zero.
    """
    return keras.layers.Conv2D(
        channels,
        1,
        kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
        name=name,
    )(x)


def conv_norm(x, filters, kernel, *, name, strides=1, dilation=1, relu=True):
    """Convolution, batch normalisation and ReLU. LiteRT folds the three into one operation."""
    x = FastConv2D(
        filters,
        kernel,
        strides=strides,
        dilation_rate=dilation,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
        name=name,
    )(x)
    x = BatchNorm(momentum=0.98, name=f"{name}_norm")(x)
    return keras.layers.ReLU(name=f"{name}_relu")(x) if relu else x


def residual_pair(x, filters, kernel, *, name, dilation=1):
    """x + two normalised convolutions of x, as in He et al. 2016."""
    y = conv_norm(x, filters, kernel, dilation=dilation, name=f"{name}_a")
    y = conv_norm(y, filters, kernel, dilation=dilation, name=f"{name}_b", relu=False)
    return keras.layers.ReLU(name=f"{name}_relu")(keras.layers.Add(name=f"{name}_add")([x, y]))


def enlarge(x, like, *, name):
    """Twice as many cells each way as x has, or one less where `like` has, and channels as `like`:
    a normalised 2x2 transposed convolution.
    """
    x = keras.layers.Conv2DTranspose(
        like.shape[-1],
        2,
        strides=2,
        use_bias=False,
        kernel_initializer="he_normal",
        name=name,
    )(x)
    if None in like.shape[1:3] or x.shape[1:3] != like.shape[1:3]:
        x = CutLike(name=f"{name}_cut")([x, like])
    return BatchNorm(momentum=0.98, name=f"{name}_norm")(x)


@keras.saving.register_keras_serializable(package="keras_cpm")
class CutLike(keras.layers.Layer):
    """Cuts maps to the height and width of others: where an odd size was halved and doubled.

    Example:
        >>> import numpy as np
        >>> from keras_cpm.models.layers import CutLike
        >>> CutLike()([np.zeros((1, 4, 6, 2)), np.zeros((1, 3, 6, 5))]).shape
        TensorShape([1, 3, 6, 2])
    """

    def call(self, inputs):
        x, like = inputs
        height, width = keras.ops.shape(like)[1:3]
        return x[:, :height, :width]

    def compute_output_shape(self, shapes):
        return (*shapes[1][:3], shapes[0][3])
