"""Starting from a trained model, also one of another skeleton."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras


def transfer_weights(
    source: keras.Model, target: keras.Model, *, same_parts: bool = True
) -> list[str]:
    """Copies the weights of every layer that `source` and `target` share by name and shape.

    For another skeleton the tower and the inner layers of the stages come over; what depends on the
    number of parts (the last convolution of each stage, and the first of the stages that read
    beliefs) stays as it is.

    Args:
        source: trained `keras.Model`.
        target: `keras.Model`; changed in place.
        same_parts: whether the channels of both mean the same parts. If not, the layers that depend
            on them are left alone even where their shapes agree.

    Returns:
        Names of the layers of `target` that have weights and got none.

    Raises:
        ValueError: no layer fits.

    Example:
        >>> from keras_cpm import FLIC9, PoseSpec, build_cpm, transfer_weights
        >>> people = PoseSpec(box_size=64)
        >>> source = build_cpm(2, people, width=8)
        >>> target = build_cpm(2, people.replace(skeleton=FLIC9), width=8)
        >>> transfer_weights(source, target)
        ['conv7_stage1', 'Mconv1_stage2', 'Mconv5_stage2']
    """
    trained = {layer.name: layer for layer in source.layers if layer.weights}
    weighted = [layer for layer in target.layers if layer.weights]
    fresh = []
    for layer in weighted:
        usable = same_parts or not _depends_on_parts(layer, target.outputs[0].shape[-1])
        if usable and layer.name in trained and _shapes(layer) == _shapes(trained[layer.name]):
            layer.set_weights(trained[layer.name].get_weights())
        else:
            fresh.append(layer.name)
    if len(fresh) == len(weighted):
        raise ValueError(
            "`source` and `target` must share layers of the same name and shape; build the target "
            "with the source's backbone, stage block and width. Received: none in common, "
            f"{fresh[0]!r} is the first"
        )
    return fresh


def _depends_on_parts(layer, channels):
    """The last convolution of a stage, and the first of one that reads beliefs."""
    ends_stage = getattr(layer, "kernel_size", None) == (1, 1) and layer.filters == channels
    return ends_stage or layer.name.startswith("Mconv1_stage")


def _shapes(layer):
    return [tuple(weight.shape) for weight in layer.weights]
