"""Exports beside the Keras model that they were made of: how far keypoints move on photographs."""

import functools
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from ..data.synthetic.draw import draw_records
from ..evaluation import evaluate
from ..images import decode, sampling
from ..inference.predictor import Predictor
from ..pose import codec, geometry
from ..pose.pose import Pose
from . import onnx_file, quantize, saved_model, tflite
from .artefact import Artefact
from .displacement import BOUNDS, MEDIAN_BOUND, SURE, TIES, displacements
from .verify import RUNTIMES

COUNT, CALIBRATED = 100, 100
_FILES = (
    ("LiteRT", ".tflite", quantize.KINDS, tflite.export_tflite),
    ("ONNX", ".onnx", onnx_file.KINDS, onnx_file.export_onnx),
)


@dataclass(frozen=True, eq=False)
class Comparison:
    """Keypoints of an export beside those of the Keras model, image frame, pixels.

    Args:
        name: of the export, for tables.
        quantize: as in `export_tflite`, `export_onnx`; says which displacement is allowed.
        expected, found: (N, P, 2).
        scores: (N, P) of the Keras model.
        milliseconds: of one image, the median.
        size: bytes of the export.
        poses: of the Keras model, N, with its beliefs; without them no two peaks tie.
    """

    name: str
    quantize: str
    expected: np.ndarray
    found: np.ndarray
    scores: np.ndarray
    milliseconds: float
    size: int
    poses: Sequence[Pose] = ()

    @property
    def displacements(self):
        """(K,) pixels, see `displacement.displacements`."""
        return displacements(self.found, self.expected, self.scores)

    def of_part(self, number):
        """The displacements of one part."""
        found, expected, scores = self.found, self.expected, self.scores
        return displacements(found[:, number], expected[:, number], scores[:, number])

    @property
    def ties(self):
        """(K,) of those displacements, whether the Keras model has a peak of the same height where
        the keypoint was found, see `displacement.TIES`.
        """
        lower = np.full(self.scores.shape, np.inf)
        for number, pose in enumerate(self.poses):
            found = geometry.apply(pose.network_from_image, self.found[number]).numpy()
            there = np.isfinite(found).all(axis=-1)
            heights = codec.heights(
                pose.beliefs[-1][None], np.where(there[:, None], found, 0)[None], pose.spec
            )
            lower[number, there] = (pose.scores - np.asarray(heights)[0])[there]
        return (lower <= TIES.get(self.quantize, -np.inf))[self.scores >= SURE]

    @property
    def within(self):
        """Whether they have moved as little as they must: the largest that is no tie, of 8 bits
        the median.
        """
        bound = BOUNDS[self.quantize]
        moved = self.displacements
        if bound is None:
            return bool(np.median(moved) <= MEDIAN_BOUND) if moved.size else True
        return bool(((moved <= bound) | self.ties).all())

    def to_dict(self):
        """JSON values."""
        moved, bound = self.displacements, BOUNDS[self.quantize]
        return {
            "name": self.name,
            "bytes": self.size,
            "milliseconds": self.milliseconds,
            "keypoints": int(moved.size),
            "median": float(np.median(moved)) if moved.size else None,
            "largest": float(moved.max()) if moved.size else None,
            "ties": int(self.ties[moved > bound].sum()) if bound else 0,
            "within": self.within,
        }

    def checked(self):
        """The largest displacement; RuntimeError where `within` is false."""
        moved = self.displacements
        if not self.within:
            bound = BOUNDS[self.quantize] or f"a median of {MEDIAN_BOUND}"
            raise RuntimeError(
                f"{self.name} differs from the Keras model by {moved.max():.3f} px (median "
                f"{np.median(moved):.3f}), more than {bound}; this is a defect of the export, or "
                "of its calibration."
            )
        return float(moved.max(initial=0))


def compare(model, spec, records, path):
    """Compares an export with the predictor.

    A SavedModel is fed the encoded bytes, by "serving_default"; a LiteRT or ONNX file the
    network box.

    Args:
        model: `keras.Model`.
        spec: `PoseSpec` of the model.
        records: list of `Record`; only their images are used, the person fills them.
        path: of the export, see `artefact.Artefact`.

    Returns:
        `Comparison`.

    Example:
        >>> import keras_cpm, tempfile
        >>> from keras_cpm.export import compare
        >>> spec, folder = keras_cpm.PoseSpec(box_size=64), tempfile.mkdtemp()
        >>> model, people = keras_cpm.build_cpm(1, spec, width=8), keras_cpm.draw_records(folder, 2)
        >>> keras_cpm.export_saved_model(model, spec, f"{folder}/served")
        >>> compare.compare(model, spec, people, f"{folder}/served").checked() < 0.05
        True
    """
    return _compare(baseline(model, spec, records), spec, records, path)


