"""Every export of one bundle beside its Keras model: displacements, PCK, size and milliseconds."""

import tempfile
import time
from pathlib import Path

import numpy as np

from ..data.synthetic.draw import draw_records
from ..evaluation import evaluate
from ..inference.predictor import Predictor
from . import compare, quantize, saved_model

COUNT, CALIBRATED = 100, 100


def prove_all(model, spec, out, *, records=(), calibration=(), progress=iter, say=print):
    """Exports a model in every way and compares each with the Keras model.

    Args:
        model: `keras.Model`.
        spec: `PoseSpec` of the model.
        out: folder of the exports; made if it is not there.
        records: list of `Record` to compare on, people who fill their images; 100 drawn people without.
        calibration: list of `Record` for int8, other people; 100 drawn ones without.
        progress: wraps the records of each comparison.
        say: takes a sentence before each step, and where one cannot be done.

    Returns:
        list of `agreement.Agreement`, the Keras model itself first.

    Raises:
        ValueError, ImportError: as the exports do.
    """
    out = Path(out)
    with tempfile.TemporaryDirectory() as folder:
        people = draw_records(folder, COUNT + CALIBRATED, seed=6)
        records = list(records or people[:COUNT])
        calibration = list(calibration or people[COUNT:])[:CALIBRATED]
        rows = [_keras(model, spec, records, progress)]
        say("SavedModel")
        served = out / "savedmodel"
        saved_model.export_saved_model(model, spec, served)
        rows.append(compare.compare(model, spec, records, served, progress))
        for kind in quantize.KINDS:
            say(f"LiteRT, {kind}")
            path = out / f"{kind}.tflite"
            saved_model.export_tflite(model, spec, path, quantize=kind, calibration=calibration)
            rows.append(compare.compare(model, spec, records, path, progress))
    return rows


def parts_table(rows, records, parts):
    """How far each part moves, and what becomes of its PCK.

    Args:
        rows: that `prove_all` returned.
        records: the same; labelled.
        parts: names, P.

    Returns:
        dict of name of the row -> dict of part -> {"median", "p95" in pixels, "pck" and "keras_pck" in percent}
        and "total" -> {"pck", "keras_pck"}. The PCK is `None` where nothing is labelled.
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


def _keras(model, spec, records, progress):
    find, poses, seconds = Predictor(model, spec), [], []
    for record in progress(records):
        start = time.perf_counter()
        poses.append(find(record.image))
        seconds.append(time.perf_counter() - start)
    points = np.stack([pose.keypoints for pose in poses])
    scores = np.stack([pose.scores for pose in poses])
    size = 4 * model.count_params()
    milliseconds = 1e3 * float(np.median(seconds))
    return compare.Agreement("Keras", "none", points, points, scores, milliseconds, size)
