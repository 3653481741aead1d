"""An export gives the keypoints of the Keras model it was made of: measured on photographs."""

import time
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from ..images import decode, sampling
from ..inference.predictor import Predictor
from ..pose import geometry
from .artefact import BOUNDS, LITERT, MEDIAN_BOUND, SURE, Artefact
from .litert import LiteRTModel


@dataclass(frozen=True, eq=False)
class Agreement:
    """Keypoints of an export beside those of the Keras model, image frame, pixels.

    Args:
        name: of the export, for tables.
        quantize: as in `export_tflite`; says which displacement is allowed.
        expected, found: (N, P, 2).
        scores: (N, P) of the Keras model.
        milliseconds: of one image, the median.
        size: bytes of the export.
    """

    name: str
    quantize: str
    expected: np.ndarray
    found: np.ndarray
    scores: np.ndarray
    milliseconds: float
    size: int

    @property
    def displacements(self):
        """(K,) pixels: of all keypoints whose Keras score is at least 0.3; an unsure peak may stand anywhere."""
        return self._distances()[self.scores >= SURE]

    def of_part(self, number):
        """The displacements of one part."""
        return self._distances()[:, number][self.scores[:, number] >= SURE]

    @property
    def within(self):
        """Whether the displacements are as small as they must be: the largest, of 8 bits the median."""
        bound = BOUNDS[self.quantize]
        moved = self.displacements
        if bound is None:
            return bool(np.median(moved) <= MEDIAN_BOUND) if moved.size else True
        return bool(moved.max(initial=0) <= bound)

    def to_dict(self):
        """JSON values."""
        moved = self.displacements
        return {
            "name": self.name,
            "bytes": self.size,
            "milliseconds": self.milliseconds,
            "keypoints": int(moved.size),
            "median": float(np.median(moved)) if moved.size else None,
            "largest": float(moved.max()) if moved.size else None,
            "within": self.within,
        }

    def checked(self):
        """The largest displacement; RuntimeError where `within` is false."""
        moved = self.displacements
        if not self.within:
            raise RuntimeError(
                f"{self.name} differs from the Keras model by {moved.max():.3f} px (median "
                f"{np.median(moved):.3f}), more than {BOUNDS[self.quantize] or f'a median of {MEDIAN_BOUND}'}; "
                "this is a defect of the export, or of its calibration."
            )
        return float(moved.max(initial=0))

    def _distances(self):
        distances = np.hypot(*np.moveaxis(self.found - self.expected, -1, 0))
        # a keypoint that is nowhere is as far as can be
        return np.where(np.isfinite(distances), distances, np.inf)


def compare(model, spec, records, path, progress=iter):
    """Compares an export with the predictor.

    A SavedModel is fed the encoded bytes, by "serving_default"; a LiteRT file the network box.

    Args:
        model: `keras.Model`.
        spec: `PoseSpec` of the model.
        records: list of `Record`; only their images are used, the person fills them.
        path: of the export, see `manifest.Artefact`.
        progress: wraps the records, such as `terminal.progress("comparing")`.

    Returns:
        `Agreement`.

    Example:
        >>> import keras_cpm, tempfile
        >>> from keras_cpm.export import compare
        >>> spec, folder = keras_cpm.PoseSpec(box_size=64), tempfile.mkdtemp()
        >>> model, people = keras_cpm.build_cpm(1, spec, width=8), keras_cpm.draw_records(folder, 2)
        >>> keras_cpm.export_saved_model(model, spec, f"{folder}/served")
        >>> compare.compare(model, spec, people, f"{folder}/served").checked() < 0.05
        True
    """
    artefact = Artefact(path)
    run = _litert(artefact, spec) if artefact.kind == LITERT else _saved_model(artefact)
    find = Predictor(model, spec)
    expected, found, seconds = [], [], []
    for record in progress(records):
        pose = find(record.image)
        call = run(record, pose)
        start = time.perf_counter()
        keypoints = call()
        seconds.append(time.perf_counter() - start)
        expected.append(pose)
        found.append(keypoints)
    return Agreement(
        artefact.path.name,
        artefact.read_manifest()["quantize"],
        np.stack([pose.keypoints for pose in expected]),
        np.stack(found),
        np.stack([pose.scores for pose in expected]),
        1e3 * float(np.median(seconds)),
        artefact.size(),
    )


def _saved_model(artefact):
    serve = tf.saved_model.load(str(artefact.model)).signatures["serving_default"]

    def run(record, pose):
        data = tf.constant([decode.encoded(record.image)])
        return lambda: serve(image=data)["keypoints"][0].numpy()

    return run


def _litert(artefact, spec):
    model = LiteRTModel(artefact.path)

    def run(record, pose):
        pixels, upright_from_stored = decode.open_image(record.image)
        crop = sampling.crop(pixels, upright_from_stored, pose.network_from_image, spec)[None]
        image_from_network = geometry.invert(pose.network_from_image)
        return lambda: geometry.apply(image_from_network, model(crop)["keypoints"][0]).numpy()

    return run
