"""An export proves itself on the machine where it runs: files, signatures, and what it makes of golden vectors.

A LiteRT file needs its runtime and numpy for that, no TensorFlow.
"""

import json
from dataclasses import dataclass

import numpy as np

from .artefact import LITERT, SURE, Artefact
from .litert import LiteRTModel

# Pixels, and scores, between what a file gives here and what it gave where it was made: another
# processor rounds otherwise, and 8 bits round hard.
HERE = {"none": (0.05, 1e-3), "float16": (0.05, 1e-3), "dynamic": (1.0, 0.05), "int8": (1.0, 0.05)}


@dataclass(frozen=True)
class Check:
    """One line of a verdict: name, passed, and what was seen."""

    name: str
    passed: bool
    seen: str


def verify(path):
    """Tests an export against the files that lie beside it.

    Args:
        path: a .tflite file or the folder of a SavedModel, as `export_tflite` and `export_saved_model` write.

    Returns:
        list of `Check`: "files" by their checksums, "signatures" by names, shapes and types, "golden" by
        the largest displacement of a keypoint whose score is at least 0.3. After a check that fails the rest
        is not run.

    Raises:
        FileNotFoundError, ValueError: nothing to be tested at `path`, or its manifest is missing or damaged.
        ImportError: no runtime for it.

    Example:
        >>> import keras_cpm, tempfile
        >>> spec, folder = keras_cpm.PoseSpec(box_size=64), tempfile.mkdtemp()
        >>> keras_cpm.export_tflite(keras_cpm.build_cpm(1, spec, width=8), spec, f"{folder}/cpm.tflite")
        >>> [(check.name, check.passed) for check in keras_cpm.verify(f"{folder}/cpm.tflite")]
        [('files', True), ('signatures', True), ('golden', True)]
    """
    artefact = Artefact(path)
    manifest = artefact.read_manifest()
    checks = [_files(artefact, manifest)]
    if checks[-1].passed:
        signatures, run = _open(artefact)
        checks.append(_signatures(signatures, manifest["signatures"]))
    if checks[-1].passed:
        checks.append(_golden(artefact, manifest["quantize"], run))
    return checks


def _files(artefact, manifest):
    found, written = artefact.checksums(), manifest["files"]
    wrong = [
        *(f"{name} is missing" for name in sorted(written.keys() - found.keys())),
        *(f"{name} is not of this export" for name in sorted(found.keys() - written.keys())),
        *(
            f"{name} has other contents than when it was written"
            for name in sorted(written.keys() & found.keys())
            if written[name] != found[name]
        ),
    ]
    return Check("files", not wrong, "; ".join(wrong) or f"{len(written)} as they were written")


def _signatures(found, written):
    # JSON knows no tuples and no numpy
    found = json.loads(json.dumps(found))
    names = ", ".join(sorted(found))
    if found == written:
        return Check("signatures", True, names)
    changed = [name for name in sorted({*found, *written}) if found.get(name) != written.get(name)]
    return Check("signatures", False, f"{', '.join(changed)} differ from when they were written")


def _golden(artefact, quantize, run):
    with np.load(artefact.golden, allow_pickle=False) as file:
        golden = dict(file)
    bound, score_bound = HERE[quantize]
    worst, worst_score, count = 0.0, 0.0, 0
    for name, (keypoints, scores) in run(golden).items():
        sure = golden[f"{name}scores"] >= SURE
        difference = np.hypot(*np.moveaxis(keypoints - golden[f"{name}keypoints"], -1, 0))
        # NaN is larger than all in these
        worst = np.maximum(worst, difference[sure].max(initial=0))
        worst_score = np.maximum(worst_score, np.abs(scores - golden[f"{name}scores"]).max())
        count += int(sure.sum())
    seen = (
        f"{count} sure keypoints differ by at most {worst:.4f} px (bound {bound}), scores by "
        f"{worst_score:.4f} (bound {score_bound})"
    )
    return Check("golden", bool(worst <= bound and worst_score <= score_bound), seen)


def _open(artefact):
    """Signatures, and a function from golden vectors to {prefix: (keypoints, scores)}."""
    if artefact.kind == LITERT:
        model = LiteRTModel(artefact.path)

        def run(golden):
            found = [model(box[None]) for box in golden["image"]]
            return {
                "": [np.concatenate([one[k] for one in found]) for k in ("keypoints", "scores")]
            }

        return {"serving_default": model.signature()}, run
    return _open_saved_model(artefact)


def _open_saved_model(artefact):
    import tensorflow as tf

    from .saved_model import signatures_of

    served = tf.saved_model.load(str(artefact.model))

    def run(golden):
        ends = np.cumsum(golden["lengths"])
        data = golden["encoded"].tobytes()
        encoded = tf.constant([data[a:b] for a, b in zip([0, *ends], ends, strict=False)])
        found = {
            "serving_default_": served.signatures["serving_default"](image=encoded),
            "boxes_": served.signatures["boxes"](image=encoded, box=tf.constant(golden["box"])),
        }
        return {
            name: (one["keypoints"].numpy(), one["scores"].numpy()) for name, one in found.items()
        }

    return signatures_of(served), run
