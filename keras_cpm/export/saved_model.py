"""SavedModels for TensorFlow Serving; each carries its spec and golden vectors."""

from __future__ import annotations

import contextlib
import functools
import re
import tempfile
from pathlib import Path

import keras
import tensorflow as tf

from ..inference.people import find_poses
from ..inference.person_finder import find_people, zooms_of
from ..inference.predictor import Predictor
from ..inference.runner import StoredSpectrum, keepers
from ..models import bundle
from ..models.forward import at_box_size
from ..models.fourier.layer import float32_copy, held, kept_layers
from ..models.person import POSSIBLE
from ..pose.spec import PoseSpec
from . import golden, signatures
from .artefact import WARMUP_FILE, Artefact

PARTS_FILE = "parts.txt"


def export_saved_model(
    model: keras.Model,
    spec: PoseSpec,
    directory: Path | str,
    *,
    person: tuple[keras.Model, PoseSpec] | None = None,
) -> None:
    """Writes `directory/1/`, a SavedModel that TensorFlow Serving takes as it is, and beside it
    spec.json, golden.npz and manifest.json, with which `keras-cpm verify` tests it on any machine.

    Signatures, outputs by name; keypoints are (B, P, 2) points (x, y), scores (B, P), error (B,):
        serving_default   image (B,) encoded bytes, JPEG PNG GIF BMP of any size
                          -> keypoints, scores, error; image frame, the person fills the image
        boxes             image (B,) encoded bytes, box (B, 4) x0 y0 x1 y1, image frame
                          -> keypoints, scores, error; image frame
        crops             image (B, H, W, 3) network boxes, RGB 0..255
                          -> keypoints, scores; network frame
        beliefs           image (B, H, W, 3) network boxes -> stage1 .. stageT (B, h, w, C)
        people            image (B,) encoded bytes; only with `person`
                          -> of 20 people at most, the surest first, zeros behind the last:
                          keypoints (B, 20, P, 2), scores (B, 20, P), boxes (B, 20, 4) x0 y0 x1 y1,
                          person_scores (B, 20); count (B,), error; image frame

    Decoding, turning upright by EXIF, cropping, the network, the peaks and the way back to image
    pixels are all inside the graph; the center map of a centred person is a constant in it. A bad
    image or box costs its own row alone: its keypoints are NaN, its scores 0, and "error" says why
    ("" elsewhere); of people there are none then. A request has at most `signatures.MAX_ROWS` rows.
    The folder `1/assets` holds spec.json and parts.txt, a part a line in the order of the outputs;
    where tensorflow-serving-api is installed, `1/assets.extra` holds requests with which the server
    warms up. Layers that take Fourier tiles (`build_cpm(convolution=...)`) keep the spectra of
    their kernels in memory; the file does not hold them, loading computes them.

    Args:
        model: `keras.Model` as `build_cpm` makes it; what it computes in bfloat16 or float16, the
            export computes in float32.
        spec: `PoseSpec` of the model.
        directory: made if it is not there. An export of ours in it is replaced, whole or not at
            all.
        person: model and spec of a person network, such as `load("cpm-light-person")`: the export
            then finds everybody, as `find_poses` does, which confirms what it finds by the pose.

    Raises:
        ValueError: another backend than TensorFlow, model and spec do not belong together,
            `person` finds no people, or files of somebody else's are where the export would go.
        OSError: no room, or no right to write there.

    Example:
        >>> import tempfile, keras_cpm
        >>> spec = keras_cpm.PoseSpec(box_size=64)
        >>> folder = tempfile.mkdtemp()
        >>> keras_cpm.export_saved_model(keras_cpm.build_cpm(2, spec, width=8), spec, folder)
        >>> import tensorflow as tf
        >>> sorted(tf.saved_model.load(f"{folder}/1").signatures)
        ['beliefs', 'boxes', 'crops', 'serving_default']
    """
    model = at_box_size(float32_copy(model), spec)
    person = person and (float32_copy(person[0]), person[1])
    functions = signatures.of_saved_model(model, spec, person)
    models = [model, person[0]] if person else [model]
    artefact = Artefact(directory, exists=False)
    artefact.check_replaceable()
    predictor = Predictor(model, spec)
    with artefact.replaced() as new:
        new.path.mkdir()
        with tempfile.TemporaryDirectory() as assets:
            files = _assets(spec, Path(assets))
            written = _write_saved_model(models, functions, files, new.model)
        # the server does without it
        with contextlib.suppress(ImportError):
            write_warmup(new.model)
        spec.save(new.spec)
        everybody_in = person and functools.partial(_everybody, predictor, person)
        golden.write_photographs(
            new.golden, lambda data, box: predictor(data, box=box), everybody_in
        )
        new.write_manifest("none", written)


