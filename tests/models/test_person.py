"""The network that finds people is trained on their centers alone."""

import numpy as np
import pytest

import keras_cpm
from keras_cpm.data.synthetic import groups
from keras_cpm.inference.person_finder import find_people
from keras_cpm.models.person import PERSON_SPEC
from tests.cli.running import run


@pytest.mark.slow
def test_training_on_centers_makes_a_person_network(drawn_records, tmp_path):
    keras_cpm.write_records(drawn_records, tmp_path / "people.jsonl")
    words = (tmp_path / "people.jsonl", tmp_path / "groups.jsonl", "--count", 4)
    assert "4 records" in run("prepare", "groups", *words)
    assert len(list((tmp_path / "groups").glob("*.jpg"))) == 4
    options = ("--epochs", 1, "--batch-size", 2, "--width", 8)
    run("train", tmp_path / "groups.jsonl", "--out", tmp_path / "run", *options)
    model, spec = keras_cpm.load(tmp_path / "run")
    assert spec == PERSON_SPEC and len(model.inputs) == 1
    photograph = drawn_records[0].image
    assert find_people(photograph, model, spec, threshold=2.0) == []
    run("predict", photograph, "--people", "auto", "--person-model", tmp_path / "run")


@pytest.mark.slow
def test_a_person_network_starts_from_the_features_of_a_pose_network(
    drawn_records, tiny_spec, tmp_path
):
    network = {"stages": 2, "backbone": "light", "stage_block": "light", "width": 8}
    pose = keras_cpm.build_cpm(spec=tiny_spec, **network)
    keras_cpm.save_bundle(tmp_path / "pose", pose, tiny_spec, network)
    found = groups.draw_groups(drawn_records, tmp_path / "groups", 2, PERSON_SPEC)
    keras_cpm.write_records(found, tmp_path / "groups.jsonl")
    words = ("--out", tmp_path / "run", "--init", tmp_path / "pose", "--epochs", 1)
    # so slow that it stays where it starts
    still = ("--learning-rate", "1e-12", "--ema", 0)
    assert "Started from" in run("train", tmp_path / "groups.jsonl", *words, *still)
    model, spec = keras_cpm.load(tmp_path / "run")
    assert spec == PERSON_SPEC and len(model.inputs) == 1 and model.inputs[0].shape[1] is None
    for name in ("conv1", "conv4_a"):
        np.testing.assert_allclose(
            model.get_layer(name).kernel, pose.get_layer(name).kernel, atol=1e-6
        )
