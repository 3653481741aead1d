"""Talks to a server of the SavedModel that `export_saved_model` writes, over gRPC or REST.

Photographs travel as the bytes of their files. Needs `pip install 'keras-cpm[serving]'`.
"""

import base64
import json
from pathlib import Path

import numpy as np

from ..pose.pose import Pose
from ..pose.spec import PoseSpec

# A batch of photographs from a phone; servers of gRPC take 4 MB unless told otherwise.
_MESSAGE_BYTES = 1 << 28


class Client:
    """A server of poses.

    Args:
        url: "grpc://host:8500", or "http://host:8501" for REST; https too.
        spec: `PoseSpec` of the served model, or the path of its spec.json.
        model: its name on the server.
        timeout: seconds that one request may take, all tries together over gRPC, each over REST.
        retries: how often a request is sent again when the server is not to be reached or
            overloaded; gRPC takes at most 4.

    Raises:
        ValueError: another kind of `url`.
        ImportError: without the extra.

    Example:
        >>> import keras_cpm
        >>> client = keras_cpm.Client("grpc://localhost:8500", keras_cpm.PoseSpec())
        >>> client.model
        'cpm'
        >>> client.close()
    """

    def __init__(self, url, spec, *, model="cpm", timeout=30.0, retries=3):
        self.spec = spec if isinstance(spec, PoseSpec) else PoseSpec.load(spec)
        self.model = model
        scheme, _, place = url.partition("://")
        if scheme not in ("grpc", "http", "https") or not place:
            raise ValueError(
                f'`url` must be "grpc://host:port" or "http://host:port". Received: {url!r}'
            )
        kind = _Grpc if scheme == "grpc" else _Rest
        self._server = kind(place if scheme == "grpc" else url.rstrip("/"), model, timeout, retries)

    def __call__(self, image, *, box=None):
        """One pose.

        Args:
            image: path, or the bytes of an image file.
            box: (x0, y0, x1, y1) around the person, image frame; who has none fills the image.

        Returns:
            `Pose` with keypoints and scores of the last stage, image frame, pixels.

        Raises:
            ValueError: what the server says of the image or the box.
            ConnectionError: what is wrong with the server.
        """
        (pose,) = self.predict_many([image], None if box is None else [box])
        if isinstance(pose, ValueError):
            raise pose
        return pose

    def predict_many(self, images, boxes=None, *, batch=8, progress=iter):
        """Many photographs, `batch` a request.

        Args:
            images: list of paths or bytes.
            boxes: (N, 4), or `None`.
            batch: up to 64, see `signatures.MAX_ROWS`.
            progress: wraps the list of batches, such as `tqdm.tqdm`.

        Returns:
            list of `Pose`, and of `ValueError` where an image or box is bad.

        Raises:
            ValueError: another number of boxes.
            FileNotFoundError: no such file.
            ConnectionError: what is wrong with the server.
        """
        if boxes is not None and len(boxes) != len(images):
            raise ValueError(
                f"`boxes` must hold one box an image. Received: {len(boxes)} boxes, {len(images)} "
                "images"
            )
        poses = []
        for start in progress(range(0, len(images), batch)):
            chosen = slice(start, start + batch)
            data = [
                image if isinstance(image, bytes) else Path(image).read_bytes()
                for image in images[chosen]
            ]
            places = None if boxes is None else np.asarray(boxes[chosen], np.float32)
            answer = self._server.ask(data, places)
            poses += [self._pose(*row) for row in zip(*answer, strict=True)]
        return poses

    def close(self):
        """Ends the connection."""
        self._server.close()

    def _pose(self, keypoints, scores, error):
        if error:
            return ValueError(f"The server refused it: {error}.")
        return Pose(keypoints, scores, self.spec.skeleton.parts)


class _Grpc:
    def __init__(self, place, model, timeout, retries):
        try:
            import grpc
            from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc
        except ImportError:
            raise _without_the_extra() from None
        policy = {
            "maxAttempts": retries + 1,
            "initialBackoff": "0.2s",
            "maxBackoff": "5s",
            "backoffMultiplier": 2,
            "retryableStatusCodes": ["UNAVAILABLE", "RESOURCE_EXHAUSTED"],
        }
        again = {"retryPolicy": policy} if retries else {}
        service = {"methodConfig": [{"name": [{}], **again}]}
        options = [
            ("grpc.service_config", json.dumps(service)),
            ("grpc.max_send_message_length", _MESSAGE_BYTES),
            ("grpc.max_receive_message_length", _MESSAGE_BYTES),
        ]
        self._channel = grpc.insecure_channel(place, options)
        self._predict = prediction_service_pb2_grpc.PredictionServiceStub(self._channel).Predict
        self._request, self._error = predict_pb2.PredictRequest, grpc.RpcError
        self._place, self._model, self._timeout = place, model, timeout

    def ask(self, data, boxes):
        import tensorflow as tf

        request = self._request()
        request.model_spec.name = self._model
        request.model_spec.signature_name = "serving_default" if boxes is None else "boxes"
        request.inputs["image"].CopyFrom(tf.make_tensor_proto(data, tf.string))
        if boxes is not None:
            request.inputs["box"].CopyFrom(tf.make_tensor_proto(boxes, tf.float32))
        try:
            outputs = self._predict(request, timeout=self._timeout, wait_for_ready=False).outputs
        except self._error as error:
            raise ConnectionError(
                f"The server at {self._place} says {error.code().name}: {error.details()}"
            ) from None
        keypoints, scores, errors = (
            tf.make_ndarray(outputs[name]) for name in ("keypoints", "scores", "error")
        )
        return keypoints, scores, [error.decode() for error in errors]

    def close(self):
        self._channel.close()


class _Rest:
    def __init__(self, url, model, timeout, retries):
        try:
            import requests
            from requests.adapters import HTTPAdapter
            from urllib3.util import Retry
        except ImportError:
            raise _without_the_extra() from None
        again = Retry(
            retries, backoff_factor=0.2, status_forcelist=(429, 502, 503, 504), allowed_methods=None
        )
        self._session = requests.Session()
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(max_retries=again, pool_maxsize=64))
        self._failures = (requests.RequestException, ValueError, KeyError)
        self._url, self._timeout = f"{url}/v1/models/{model}:predict", timeout

    def ask(self, data, boxes):
        inputs = {"image": [{"b64": base64.b64encode(one).decode()} for one in data]}
        if boxes is not None:
            inputs["box"] = boxes.tolist()
        body = {"signature_name": "serving_default" if boxes is None else "boxes", "inputs": inputs}
        try:
            reply = self._session.post(self._url, json.dumps(body), timeout=self._timeout)
            answer = reply.json()
            if "outputs" not in answer:
                raise ConnectionError(
                    f"The server at {self._url} says: {answer.get('error', answer)}"
                )
            outputs = answer["outputs"]
            keypoints, scores = (
                np.asarray(outputs[name], np.float32) for name in ("keypoints", "scores")
            )
            return keypoints, scores, outputs["error"]
        except self._failures as error:
            raise ConnectionError(f"The server at {self._url} does not answer: {error}") from None

    def close(self):
        self._session.close()


def _without_the_extra():
    return ImportError("A client needs a library: pip install 'keras-cpm[serving]'")
