"""A model or predictions, and records -> PCK per part, per stage, per group of people."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import keras
import numpy as np

from ..data import pipeline, placement
from ..data.records import Record
from ..inference.predictor import Predictor
from ..pose import geometry
from ..pose.skeleton import skeleton_of
from ..pose.spec import Array, PoseSpec, Progress
from .metrics import normalizer_lengths
from .protocols import protocol_named
from .scores import Evaluation


def evaluate(
    model: keras.Model,
    records: Sequence[Record],
    spec: PoseSpec,
    *,
    protocol: str | None = None,
    metric: str | None = None,
    normalizer: str | None = None,
    baseline_records: Sequence[Record] = (),
    scales: Sequence[float] | None = None,
    flip: bool = False,
    refine: str | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Predicts every record's primary person and compares with its labels.

    Args:
        model: `keras.Model` as `build_cpm` makes it.
        records: list of `Record` with centre and height.
        spec: `PoseSpec` of the model.
        protocol: "lsp", "flic" or "mpii": metric, normalizer, parts and columns of the benchmark,
            and the release's way of testing: 7 scales whose beliefs are added up at the pixels of
            the photograph, of which the highest is the answer. `None`: one look, sub-pixel peaks.
        metric: "pck", or "pckh" (by the records' `head_size`); `None`: the protocol's, else "pck".
        normalizer: of pck, one of `protocols.NORMALIZERS`; `None`: the torso, or the box around the
            labels for a skeleton without.
        baseline_records: training records; with them a row "mean pose" shows what a network that
            does not look at the image would reach.
        scales, flip, refine: see `Predictor`; `None` for what the protocol says, else (1.0,) and
            "log".
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
    # what can fail early does
    compare = _Comparison(records, spec.skeleton, protocol, metric, normalizer)
    rows = {}
    if baseline_records:
        rows["mean pose"] = mean_pose(baseline_records, records, spec)
    rows |= predict_records(
        model,
        records,
        spec,
        protocol=protocol,
        scales=scales,
        flip=flip,
        refine=refine,
        progress=progress,
    )
    return compare.with_predictions(rows, spec.skeleton.parts)


def predict_records(
    model: keras.Model,
    records: Sequence[Record],
    spec: PoseSpec,
    *,
    protocol: str | None = None,
    scales: Sequence[float] | None = None,
    flip: bool = False,
    refine: str | None = None,
    progress: Progress | None = None,
) -> dict[str, np.ndarray]:
    """The poses of every record's primary person; labels are not needed.

    Args:
        model, records, spec, protocol, scales, flip, refine, progress: see `evaluate`.

    Returns:
        {"stage1": (S, P, 2) float32, image frame, pixels, ...}, parts in the order of `spec`.

    Example:
        >>> import tempfile, keras_cpm
        >>> spec = keras_cpm.PoseSpec(box_size=64)
        >>> records = keras_cpm.draw_records(tempfile.mkdtemp(), 3)
        >>> model = keras_cpm.build_cpm(2, spec, width=8)
        >>> keras_cpm.predict_records(model, records, spec)["stage2"].shape
        (3, 14, 2)
    """
    predictor = predictor_for(model, spec, protocol, scales=scales, flip=flip, refine=refine)
    stages = np.stack([pose.stage_keypoints for pose in _poses(predictor, records, progress)], 1)
    return {name: stages[t] for t, name in enumerate(model.output_names)}


def predict_scored(model, records, spec, *, scales=None, flip=False, refine=None, progress=None):
    """`predict_records` with scores, as `evaluate_coco` takes predictions.

    Returns:
        {"stage1": (keypoints (S, P, 2), P part names, scores (S,)), ...}; a score is the mean of
        the parts' scores.
    """
    predictor = predictor_for(model, spec, scales=scales, flip=flip, refine=refine)
    poses = list(_poses(predictor, records, progress))
    stages = np.stack([pose.stage_keypoints for pose in poses], axis=1)
    scores = np.stack([pose.stage_scores for pose in poses], axis=1).mean(axis=-1)
    rows = zip(model.output_names, stages, scores, strict=True)
    return {name: (points, spec.skeleton.parts, sure) for name, points, sure in rows}


def _poses(predictor, records, progress):
    """The records' primary people, one after the other."""
    pipeline.check_records(records, predictor.spec)
    for record in progress(records) if progress else records:
        center, height = placement.where_is(record)
        yield predictor(record.image, center=center, person_height=height)


def predictor_for(model, spec, protocol=None, *, scales=None, flip=False, refine=None):
    """The `Predictor` with which `evaluate` looks at a record; see there."""
    rules = protocol_named(protocol) if protocol else None
    return Predictor(
        model,
        spec,
        scales=scales or (rules.scales if rules else (1.0,)),
        flip=flip,
        refine=refine or ("none" if rules else "log"),
        merge="image" if rules else "box",
    )


