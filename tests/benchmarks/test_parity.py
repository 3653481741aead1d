"""The released networks give what OpenCV's Caffe importer gives with the same weights."""

import cv2
import keras
import numpy as np
import pytest

from benchmarks import caffe_files, parity

pytestmark = pytest.mark.skipif(
    not hasattr(cv2.dnn, "readNetFromCaffe"), reason="OpenCV 5 has no Caffe importer"
)


def check(name, size, width):
    differences = parity.compare(name, size, width=width, seed=3)
    assert len(differences) == {"mpii": 6, "flic": 4, "mpii-vgg": 6, "person": 4}[name]
    assert max(differences) < parity.LIMIT, differences


# an image that is not square, so that nothing may swap height and width
@pytest.mark.parametrize("name", caffe_files.NETWORKS)
def test_narrow_networks(name):
    check(name, (72, 104), 8)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name, size", parity.CASES, ids=[f"{name}-{size[0]}x{size[1]}" for name, size in parity.CASES]
)
def test_released_size(name, size):
    check(name, size, 128)


def test_border_windows_of_the_center_pool(tmp_path):
    """OpenCV and Keras divide by the pixels in the image, as pooling_layer.cpp of Caffe does."""
    size = (40, 56)
    center = np.random.default_rng(0).random(size, np.float32)
    mean = lambda y, x: center[8 * y : 8 * y + 9, 8 * x : 8 * x + 9].mean()  # noqa: E731
    expected = np.array([[mean(y, x) for x in range(7)] for y in range(5)])

    prototxt = tmp_path / "deploy.prototxt"
    prototxt.write_text(caffe_files.deploy_prototxt("flic", 8, size))
    rows = caffe_files.network_rows("flic", 8)
    layers = caffe_files.trained_layers(rows, caffe_files.random_caffemodel(rows, 0))
    caffe_files.write_caffemodel(tmp_path / "a.caffemodel", layers)
    image = np.zeros((*size, 3), np.uint8)
    files = prototxt, tmp_path / "a.caffemodel", ["pool_center_lower"]
    (by_opencv,) = parity.opencv_beliefs(*files, image, center)
    by_keras = keras.layers.AveragePooling2D(9, 8, padding="same")(center[None, :, :, None])
    np.testing.assert_allclose(by_opencv[:, :, 0], expected, atol=1e-6)
    np.testing.assert_allclose(np.asarray(by_keras)[0, :, :, 0], expected, atol=1e-6)


def test_the_comparison_sees_a_wrong_weight(monkeypatch):
    """One kernel of the last stage transposed in height and width, and the figures say so."""
    honest = parity.keras_beliefs

    def with_a_slip(name, width, weights, image, center):
        layers = caffe_files.network_rows(name, width)
        values = caffe_files.random_caffemodel(layers, 0)
        kernel, bias = values["Mconv3_stage4"]
        values["Mconv3_stage4"] = kernel.swapaxes(2, 3).copy(), bias
        caffe_files.write_caffemodel(weights, caffe_files.trained_layers(layers, values))
        return honest(name, width, weights, image, center)

    monkeypatch.setattr(parity, "keras_beliefs", with_a_slip)
    *first, last = parity.compare("flic", (72, 104), width=8)
    assert max(first) < parity.LIMIT < last


def test_the_command(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(parity, "compare", lambda name, size: [1e-6, 2e-4])
    assert parity.main(["--networks", "person", "--json", str(tmp_path / "a.json")]) == 1
    printed = capsys.readouterr().out
    assert "person     376x656   1.0e-06  2.0e-04" in printed and "mpii" not in printed
    assert '"stages": [' in (tmp_path / "a.json").read_text()
    with pytest.raises(SystemExit):
        parity.main(["--networks", "mpi"])
    assert "Received: mpi" in capsys.readouterr().err
