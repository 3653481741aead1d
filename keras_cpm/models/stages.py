"""Belief predictors: the first stages, and the stages that read the beliefs of the stage before.

A stage block is a function `(features, beliefs, center, *, channels, width, name) -> beliefs`;
`center` is `None` for a model without center map. It owns the order in which it concatenates: the
paper's networks take features, beliefs, center; the release's VGG networks take beliefs, features,
center (pose_deploy*.prototxt).
"""

from collections.abc import Callable
from dataclasses import dataclass

import keras

from .layers import conv, conv_beliefs, conv_norm, enlarge, residual_pair


@dataclass(frozen=True)
class StageBlock:
    """A stage block and the context convolution it stands behind.

    Args:
        build: the block.
        context: `(features, *, width, name) -> features`, or `None`. Built for every stage, as in
            the release, or once for all with `share_context`.
    """

    build: Callable
    context: Callable | None = None


def context(features, *, width, name):
    """The 5x5 convolution to 32 channels between the tower and a stage (genProto.py)."""
    return conv(features, width // 4, 5, name=name)


def classic(features, beliefs, center, *, channels, width, name):
    """The paper's stage: three 11x11 and two 1x1 convolutions; sees 31x31 cells of the beliefs."""
    x = _concatenate(features, beliefs, center, name=name)
    for i, kernel in enumerate([11, 11, 11, 1], 1):
        x = conv(x, width, kernel, name=f"Mconv{i}_{name}")
    return conv_beliefs(x, channels, name=f"Mconv5_{name}")


def vgg(features, beliefs, center, *, channels, width, name):
    """The stage of the release's VGG and person networks: five 7x7 and two 1x1 convolutions."""
    x = _concatenate(beliefs, features, center, name=name)
    for i, kernel in enumerate([7, 7, 7, 7, 7, 1], 1):
        x = conv(x, width, kernel, name=f"Mconv{i}_{name}")
    return conv_beliefs(x, channels, name=f"Mconv7_{name}")


def residual(features, beliefs, center, *, channels, width, name):
    """The classic stage in residual units, as footnote 2 of the paper announces.

    A 1x1 convolution to `width` channels, then three units of a 7x7 and a 5x5 convolution, each of
    which sees what one 11x11 kernel sees; together 31x31 cells like the classic stage.
    """
    x = _concatenate(features, beliefs, center, name=name)
    x = conv_norm(x, width, 1, name=f"Mconv1_{name}")
    for i in (2, 3, 4):
        y = conv_norm(x, width, 7, name=f"Mconv{i}_{name}_a")
        y = conv_norm(y, width, 5, name=f"Mconv{i}_{name}_b", relu=False)
        y = keras.layers.Add(name=f"Mconv{i}_{name}_add")([x, y])
        x = keras.layers.ReLU(name=f"Mconv{i}_{name}_relu")(y)
    return conv_beliefs(x, channels, name=f"Mconv5_{name}")


def light(features, beliefs, center, *, channels, width, name):
    """A stage for CPUs and phones: 3x3 convolutions, most of them on cells twice as wide, which see
    far for a quarter of the time.

    Dense ones: TensorFlow trains depthwise ones several times slower on a CPU (136 against 27
    images a second for networks of 0.4 M parameters, 192 pixels, bfloat16), and dilated ones at a
    third of the speed.
    """
    x = _concatenate(features, beliefs, center, name=name)
    x = conv_norm(x, width, 1, name=f"Mconv1_{name}")
    y = conv_norm(x, width, 3, strides=2, name=f"Mconv2_{name}")
    y = residual_pair(y, width, 3, name=f"Mconv3_{name}")
    y = enlarge(y, x, name=f"Mconv4_{name}")
    x = _join(x, y, name=name)
    x = conv_norm(x, width, 3, name=f"Mconv5_{name}")
    return conv_beliefs(x, channels, name=f"Mconv6_{name}")


def nested(features, beliefs, center, *, channels, width, name):
    """The light stage with a second halving inside the first, cells four times as wide: it sees
    35x35 cells of the beliefs, as the classic one sees 31x31, where the light one sees 13x13.
    """
    x = _concatenate(features, beliefs, center, name=name)
    x = conv_norm(x, width, 1, name=f"Mconv1_{name}")
    y = conv_norm(x, width, 3, strides=2, name=f"Mconv2_{name}")
    z = conv_norm(y, width, 3, strides=2, name=f"Mconv2_far_{name}")
    z = residual_pair(z, width, 3, name=f"Mconv3_far_{name}")
    y = _join(y, enlarge(z, y, name=f"Mconv4_far_{name}"), name=f"far_{name}")
    y = residual_pair(y, width, 3, name=f"Mconv3_{name}")
    x = _join(x, enlarge(y, x, name=f"Mconv4_{name}"), name=name)
    x = conv_norm(x, width, 3, name=f"Mconv5_{name}")
    return conv_beliefs(x, channels, name=f"Mconv6_{name}")


def _join(x, y, *, name):
    return keras.layers.ReLU(name=f"relu_{name}")(keras.layers.Add(name=f"add_{name}")([x, y]))


def first_cpm(features, *, channels, width, dropout):
    """Stage 1 of the paper's networks; 0.5 is the dropout of the released recipe (genProto.py)."""
    x = conv(features, width // 4, 5, name="conv4_stage1")
    for i, kernel in ((5, 9), (6, 1)):
        x = conv(x, 4 * width, kernel, name=f"conv{i}_stage1")
        x = _dropout(x, dropout, name=f"drop{i - 4}_stage1")
    return conv_beliefs(x, channels, name="conv7_stage1")


def first_pointwise(features, *, channels, width, dropout):
    """Stage 1 of the release's VGG network: two 1x1 convolutions on the shared features."""
    return _pointwise(features, channels, 4 * width, dropout, "conv5")


def first_person(features, *, channels, width, dropout):
    """Stage 1 of the release's person network: the same, one block later."""
    return _pointwise(features, channels, 4 * width, dropout, "conv6")


def first_light(features, *, channels, width, dropout):
    """Stage 1 of light networks: the same, a quarter as wide."""
    return _pointwise(features, channels, width, dropout, "conv7")


def _pointwise(features, channels, filters, dropout, block):
    x = conv(features, filters, 1, name=f"{block}_1_CPM")
    x = _dropout(x, dropout, name="drop1_stage1")
    return conv_beliefs(x, channels, name=f"{block}_2_CPM")


def _dropout(x, rate, *, name):
    return keras.layers.Dropout(rate, name=name)(x) if rate else x


def _concatenate(*tensors, name):
    present = [tensor for tensor in tensors if tensor is not None]
    return keras.layers.Concatenate(name=f"concat_{name}")(present)


STAGE_BLOCKS = {
    "classic": StageBlock(classic, context),
    "vgg": StageBlock(vgg),
    "residual": StageBlock(residual, context),
    "light": StageBlock(light),
    "nested": StageBlock(nested),
}
