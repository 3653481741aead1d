"""An export proves itself where it runs, and says what is wrong with it."""

import json
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest
from click.testing import CliRunner

import keras_cpm
from keras_cpm.cli.main import main
from keras_cpm.export.artefact import Artefact


@pytest.fixture(scope="module")
def model():
    """Weights of a stage's last layer that make it sure of many peaks."""
    keras.utils.set_random_seed(3)
    spec = keras_cpm.PoseSpec(box_size=64)
    model = keras_cpm.build_cpm(2, spec, backbone="light", stage_block="light", width=8)
    model.get_layer("Mconv6_stage2").bias.assign([0.5] * 15)
    return model, spec


@pytest.fixture(scope="module", params=["cpm.tflite", "served"])
def made(request, model, tmp_path_factory):
    path = tmp_path_factory.mktemp("made") / request.param
    write = keras_cpm.export_tflite if path.suffix == ".tflite" else keras_cpm.export_saved_model
    write(*model, path)
    return path


@pytest.fixture
def artefact(made, tmp_path):
    """A copy to be harmed."""
    shutil.copytree(made.parent, tmp_path / "copy")
    return Artefact(tmp_path / "copy" / made.name)


def run(path):
    result = CliRunner().invoke(main, ["verify", str(path)])
    return result.exit_code, result.output


def test_a_moved_export_passes(artefact):
    code, output = run(artefact.path)
    assert code == 0, output
    assert [line.split(":")[0] for line in output.splitlines()] == [
        *("ok     files", "ok     signatures", "ok     golden")
    ]
    count = int(output.split("golden: ")[1].split()[0])
    # three people, all parts; a SavedModel has two signatures that find them
    assert count == (42 if artefact.kind == "litert" else 84)


def test_the_version_folder_will_do(artefact):
    if artefact.kind == "savedmodel":
        assert run(artefact.path / "1")[0] == 0


def test_a_changed_byte_is_found(artefact):
    files = artefact.files()
    for path in files:
        content = path.read_bytes()
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        code, output = run(artefact.path)
        assert code == 1 and "FAILED files" in output and path.name in output
        assert "signatures" not in output
        path.write_bytes(content)
    assert run(artefact.path)[0] == 0


def test_a_missing_and_a_foreign_file_are_found(artefact):
    kept = artefact.spec.read_bytes()
    artefact.spec.unlink()
    assert "spec.json is missing" in run(artefact.path)[1]
    artefact.spec.write_bytes(kept)
    if artefact.kind == "savedmodel":
        (artefact.model / "variables/more").write_text("?")
        assert "1/variables/more is not of this export" in run(artefact.path)[1]


def change_manifest(artefact, change):
    content = json.loads(artefact.manifest.read_text())
    change(content)
    content["files"] = artefact.checksums()
    artefact.manifest.write_text(json.dumps(content))


@pytest.mark.parametrize("end", ["inputs", "outputs"])
def test_another_signature_is_found(artefact, end):
    def change(content):
        tensors = content["signatures"]["serving_default"][end]
        tensors[sorted(tensors)[0]][0][0] = 7

    change_manifest(artefact, change)
    code, output = run(artefact.path)
    assert code == 1 and "FAILED signatures: serving_default differ" in output


@pytest.mark.parametrize(
    "what, amount", [("keypoints", 0.06), ("scores", 0.002), ("scores", np.nan)]
)
def test_other_results_are_found(artefact, what, amount):
    golden = dict(np.load(artefact.golden))
    name = what if artefact.kind == "litert" else f"boxes_{what}"
    golden[name].flat[5] += amount
    np.savez(artefact.golden, **golden)
    change_manifest(artefact, lambda content: None)
    code, output = run(artefact.path)
    assert code == 1 and "FAILED golden" in output
    # as much less is rounding
    golden[name].flat[5] = np.load(artefact.golden)[name].flat[5] - amount * 0.9
    if np.isfinite(amount):
        np.savez(artefact.golden, **golden)
        change_manifest(artefact, lambda content: None)
        assert run(artefact.path)[0] == 0


def test_what_cannot_be_tested_is_said_in_one_sentence(artefact, tmp_path):
    artefact.manifest.write_text("{")
    assert "damaged" in run(artefact.path)[1]
    artefact.manifest.unlink()
    assert "manifest.json" in run(artefact.path)[1]
    code, output = run(tmp_path / "nothing")
    assert code == 1 and "There is no export at" in output


def test_a_litert_file_is_verified_without_tensorflow(made):
    if made.suffix != ".tflite":
        return
    script = (
        "import sys; sys.modules.update(tensorflow=None, keras=None); "
        "from keras_cpm.cli.main import main; main()"
    )
    pytest.importorskip("ai_edge_litert")
    done = subprocess.run(
        [sys.executable, "-c", script, "verify", str(made)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0 and "ok     golden" in done.stdout, done.stderr