def signatures_of(functions):
    """Names, shapes and types of a SavedModel's signatures, as a manifest holds them.

    Args:
        functions: dict of name to function, written or loaded.
    """

    def described(tensors):
        return {
            tensor.name: [tensor.shape.as_list(), tensor.dtype.name]
            for tensor in sorted(tensors, key=lambda tensor: tensor.name)
        }

    return {
        name: {
            "inputs": described(tf.nest.flatten(function.structured_input_signature)),
            "outputs": {
                key: [tensor.shape.as_list(), tensor.dtype.name]
                for key, tensor in sorted(function.structured_outputs.items())
            },
        }
        for name, function in sorted(functions.items())
    }


def write_warmup(version, model="cpm"):
    """Records requests that TensorFlow Serving answers before any other, so that no user waits: one
    drawn person for "serving_default" and "boxes".

    Args:
        version: folder of the SavedModel.
        model: name on the server; it does not look at it.

    Raises:
        ImportError: without tensorflow-serving-api, which knows the messages.
    """
    from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

    (image, *_), (box, *_) = golden.photographs()
    path = version / WARMUP_FILE
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as file:
        for signature in ("serving_default", "boxes"):
            request = predict_pb2.PredictRequest()
            request.model_spec.name = model
            request.model_spec.signature_name = signature
            request.inputs["image"].CopyFrom(tf.make_tensor_proto([image], tf.string))
            if signature == "boxes":
                request.inputs["box"].CopyFrom(tf.make_tensor_proto(box[None], tf.float32))
            log = prediction_log_pb2.PredictionLog()
            log.predict_log.request.CopyFrom(request)
            file.write(log.SerializeToString())


def _everybody(predictor, person, data):
    """The poses that the signature "people" must give, by the Keras models."""
    options = {"threshold": POSSIBLE, "zooms": zooms_of(person[1])}
    found = find_poses(data, predictor, lambda pixels: find_people(pixels, *person, **options))
    return [one.pose for one in found]


def _assets(spec, folder):
    """Files that travel inside the SavedModel, for clients that have nothing else."""
    spec.save(folder / bundle.SPEC_FILE)
    (folder / PARTS_FILE).write_text("".join(f"{part}\n" for part in spec.skeleton.parts), "utf-8")
    return [folder / bundle.SPEC_FILE, folder / PARTS_FILE]


def _write_saved_model(models, functions, assets, directory):
    """As `keras.export.ExportArchive` does, which would store and load every weight twice.

    Returns:
        the signatures, as a manifest holds them.
    """
    model = models[0]
    module = tf.Module()
    module.assets = [tf.saved_model.Asset(str(path)) for path in assets]
    module.weights = [variable.value for one in models for variable in one.variables]
    module.spectra = [StoredSpectrum(layer, tile) for layer, tile in kept_layers(model).items()]
    with held(model, keepers(model, [spectrum.read for spectrum in module.spectra])):
        signatures = {
            # nothing here is Python's control flow; converting it would take a third of the time
            name: tf.function(
                function, input_signature=signature, autograph=False
            ).get_concrete_function()
            for name, (function, signature) in functions.items()
        }
        with disk_errors():
            tf.saved_model.save(module, str(directory), signatures=signatures)
    return signatures_of(signatures)


@contextlib.contextmanager
def disk_errors():
    """TensorFlow has its own classes for a full disk; within it they are those of Python."""
    try:
        yield
    except tf.errors.OpError as error:
        # {{node}} path; reason [operation]
        reason = re.sub(r"^.*; | \[Op:.*", "", error.message.splitlines()[0])
        raise OSError(reason) from error
