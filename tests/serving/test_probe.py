"""A running server is tested with the golden vectors of its export, and timed."""

import keras
import numpy as np
import pytest
from click.testing import CliRunner

import keras_cpm
from keras_cpm.cli.main import main
from keras_cpm.export import golden
from keras_cpm.export.artefact import Artefact
from keras_cpm.serving import probe


# the client has tests of both
@pytest.fixture(params=["grpc", pytest.param("rest", marks=pytest.mark.slow)])
def client(request, double, made):
    client = keras_cpm.Client(double[1][request.param], made[1], timeout=300)
    yield client
    client.close()


def test_the_server_of_an_export_is_right(client, double, made):
    before = double[0].requests
    moved = probe.displacement(client, made[2])
    assert moved < 0.01 and probe.is_right(moved)
    # three people, with boxes and without
    assert double[0].requests - before == 6
    assert all((asked.scores >= 0.3).all() for asked in golden.read(Artefact(made[2])))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["grpc", "rest"])
def test_everybody_is_asked_for_too(kind, double_for_everybody, made_for_everybody):
    double, urls = double_for_everybody
    _, spec, folder = made_for_everybody
    client, before = keras_cpm.Client(urls[kind], spec, timeout=300), double.requests
    assert probe.is_right(probe.displacement(client, folder))
    assert double.requests - before == 9
    *_, everybody = golden.read(Artefact(folder))
    assert everybody.signature == "people" and (everybody.scores[:, 0] >= 0.3).all()
    client.close()


@pytest.mark.slow
def test_the_server_of_other_weights_is_wrong(double, made, tmp_path):
    keras.utils.set_random_seed(2)
    other = keras_cpm.build_cpm(1, made[1], backbone="light", stage_block="light", width=8)
    other.get_layer("conv7_2_CPM").bias.assign([0.5] * made[1].num_channels)
    keras_cpm.export_saved_model(other, made[1], tmp_path)
    client = keras_cpm.Client(double[1]["grpc"], made[1])
    assert not probe.is_right(probe.displacement(client, tmp_path))
    client.close()


def altered(made, folder, change):
    """A copy of the export without its model, whose golden file says something else."""
    (folder / "1").mkdir()
    (folder / "1/saved_model.pb").write_bytes(b"")
    made[1].save(folder / "spec.json")
    np.savez(folder / "golden.npz", **change(dict(np.load(made[2] / "golden.npz"))))
    return folder


def one_keypoint_moved(arrays):
    arrays["boxes_keypoints"][2, 7, 1] += 0.06
    return arrays


def nine_parts(arrays):
    return {
        name: array[:, :9] if name.endswith(("keypoints", "scores")) else array
        for name, array in arrays.items()
    }


def test_one_keypoint_that_moved_is_enough(client, made, tmp_path):
    moved = probe.displacement(client, altered(made, tmp_path, one_keypoint_moved))
    assert moved == pytest.approx(0.06, abs=0.005) and not probe.is_right(moved)


def test_the_server_of_another_skeleton_is_said(client, made, tmp_path):
    with pytest.raises(ValueError, match=r"14 keypoints where .* has 9: it serves another model"):
        probe.displacement(client, altered(made, tmp_path, nine_parts))


def test_a_file_for_phones_is_no_export_of_a_server(client, tmp_path):
    (tmp_path / "cpm.tflite").write_bytes(b"")
    with pytest.raises(ValueError, match="`path` must be the folder"):
        probe.displacement(client, tmp_path / "cpm.tflite")


def test_latency_counts_every_request(double, made):
    image, *_ = golden.photographs()[0]
    before = double[0].requests
    took = probe.latency(lambda: keras_cpm.Client(double[1]["grpc"], made[1]), image, 3, 2)
    assert double[0].requests - before == 6
    assert 0 < took["median"] <= took["p95"] and took["per_second"] > 0


def run(*arguments):
    result = CliRunner().invoke(main, ["serve-test", *map(str, arguments)])
    return result.exit_code, result.output


@pytest.mark.parametrize("kind", [pytest.param("grpc", marks=pytest.mark.slow), "rest"])
def test_the_command_times_a_server_that_is_right(double, made, kind, monkeypatch):
    monkeypatch.setattr(probe, "CONCURRENT", (1, 3))
    code, output = run(double[1][kind], made[2], "--requests", 2)
    assert code == 0, output
    first, *rest = output.splitlines()
    assert first.startswith("ok     golden: largest displacement 0.00")
    assert [line.split(":")[0].strip() for line in rest] == ["1 clients", "3 clients"]


def test_the_command_has_credentials(made):
    code, output = run("http://localhost:1", made[2], "--header", "Authorization: Bearer a:b")
    assert code == 1 and "need an encrypted connection" in output
    code, output = run("https://localhost:1", made[2], "--authority", "nothing.pem")
    assert code == 1 and "There is no PEM file at nothing.pem" in output
    code, output = run("https://localhost:1", made[2], "--header", "a b: c")
    assert code == 1 and "--header must be names and texts" in output


def test_the_command_does_not_run_the_saved_model(double, made, tmp_path):
    folder = altered(made, tmp_path, lambda arrays: arrays)
    assert run(double[1]["grpc"], folder, "--requests", 0)[0] == 0


def test_the_command_fails_where_the_server_is_wrong(double, made, tmp_path):
    code, output = run(double[1]["grpc"], altered(made, tmp_path, one_keypoint_moved))
    assert code == 1 and output.startswith("FAILED golden: largest displacement 0.06")
    assert "clients" not in output
