"""A client against a stand-in for TensorFlow Serving with its messages, or the server itself."""

import os
import shutil
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import keras_cpm

pytest.importorskip("tensorflow_serving")


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
    predictor = keras_cpm.Predictor(*made[:2])
    image, box = drawn_records[0].image, drawn_records[0].people[0].box
    same(client(image), predictor(image))
    same(client(Path(image).read_bytes(), box=box), predictor(image, box=box))
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
    predictor = keras_cpm.Predictor(*made[:2])
    for image, pose in zip(images, poses, strict=True):
        if image != b"no image":
            same(pose, predictor(image))
    with pytest.raises(ValueError, match="The server refused it: the image is empty"):
        client(b"")
    boxes = [record.people[0].box for record in drawn_records[:2]]
    with pytest.raises(ValueError, match="one box an image"):
        client.predict_many(images, boxes)
    with pytest.raises(ValueError, match="x0 < x1"):
        client(images[0], box=(9, 9, 1, 1))


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
    predictor = keras_cpm.Predictor(*made[:2])
    expected = [predictor(image) for image in images]

    def ask(number):
        client = keras_cpm.Client(double[1]["grpc"], made[1], timeout=300)
        for i in range(50):
            which = (number + i) % len(images)
            same(client(images[which]), expected[which])
        client.close()
        return number

    with ThreadPoolExecutor(64) as pool:
        assert sorted(pool.map(ask, range(64))) == list(range(64))


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
        client, predictor = keras_cpm.Client(url, spec), keras_cpm.Predictor(model, spec)
        for _ in range(60):
            try:
                client(drawn_records[0].image)
                break
            except ConnectionError:
                time.sleep(1)
        for record in drawn_records:
            same(client(record.image), predictor(record.image))
        (bad,) = client.predict_many([b"no image"])
        assert isinstance(bad, ValueError)
    finally:
        server.kill()
        server.wait()
