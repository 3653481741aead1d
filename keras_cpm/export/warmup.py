"""Requests that TensorFlow Serving answers before it takes others, so that the first user does not wait."""

import tensorflow as tf

from . import golden

FILE = "assets.extra/tf_serving_warmup_requests"


def write_warmup(version, model="cpm"):
    """Records a request of one drawn person for "serving_default" and "boxes" in a version folder.

    Args:
        version: folder of the SavedModel.
        model: name on the server; it does not look at it.

    Raises:
        ImportError: without tensorflow-serving-api, which knows the messages.
    """
    from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

    (image, *_), (box, *_) = golden.golden_photographs()
    path = version / FILE
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
