"""`build_cpm`: a Convolutional Pose Machine as a plain Keras functional model."""

from __future__ import annotations

from collections.abc import Callable

import keras

from ..pose.spec import Array, PoseSpec
from . import keras_settings
from .backbones import BACKBONES, Backbone
from .fourier.layer import set_convolution
from .stages import STAGE_BLOCKS, StageBlock

_STRIDES = (8, 4)
# what no network has had; more would take memory by the gigabyte before anybody can say so
MOST_STAGES, MOST_WIDTH = 64, 4096


def build_cpm(
    stages: int = 6,
    spec: PoseSpec = PoseSpec(),  # noqa: B008 frozen
    *,
    backbone: str | Callable[..., Array] = "cpm",
    stage_block: str | Callable[..., Array] = "classic",
    width: int = 128,
    center_map: bool = True,
    share_context: bool = False,
    dropout: float = 0.0,
    input_size: str | None = None,
    convolution: str = "auto",
    name: str = "cpm",
) -> keras.Model:
    """Builds a Convolutional Pose Machine as a Keras functional model.

    Stage 1 sees the image only. Each later stage sees image features shared by stages 2..T, the
    beliefs of the stage before, and a map of where the person's centre is (Wei et al. 2016, Fig.
    2). The defaults are the released MPII and LSP networks, 31,219,866 parameters; what is trained
    unless told otherwise is smaller, see `plan_training`.

    Args:
        stages: int >= 1, T of the paper. Accuracy saturates near 6 (Sec. 4.1).
        spec: `PoseSpec`; gives box size, number of channels, and the stride, 8 as in the paper or
            4: without the last halving of the tower (Sec. 3.2.2).
        backbone: "cpm", "vgg19" and "vgg19-person" (stage 1 shares them), "light", "lean", or a
            callable `(image, *, width, name) -> features` of `spec.stride`, which stage 1 shares.
            It gets RGB 0..255.
        stage_block: "classic" (11x11), "vgg" (7x7), "residual", "light", "nested", or a callable
            `(features, beliefs, center, *, channels, width, name) -> beliefs`.
        width: filters of the towers and stages; 128 in the paper. A multiple of 4.
        center_map: adds the second input; all four released pose networks have it.
        share_context: shares the 5x5 context convolution over stages >= 2. The released networks
            share the tower only.
        dropout: rate in stage 1; 0.5 in the released recipe.
        input_size: `None` for `spec.box_size`; "any" for a fully convolutional model of any height
            and width divisible by 8.
        convolution: how large kernels are computed: "auto" takes Fourier tiles on a CPU where they
            are faster, with the same outputs to about 1e-6; "small-tiles" the same with less
            memory; "tiles" wherever they can be; "direct" never. See `models/fourier/layer.py`.
        name: model name.

    Returns:
        `keras.Model`. Inputs: "image" (B, H, W, 3) RGB 0..255 and "center_map" (B, H, W, 1).
        Outputs: list of `stages` belief tensors (B, H/stride, W/stride, C), named
            "stage1".."stageT", float32.

    Raises:
        ValueError: `stages` < 1, an unknown name, a bad width or size, a backbone whose stride is
            not `spec.stride`, or Keras set up for channels first or another float than float32.

    Example:
        >>> from keras_cpm import build_cpm
        >>> model = build_cpm(stages=3)
        >>> [tuple(output.shape) for output in model.outputs]
        [(None, 46, 46, 15), (None, 46, 46, 15), (None, 46, 46, 15)]
    """
    keras_settings.check()
    tower = _resolve("backbone", backbone, BACKBONES, Backbone)
    block = _resolve("stage_block", stage_block, STAGE_BLOCKS, StageBlock)
    _check(stages, spec, width, dropout, share_context, block)
    sizes = {"channels": spec.num_channels, "width": width}
    image, center = _inputs(spec, input_size, center_map)

    settings = {"width": width, **({"stride": spec.stride} if isinstance(backbone, str) else {})}
    first_features = tower.tower(image, name="stage1", **settings)
    _check_stride(first_features, image, spec.stride)
    beliefs = tower.first_stage(first_features, dropout=dropout, **sizes)
    outputs = [_output(beliefs, 1)]
    if stages > 1:
        features = first_features
        if not tower.shared_with_stage1:
            features = tower.tower(image, name="stage2", **settings)
        pooled_center = None
        if center_map:
            cell = {"strides": spec.stride, "padding": "same", "name": "pool_center_lower"}
            pooled_center = keras.layers.AveragePooling2D(9, **cell)(center)
        for t in range(2, stages + 1):
            if block.context and (t == 2 or not share_context):
                # the released networks call stage 2's context convolution the fourth of its tower
                prefix = "conv4" if t == 2 else "conv1"
                context = block.context(features, width=width, name=f"{prefix}_stage{t}")
            elif not block.context:
                context = features
            beliefs = block.build(context, beliefs, pooled_center, name=f"stage{t}", **sizes)
            outputs.append(_output(beliefs, t))
    model = keras.Model([image, center] if center_map else [image], outputs, name=name)
    set_convolution(model, convolution)
    return model


