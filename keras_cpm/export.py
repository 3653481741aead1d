"""SavedModel for TensorFlow Serving, and LiteRT for phones; each carries its spec."""

import os
import shutil
import tempfile
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from . import bundle, codec, geometry, images, sampling
from .inference import StoredSpectrum, keepers
from .models.fast_conv import direct, held, kept_layers


def export_saved_model(model, spec, directory):
    """Writes `directory/1/`, a SavedModel that TensorFlow Serving takes as it is, and `directory/spec.json`.

    Signatures, outputs by name; keypoints are (B, P, 2) points (x, y), scores (B, P):
        serving_default   image (B,) encoded bytes, JPEG PNG GIF BMP of any size
                          -> keypoints, scores; image frame, the person fills the image
        boxes             image (B,) encoded bytes, box (B, 4) x0 y0 x1 y1, image frame
                          -> keypoints, scores; image frame
        crops             image (B, H, W, 3) network boxes, RGB 0..255
                          -> keypoints, scores; network frame
        beliefs           image (B, H, W, 3) network boxes -> stage1 .. stageT (B, h, w, C)

    Decoding, turning upright, cropping, the network, the peaks and the way back to image pixels are
    all inside the graph; the center map of a centred person is a constant in it. Layers that take
    Fourier tiles (`build_cpm(convolution=...)`) keep the spectra of their kernels in memory; the file
    does not hold them, loading computes them.

    Args:
        model: `keras.Model` as `build_cpm` makes it.
        spec: `PoseSpec` of the model.
        directory: made if it is not there. A version 1 in it is replaced.

    Raises:
        ValueError: another backend than TensorFlow, or model and spec do not belong together.

    Example:
        >>> import tempfile, keras_cpm
        >>> spec = keras_cpm.PoseSpec(box_size=64)
        >>> folder = tempfile.mkdtemp()
        >>> keras_cpm.export_saved_model(keras_cpm.build_cpm(2, spec, width=8), spec, folder)
        >>> import tensorflow as tf
        >>> sorted(tf.saved_model.load(f"{folder}/1").signatures)
        ['beliefs', 'boxes', 'crops', 'serving_default']
    """
    _check(model, spec)
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    version, partial = directory / "1", directory / "partial"
    shutil.rmtree(partial, ignore_errors=True)
    _write_saved_model(model, _endpoints(model, spec), partial)
    shutil.rmtree(version, ignore_errors=True)
    os.replace(partial, version)
    spec.save(directory / bundle.SPEC_FILE)


def export_tflite(model, spec, path):
    """Writes a LiteRT file with built-in operations only, `NAME.spec.json` and `NAME.golden.npz` beside it.

    Input "image" (1, H, W, 3), one network box, float32 RGB 0..255. Outputs by name: "keypoints"
    (1, P, 2) network frame, "scores" (1, P), "beliefs" (1, h, w, C) of the last stage. The phone
    makes the box with the one affine that the spec describes (`geometry.network_from_box`) and
    takes keypoints back with its inverse. The golden file holds an input and the outputs it must
    give.

    Args:
        model: `keras.Model` as `build_cpm` makes it.
        spec: `PoseSpec` of the model.
        path: ending in ".tflite".

    Raises:
        ValueError: another backend, another ending, or model and spec do not belong together.

    Example:
        >>> import os, tempfile, keras_cpm
        >>> spec = keras_cpm.PoseSpec(box_size=64)
        >>> folder = tempfile.mkdtemp()
        >>> keras_cpm.export_tflite(keras_cpm.build_cpm(2, spec, width=8), spec, f"{folder}/cpm.tflite")
        >>> sorted(os.listdir(folder))
        ['cpm.golden.npz', 'cpm.spec.json', 'cpm.tflite']
    """
    _check(model, spec)
    path = Path(path)
    if path.suffix != ".tflite":
        raise ValueError(f"`path` must end in .tflite. Received: {path}")
    path.parent.mkdir(parents=True, exist_ok=True)
    box = tf.TensorSpec([1, spec.box_size, spec.box_size, 3], tf.float32, name="image")
    predict = _mobile_endpoint(model, spec)
    with tempfile.TemporaryDirectory() as folder:
        with direct(model):
            _archive(model, {"serving_default": (predict, [box])}, folder)
        converter = tf.lite.TFLiteConverter.from_saved_model(
            folder, signature_keys=["serving_default"]
        )
        flat = converter.convert()
    partial = path.with_name(f"partial.{path.name}")
    partial.write_bytes(flat)
    os.replace(partial, path)
    spec.save(path.with_suffix(".spec.json"))
    image = np.random.default_rng(0).uniform(0, 255, box.shape).astype(np.float32)
    np.savez_compressed(
        path.with_suffix(".golden.npz"), image=image, **_as_numpy(predict(tf.constant(image)))
    )


