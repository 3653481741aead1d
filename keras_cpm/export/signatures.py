"""The functions inside an export: graphs from encoded bytes or network boxes to keypoints."""

import keras
import tensorflow as tf

from ..images import decode, sampling
from ..models import bundle
from ..models.forward import StageBeliefs
from ..pose import codec, geometry
from . import everybody, quantize
from .artefact import MAX_ROWS

# too large: beyond any bound of `images.limits`
UNREADABLE = "the image is empty, cut off, too large, or no JPEG, PNG, GIF or BMP"
UNSOUND_BOX = "the box must be finite x0, y0, x1, y1 with x0 < x1 and y0 < y1"

# photographs of a request that are opened at the same time: each takes memory
_AT_ONCE = 8


def of_saved_model(model, spec, person=None):
    """Name -> (function, input signature) of what `export_saved_model` documents.

    Args:
        model: `keras.Model`.
        spec: `PoseSpec` of it.
        person: model and spec of a person network, for the signature "people".

    Raises:
        ValueError: another backend than TensorFlow, model and spec do not belong together, or
            `person` finds no people.
    """
    _check(model, spec)
    data = tf.TensorSpec([None], tf.string, name="image")
    boxes = tf.TensorSpec([None, 4], tf.float32, name="box")
    crops = tf.TensorSpec([None, spec.box_size, spec.box_size, 3], tf.float32, name="image")
    stages = StageBeliefs(model, spec)

    def in_image(crops, network_from_image, error):
        keypoints, scores = codec.decode(stages(crops)[-1], spec)
        keypoints = geometry.apply(geometry.invert(network_from_image), keypoints)
        failed = (error != "")[:, None]
        return {
            "keypoints": tf.where(failed[..., None], float("nan"), keypoints),
            "scores": tf.where(failed, 0.0, scores),
            "error": error,
        }

    def serving_default(image):
        return in_image(*_cut(_bounded(image), (), _whole(spec), spec))

    def from_boxes(image, box):
        with tf.control_dependencies([_check_pairs(image, box)]):
            matrices, sound = _boxed(tf.identity(box), spec)
        crops, matrices, error = _cut(_bounded(image), (matrices,), lambda _, one: one, spec)
        return in_image(crops, matrices, tf.where(sound, error, UNSOUND_BOX))

    def from_crops(image):
        keypoints, scores = codec.decode(stages(_bounded(image))[-1], spec)
        return {"keypoints": keypoints, "scores": scores}

    def beliefs(image):
        return dict(zip(model.output_names, stages(_bounded(image)), strict=True))

    functions = {
        "serving_default": (serving_default, [data]),
        "boxes": (from_boxes, [data, boxes]),
        "crops": (from_crops, [crops]),
        "beliefs": (beliefs, [crops]),
    }
    if person:
        people_in = everybody.people_of(model, spec, *person)
        functions["people"] = (lambda image: people_in(_bounded(image)), [data])
    return functions


def of_box(model, spec):
    """The function of a LiteRT or ONNX file; arguments and errors are those of `of_saved_model`.

    Returns:
        function of a network box (1, H, W, 3) to a dict of "keypoints", "scores", "beliefs".
    """
    _check(model, spec)
    stages = StageBeliefs(model, spec)

    def predict(image):
        with tf.name_scope(quantize.SCOPE.rstrip("/")):
            beliefs = stages(tf.cast(image, tf.float32))[-1]
        keypoints, scores = codec.decode(beliefs, spec)
        return {"keypoints": keypoints, "scores": scores, "beliefs": beliefs}

    return predict


def _check(model, spec):
    bundle.check_model(model, spec)
    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            "Exports need the TensorFlow backend: set KERAS_BACKEND=tensorflow and load the bundle "
            f"there. Received: KERAS_BACKEND={keras.backend.backend()}"
        )


def _bounded(rows):
    message = f"a request must have 1 to {MAX_ROWS} rows"
    count = tf.shape(rows)[0]
    sound = [
        tf.debugging.assert_positive(count, message=message),
        tf.debugging.assert_less_equal(count, MAX_ROWS, message=message),
    ]
    with tf.control_dependencies(sound):
        return tf.identity(rows)


def _check_pairs(image, box):
    return tf.debugging.assert_equal(
        tf.shape(box)[0], tf.shape(image)[0], message="every image needs one box"
    )


def _whole(spec):
    return lambda size: geometry.network_from_size(size, spec)


def _boxed(boxes, spec):
    """(B, 3, 3) network_from_image of (B, 4) boxes, and (B,) whether they are any."""

    def boxed(box):
        sound = tf.reduce_all(tf.math.is_finite(box)) & tf.reduce_all(box[:2] < box[2:])
        matrix = geometry.network_from_box(tf.where(sound, box, [0.0, 0.0, 1.0, 1.0]), spec)
        # a box too thin or too wide for a float has a matrix without a way back
        sound &= tf.reduce_all(tf.math.is_finite(geometry.invert(matrix)))
        return tf.where(sound, matrix, tf.eye(3)), sound

    signature = (tf.TensorSpec([3, 3], tf.float32), tf.TensorSpec([], tf.bool))
    return tf.map_fn(boxed, boxes, fn_output_signature=signature)


def _cut(data, given, matrix, spec):
    """Network boxes of a request of which any row may be bad.

    Args:
        data: (B,) encoded bytes.
        given: what else belongs to a row, tensors (B, ...).
        matrix: function of a photograph's (height, width) and of its row's `given` to
            network_from_image.
        spec: `PoseSpec`.

    Returns:
        (B, H, W, 3) network boxes, (B, 3, 3) network_from_image, (B,) "" or what is wrong.
    """

    @tf.autograph.experimental.do_not_convert
    def cut(row, data, *given):
        pixels, upright_from_stored = decode.read_image(data)
        size = geometry.upright_size(tf.shape(pixels)[:2], upright_from_stored)
        network_from_image = matrix(size, *given)
        crop = sampling.crop(pixels, upright_from_stored, network_from_image, spec)
        return row, crop, network_from_image

    count = tf.shape(data)[0]
    grey = tf.fill([spec.box_size, spec.box_size, 3], float(spec.pad_value))
    failed = tf.data.Dataset.from_tensors((count, grey, tf.eye(3)))
    # the one operation that catches an error inside a graph is a data set's; one a request, because
    # beginning a data set takes as long as decoding a photograph of a megapixel
    rows = tf.data.Dataset.from_tensor_slices((tf.range(count), data, *given))
    rows = rows.map(cut, num_parallel_calls=_AT_ONCE).ignore_errors().concatenate(failed)
    row, crops, matrices = rows.batch(MAX_ROWS + 1).get_single_element()
    last = tf.shape(row)[0] - 1
    places = tf.fill([count + 1], last)
    places = tf.tensor_scatter_nd_update(places, row[:, None], tf.range(last + 1))[:count]
    error = tf.where(places == last, UNREADABLE, "")
    return tf.gather(crops, places), tf.gather(matrices, places), error
