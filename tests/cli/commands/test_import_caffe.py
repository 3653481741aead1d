"""`keras-cpm import-caffe`, on files of the released layout and a width of 8."""

import functools
import json

import numpy as np
import pytest
from click.testing import CliRunner

import keras_cpm
from benchmarks import caffe_files
from keras_cpm.cli.main import main
from keras_cpm.models import released


@pytest.fixture
def narrow(monkeypatch):
    """The released networks an eighth as wide: the files are small."""
    build = functools.partial(released.build_released, width=8)
    monkeypatch.setattr(released, "build_released", build)


def run(*words):
    return CliRunner().invoke(main, [str(word) for word in words])


def write_file(path, network):
    rows = caffe_files.network_rows(network, 8)
    layers = caffe_files.trained_layers(rows, caffe_files.random_caffemodel(rows, 0))
    caffe_files.write_caffemodel(path, layers)
    return path


@pytest.mark.parametrize("network", ["mpii", "flic", "mpii-vgg", "person"])
def test_a_file_becomes_a_bundle_with_a_report(tmp_path, narrow, network):
    file = write_file(tmp_path / "weights.caffemodel", network)
    words = ("import-caffe", file, "--net", network, "--out", tmp_path / "bundle")
    result = run(*words, "--json", tmp_path / "report.json")
    assert result.exit_code == 0, result.output
    model, spec = keras_cpm.load(tmp_path / "bundle")
    assert spec == keras_cpm.released_spec(network)
    report = json.loads((tmp_path / "report.json").read_text())
    assert sum(layer["parameters"] for layer in report) == model.count_params()
    assert all(f"{layer['name']}:" in result.output for layer in report)
    assert "nothing missing, nothing left over" in result.output
    weights = caffe_files.random_caffemodel(caffe_files.network_rows(network, 8), 0)
    kernel = model.get_layer("Mconv1_stage2").kernel
    np.testing.assert_array_equal(kernel, weights["Mconv1_stage2"][0].transpose(2, 3, 1, 0))


def test_a_file_of_another_network_is_refused(tmp_path, narrow):
    file = write_file(tmp_path / "weights.caffemodel", "flic")
    result = run("import-caffe", file, "--net", "person", "--out", tmp_path / "bundle")
    assert result.exit_code == 1 and "--net" in result.output
    assert not (tmp_path / "bundle").exists()


@pytest.mark.parametrize("network", list(released.RELEASED))
@pytest.mark.parametrize("file", [(), ("nowhere.caffemodel",)])
def test_without_a_file_it_says_where_there_were_some(tmp_path, network, file):
    result = run("import-caffe", *file, "--net", network, "--out", tmp_path / "bundle")
    assert result.exit_code == 1
    for name in released.RELEASED[network].files:
        assert name in result.output
    folder = {"flic": "_trained_FLIC", "lsp": "_trained_LEEDS_PC", "person": "_trained_person_MPI"}
    assert folder.get(network, "_trained_MPI") in result.output
    assert "non-commercial" in result.output and f"--net {network} --out" in result.output


def test_released_networks_have_names():
    with pytest.raises(ValueError, match=r"\['mpii', 'lsp', 'flic', 'mpii-vgg', 'person'\]"):
        keras_cpm.build_released("coco")
    assert keras_cpm.build_released("mpii", width=8, input_size="any").inputs[0].shape[1] is None
