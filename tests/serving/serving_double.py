"""Stands in for TensorFlow Serving: its messages over gRPC and REST, answered by a SavedModel."""

import base64
import contextlib
import json
import threading
from concurrent import futures
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc


class Double(prediction_service_pb2_grpc.PredictionServiceServicer):
    """`failures`: how many of the next requests find the server overloaded."""

    def __init__(self, version):
        self.signatures = tf.saved_model.load(str(version)).signatures
        self.failures, self.requests = 0, 0
        self.lock = threading.Lock()

    def run(self, name, inputs):
        outputs = self.signatures[name or "serving_default"](**inputs)
        return {key: value.numpy() for key, value in outputs.items()}

    def overloaded(self):
        with self.lock:
            self.requests += 1
            self.failures -= self.failures > 0
            return self.failures > 0

    def Predict(self, request, context):
        if self.overloaded():
            context.abort(grpc.StatusCode.UNAVAILABLE, "too much to do")
        inputs = {key: tf.constant(tf.make_ndarray(value)) for key, value in request.inputs.items()}
        try:
            outputs = self.run(request.model_spec.signature_name, inputs)
        except (tf.errors.OpError, TypeError, KeyError, ValueError) as error:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error)[:300])
        response = predict_pb2.PredictResponse()
        for key, value in outputs.items():
            response.outputs[key].CopyFrom(tf.make_tensor_proto(value))
        return response


def handler_of(double):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if double.overloaded():
                return self.answer(503, {"error": "too much to do"})
            inputs = body["inputs"]
            images = [base64.b64decode(one["b64"]) for one in inputs["image"]]
            tensors = {"image": tf.constant(images, tf.string)}
            if "box" in inputs:
                tensors["box"] = tf.constant(inputs["box"], tf.float32)
            try:
                outputs = double.run(body.get("signature_name"), tensors)
            except (tf.errors.OpError, TypeError, KeyError) as error:
                return self.answer(400, {"error": str(error)[:300]})
            decoded = {
                key: [one.decode() for one in value] if value.dtype == object else value.tolist()
                for key, value in outputs.items()
            }
            return self.answer(200, {"outputs": decoded})

        def answer(self, status, content):
            data = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_):
            """Says nothing."""

    return Handler


@contextlib.contextmanager
def serving(version):
    """The double, and its addresses over gRPC and REST."""
    double = Double(version)
    unlimited = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    server = grpc.server(futures.ThreadPoolExecutor(8), options=unlimited)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(double, server)
    port = server.add_insecure_port("localhost:0")
    server.start()
    web = ThreadingHTTPServer(("localhost", 0), handler_of(double))
    thread = threading.Thread(target=web.serve_forever, daemon=True)
    thread.start()
    try:
        yield double, f"grpc://localhost:{port}", f"http://localhost:{web.server_port}"
    finally:
        web.shutdown()
        web.server_close()
        server.stop(0).wait()