def initialize_release(model: keras.Model, seed: int = 0) -> None:
    """Draws the weights as the released recipe does: kernels Gaussian of deviation 0.01, biases
    zero (genProto.py).

    Example:
        >>> from keras_cpm import build_cpm, initialize_release
        >>> initialize_release(build_cpm(stages=1, width=8))
    """
    for i, layer in enumerate(
        layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)
    ):
        draw = keras.initializers.RandomNormal(stddev=0.01, seed=seed + i)
        layer.kernel.assign(draw(layer.kernel.shape))
        if layer.bias is not None:
            layer.bias.assign(keras.ops.zeros(layer.bias.shape))


def _resolve(argument, value, known, kind):
    if isinstance(value, str) and value in known:
        return known[value]
    if callable(value):
        return kind(value)
    raise ValueError(
        f"`{argument}` must be one of {list(known)} or a callable. Received: {argument}={value!r}"
    )


def _check(stages, spec, width, dropout, share_context, block):
    if not isinstance(stages, int) or not 1 <= stages <= MOST_STAGES:
        raise ValueError(
            f"`stages` must be a whole number, at least 1 and at most {MOST_STAGES}. "
            f"Received: stages={stages!r}"
        )
    if not isinstance(width, int) or not 4 <= width <= MOST_WIDTH or width % 4:
        raise ValueError(
            f"`width` must be a positive multiple of 4, at most {MOST_WIDTH}. "
            f"Received: width={width!r}"
        )
    if not 0 <= dropout < 1:
        raise ValueError(f"`dropout` must be in [0, 1). Received: dropout={dropout!r}")
    if spec.stride not in _STRIDES:
        raise ValueError(
            f"The networks have a stride among {_STRIDES}. Received: spec.stride={spec.stride}"
        )
    if share_context and not block.context:
        raise ValueError(
            '`share_context` needs a stage block with a context convolution: "classic" or '
            '"residual". Received: share_context=True'
        )


def _inputs(spec, input_size, center_map):
    if input_size not in (None, "any"):
        raise ValueError(
            '`input_size` must be None (spec.box_size) or "any". '
            f"Received: input_size={input_size!r}"
        )
    side = None if input_size == "any" else spec.box_size
    image = keras.Input((side, side, 3), name="image")
    return image, keras.Input((side, side, 1), name="center_map") if center_map else None


def _check_stride(features, image, stride):
    if image.shape[1] is not None and features.shape[1] * stride != image.shape[1]:
        raise ValueError(
            f"`backbone` must return features of stride {stride}: {image.shape[1] // stride} "
            f"cells for {image.shape[1]} pixels. Received: {features.shape[1]} cells"
        )


def _output(beliefs, t):
    # names the output, and keeps it float32 under mixed precision
    return keras.layers.Identity(name=f"stage{t}", dtype="float32")(beliefs)
