"""The engines: what they need, and what they are called."""

from importlib import metadata

from benchmarks.engines.peers import INFERENCE, TRAINING, Engine


def test_what_is_missing_is_what_pip_calls_it():
    packages = {"tensorflow": "tensorflow", "no_such_module": "no-such-package"}
    assert Engine("it", print, packages).absent() == ["no-such-package"]
    assert Engine("it", print).absent() == []


def test_titles_have_versions():
    version = metadata.version("tensorflow")
    assert INFERENCE["tensorflow"].full_title() == f"TensorFlow {version}, direct"
    assert INFERENCE["keras_cpm"].full_title() == "keras_cpm"


def test_others_are_compared_with_tensorflow_of_their_precision():
    for engines in (INFERENCE, TRAINING):
        precisions = {
            one.precision for name, one in engines.items() if name.startswith("tensorflow")
        }
        assert precisions == {one.precision for one in engines.values()}
