"""A model and records -> PCK per part and per stage."""

from dataclasses import dataclass

import numpy as np

from . import geometry
from .data import pipeline
from .metrics import auc, pck, reference_length
from .predictor import Predictor
from .skeleton import Skeleton


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Predictions beside their truth, image frame, pixels. Letters: T stages, S samples, P parts.

    Args:
        predicted: by row name ("stage1", ...) (S, P, 2).
        truth: (S, P, 2).
        labelled: (S, P) bool.
        normalizer: (S,) pixels; NaN where it is not known.
        metric: "pck" or "pckh", what the normalizer makes of it.
        skeleton: `Skeleton`.

    Example:
        >>> import numpy as np
        >>> from keras_cpm import Evaluation, Skeleton
        >>> points, labelled = np.zeros((1, 2, 2)), np.ones((1, 2), bool)
        >>> pair = Skeleton("pair", ("a", "b"))
        >>> result = Evaluation({"stage1": points}, points, labelled, np.ones(1), "pck", pair)
        >>> result.scores(0.2)["stage1"]["pck@0.2"]["total"]
        100.0
    """

    predicted: dict
    truth: np.ndarray
    labelled: np.ndarray
    normalizer: np.ndarray
    metric: str
    skeleton: Skeleton

    def scores(self, alpha=0.2):
        """PCK in percent, as `keras-cpm evaluate --json` writes them.

        Args:
            alpha: share of the normalizer.

        Returns:
            {"stage1": {"pck@0.2": {"total": 84.32, "parts": {"head": 96.9, ...}}}, ...}; a part
            that is labelled nowhere is `None`.
        """
        return {
            row: {f"{self.metric}@{alpha:g}": self._entry(pck, predicted, alpha)}
            for row, predicted in self.predicted.items()
        }

    def areas(self, alphas):
        """Areas under the curve in percent, {"stage1": {"auc@0.2": {...}}, ...}; see `metrics.auc`."""
        return {
            row: {f"auc@{alphas[-1]:g}": self._entry(auc, predicted, alphas)}
            for row, predicted in self.predicted.items()
        }

    def _entry(self, metric, predicted, threshold):
        parts, total = metric(predicted, self.truth, self.labelled, self.normalizer, threshold)
        return {
            "total": None if np.isnan(total) else 100 * total,
            "parts": {
                name: None if np.isnan(value) else 100 * float(value)
                for name, value in zip(self.skeleton.parts, parts, strict=True)
            },
        }


def evaluate(
    model,
    records,
    spec,
    *,
    metric="pck",
    baseline_records=(),
    scales=(1.0,),
    flip=False,
    refine="log",
    progress=None,
):
    """Predicts every record's primary person and compares with its labels.

    Args:
        model: `keras.Model` as `build_cpm` makes it.
        records: list of `Record` with centre and height.
        spec: `PoseSpec` of the model.
        metric: "pck" (normalised by `metrics.reference_length`) or "pckh" (by the records'
            `head_size`).
        baseline_records: training records; with them a row "mean pose" shows what a network that
            does not look at the image would reach.
        scales, flip, refine: see `Predictor`.
        progress: callable that wraps the iteration over the records, to show it.

    Returns:
        `Evaluation` with the rows "stage1".. "stageT".

    Raises:
        ValueError, FileNotFoundError: settings or records that do not fit, an image that cannot be
            read.

    Example:
        >>> import tempfile, keras_cpm
        >>> spec = keras_cpm.PoseSpec(box_size=64)
        >>> records = keras_cpm.draw_records(tempfile.mkdtemp(), 3)
        >>> result = keras_cpm.evaluate(keras_cpm.build_cpm(2, spec, width=8), records, spec)
        >>> sorted(result.scores(0.2))
        ['stage1', 'stage2']
    """
    pipeline.check_records(records, spec)
    predictor = Predictor(model, spec, scales=scales, flip=flip, refine=refine)
    truth, visible = _labels(records, spec)
    normalizer = _normalizer(metric, records, truth, visible > 0, spec)
    poses = []
    for record in progress(records) if progress else records:
        center, height = pipeline.where_is(record, spec)
        poses.append(predictor(record.image, center=center, person_height=height))
    stages = np.stack([pose.stage_keypoints for pose in poses], axis=1)
    rows = {name: stages[t] for t, name in enumerate(model.output_names)}
    if baseline_records:
        rows = {"mean pose": mean_pose(baseline_records, records, spec), **rows}
    return Evaluation(rows, truth, visible > 0, normalizer, metric, spec.skeleton)


def mean_pose(training_records, records, spec):
    """The mean labelled pose of the training people, put where each record's person is.

    Returns:
        (S, P, 2) image frame, pixels.

    Example:
        >>> import tempfile
        >>> from keras_cpm import PoseSpec, draw_records, mean_pose
        >>> records = draw_records(tempfile.mkdtemp(), 3)
        >>> mean_pose(records[:2], records[2:], PoseSpec()).shape
        (1, 14, 2)
    """
    keypoints, visible = _labels(training_records, spec)
    placed = geometry.apply(_network_from_image(training_records, spec), keypoints).numpy()
    counts = (visible > 0)[..., None]
    mean = (placed * counts).sum(axis=0) / np.maximum(counts.sum(axis=0), 1)
    image_from_network = geometry.invert(_network_from_image(records, spec))
    return geometry.apply(image_from_network, np.repeat(mean[None], len(records), axis=0)).numpy()


def _network_from_image(records, spec):
    places = [pipeline.where_is(record, spec) for record in records]
    return np.stack([geometry.network_from_image(*place, spec) for place in places])


def _labels(records, spec):
    labels = [pipeline.keypoints_of(r.people[0], r.parts, spec.skeleton) for r in records]
    return np.stack([keypoints for keypoints, _ in labels]), np.stack(
        [visible for _, visible in labels]
    )


def _normalizer(metric, records, truth, labelled, spec):
    if metric == "pck":
        return reference_length(truth, labelled, spec.skeleton)
    if metric != "pckh":
        raise ValueError(f'`metric` must be "pck" or "pckh". Received: metric={metric!r}')
    sizes = [record.people[0].head_size for record in records]
    if not any(sizes):
        raise ValueError(
            'metric="pckh" needs records with `head_size`. Received: none; use metric="pck"'
        )
    return np.array([size or np.nan for size in sizes], float)
