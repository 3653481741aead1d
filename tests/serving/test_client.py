"""A client against a stand-in for TensorFlow Serving that speaks its messages, or the server itself."""

import os
import shutil
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from click.testing import CliRunner

import keras_cpm
from keras_cpm.cli.main import main
from keras_cpm.export import warmup
from keras_cpm.serving import probe

pytest.importorskip("tensorflow_serving")
from tensorflow_serving.apis import prediction_log_pb2

from tests.serving.serving_double import serving


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    keras.utils.set_random_seed(1)
    spec = keras_cpm.PoseSpec(box_size=64)
    model = keras_cpm.build_cpm(2, spec, backbone="light", stage_block="light", width=8)
    folder = tmp_path_factory.mktemp("served") / "cpm"
    keras_cpm.export_saved_model(model, spec, folder)
    return model, spec, folder


@pytest.fixture(scope="module")
def double(made):
    with serving(made[2] / "1") as (double, grpc_url, rest_url):
        yield double, {"grpc": grpc_url, "rest": rest_url}


@pytest.fixture(params=["grpc", "rest"])
def client(request, double, made):
    client = keras_cpm.Client(double[1][request.param], made[2] / "spec.json")
    yield client
    client.close()


def same(pose, expected):
    np.testing.assert_allclose(pose.keypoints, expected.keypoints, atol=0.01)
    np.testing.assert_allclose(pose.scores, expected.scores, atol=1e-4)
    assert pose.parts == expected.parts


def test_the_predictors_points_come_back(client, made, drawn_records):
    find = keras_cpm.Predictor(*made[:2])
    image, box = drawn_records[0].image, drawn_records[0].people[0].box
    same(client(image), find(image))
    same(client(Path(image).read_bytes(), box=box), find(image, box=box))
    assert sorted(client(image).to_dict()["keypoints"]) == sorted(made[1].skeleton.parts)


def test_many_images_go_in_batches_and_bad_ones_hurt_themselves_alone(client, made, drawn_records):
    images = [record.image for record in drawn_records]
    images.insert(2, b"no image")
    batches = []

    def progress(starts):
        batches.extend(starts)
        return starts

    poses = client.predict_many(images, batch=3, progress=progress)
    assert batches == [0, 3, 6] and len(poses) == len(images)
    assert isinstance(poses[2], ValueError) and "no JPEG" in str(poses[2])
    find = keras_cpm.Predictor(*made[:2])
    for image, pose in zip(images, poses, strict=True):
        if image != b"no image":
            same(pose, find(image))
    with pytest.raises(ValueError, match="The server refused it: the image is empty"):
        client(b"")
    boxes = [record.people[0].box for record in drawn_records[:2]]
    with pytest.raises(ValueError, match="one box an image"):
        client.predict_many(images, boxes)
    with pytest.raises(ValueError, match="x0 < x1"):
        client(images[0], box=(9, 9, 1, 1))


def test_requests_to_warm_up_are_recorded_and_can_be_answered(made, double):
    path = made[2] / "1" / warmup.FILE
    logs = [
        prediction_log_pb2.PredictionLog.FromString(r.numpy())
        for r in tf.data.TFRecordDataset(str(path))
    ]
    names = [log.predict_log.request.model_spec.signature_name for log in logs]
    assert names == ["serving_default", "boxes"]
    for log in logs:
        answer = double[0].Predict(log.predict_log.request, None)
        assert tf.make_ndarray(answer.outputs["error"]).tolist() == [b""]
        assert np.isfinite(tf.make_ndarray(answer.outputs["keypoints"])).all()


def test_an_overloaded_server_is_asked_again(client, double, drawn_records):
    double[0].failures = 3
    assert client(drawn_records[0].image).keypoints.shape == (14, 2)
    assert double[0].failures == 0


