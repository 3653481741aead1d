"""An export is tested where it runs, and what is wrong with it is said."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from click.testing import CliRunner

import keras_cpm
from keras_cpm.cli.main import main
from keras_cpm.export.artefact import Artefact


@pytest.fixture(params=["phone_file", "onnx_file", "served"])
def made(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def artefact(made, tmp_path):
    """A copy to be harmed."""
    shutil.copytree(made.parent, tmp_path / "copy")
    return Artefact(tmp_path / "copy" / made.name)


def contents(folder):
    """The bytes of its files, by name."""
    paths = [path for path in Path(folder).rglob("*") if path.is_file()]
    return {path.relative_to(folder): path.read_bytes() for path in paths}


@pytest.fixture
def loaded_once(served, loaded, monkeypatch):
    """Copies of `served`, byte by byte, are loaded and traced once, for all tests together."""
    load, right = tf.saved_model.load, contents(served / "1")
    monkeypatch.setattr(
        tf.saved_model, "load", lambda path: loaded if contents(path) == right else load(path)
    )


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
    assert count == (42 if artefact.is_file else 84)


def test_the_version_folder_will_do(served, loaded_once):
    code, output = run(served / "1")
    assert code == 0 and output == run(served)[1]


def test_a_changed_byte_is_found(artefact, loaded_once):
    files = artefact.files()
    for path in files:
        content = path.read_bytes()
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        code, output = run(artefact.path)
        assert code == 1 and "FAILED files" in output and path.name in output
        assert "signatures" not in output
        path.write_bytes(content)
    assert run(artefact.path)[0] == 0


def test_a_missing_file_is_found(artefact):
    artefact.spec.unlink()
    code, output = run(artefact.path)
    assert code == 1 and "spec.json is missing" in output


@pytest.mark.parametrize("made", ["served"], indirect=True)
def test_a_foreign_file_is_found(artefact):
    (artefact.model / "variables/more").write_text("?")
    code, output = run(artefact.path)
    assert code == 1 and "1/variables/more is not of this export" in output


def change_manifest(artefact, change):
    content = json.loads(artefact.manifest.read_text())
    change(content)
    content["files"] = artefact.checksums()
    artefact.manifest.write_text(json.dumps(content))


@pytest.mark.parametrize("end", ["inputs", "outputs"])
def test_another_signature_is_found(artefact, end, loaded_once):
    def change(content):
        tensors = content["signatures"]["serving_default"][end]
        tensors[sorted(tensors)[0]][0][0] = 7

    change_manifest(artefact, change)
    code, output = run(artefact.path)
    assert code == 1 and "FAILED signatures: serving_default differ" in output


@pytest.mark.parametrize(
    "what, amount", [("keypoints", 0.06), ("scores", 0.002), ("scores", np.nan)]
)
def test_other_results_are_found(artefact, what, amount, loaded_once):
    golden = dict(np.load(artefact.golden))
    name = what if artefact.is_file else f"boxes_{what}"
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


def test_where_no_place_was_compared_it_is_said(artefact, loaded_once):
    arrays = dict(np.load(artefact.golden))
    for name in arrays:
        if name.endswith("scores"):
            arrays[name] = np.full_like(arrays[name], 0.1)
    np.savez(artefact.golden, **arrays)
    change_manifest(artefact, lambda content: None)
    seen = run(artefact.path)[1].split("golden: ")[1]
    assert seen.startswith("no keypoint has a score of 0.3 or more, so no place was compared; ")


@pytest.mark.parametrize("made", ["phone_file"], indirect=True)
def test_of_fewer_bits_the_way_from_the_keras_model_is_said(artefact):
    """For the rest only says whether the file is what it was where it was made."""
    arrays = dict(np.load(artefact.golden))
    arrays["keras_keypoints"] = arrays["keypoints"] + (0.3, 0.4)
    arrays["keras_keypoints"].flat[:2] += (3, 4)
    arrays["keras_scores"] = np.full_like(arrays["scores"], 0.9)
    np.savez(artefact.golden, **arrays)
    change_manifest(artefact, lambda content: content.update(quantize="int8"))
    code, output = run(artefact.path)
    assert code == 0 and "from what this file gave where it was made" in output
    assert "42 sure keypoints of the Keras model moved by 0.5000 px in the median, " in output
    assert "by 5.5000 at most" in output


def test_what_cannot_be_tested_is_said_in_one_sentence(artefact, tmp_path):
    artefact.manifest.write_text("{")
    assert "damaged" in run(artefact.path)[1]
    artefact.manifest.unlink()
    assert "manifest.json" in run(artefact.path)[1]
    code, output = run(tmp_path / "nothing")
    assert code == 1 and "There is no export at" in output


def without_tensorflow(path):
    script = (
        "import sys; sys.modules.update(tensorflow=None, keras=None); "
        "from keras_cpm.cli.main import main; main()"
    )
    return subprocess.run(
        [sys.executable, "-c", script, "verify", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_litert_file_is_tested_without_tensorflow(phone_file):
    pytest.importorskip("ai_edge_litert")
    done = without_tensorflow(phone_file)
    assert done.returncode == 0 and "ok     golden" in done.stdout, done.stderr


def test_a_saved_model_says_that_it_needs_tensorflow(served):
    done = without_tensorflow(served)
    assert done.returncode == 1 and "pip install tensorflow" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_all_exports_of_a_bundle_are_made_and_compared(model, tiny_spec, drawn_records, tmp_path):
    pytest.importorskip("ai_edge_quantizer")
    pytest.importorskip("tf2onnx")
    keras_cpm.save_bundle(tmp_path / "bundle", model, tiny_spec)
    for name, records in (("seen", drawn_records[:2]), ("others", drawn_records[2:])):
        keras_cpm.write_records(records, tmp_path / f"{name}.jsonl")
    arguments = ["--records", tmp_path / "seen.jsonl", "--calibrate", tmp_path / "others.jsonl"]
    arguments += ["--out", tmp_path / "out", "--json", tmp_path / "tables.json"]
    result = CliRunner().invoke(
        main, ["verify", str(tmp_path / "bundle"), "--all", *map(str, arguments)]
    )
    tables = json.loads((tmp_path / "tables.json").read_text())
    names = [row["name"] for row in tables["rows"]]
    kinds = ("none", "float16", "dynamic", "int8")
    files = [*(f"{kind}.tflite" for kind in kinds), "none.onnx", "int8.onnx"]
    assert names == ["Keras", "savedmodel", *files]
    assert all(row["within"] and row["keypoints"] == 28 for row in tables["rows"][:3])
    assert result.exit_code == (not all(row["within"] for row in tables["rows"])), result.output
    assert "2 photographs of" in result.output and "28 keypoints with a score" in result.output
    assert set(tables["parts"]) == set(names) and "none.tflite: PCK@0.2" in result.output
    assert (tmp_path / "out/savedmodel/1/saved_model.pb").is_file()


def test_flags_of_all_need_all(served, tmp_path):
    result = CliRunner().invoke(main, ["verify", str(served), "--out", str(tmp_path)])
    assert result.exit_code == 2 and "need --all" in result.output
