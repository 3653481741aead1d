"""`keras-cpm inspect`: what a bundle is."""

import json

import keras_cpm
from tests.cli.running import failure, run


def test_what_a_bundle_says_of_itself(model, tmp_path):
    output = run("inspect", model, "--json", tmp_path / "facts.json")
    facts = json.loads((tmp_path / "facts.json").read_text())
    parameters = keras_cpm.load(model)[0].count_params()
    assert facts["parameters"] == parameters and f"parameters:\n   {parameters:,}" in output
    assert facts["outputs"] == {"stage1": [None, 8, 8, 15], "stage2": [None, 8, 8, 15]}
    assert facts["built with"]["width"] == 8 and facts["spec"]["box_size"] == 64


def test_a_bundle_of_python_knows_no_arguments(tiny_model, tiny_spec, tmp_path):
    keras_cpm.save_bundle(tmp_path / "b", tiny_model, tiny_spec)
    run("inspect", tmp_path / "b", "--json", tmp_path / "facts.json")
    assert json.loads((tmp_path / "facts.json").read_text())["built with"] == {}


def test_no_such_bundle():
    assert "no folder" in failure("inspect", "no-such-model")
