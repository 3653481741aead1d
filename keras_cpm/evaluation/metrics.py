"""PCK, PCKh and AUC on arrays, and PCK on belief maps as a Keras metric.

Letters: S samples, P parts. Points may be of any frame as long as it is the same one everywhere.
Parts that are not labelled never count; a predicted point that is NaN counts as wrong.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import keras
import numpy as np

from ..pose import codec
from ..pose.skeleton import Skeleton
from ..pose.spec import Array, PoseSpec
from .protocols import NORMALIZERS


def pck(
    predicted: Array, truth: Array, labelled: Array, normalizer: Array, alpha: float
) -> tuple[np.ndarray, float]:
    """Percentage of correct keypoints: those within `alpha * normalizer` of their labels.

    Args:
        predicted: (S, P, 2) points.
        truth: (S, P, 2) points.
        labelled: (S, P) bool, which labels count.
        normalizer: (S,) pixels, for example `reference_length(...)`. A sample in which it is NaN
            does not count.
        alpha: share of the normalizer; 0.2 for LSP and FLIC.

    Returns:
        Per part (P,), NaN for a part that is labelled nowhere, and pooled over all labelled
        keypoints, a float; both between 0 and 1.

    Example:
        >>> from keras_cpm import pck
        >>> predicted, truth = [[[0, 0], [9, 0]]], [[[1, 0], [0, 0]]]
        >>> per_part, total = pck(predicted, truth, [[True, True]], [10.0], 0.2)
        >>> per_part.tolist(), total
        ([1.0, 0.0], 0.5)
    """
    predicted, truth = np.asarray(predicted, float), np.asarray(truth, float)
    normalizer = np.asarray(normalizer, float)[:, None]
    counts = np.asarray(labelled, bool) & np.isfinite(normalizer)
    with np.errstate(invalid="ignore"):
        correct = counts & (np.linalg.norm(predicted - truth, axis=-1) <= alpha * normalizer)
        per_part = correct.sum(axis=0) / counts.sum(axis=0)
        return per_part, float(np.divide(correct.sum(), counts.sum()))


def pckh(
    predicted: Array, truth: Array, labelled: Array, head_size: Array, alpha: float = 0.5
) -> tuple[np.ndarray, float]:
    """`pck` relative to the head: MPII takes 0.6 of the diagonal of the head box. See `pck`.

    Example:
        >>> from keras_cpm import pckh
        >>> pckh([[[0, 4]]], [[[0, 0]]], [[True]], [10.0])[1]
        1.0
    """
    return pck(predicted, truth, labelled, head_size, alpha)


def auc(
    predicted: Array, truth: Array, labelled: Array, normalizer: Array, alphas: Array
) -> tuple[np.ndarray, float]:
    """Area under the curve of `pck` over `alphas`, by trapezoids, divided by their range.

    Args:
        predicted, truth, labelled, normalizer: see `pck`.
        alphas: ascending thresholds; for LSP `np.linspace(0, 0.2, 21)`.

    Returns:
        Per part (P,), and pooled over all labelled keypoints; between 0 and 1.

    Example:
        >>> from keras_cpm import auc
        >>> auc([[[0, 0]]], [[[0, 0]]], [[True]], [10.0], [0.0, 0.1, 0.2])[1]
        1.0
    """
    curves = [pck(predicted, truth, labelled, normalizer, alpha) for alpha in alphas]
    widths = np.diff(alphas) / (alphas[-1] - alphas[0])

    def area(heights):
        # np.trapezoid came with NumPy 2
        heights = np.array(heights)
        return widths @ (heights[1:] + heights[:-1]) / 2

    return area([parts for parts, _ in curves]), float(area([total for _, total in curves]))


def normalizer_lengths(name, truth, labelled, skeleton, *, predicted=None, head_sizes=None):
    """The normalizer called `name`.

    Args:
        name: "torso": distance of the skeleton's two torso parts, as labelled; left shoulder to
            right hip for people. "predicted-torso": the same of the predicted points, as the
            release's FLIC code has it (run_benchmark.m). "box": longest side of the box around the
            labelled parts. "head": the records' head size. "head-segment": distance of the parts
            "head" and "neck", as labelled. `None`: "torso", or "box" for a skeleton without.
        truth: (S, P, 2) points.
        labelled: (S, P) bool.
        skeleton: `Skeleton`.
        predicted: (S, P, 2) points, for "predicted-torso".
        head_sizes: (S,) numbers or `None`s, for "head".

    Returns:
        (S,) float; NaN where it is not known.

    Raises:
        ValueError: an unknown name, no torso, no head size anywhere, or no head and neck.

    Example:
        >>> from keras_cpm import Skeleton
        >>> from keras_cpm.evaluation.metrics import normalizer_lengths
        >>> snake = Skeleton("snake", ("head", "tail"), torso=("head", "tail"))
        >>> normalizer_lengths("torso", [[[0, 0], [3, 4]]], [[True, True]], snake).tolist()
        [5.0]
    """
    if name == "head":
        if head_sizes is None or not any(head_sizes):
            raise ValueError(
                'normalizer="head", the one of pckh and of the protocol "mpii", needs records with '
                '`head_size`; "head-segment" of pck takes the labelled head and neck. Received: '
                "none"
            )
        return np.array([size or np.nan for size in head_sizes], float)
    if name not in (None, *NORMALIZERS):
        raise ValueError(
            f"`normalizer` must be one of {list(NORMALIZERS)}. Received: normalizer={name!r}"
        )
    if name == "box":
        return reference_length(truth, labelled, dataclasses.replace(skeleton, torso=None))
    if name == "head-segment":
        if not {"head", "neck"} <= set(skeleton.parts):
            raise ValueError(
                'normalizer="head-segment" needs records with the parts "head" and "neck"; take '
                f'"box". Received: the parts {list(skeleton.parts)}'
            )
        skeleton = dataclasses.replace(skeleton, torso=("head", "neck"))
    if name is not None and skeleton.torso is None:
        raise ValueError(
            f'normalizer={name!r} needs a skeleton with a `torso`; take "box". '
            f"Received: the skeleton {skeleton.name!r}"
        )
    points = predicted if name == "predicted-torso" else truth
    return reference_length(points, labelled, skeleton)


def reference_length(truth: Array, labelled: Array, skeleton: Skeleton) -> np.ndarray:
    """The usual normalizer of PCK.

    With a `torso` (people) it is the distance between its two parts, left shoulder and right hip;
    without, the longest side of the box around the labelled parts.

    Args:
        truth: (S, P, 2) points.
        labelled: (S, P) bool.
        skeleton: `Skeleton`.

    Returns:
        (S,) float, in the units of `truth`; NaN where it is not known.

    Example:
        >>> from keras_cpm import Skeleton, reference_length
        >>> snake = Skeleton("snake", ("head", "middle", "tail"))
        >>> reference_length([[[0, 0], [3, 1], [8, 2]]], [[True] * 3], snake).tolist()
        [8.0]
    """
    length, known = _reference_length(
        keras.ops.convert_to_tensor(truth, "float32"), labelled, skeleton
    )
    return np.where(known, length, np.nan).astype(float)


def _reference_length(truth, labelled, skeleton):
    ops = keras.ops
    labelled = ops.cast(labelled, "bool")
    if skeleton.torso is not None:
        a, b = (skeleton.index(part) for part in skeleton.torso)
        length = ops.norm(truth[:, a] - truth[:, b], axis=-1)
        known = ops.logical_and(labelled[:, a], labelled[:, b])
    else:
        counts = labelled[..., None]
        low = ops.min(ops.where(counts, truth, 1e9), axis=1)
        high = ops.max(ops.where(counts, truth, -1e9), axis=1)
        length = ops.max(high - low, axis=-1)
        known = ops.any(labelled, axis=-1)
    return length, ops.logical_and(known, length > 0)


def belief_response(y_true, y_pred, spec):
    """How much of the ideal peaks belief maps show: 0 where each map is flat, 1 where it is ideal.

    The regression of belief on ideal belief over all cells of a batch, each part without its mean.

    Args:
        y_true: (B, h, w, C) ideal beliefs; entries of `codec.IGNORE` do not count.
        y_pred: (B, h, w, C) beliefs.
        spec: `PoseSpec`; its background channel does not count.

    Returns:
        float; NaN where no part has a peak.

    Example:
        >>> import numpy as np
        >>> from keras_cpm import PoseSpec
        >>> from keras_cpm.evaluation.metrics import belief_response
        >>> ideal = np.random.default_rng(0).random((2, 8, 8, 15))
        >>> round(belief_response(ideal, 0.5 * ideal + 3, PoseSpec()), 3)
        0.5
    """
    ideal, belief = (np.asarray(maps, float)[..., : spec.num_parts] for maps in (y_true, y_pred))
    counts = ideal > codec.IGNORE / 2

    def from_mean(maps):
        mean = np.where(counts, maps, 0).sum((0, 1, 2)) / np.maximum(counts.sum((0, 1, 2)), 1)
        return np.where(counts, maps - mean, 0)

    ideal, belief = from_mean(ideal), from_mean(belief)
    with np.errstate(invalid="ignore", divide="ignore"):
        return float((ideal * belief).sum() / np.square(ideal).sum())


@keras.saving.register_keras_serializable(package="keras_cpm")
class BeliefPCK(keras.metrics.Metric):
    """PCK in the network frame, from belief maps; to watch during `fit`.

    The truth is read off the target maps, so a part counts if its peak is in the box. Meant for
    stages >= 2: the target of stage 1 holds everybody's peaks.

    Args:
        spec: `PoseSpec`.
        alpha: share of the normalizer, see `reference_length`.

    Example:
        >>> from keras_cpm import BeliefPCK, PoseSpec, codec
        >>> spec = PoseSpec()
        >>> person = [[50.0 + 10 * i, 99.0] for i in range(14)]
        >>> target = codec.encode([person], [[2] * 14], spec)[None]
        >>> metric = BeliefPCK(spec)
        >>> metric.update_state(target, target)
        >>> float(metric.result())
        1.0
    """

    def __init__(
        self,
        spec: PoseSpec = PoseSpec(),  # noqa: B008 frozen
        alpha: float = 0.2,
        name: str = "pck",
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        self.spec, self.alpha = spec, alpha
        self.correct = self.add_weight(name="correct", initializer="zeros")
        self.counted = self.add_weight(name="counted", initializer="zeros")

    def update_state(
        self, y_true: Array, y_pred: Array, sample_weight: Array | None = None
    ) -> None:
        ops = keras.ops
        truth, peaks = codec.decode(y_true, self.spec)
        predicted, _ = codec.decode(y_pred, self.spec)
        # a peak between four cells is the lowest; what is lower is the tail of a part outside
        lowest = math.exp(-((self.spec.stride / 2) ** 2) / self.spec.part_sigma**2)
        labelled = peaks > 0.7 * lowest
        length, known = _reference_length(truth, labelled, self.spec.skeleton)
        counts = ops.cast(ops.logical_and(labelled, known[:, None]), "float32")
        if sample_weight is not None:
            counts = counts * ops.reshape(ops.cast(sample_weight, "float32"), (-1, 1))
        near = ops.norm(predicted - truth, axis=-1) <= self.alpha * length[:, None]
        self.correct.assign_add(ops.sum(counts * ops.cast(near, "float32")))
        self.counted.assign_add(ops.sum(counts))

    def result(self) -> Array:
        return keras.ops.divide_no_nan(self.correct, self.counted)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "spec": self.spec.to_json(), "alpha": self.alpha}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> BeliefPCK:
        return cls(**{**config, "spec": PoseSpec.from_json(config["spec"])})
