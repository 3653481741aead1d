"""Image towers: photograph to image features at stride 8, the x' of the paper, or 4: without the
last halving (Section 3.2.2 compares the two).

A backbone is a function `(image, *, width, name, stride) -> features`. It takes RGB 0..255 and
normalises it itself, so that a pipeline, a notebook, a server and a phone cannot disagree. Layer
names are those of the released networks; weights load by name.
"""

from collections.abc import Callable
from dataclasses import dataclass

import keras

from . import stages
from .layers import conv, conv_norm, normalize, residual_pair


@dataclass(frozen=True)
class Backbone:
    """A tower and how stage 1 uses it.

    Args:
        tower: `(image, *, width, name, stride) -> features`; `name` ends the layer names, as in
            "conv1_stage2".
        first_stage: `(features, *, channels, width, dropout) -> beliefs`.
        shared_with_stage1: stage 1 reads the features of the later stages (the release's VGG
            network) or has a tower of its own (the paper's).
    """

    tower: Callable
    first_stage: Callable = stages.first_pointwise
    shared_with_stage1: bool = True


def cpm(image, *, width, name, stride):
    """The paper's tower: three 9x9 convolutions, each with a 3x3 pool of stride 2 (genProto.py).

    Caffe's pools round up without padding; "same" gives the same windows where the size is even.
    """
    x = normalize(image, name=f"normalize_{name}")
    for i in (1, 2, 3):
        x = conv(x, width, 9, name=f"conv{i}_{name}")
        if stride >= 2**i:
            x = keras.layers.MaxPooling2D(3, 2, padding="same", name=f"pool{i}_{name}")(x)
    return x


def vgg19(image, *, width, name, stride):
    """VGG-19 up to conv4_2, then the release's convolutions down to `width` filters
    (pose_deploy_resize.prototxt).
    """
    del name  # the release names these layers without a stage
    x = _vgg19_blocks(image, width, stride)
    for i in (1, 2):
        x = conv(x, 4 * width, 3, name=f"conv4_{i}")
    for i, filters in enumerate([2 * width] * 4 + [width], 3):
        x = conv(x, filters, 3, name=f"conv4_{i}_CPM")
    return x


def vgg19_person(image, *, width, name, stride):
    """VGG-19 up to conv5_1 without its fourth pool, then one convolution down to `width` filters:
    the release's person network (pose_deploy_copy_4sg_resize.prototxt).
    """
    del name
    x = _vgg19_blocks(image, width, stride)
    for layer in ("conv4_1", "conv4_2", "conv4_3", "conv4_4", "conv5_1"):
        x = conv(x, 4 * width, 3, name=layer)
    return conv(x, width, 3, name="conv5_2_CPM")


def _vgg19_blocks(image, width, stride):
    """The first three blocks of VGG-19, each with its pool."""
    x = normalize(image, name="normalize")
    for block, (filters, depth) in enumerate([(width // 2, 2), (width, 2), (2 * width, 4)], 1):
        for i in range(1, depth + 1):
            x = conv(x, filters, 3, name=f"conv{block}_{i}")
        if stride >= 2**block:
            x = keras.layers.MaxPooling2D(2, 2, padding="same", name=f"pool{block}_stage1")(x)
    return x


def light(image, *, width, name, stride):
    """A tower for CPUs and phones: 3x3 convolutions with batch normalisation, three of them of
    stride 2.
    """
    del name
    x = normalize(image, name="normalize")
    x = conv_norm(x, max(8, width // 4), 3, strides=2, name="conv1")
    x = conv_norm(x, width // 2, 3, strides=2, name="conv2")
    for i in (3, 4):
        x = residual_pair(x, width // 2, 3, name=f"conv{i}")
    x = conv_norm(x, width, 3, strides=stride // 4, name="conv5")
    return residual_pair(x, width, 3, name="conv6")


def lean(image, *, width, name, stride):
    """The light tower with half as many filters at stride 2 and one unit at stride 4, where cells
    are many.
    """
    del name
    x = normalize(image, name="normalize")
    x = conv_norm(x, max(8, width // 8), 3, strides=2, name="conv1")
    x = conv_norm(x, width // 2, 3, strides=2, name="conv2")
    x = residual_pair(x, width // 2, 3, name="conv3")
    x = conv_norm(x, width, 3, strides=stride // 4, name="conv5")
    return residual_pair(x, width, 3, name="conv6")


BACKBONES = {
    "cpm": Backbone(cpm, stages.first_cpm, shared_with_stage1=False),
    "vgg19": Backbone(vgg19),
    "vgg19-person": Backbone(vgg19_person, stages.first_person),
    "light": Backbone(light, stages.first_light),
    "lean": Backbone(lean, stages.first_light),
}
