"""Which files are an export, whatever path names it."""

import json

import numpy as np
import pytest

import keras_cpm
from keras_cpm.export import golden
from keras_cpm.export.artefact import Artefact
from tests.data.mutations import mutated


def test_the_files_of_a_litert_file(phone_file):
    artefact = Artefact(phone_file)
    assert (artefact.kind, artefact.model) == ("litert", phone_file)
    names = ["cpm.golden.npz", "cpm.spec.json", "cpm.tflite"]
    assert [path.name for path in artefact.files()] == names == sorted(artefact.checksums())
    assert artefact.size() == phone_file.stat().st_size
    assert artefact.read_manifest()["files"] == artefact.checksums()


def test_the_files_of_an_onnx_file(onnx_file):
    artefact = Artefact(onnx_file)
    assert (artefact.kind, artefact.model) == ("onnx", onnx_file)
    assert sorted(artefact.checksums()) == ["cpm.onnx", "cpm.onnx.golden.npz", "cpm.onnx.spec.json"]


def test_files_of_one_name_keep_what_is_their_own(tmp_path):
    """And a SavedModel is a folder of its own."""
    one, other = (Artefact(tmp_path / name, exists=False) for name in ("cpm.tflite", "cpm.onnx"))
    ours = {one.path, one.spec, one.golden, one.manifest}
    assert len(ours | {other.path, other.spec, other.golden, other.manifest}) == 8


def test_the_files_of_a_saved_model(served):
    artefact = Artefact(served)
    assert (artefact.kind, artefact.model) == ("savedmodel", served / "1")
    assert {"1/saved_model.pb", "golden.npz", "spec.json"} <= set(artefact.checksums())
    beside = sum(path.stat().st_size for path in (artefact.golden, artefact.spec))
    assert artefact.size() == sum(path.stat().st_size for path in artefact.files()) - beside
    assert artefact.read_manifest()["files"] == artefact.checksums()


def test_the_version_folder_is_the_export_too(served):
    assert Artefact(served / "1").path == Artefact(served).path == served.resolve()


def test_what_is_missing_is_said(phone_file, tmp_path):
    for path in (tmp_path, tmp_path / "a.tflite"):
        with pytest.raises(FileNotFoundError, match="There is no export at"):
            Artefact(path)
    artefact = Artefact(tmp_path / "a.tflite", exists=False)
    with pytest.raises(FileNotFoundError, match=r"no a\.manifest\.json beside it; copy it along"):
        artefact.read_manifest()
    for content in ("{", "[]", json.dumps({"kind": "litert"})):
        artefact.manifest.write_text(content)
        with pytest.raises(ValueError, match=r"a\.manifest\.json is damaged; copy it again"):
            artefact.read_manifest()


def test_mutated_manifests(phone_file):
    """Each is right, or one sentence that names the file."""
    artefact = Artefact(phone_file)
    written = artefact.manifest.read_text()
    try:
        for seed in range(40):
            artefact.manifest.write_text(mutated(json.loads(written), seed), "utf-8")
            try:
                assert all(check.name for check in keras_cpm.verify(phone_file)), seed
            except ValueError as error:
                assert "cpm.manifest.json is damaged" in str(error), (seed, error)
                assert "\n" not in str(error)
    finally:
        artefact.manifest.write_text(written)
    assert all(check.passed for check in keras_cpm.verify(phone_file))


@pytest.mark.parametrize("content", [b"", b"PK", {}, {"image": np.zeros(3), "scores": "text"}])
def test_a_damaged_golden_file_is_named(phone_file, tmp_path, content):
    artefact = Artefact(tmp_path / "a.tflite", exists=False)
    if isinstance(content, bytes):
        artefact.golden.write_bytes(content)
    else:
        np.savez(artefact.golden, **content)
    with pytest.raises(ValueError, match=r"a\.golden\.npz is damaged; copy it again"):
        golden.read(artefact)
