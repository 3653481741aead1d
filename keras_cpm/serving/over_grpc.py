"""A server over gRPC, with the messages of TensorFlow Serving."""

import math

from .answer import NAMES, Busy, Unfit, clean, left

_IDENTITY_ALONE = 1


class OverGrpc:
    """One server; threads may share it. Arguments that are not here are those of `OverRest`.

    Args:
        request_bytes: of the longest request.
        authority, identity: as `over_rest.trust` takes them.

    Raises:
        ImportError: without the extra.
    """

    def __init__(
        self, place, model, headers, reply_bytes, request_bytes, authority=None, identity=None
    ):
        try:
            import grpc
            from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc
        except ImportError:
            raise ImportError(
                "A client over gRPC needs a library: pip install 'keras-cpm[serving]'"
            ) from None
        options = [
            ("grpc.max_send_message_length", request_bytes),
            ("grpc.max_receive_message_length", reply_bytes),
            # a packed reply is refused; how often is asked again, and when, is the client's
            ("grpc.compression_enabled_algorithms_bitset", _IDENTITY_ALONE),
            ("grpc.enable_retries", 0),
        ]
        if place.scheme == "grpcs":
            key, chain = (identity[1], identity[0]) if identity else (None, None)
            credentials = grpc.ssl_channel_credentials(*map(_contents, (authority, key, chain)))
            self._channel = grpc.secure_channel(place.netloc, credentials, options)
        else:
            self._channel = grpc.insecure_channel(place.netloc, options)
        self._predict = prediction_service_pb2_grpc.PredictionServiceStub(self._channel).Predict
        self._request, self._error = predict_pb2.PredictRequest, grpc.RpcError
        self._busy, self._late = grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED
        self._model, self._reply_bytes = model, reply_bytes
        self._metadata = [(name.lower(), value) for name, value in headers.items()]

    def ask(self, signature, data, boxes, deadline):
        """As `OverRest.ask`; arrays have the types that the server gave them."""
        import tensorflow as tf

        request = self._request()
        request.model_spec.name = self._model
        request.model_spec.signature_name = signature
        request.inputs["image"].CopyFrom(tf.make_tensor_proto(data, tf.string))
        if boxes is not None:
            request.inputs["box"].CopyFrom(tf.make_tensor_proto(boxes, tf.float32))
        try:
            reply = self._predict(request, timeout=left(deadline), metadata=self._metadata)
        except self._error as error:
            if error.code() == self._late:
                raise TimeoutError from None
            kind = Busy if error.code() == self._busy else ConnectionError
            raise kind(f"says {error.code().name}: {clean(error.details())}") from None
        return {
            name: self._array(name, reply.outputs[name]) for name in NAMES if name in reply.outputs
        }

    def close(self):
        """Ends the connection."""
        self._channel.close()

    def _array(self, name, tensor):
        import tensorflow as tf

        shape = [dimension.size for dimension in tensor.tensor_shape.dim]
        # a shape is a promise, which one value may fulfil: it would be repeated
        if min(shape, default=0) < 0 or math.prod(shape) > self._reply_bytes // 4:
            raise Unfit(f"gives no poses: `{name}` would have the shape {tuple(shape)}")
        try:
            return tf.make_ndarray(tensor)
        except (ValueError, TypeError) as error:
            raise Unfit(f"gives no poses: `{name}` is damaged, {clean(error)}") from None


def _contents(path):
    if path is None:
        return None
    with open(path, "rb") as file:
        return file.read()
