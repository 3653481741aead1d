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
import tensorflow as tf

import keras_cpm

pytest.importorskip("tensorflow_serving")

SPEC = keras_cpm.PoseSpec(box_size=64)


@pytest.fixture(params=["grpc", "rest"])
def client(request, double, made):
    client = keras_cpm.Client(double[1][request.param], made[2] / "spec.json", timeout=300)
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


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["grpc", "rest"])
def test_everybody_comes_back(kind, double_for_everybody, made_for_everybody, drawn_records):
    double, urls = double_for_everybody
    client = keras_cpm.Client(urls[kind], made_for_everybody[1], timeout=300)
    image = drawn_records[0].image
    found = client.find_poses(image)
    right = double.signatures["people"](image=tf.constant([Path(image).read_bytes()]))
    assert len(found) == int(right["count"][0]) > 0
    for number, one in enumerate(found):
        pose = keras_cpm.Pose(
            right["keypoints"][0, number], right["scores"][0, number], client.spec.skeleton.parts
        )
        same(one.pose, pose)
        assert one.score == pytest.approx(float(right["person_scores"][0, number]), abs=1e-4)
        np.testing.assert_allclose(one.box, right["boxes"][0, number], atol=0.01)
    with pytest.raises(ValueError, match="The server refused it: the image is empty"):
        client.find_poses(b"")
    client.close()


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


@pytest.mark.parametrize(
    "url",
    [
        *("localhost:8500", "", "http://", "grpc://", "ftp://localhost", "http://[::1"),
        *("http://localhost:99999", "grpc://localhost:0", "grpc://localhost:8500/path"),
        *("http://localhost/?a=b", "http://local host", "http://local\nhost", None, b"http://a"),
    ],
)
def test_an_address_is_checked(url):
    with pytest.raises(ValueError, match=r"`url` must be .*Received: ") as error:
        keras_cpm.Client(url, SPEC)
    assert str(error.value).isprintable()


def test_a_password_in_an_address_is_not_repeated():
    with pytest.raises(ValueError, match="as `headers`") as error:
        keras_cpm.Client("https://me:secret@localhost", SPEC)
    assert "secret" not in str(error.value)


@pytest.mark.parametrize(
    "options, match",
    [
        ({"timeout": 0}, "`timeout` must be positive"),
        ({"timeout": float("inf")}, "`timeout` must be positive"),
        ({"timeout": None}, "`timeout` must be positive"),
        ({"retries": -1}, "`retries` must be a whole number"),
        ({"retries": 1.5}, "`retries` must be a whole number"),
        ({"headers": {"A\r\nB": "c"}}, "`headers` must be names and texts"),
        ({"headers": {"Authorization": "a\r\nHost: b"}}, "`headers` must be names and texts"),
        ({"identity": "cert.pem"}, "`identity` must be two paths"),
    ],
)
def test_options_are_checked(options, match):
    for scheme in ("https", "grpcs"):
        with pytest.raises(ValueError, match=match):
            keras_cpm.Client(f"{scheme}://localhost:1", SPEC, **options)


@pytest.mark.parametrize("scheme", ["http", "grpc"])
def test_credentials_travel_encrypted_or_not_at_all(scheme):
    with pytest.raises(ValueError, match=f"need an encrypted connection. Received: {scheme}://"):
        keras_cpm.Client(f"{scheme}://localhost:1", SPEC, headers={"Authorization": "Bearer a"})


@pytest.mark.parametrize("scheme", ["https", "grpcs"])
def test_a_pem_file_must_be_one(scheme, tmp_path):
    path = tmp_path / "authority.pem"
    with pytest.raises(FileNotFoundError, match=r"There is no PEM file at .*authority\.pem"):
        keras_cpm.Client(f"{scheme}://localhost:1", SPEC, authority=path)
    path.write_text("no certificate")
    with pytest.raises(ValueError, match="must be PEM files"):
        keras_cpm.Client(f"{scheme}://localhost:1", SPEC, authority=path)
    with pytest.raises(ValueError, match="must be PEM files"):
        keras_cpm.Client(f"{scheme}://localhost:1", SPEC, identity=(path, path))


@pytest.fixture
def alone():
    """A client whose server is never asked."""
    client = keras_cpm.Client("http://localhost:1", SPEC, retries=0)
    yield client
    client.close()


def test_what_is_asked_is_checked_before(alone, tmp_path):
    for batch in (0, -1, 65, 2.0, None):
        with pytest.raises(ValueError, match=r"`batch` must be 1 to 64\. Received: "):
            alone.predict_many([b"photograph"], batch=batch)
    for image in (np.zeros((5, 5, 3)), None, 7, bytearray(3)):
        with pytest.raises(ValueError, match="`image` must be a path or the bytes"):
            alone(image)
    for images in ("photo.jpg", b"photograph", Path("photo.jpg")):
        with pytest.raises(ValueError, match="`images` must be a list"):
            alone.predict_many(images)
    for box in ("abcd", [1, 2, 3], [[1, 2, 3, 4]], [None] * 3, 5):
        with pytest.raises(ValueError, match="`boxes` must hold one box an image"):
            alone(b"photograph", box=box)
    for path in (tmp_path, tmp_path / "nothing.jpg"):
        with pytest.raises(FileNotFoundError, match="There is no image file at"):
            alone(path)
    assert alone.predict_many([]) == [] and alone.predict_many([], np.zeros((0, 4))) == []


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no such files here")
def test_a_pipe_is_no_image_file(alone, tmp_path):
    os.mkfifo(tmp_path / "photo.jpg")
    with pytest.raises(FileNotFoundError, match="There is no image file at"):
        alone(tmp_path / "photo.jpg")


def test_a_request_is_bounded(alone, tmp_path):
    with open(tmp_path / "photo.jpg", "wb") as file:
        # holes, which take no room on a disk
        file.truncate(1 << 40)
    with pytest.raises(ValueError, match=r"may have 256 MB\. Received: 1048576 MB"):
        alone(tmp_path / "photo.jpg")


def test_threads_that_share_a_client_get_their_own_answers(client, drawn_records):
    images = [Path(record.image).read_bytes() for record in drawn_records]
    alone = [client(image) for image in images]

    def ask(number):
        for i in range(10):
            which = (number + i) % len(images)
            pose = client(images[which])
            np.testing.assert_array_equal(pose.keypoints, alone[which].keypoints)
            np.testing.assert_array_equal(pose.scores, alone[which].scores)
        return number

    with ThreadPoolExecutor(64) as pool:
        assert sorted(pool.map(ask, range(64))) == list(range(64))


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