def _check(model, spec):
    bundle.check_model(model, spec)
    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            "Exports need the TensorFlow backend: set KERAS_BACKEND=tensorflow and load the bundle there. "
            f"Received: KERAS_BACKEND={keras.backend.backend()}"
        )
    if None in model.inputs[0].shape[1:]:
        raise ValueError(
            f"Exports need a model of one input size; build it with input_size=None for boxes of {spec.box_size} "
            'pixels. Received: input_size="any"'
        )


def _write_saved_model(model, endpoints, directory):
    """As `keras.export.ExportArchive` does, which would store and load every weight twice."""
    module = tf.Module()
    module.weights = [variable.value for variable in model.variables]
    module.spectra = [StoredSpectrum(layer, tile) for layer, tile in kept_layers(model).items()]
    with held(model, keepers(model, [spectrum.read for spectrum in module.spectra])):
        signatures = {
            name: tf.function(function, input_signature=signature).get_concrete_function()
            for name, (function, signature) in endpoints.items()
        }
        tf.saved_model.save(module, str(directory), signatures=signatures)


def _archive(model, endpoints, directory):
    archive = keras.export.ExportArchive()
    archive.track(model)
    for name, (function, signature) in endpoints.items():
        archive.add_endpoint(name, function, signature)
    archive.write_out(str(directory), verbose=False)


def _endpoints(model, spec):
    size = [None, spec.box_size, spec.box_size, 3]
    data = tf.TensorSpec([None], tf.string, name="image")
    boxes = tf.TensorSpec([None, 4], tf.float32, name="box")
    crops = tf.TensorSpec(size, tf.float32, name="image")
    stages, read = _network(model, spec), _reader(spec)

    def in_image(crops, network_from_image):
        keypoints, scores = read(stages(crops)[-1])
        keypoints = geometry.apply(geometry.invert(network_from_image), keypoints)
        return {"keypoints": keypoints, "scores": scores}

    def serving_default(image):
        return in_image(*_map(lambda data: _crop(data, None, spec), image, spec))

    def from_boxes(image, box):
        return in_image(*_map(lambda both: _crop(*both, spec), (image, box), spec))

    def from_crops(image):
        keypoints, scores = read(stages(image)[-1])
        return {"keypoints": keypoints, "scores": scores}

    def beliefs(image):
        return dict(zip(model.output_names, stages(image), strict=True))

    return {
        "serving_default": (serving_default, [data]),
        "boxes": (from_boxes, [data, boxes]),
        "crops": (from_crops, [crops]),
        "beliefs": (beliefs, [crops]),
    }


def _mobile_endpoint(model, spec):
    stages, read = _network(model, spec), _reader(spec)

    def predict(image):
        beliefs = stages(image)[-1]
        keypoints, scores = read(beliefs)
        return {"keypoints": keypoints, "scores": scores, "beliefs": beliefs}

    return predict


def _network(model, spec):
    """Network boxes -> beliefs of every stage, with the center map of a centred person inside."""
    center = codec.encode_center([spec.center] * 2, spec)[None].numpy()  # a constant of the graph

    def stages(image):
        inputs = {"image": image}
        if bundle.takes_center_map(model):
            inputs["center_map"] = tf.tile(center, [tf.shape(image)[0], 1, 1, 1])
        outputs = model(inputs, training=False)
        return outputs if isinstance(outputs, (list, tuple)) else [outputs]

    return stages


def _reader(spec):
    return lambda beliefs: codec.decode(beliefs, spec)


def _map(function, elements, spec):
    size = [spec.box_size, spec.box_size, 3]
    signature = (tf.TensorSpec(size, tf.float32), tf.TensorSpec([3, 3], tf.float32))
    return tf.map_fn(function, elements, fn_output_signature=signature)


def _crop(data, box, spec):
    """Encoded bytes -> (H, W, 3) network box and (3, 3) network_from_image."""
    pixels, upright_from_stored = images.read_image(data)
    if box is None:
        size = geometry.upright_size(tf.shape(pixels)[:2], upright_from_stored)
        network_from_image = geometry.network_from_size(size, spec)
    else:
        sound = tf.debugging.assert_less(
            box[:2], box[2:], message="box must be x0, y0, x1, y1 with x0 < x1 and y0 < y1"
        )
        with tf.control_dependencies([sound]):
            network_from_image = geometry.network_from_box(tf.identity(box), spec)
    crop = sampling.crop(pixels, upright_from_stored, network_from_image, spec)
    return crop, network_from_image


def _as_numpy(outputs):
    return {name: value.numpy() for name, value in outputs.items()}
