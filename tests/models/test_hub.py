"""Models come from the hub, and nothing else of a repository does; a stand-in answers."""

import builtins
import pickle

import numpy as np
import pytest

import keras_cpm
from keras_cpm.models import bundle, hub
from tests.cli.running import failure, run

constants = pytest.importorskip("huggingface_hub.constants", reason="needs the extra hub")
ADDRESS = "hf://somebody/pose"


@pytest.fixture(scope="module")
def files(tiny_spec, tmp_path_factory):
    """What is in the repository."""
    folder = tmp_path_factory.mktemp("bundle")
    model = keras_cpm.build_cpm(2, tiny_spec, width=8)
    keras_cpm.save_bundle(folder, model, tiny_spec, {"stages": 2, "width": 8})
    return {path.name: path.read_bytes() for path in folder.iterdir()}


class Harm:
    def __reduce__(self):
        return print, ("a pickle was read",)


def test_a_bundle_is_loaded_and_nothing_else_is_fetched(hub_server, files):
    harm = pickle.dumps(Harm())
    others = {"model.pkl": harm, "spec.py": b"1 / 0", "old/model.keras": harm, "big.bin": harm}
    commit = hub_server.commit("somebody/pose", files | others)
    model, spec = keras_cpm.load(ADDRESS)
    assert spec.box_size == 64 and model.output_names == ["stage1", "stage2"]
    assert bundle.describe(ADDRESS) == (spec, {"stages": 2, "width": 8})
    fetched = {path.rpartition("/")[2] for _, path in hub_server.asked if "/resolve/" in path}
    assert fetched == {*files}
    folder = bundle.bundle_directory(ADDRESS)
    assert folder.name == commit and {path.name for path in folder.iterdir()} == {*files}


def test_a_revision_is_that_revision(hub_server, files, tiny_spec):
    old = hub_server.commit("somebody/pose", files)
    hub_server.commit("somebody/pose", {"spec.json": b"{}"})
    assert bundle.describe(f"{ADDRESS}@{old}")[0] == tiny_spec
    with pytest.raises(ValueError, match=r"spec\.json"):
        bundle.describe(ADDRESS)
    with pytest.raises(FileNotFoundError, match="no hf://somebody/pose@v9 that it shows"):
        keras_cpm.load(f"{ADDRESS}@v9")


def test_without_a_connection_the_copy_is_taken(hub_server, files, tiny_spec, monkeypatch):
    hub_server.commit("somebody/pose", files)
    assert bundle.describe(ADDRESS)[0] == tiny_spec
    # a host that is gone, and one that nobody may ask
    for name, value in (("ENDPOINT", "http://127.0.0.1:9"), ("HF_HUB_OFFLINE", True)):
        monkeypatch.setattr(constants, name, value)
        assert bundle.describe(ADDRESS)[0] == tiny_spec
        with pytest.raises(FileNotFoundError) as error:
            keras_cpm.load("hf://somebody/else")
        assert "out of reach, and the cache has no whole copy" in str(error.value)
        assert "\n" not in str(error.value)


def test_what_is_fetched_is_checked_as_any_other(hub_server, files):
    hub_server.commit("somebody/pose", files | {"model.keras": pickle.dumps(Harm())})
    with pytest.raises(ValueError, match=r"model\.keras is cut off or no Keras file"):
        keras_cpm.load(ADDRESS)
    hub_server.commit("somebody/nothing", {"model.pkl": b"x", "spec.json": files["spec.json"]})
    with pytest.raises(FileNotFoundError, match=r"has no model\.keras"):
        keras_cpm.load("hf://somebody/nothing")


def test_commands_take_an_address_for_a_model(hub_server, files, tmp_path):
    hub_server.commit("somebody/pose", files)
    assert "box_size" in run("inspect", ADDRESS)
    # what a `Path` makes of it
    assert bundle.describe(tmp_path.__class__(ADDRESS))[1]["width"] == 8
    plan = keras_cpm.plan_training(keras_cpm.draw_records(tmp_path, 1), init=ADDRESS)
    lines = []
    trained, loaded = plan.build(lines.append), keras_cpm.load(ADDRESS)[0]
    assert lines == [f"Started from {ADDRESS}; new layers: none"]
    for ours, theirs in zip(trained.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_what_is_no_repository_is_one_sentence(hub_server):
    assert "shows to you" in failure("inspect", "hf://nobody/nothing")
    for wrong in ("hf://pose", "hf://a/b/c", "hf://a/../b", "hf://a/b@", "hf://a/b@../../c"):
        with pytest.raises(ValueError, match="must be hf://OWNER/NAME"):
            keras_cpm.load(wrong)
    hub_server.breaks = True
    with pytest.raises(OSError, match="cannot be fetched"):
        hub.fetched(ADDRESS, bundle.FILES)


def test_without_the_extra_it_says_so(monkeypatch):
    real = builtins.__import__

    def absent(name, *rest):
        if name.startswith("huggingface_hub"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(ImportError, match=r"pip install 'keras-cpm\[hub\]'"):
        keras_cpm.load(ADDRESS)