def compare_all(model, spec, out, *, records=(), calibration=(), say=print):
    """Exports a model in every way and compares each with the Keras model; a way whose library is
    missing is left out.

    Args:
        model: `keras.Model`.
        spec: `PoseSpec` of the model.
        out: folder of the exports; made if it is not there.
        records: list of `Record` to compare on, people who fill their images; 100 drawn people
            without.
        calibration: list of `Record` for int8, other people; 100 drawn ones without.
        say: takes a line before each export, and one where it is left out.

    Returns:
        list of `Comparison`, `baseline` first.

    Raises:
        ValueError: as the exports do.
    """
    out = Path(out)
    with tempfile.TemporaryDirectory() as folder:
        drawn = () if records and calibration else draw_records(folder, COUNT + CALIBRATED, seed=6)
        records = list(records or drawn[:COUNT])
        calibration = list(calibration or drawn[COUNT:])[:CALIBRATED]
        rows = [baseline(model, spec, records)]
        say("SavedModel")
        path = out / "savedmodel"
        saved_model.export_saved_model(model, spec, path)
        rows.append(_compare(rows[0], spec, records, path))
        for name, suffix, kinds, export in _FILES:
            for kind in kinds:
                say(f"{name}, {kind}")
                path = out / f"{kind}{suffix}"
                try:
                    export(model, spec, path, quantize=kind, calibration=calibration)
                except ImportError as error:
                    say(f"is left out: {error}")
                    continue
                rows.append(_compare(rows[0], spec, records, path))
    return rows


def baseline(model, spec, records):
    """The Keras model beside itself, what its exports are compared with.

    Args:
        model: `keras.Model`.
        spec: `PoseSpec` of the model.
        records: list of `Record`; only their images are used, the person fills them.

    Returns:
        `Comparison`.
    """
    predictor = Predictor(model, spec)
    poses, milliseconds = _timed(functools.partial(predictor, record.image) for record in records)
    keypoints = np.stack([pose.keypoints for pose in poses])
    scores = np.stack([pose.scores for pose in poses])
    size = 4 * model.count_params()
    return Comparison("Keras", "none", keypoints, keypoints, scores, milliseconds, size, poses)


def parts_table(rows, records, parts):
    """How far each part moves, and what becomes of its PCK.

    Args:
        rows: that `compare_all` returned.
        records: the same; labelled.
        parts: names, P.

    Returns:
        dict of name of the row -> dict of part -> {"median", "p95" in pixels, "pck" and
        "keras_pck" in percent} and "total" -> {"pck", "keras_pck"}. The PCK is `None` where
        nothing is labelled.
    """
    predictions = {row.name: (row.found, parts) for row in rows}
    scores = evaluate.evaluate_predictions(predictions, records).scores(0.2)
    (metric,) = scores[rows[0].name]
    pck = {
        name: {"total": one[metric]["total"], **one[metric]["parts"]}
        for name, one in scores.items()
    }
    table = {}
    for row in rows:
        entry = {"total": {"pck": pck[row.name]["total"], "keras_pck": pck[rows[0].name]["total"]}}
        for number, part in enumerate(parts):
            moved = row.of_part(number)
            entry[part] = {
                "median": float(np.median(moved)) if moved.size else None,
                "p95": float(np.quantile(moved, 0.95)) if moved.size else None,
                "pck": pck[row.name].get(part),
                "keras_pck": pck[rows[0].name].get(part),
            }
        table[row.name] = entry
    return table


def _compare(keras, spec, records, path):
    artefact = Artefact(path)
    prepare = _file(artefact, spec) if artefact.is_file else _saved_model(artefact)
    found, milliseconds = _timed(prepare(record.image) for record in records)
    return Comparison(
        artefact.path.name,
        artefact.read_manifest()["quantize"],
        keras.expected,
        np.stack(found),
        keras.scores,
        milliseconds,
        artefact.size(),
        keras.poses,
    )


def _timed(calls):
    """The results of functions of nothing, and their median time; making them is not timed."""
    results, seconds = [], []
    for call in calls:
        start = time.perf_counter()
        results.append(call())
        seconds.append(time.perf_counter() - start)
    return results, 1e3 * float(np.median(seconds))


def _saved_model(artefact):
    serve = tf.saved_model.load(str(artefact.model)).signatures["serving_default"]

    def prepare(image):
        data = tf.constant([decode.encoded(image)])
        return lambda: serve(image=data)["keypoints"][0].numpy()

    return prepare


def _file(artefact, spec):
    model = RUNTIMES[artefact.kind](artefact.path)

    def prepare(image):
        pixels, upright_from_stored = decode.open_image(image)
        size = geometry.upright_size(pixels.shape[:2], upright_from_stored)
        network_from_image = geometry.network_from_size(size, spec)
        crop = sampling.crop(pixels, upright_from_stored, network_from_image, spec)[None]
        image_from_network = geometry.invert(network_from_image)
        return lambda: geometry.apply(image_from_network, model(crop)["keypoints"][0]).numpy()

    return prepare
