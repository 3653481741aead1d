"""A client over gRPC, and servers that mean it no good."""

import contextlib
from concurrent import futures

import numpy as np
import pytest
import tensorflow as tf

import keras_cpm
from tests.serving.hostile import GOOD, Certificates

pytest.importorskip("tensorflow_serving")
import grpc
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

SPEC = keras_cpm.PoseSpec(box_size=64)


@contextlib.contextmanager
def serving(answer, credentials=None, **options):
    """Port of a server whose every request `answer(context)` answers."""

    class Service(prediction_service_pb2_grpc.PredictionServiceServicer):
        def Predict(self, _, context):
            return answer(context)

    sizes = [("grpc.max_send_message_length", -1)]
    server = grpc.server(futures.ThreadPoolExecutor(4), options=sizes, **options)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(Service(), server)
    if credentials:
        port = server.add_secure_port("127.0.0.1:0", credentials)
    else:
        port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield port
    finally:
        server.stop(0).wait()


def response(**changed):
    """A good response, or one with other arrays; `None` leaves an output out."""
    found = predict_pb2.PredictResponse()
    good = {
        "keypoints": np.array(GOOD["keypoints"], np.float32),
        "scores": np.array(GOOD["scores"], np.float32),
        "error": np.array([b""], object),
    }
    for name, array in {**good, **changed}.items():
        if array is not None:
            found.outputs[name].CopyFrom(tf.make_tensor_proto(array))
    return found


def asked(port, *, scheme="grpc", images=1, **options):
    client = keras_cpm.Client(f"{scheme}://127.0.0.1:{port}", SPEC, **{"retries": 0, **options})
    with contextlib.closing(client):
        return client.predict_many([b"photograph"] * images)


def refused(answer, match, **options):
    with (
        serving(answer) as port,
        pytest.raises(ConnectionError, match=match) as error,
    ):
        asked(port, **options)
    said = str(error.value)
    assert said.startswith(f"The server at grpc://127.0.0.1:{port} ") and said.isprintable()


def test_an_answer_that_fits_is_taken():
    with serving(lambda _: response()) as port:
        (pose,) = asked(port)
    np.testing.assert_array_equal(pose.keypoints, GOOD["keypoints"][0])


@pytest.mark.parametrize(
    "changed",
    [
        {"keypoints": None},
        {"error": None},
        {"keypoints": np.ones((1, 3, 2), np.float32), "scores": np.ones((1, 3), np.float32)},
        {"keypoints": np.ones((0, 14, 2), np.float32)},
        {"keypoints": np.ones((1, 14, 2), np.int32)},
        {"keypoints": np.array([b"x"], object)},
        {"error": np.array(b"", object)},
    ],
    ids=str,
)
def test_what_does_not_fit_is_no_answer(changed):
    refused(lambda _: response(**changed), "gives no poses of this spec")


def test_one_row_for_three_photographs_is_no_answer():
    refused(lambda _: response(), r"\(3, 14, 2\). Received: \(1, 14, 2\)", images=3)


def test_a_shape_is_not_believed():
    def lie(_, rows, values):
        found = response()
        tensor = found.outputs["keypoints"]
        tensor.tensor_shape.dim[0].size = rows
        if values:
            tensor.tensor_content = b""
            tensor.float_val[:] = values
        return found

    refused(lambda context: lie(context, 1 << 40, []), r"would have the shape \(1099511627776, 14")
    refused(lambda context: lie(context, 1 << 30, [1.0]), r"would have the shape \(1073741824, 14")
    refused(lambda context: lie(context, -1, []), r"would have the shape \(-1, 14")
    refused(lambda context: lie(context, 2, []), "`keypoints` is damaged")


@pytest.mark.parametrize("packing", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
def test_a_reply_is_bounded_however_it_is_packed(packing):
    def answer(context):
        context.set_compression(packing)
        return response(keypoints=np.zeros((1, 5_000_000, 2), np.float32))

    refused(answer, "says (RESOURCE_EXHAUSTED|INTERNAL|UNIMPLEMENTED)")


def test_one_deadline_is_over_all():
    calls = []

    def later(context):
        calls.append(context)
        context.set_trailing_metadata((("grpc-retry-pushback-ms", "3600000"),))
        context.abort(grpc.StatusCode.UNAVAILABLE, "\x1b[2Jbusy")

    refused(later, r"says UNAVAILABLE: \[2Jbusy", retries=2)
    assert len(calls) == 3

    def never(context):
        while context.is_active():
            context.time_remaining()

    refused(never, "gives no answer within 0.5 s", timeout=0.5)


def test_tls_and_credentials(tmp_path):
    certificates, seen = Certificates(tmp_path), []

    def answer(context):
        seen.append(dict(context.invocation_metadata()))
        return response()

    key, chain, authority = (
        (tmp_path / name).read_bytes() for name in ("server.key", "server.pem", "authority.pem")
    )
    strict = grpc.ssl_server_credentials([(key, chain)], authority, require_client_auth=True)
    with serving(answer, strict) as port:
        (pose,) = asked(port, scheme="grpcs", **certificates.of_user())
        assert pose.keypoints.shape == (14, 2)
        assert seen[-1]["authorization"] == "Bearer secret"
        for options in ({}, {"authority": certificates["authority.pem"]}):
            with pytest.raises(ConnectionError, match="says UNAVAILABLE"):
                asked(port, scheme="grpcs", **options)
        with pytest.raises(ConnectionError, match="says UNAVAILABLE"):
            asked(port)
    assert len(seen) == 1
