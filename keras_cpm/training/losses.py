"""The belief-map loss of Eq. 4, which skips what is not labelled. `keras.ops` only."""

from __future__ import annotations

from typing import Any

import keras

from ..pose.codec import IGNORE
from ..pose.spec import Array


def belief_l2(y_true: Array, y_pred: Array) -> Array:
    """Half the squared distance of a sample, summed over cells and channels (Eq. 4, Caffe's
    EuclideanLoss).

    A sum, not a mean: the published learning rate of 8e-5 belongs to it. With a mean the rate would
    have to grow by the number of cells times channels (46 * 46 * 15).

    Args:
        y_true: (B, h, w, C) ideal beliefs; entries of `codec.IGNORE` do not count.
        y_pred: (B, h, w, C) beliefs.

    Returns:
        (B,) float32.

    Example:
        >>> import numpy as np
        >>> from keras_cpm.training.losses import belief_l2
        >>> float(belief_l2(np.ones((1, 2, 2, 1)), np.zeros((1, 2, 2, 1)))[0])
        2.0
    """
    y_true = keras.ops.cast(y_true, "float32")
    counts = y_true > IGNORE / 2
    difference = keras.ops.where(counts, keras.ops.cast(y_pred, "float32") - y_true, 0.0)
    return 0.5 * keras.ops.sum(keras.ops.square(difference), axis=(1, 2, 3))


@keras.saving.register_keras_serializable(package="keras_cpm")
class BeliefL2(keras.losses.Loss):
    """`belief_l2` as a Keras loss, the mean over the batch.

    Example:
        >>> import numpy as np
        >>> from keras_cpm import BeliefL2
        >>> float(BeliefL2()(np.ones((2, 2, 2, 1)), np.zeros((2, 2, 2, 1))))
        2.0
    """

    def __init__(
        self,
        name: str = "belief_l2",
        reduction: str | None = "sum_over_batch_size",
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, reduction=reduction, **kwargs)

    def call(self, y_true: Array, y_pred: Array) -> Array:
        return belief_l2(y_true, y_pred)


def stage_losses(model: keras.Model) -> dict[str, BeliefL2]:
    """One `BeliefL2` per stage, by output name; with `loss_weights` the sum is Eq. 5.

    Example:
        >>> from keras_cpm import build_cpm, stage_losses
        >>> sorted(stage_losses(build_cpm(stages=2, width=8)))
        ['stage1', 'stage2']
    """
    return {name: BeliefL2() for name in model.output_names}