def test_what_is_wrong_with_the_server_is_said(double, made, drawn_records):
    image = drawn_records[0].image
    with socket.socket() as nobody:
        nobody.bind(("localhost", 0))
        port = nobody.getsockname()[1]
    for url in (f"grpc://localhost:{port}", f"http://localhost:{port}"):
        client = keras_cpm.Client(url, made[1], retries=0, timeout=2)
        with pytest.raises(ConnectionError, match=f"The server at .*localhost:{port}"):
            client(image)
        client.close()
    for url in double[1].values():
        client = keras_cpm.Client(url, made[1])
        with pytest.raises(ConnectionError, match="1 to 64 rows"):
            client.predict_many([image] * 65, batch=65)
        client.close()
    with pytest.raises(ValueError, match="`url` must be"):
        keras_cpm.Client("localhost:8500", made[1])


@pytest.mark.slow
def test_64_clients_at_once_get_their_own_answers(double, made, drawn_records):
    images = [Path(record.image).read_bytes() for record in drawn_records]
    find = keras_cpm.Predictor(*made[:2])
    expected = [find(image) for image in images]

    def ask(number):
        client = keras_cpm.Client(double[1]["grpc"], made[1], timeout=300)
        for i in range(50):
            which = (number + i) % len(images)
            same(client(images[which]), expected[which])
        client.close()
        return number

    with ThreadPoolExecutor(64) as pool:
        assert sorted(pool.map(ask, range(64))) == list(range(64))


@pytest.mark.parametrize("kind", ["grpc", "rest"])
def test_a_live_server_is_tested(double, made, kind, monkeypatch):
    monkeypatch.setattr(probe, "CONCURRENT", (1, 3))
    arguments = ["serve-test", double[1][kind], str(made[2]), "--requests", "2"]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    first, *rest = result.output.splitlines()
    assert first.startswith("ok     golden: largest displacement 0.00")
    assert [line.split(":")[0].strip() for line in rest] == ["1 clients", "3 clients"]


def test_a_server_of_another_model_fails(double, made, tmp_path, monkeypatch):
    _, spec, _ = made
    monkeypatch.setattr(probe, "SURE", -1.0)  # an untrained network is never sure
    keras.utils.set_random_seed(2)
    other = keras_cpm.build_cpm(2, spec, backbone="light", stage_block="light", width=8)
    keras_cpm.export_saved_model(other, spec, tmp_path / "other")
    result = CliRunner().invoke(main, ["serve-test", double[1]["grpc"], str(tmp_path / "other")])
    assert result.exit_code == 1 and result.output.startswith("FAILED golden")
    assert "clients" not in result.output
    hand = spec.replace(skeleton=keras_cpm.HAND21)
    other = keras_cpm.build_cpm(1, hand, backbone="light", stage_block="light", width=8)
    keras_cpm.export_saved_model(other, hand, tmp_path / "hand")
    result = CliRunner().invoke(main, ["serve-test", double[1]["grpc"], str(tmp_path / "hand")])
    assert result.exit_code == 1 and "14 keypoints where" in result.output


@pytest.mark.skipif(
    not os.environ.get("TF_SERVING_BINARY"),
    reason="set TF_SERVING_BINARY to tensorflow_model_server",
)
@pytest.mark.parametrize("kind", ["grpc", "rest"])
def test_the_server_itself(kind, made, drawn_records, tmp_path):
    model, spec, folder = made
    shutil.copytree(folder, tmp_path / "cpm")
    ports = []
    for _ in range(2):
        with socket.socket() as free:
            free.bind(("localhost", 0))
            ports.append(free.getsockname()[1])
    arguments = [f"--port={ports[0]}", f"--rest_api_port={ports[1]}", "--model_name=cpm"]
    server = subprocess.Popen(
        [os.environ["TF_SERVING_BINARY"], *arguments, f"--model_base_path={tmp_path / 'cpm'}"]
    )
    try:
        url = {"grpc": f"grpc://localhost:{ports[0]}", "rest": f"http://localhost:{ports[1]}"}[kind]
        client, find = keras_cpm.Client(url, spec), keras_cpm.Predictor(model, spec)
        for _ in range(60):
            try:
                client(drawn_records[0].image)
                break
            except ConnectionError:
                time.sleep(1)
        for record in drawn_records:
            same(client(record.image), find(record.image))
        (bad,) = client.predict_many([b"no image"])
        assert isinstance(bad, ValueError)
    finally:
        server.kill()
        server.wait()
