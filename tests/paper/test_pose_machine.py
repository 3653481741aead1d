"""A trained Pose Machine in the place of a network, and its file."""

import zipfile

import numpy as np
import pytest

import keras_cpm
from keras_cpm.paper.machine_training import MachineSpec, fit_pose_machine
from keras_cpm.paper.pose_machine import PoseMachine

SPEC = keras_cpm.PoseSpec(box_size=64, stride=4)


@pytest.fixture(scope="module")
def machine(drawn_records):
    recipe = MachineSpec(stages=2, rounds=2, trees=1, depth=4)
    return fit_pose_machine(drawn_records[:4], SPEC, recipe)


@pytest.fixture
def boxes():
    return np.random.default_rng(0).uniform(0, 255, (2, 64, 64, 3)).astype(np.float32)


def test_beliefs_are_probabilities(machine, boxes):
    stages = machine.predict_on_batch([boxes])
    assert [stage.shape for stage in stages] == [(2, 16, 16, 15)] * 2
    for stage in stages:
        np.testing.assert_allclose(stage.sum(axis=-1), 1, atol=1e-4)
    assert np.ptp(stages[1][..., :14]) > 0.05


def test_nobody_is_outside_the_photograph(machine, boxes):
    boxes[:, :, :32] = 128
    for stage in machine.predict_on_batch([boxes]):
        # beyond what the blur reaches
        assert stage[:, :, :4, :14].max() < 1e-6


def test_it_is_a_model_for_predictor_and_evaluate(machine, drawn_records):
    predictor = keras_cpm.Predictor(machine, SPEC, flip=True)
    record = drawn_records[0]
    pose = predictor(record.image, center=record.people[0].center, person_height=200)
    assert pose.stage_keypoints.shape == (2, 14, 2)
    result = keras_cpm.evaluate(machine, drawn_records[:2], SPEC)
    assert list(result.predicted) == ["stage1", "stage2"]


def test_another_spec_is_refused(machine):
    with pytest.raises(ValueError, match="16 cells"):
        keras_cpm.Predictor(machine, SPEC.replace(stride=8))


def test_there_and_back(machine, boxes, tmp_path):
    machine.save(tmp_path / "a.zip")
    again = PoseMachine.load(tmp_path / "a.zip")
    assert again.spec == SPEC and [len(stage) for stage in again.forests] == [3, 1]
    for one, other in zip(*(m.predict_on_batch([boxes]) for m in (machine, again)), strict=True):
        np.testing.assert_array_equal(one, other)
    # numbers only
    with zipfile.ZipFile(tmp_path / "a.zip") as file:
        assert {name.rpartition(".")[-1] for name in file.namelist()} == {"json", "nodes"}


@pytest.mark.parametrize("place", [0.02, 0.5, 0.9])
def test_a_flipped_byte_is_one_sentence(machine, tmp_path, place):
    path = tmp_path / "a.zip"
    machine.save(path)
    data = bytearray(path.read_bytes())
    data[int(place * len(data))] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"a\.zip is no Pose Machine, or damaged"):
        PoseMachine.load(path)


def test_what_is_no_machine(tmp_path):
    path = tmp_path / "a.zip"
    with pytest.raises(FileNotFoundError, match=r"no Pose Machine at .*a\.zip"):
        PoseMachine.load(path)
    path.write_bytes(b"no zip")
    with pytest.raises(ValueError, match=r"a\.zip is no Pose Machine"):
        PoseMachine.load(path)
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("spec.json", SPEC.to_json())
    with pytest.raises(ValueError, match=r"holds no stage1_level1\.nodes"):
        PoseMachine.load(path)


def test_forests_of_another_spec(machine, tmp_path):
    other = PoseMachine(machine.forests, keras_cpm.PoseSpec(keras_cpm.MPII16, 64, 4))
    other.save(tmp_path / "a.zip")
    with pytest.raises(ValueError, match=r"17 channels.* has 15"):
        PoseMachine.load(tmp_path / "a.zip")
