"""Whether an export is right on the machine where it runs: its files, its signatures, and what it
makes of golden vectors.

A LiteRT or ONNX file needs its runtime and numpy for that, no TensorFlow.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from . import golden
from .artefact import LITERT, ONNX, Artefact
from .displacement import ELSEWHERE, SURE, displacements
from .litert import LiteRTModel
from .onnx_runtime import ONNXModel

# by kind of file; each takes its path
RUNTIMES = {LITERT: LiteRTModel, ONNX: ONNXModel}


@dataclass(frozen=True)
class Check:
    """One line of a verdict: name, passed, and what was seen."""

    name: str
    passed: bool
    seen: str


def verify(path: Path | str, *, trust: bool = False) -> list[Check]:
    """Tests an export against the files that lie beside it.

    Args:
        path: a .tflite or .onnx file or the folder of a SavedModel, as `export_tflite`,
            `export_onnx` and `export_saved_model` write. A SavedModel is a program, which is run
            here.
        trust: runs a SavedModel whatever operations it has; else only one that has none but those
            of our exports, which touch no file.

    Returns:
        list of `Check`: "files" by their checksums, "signatures" by names, shapes and types,
        "golden" by the largest displacement of a keypoint whose score is at least 0.3, from what
        the export gave where it was made; of fewer bits it says, too, how far that was from the
        Keras model. After a check that fails the rest is not run.

    Raises:
        FileNotFoundError, ValueError: nothing to be tested at `path`, or its manifest is missing or
            damaged, or a SavedModel has other operations.
        ImportError: no runtime for it.

    Example:
        >>> import keras_cpm, tempfile
        >>> spec, folder = keras_cpm.PoseSpec(box_size=64), tempfile.mkdtemp()
        >>> model = keras_cpm.build_cpm(1, spec, width=8)
        >>> keras_cpm.export_tflite(model, spec, f"{folder}/cpm.tflite")
        >>> [(check.name, check.passed) for check in keras_cpm.verify(f"{folder}/cpm.tflite")]
        [('files', True), ('signatures', True), ('golden', True)]
    """
    artefact = Artefact(path)
    manifest = artefact.read_manifest()
    checks = [_files(artefact, manifest)]
    if checks[-1].passed:
        signatures, run = _open(artefact, trust)
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
    bound, score_bound = ELSEWHERE[quantize]
    moved, changed = [], []
    for asked in golden.read(artefact):
        keypoints, scores = run(asked)
        moved.append(displacements(keypoints, asked.keypoints, asked.scores))
        changed.append(np.abs(scores - asked.scores).max())
    moved = np.concatenate(moved)
    # NaN is not within bounds
    worst, worst_score = moved.max(initial=0), np.max(changed)
    seen = f"{moved.size} sure keypoints differ by at most {worst:.4f} px (bound {bound})"
    if not moved.size:
        seen = f"no keypoint has a score of {SURE} or more, so no place was compared"
    seen += f"; scores differ by at most {worst_score:.4f} (bound {score_bound})"
    if quantize != "none":
        seen += f", from what this file gave where it was made; {_from_keras(artefact)}"
    return Check("golden", bool(worst <= bound and worst_score <= score_bound), seen)


def _from_keras(artefact):
    """What rounding to fewer bits has cost, as recorded where the file was made."""
    found, keras = golden.read(artefact)[0], golden.read_keras(artefact)
    moved = displacements(found.keypoints, keras.keypoints, keras.scores)
    if not moved.size:
        return (
            "the Keras model is sure of none of these keypoints, so how far they moved is not known"
        )
    return (
        f"there, {moved.size} sure keypoints of the Keras model moved by {np.median(moved):.4f} px "
        f"in the median, by {moved.max():.4f} at most"
    )


def _open(artefact, trust):
    """Signatures, and a function from `Golden` to keypoints (N, P, 2) and scores (N, P)."""
    return _open_file(artefact) if artefact.is_file else _open_saved_model(artefact, trust)


def _open_file(artefact):
    model = RUNTIMES[artefact.kind](artefact.path)

    def run(asked):
        found = [model(box[None]) for box in asked.inputs["image"]]
        return [np.concatenate([one[name] for one in found]) for name in ("keypoints", "scores")]

    return {"serving_default": model.signature()}, run


def _open_saved_model(artefact, trust):
    try:
        import tensorflow as tf
    except ImportError:
        raise ImportError(
            "Testing a SavedModel needs the library that runs it: pip install tensorflow"
        ) from None

    from . import operations
    from .saved_model import signatures_of

    if not trust:
        operations.check(artefact.model)
    served = tf.saved_model.load(str(artefact.model))

    def run(asked):
        inputs = {name: tf.constant(values) for name, values in asked.inputs.items()}
        found = served.signatures[asked.signature](**inputs)
        return found["keypoints"].numpy(), found["scores"].numpy()

    return signatures_of(served.signatures), run
