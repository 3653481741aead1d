"""An export gives the keypoints of the Keras model it was made of: measured on photographs."""

from pathlib import Path

import numpy as np
import tensorflow as tf

from . import geometry, images, sampling
from .litert import LiteRTModel
from .predictor import Predictor

# The exports are the same network; what is left is rounding. An unsure peak may stand anywhere.
TOLERANCE, SURE = 0.05, 0.3


def compare_saved_model(model, spec, records, directory):
    """Compares the signature "serving_default", fed with the encoded bytes, with the predictor.

    Args:
        model: `keras.Model`.
        spec: `PoseSpec` of the model.
        records: list of `Record`; only their images are used.
        directory: that `export_saved_model` wrote.

    Returns:
        The largest difference of a coordinate whose score is at least 0.3, in pixels of the image.

    Raises:
        RuntimeError: more than 0.05 pixels.
    """
    serve = tf.saved_model.load(str(Path(directory) / "1")).signatures["serving_default"]
    find = Predictor(model, spec)

    def difference(record):
        data = tf.constant([images.encoded(record.image)])
        return _difference(find(record.image), serve(image=data)["keypoints"][0].numpy())

    return _checked(max(map(difference, records)), directory)


def compare_tflite(model, spec, records, path):
    """Compares a LiteRT file, fed with the network box, with the predictor.

    See `compare_saved_model`.
    """
    run, find = LiteRTModel(path), Predictor(model, spec)

    def difference(record):
        pose = find(record.image)
        pixels, upright_from_stored = images.open_image(record.image)
        crop = sampling.crop(pixels, upright_from_stored, pose.network_from_image, spec)
        keypoints = run(crop[None])["keypoints"][0]
        image_from_network = geometry.invert(pose.network_from_image)
        return _difference(pose, geometry.apply(image_from_network, keypoints).numpy())

    return _checked(max(map(difference, records)), path)


def _difference(pose, keypoints):
    return float(np.abs(pose.keypoints - keypoints)[pose.scores >= SURE].max(initial=0))


def _checked(difference, path):
    if not difference <= TOLERANCE:
        raise RuntimeError(
            f"{path} differs from the Keras model by {difference:.3f} px, more than {TOLERANCE}; "
            "this is a defect of the export."
        )
    return difference