def evaluate_predictions(
    predictions: Mapping[str, tuple[Array, Sequence[str]]],
    records: Sequence[Record],
    *,
    protocol: str | None = None,
    metric: str | None = None,
    normalizer: str | None = None,
) -> Evaluation:
    """Compares predictions made elsewhere with the labels of records; no photograph is needed.

    Args:
        predictions: name of a row -> (keypoints (S, P, 2) image frame, pixels, P part names), as
            `read_predictions` reads them; sample i belongs to `records[i]`.
        records: list of S `Record`.
        protocol, metric, normalizer: see `evaluate`.

    Returns:
        `Evaluation` with one row a prediction, over the parts that they and the records share.

    Raises:
        ValueError: another number of samples, or no part in common.

    Example:
        >>> import numpy as np, tempfile, keras_cpm
        >>> records = keras_cpm.draw_records(tempfile.mkdtemp(), 3)
        >>> perfect = np.stack([record.people[0].keypoints for record in records])
        >>> mine = {"mine": (perfect, records[0].parts)}
        >>> result = keras_cpm.evaluate_predictions(mine, records)
        >>> result.scores(0.2)["mine"]["pck@0.2"]["total"]
        100.0
    """
    for name, (points, parts) in predictions.items():
        if np.shape(points) != (len(records), len(parts), 2):
            raise ValueError(
                f"The predictions {name!r} must be {(len(records), len(parts), 2)}, one pose a "
                f"record, in the order of the records. Received: {np.shape(points)}; prepare the "
                "records of the split that was predicted."
            )
    known = [set(parts) for _, parts in predictions.values()]
    shared = [p for p in records[0].parts if all(p in parts for parts in known)]
    if not shared:
        raise ValueError(
            "Predictions and records must share parts. Received: records of "
            f"{list(records[0].parts)}, predictions of "
            f"{[list(parts) for _, parts in predictions.values()]}"
        )
    skeleton = skeleton_of(records[0].parts).subset(shared)
    compare = _Comparison(records, skeleton, protocol, metric, normalizer)
    rows = {}
    for name, (points, parts) in predictions.items():
        rows[name] = np.asarray(points)[:, [parts.index(part) for part in shared]]
    return compare.with_predictions(rows, shared)


class _Comparison:
    """The truth of records, and what a protocol counts of it."""

    def __init__(self, records, skeleton, protocol, metric, normalizer):
        rules = protocol_named(protocol) if protocol else None
        self.metric = _metric(rules, metric)
        self.normalizer = normalizer or (rules.normalizer if rules else None)
        if self.metric == "pckh" and self.normalizer not in (None, "head"):
            raise ValueError(
                'pckh is normalized by "head"; leave `normalizer` out, or take the metric "pck". '
                f"Received: normalizer={normalizer!r}"
            )
        if self.metric == "pckh":
            self.normalizer = "head"
        left_out = rules.left_out if rules else ()
        self.skeleton = skeleton.subset([p for p in skeleton.parts if p not in left_out])
        self.truth, visible = _labels(records, self.skeleton)
        self.labelled = visible > 0
        self.columns = _columns(rules, self.skeleton) if rules else None
        self.lengths = self._lengths(records, skeleton)

    def _lengths(self, records, skeleton):
        """The normalizer, from all labels of the records: whoever predicts what, it is the same."""
        if self.normalizer == "predicted-torso":
            return None
        whole = skeleton_of(records[0].parts, skeleton)
        if whole.torso is None and skeleton.torso and set(skeleton.torso) <= set(whole.parts):
            whole = dataclasses.replace(whole, torso=skeleton.torso)
        truth, visible = _labels(records, whole)
        heads = [record.people[0].head_size for record in records]
        return normalizer_lengths(self.normalizer, truth, visible > 0, whole, head_sizes=heads)

    def with_predictions(self, rows, parts):
        chosen = [list(parts).index(part) for part in self.skeleton.parts]
        rows = {name: points[:, chosen] for name, points in rows.items()}
        lengths = self.lengths
        if lengths is None:
            lengths = {name: self._predicted_lengths(points) for name, points in rows.items()}
        return Evaluation(
            rows, self.truth, self.labelled, lengths, self.metric, self.skeleton, self.columns
        )

    def _predicted_lengths(self, points):
        lengths = normalizer_lengths(
            self.normalizer,
            self.truth,
            np.ones(self.labelled.shape, bool),
            self.skeleton,
            predicted=points,
        )
        # who predicts no torso is wrong, not left out
        return np.nan_to_num(lengths)


def _metric(rules, metric):
    if metric not in (None, "pck", "pckh"):
        raise ValueError(f'`metric` must be "pck" or "pckh". Received: metric={metric!r}')
    if rules and metric not in (None, rules.metric):
        raise ValueError(
            f"The protocol {rules.name!r} is scored by {rules.metric}; leave `metric` out. "
            f"Received: metric={metric!r}"
        )
    return rules.metric if rules else metric or "pck"


def _columns(rules, skeleton):
    columns = {
        name: tuple(part for part in members if part in skeleton.parts)
        for name, members in rules.columns.items()
    }
    return {name: members for name, members in columns.items() if members}


def mean_pose(
    training_records: Sequence[Record], records: Sequence[Record], spec: PoseSpec
) -> np.ndarray:
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
    for number, record in enumerate([*training_records, *records]):
        if not placement.is_placed(record):
            raise ValueError(
                f"Record {number} ({record.image}): nothing says where its primary person is; give "
                "`center` and `height`, or `box`."
            )
    keypoints, visible = _labels(training_records, spec.skeleton)
    placed = geometry.apply(_network_from_image(training_records, spec), keypoints).numpy()
    counts = (visible > 0)[..., None]
    mean = (placed * counts).sum(axis=0) / np.maximum(counts.sum(axis=0), 1)
    image_from_network = geometry.invert(_network_from_image(records, spec))
    return geometry.apply(image_from_network, np.repeat(mean[None], len(records), axis=0)).numpy()


def _network_from_image(records, spec):
    places = [placement.where_is(record) for record in records]
    return np.stack([geometry.network_from_image(*place, spec) for place in places])


def _labels(records, skeleton):
    labels = [placement.keypoints_of(r.people[0], r.parts, skeleton) for r in records]
    return np.stack([keypoints for keypoints, _ in labels]), np.stack(
        [visible for _, visible in labels]
    )
