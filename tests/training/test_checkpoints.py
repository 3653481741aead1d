"""A training that is killed and run again ends with the bits of one that never was."""

import dataclasses
import errno
import json
import os
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

import keras_cpm
from keras_cpm.training import checkpoints
from keras_cpm.training import train as training
from tests.data.mutations import mutated
from tests.training.training_server import small_model

EPOCHS, KILLS = 40, 20


@pytest.fixture
def server():
    if not hasattr(os, "fork"):
        pytest.skip("needs os.fork")
    command = [sys.executable, str(Path(__file__).with_name("training_server.py"))]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as process:

        def run(**job):
            process.stdin.write(json.dumps(job) + "\n")
            process.stdin.flush()
            return int(process.stdout.readline())

        yield run
        process.stdin.close()


@pytest.mark.slow
def test_kills_change_no_bit(server, tmp_path):
    records = keras_cpm.draw_records(tmp_path / "people", 12, image_size=(96, 128))
    keras_cpm.write_records(records, tmp_path / "people.jsonl")
    job = {"epochs": EPOCHS, "people": str(tmp_path / "people.jsonl")}
    straight, killed = (str(tmp_path / name) for name in ("straight", "killed"))
    assert server(folder=straight, kill=None, **job) == 0
    before, last = sorted(Path(straight, checkpoints.FOLDER).glob("0*.npz"))
    epoch = last.stat().st_mtime - before.stat().st_mtime
    random = np.random.default_rng(0)
    for _ in range(KILLS):
        # in the first epoch of a process, its validation, its checkpoint, or one of the next
        kill = random.uniform(0, 3 * epoch)
        assert server(folder=killed, kill=kill, **job) == -signal.SIGKILL
    assert server(folder=killed, kill=None, **job) == 0
    states, arrays = zip(*map(checkpoints.load, (straight, killed)), strict=True)
    assert states[0] == states[1] and states[0]["epoch"] == EPOCHS
    for name, value in arrays[0].items():
        np.testing.assert_array_equal(value, arrays[1][name], err_msg=name)
    models = [keras_cpm.load(folder)[0].get_weights() for folder in (straight, killed)]
    for a, b in zip(*models, strict=True):
        np.testing.assert_array_equal(a, b)
    logs = [Path(folder, training.LOG_FILE).read_text("utf-8") for folder in (straight, killed)]
    assert logs[0] == logs[1] and len(logs[0].splitlines()) == EPOCHS + 1


@pytest.fixture
def trained(tiny_spec, drawn_records, tmp_path):
    """Function: trains the smallest network to a number of epochs in one folder; its weights."""

    def run(epochs):
        recipe = dataclasses.replace(keras_cpm.MODERN, epochs=epochs, batch_size=3, ema=0.5)
        model = small_model(tiny_spec)
        keras_cpm.train(
            model, drawn_records, (), recipe, tiny_spec, directory=tmp_path / "run", verbose=0
        )
        return model.get_weights()

    return run


@pytest.mark.slow
def test_a_damaged_checkpoint_falls_back_to_the_one_before(trained, tmp_path):
    folder = tmp_path / "run" / checkpoints.FOLDER
    expected = trained(3)
    assert [path.name for path in sorted(folder.iterdir())] == ["000002.npz", "000003.npz"]
    for damage in (lambda data: data[: len(data) // 2], lambda data: b"", _flip_a_bit):
        newest = sorted(folder.glob("0*.npz"))[-1]
        newest.write_bytes(damage(newest.read_bytes()))
        with pytest.warns(UserWarning, match="is damaged and is passed over"):
            state, _ = checkpoints.load(tmp_path / "run")
        assert state["epoch"] == 2
        with pytest.warns(UserWarning, match="is damaged and is passed over"):
            found = trained(3)
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_array_equal(a, b)
    for path in folder.glob("0*.npz"):
        path.write_bytes(b"nothing")
    with (
        pytest.warns(UserWarning, match="is damaged"),
        pytest.raises(ValueError, match=r"All checkpoints in .* are damaged; delete the folder"),
    ):
        trained(3)


def test_a_disk_that_fails_is_no_damage(tmp_path, monkeypatch):
    folder = tmp_path / checkpoints.FOLDER
    folder.mkdir()
    write(folder / "000002.npz", json.dumps(STATE))

    def failing(*_, **__):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(np, "load", failing)
    with pytest.raises(OSError, match=r"000002.npz cannot be read now: .*Permission denied"):
        checkpoints.load(tmp_path)
    monkeypatch.undo()
    assert checkpoints.load(tmp_path)[0] == STATE


def _flip_a_bit(data):
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


@pytest.mark.slow
def test_a_full_disk_leaves_the_last_good_checkpoint(trained, tmp_path, monkeypatch):
    trained(1)
    write = np.savez

    def full(file, **arrays):
        file.write(b"begun")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(
        OSError, match=r"epoch 2 could not be written.*No space left on device.*again"
    ):
        trained(2)
    monkeypatch.setattr(np, "savez", write)
    assert [path.name for path in (tmp_path / "run" / checkpoints.FOLDER).iterdir()] == [
        "000001.npz"
    ]
    trained(2)
    assert checkpoints.load(tmp_path / "run")[0]["epoch"] == 2


STATE = {"epoch": 2, "best": 0.5, "settings": {"seed": 0, "augment": None}}


def write(path, state, **arrays):
    np.savez(path, **{"state": np.array(state), "model0": np.ones(3, np.float32), **arrays})


@pytest.mark.parametrize(
    "state",
    [
        *("[]", "null", "2", '"epoch"', "{}", "{", "[" * 100_000),
        *(json.dumps(STATE | {"epoch": epoch}) for epoch in ("2", 2.0, True, None, 10**9, -1, 3)),
        *(json.dumps(STATE | {"best": best}) for best in ("0.5", None, float("nan"), [0.5], 7)),
        *(json.dumps(STATE | {"settings": settings}) for settings in (None, [], "seed")),
    ],
)
def test_json_of_another_shape_is_damage(tmp_path, state):
    folder = tmp_path / checkpoints.FOLDER
    folder.mkdir()
    write(folder / "000001.npz", json.dumps(STATE | {"epoch": 1}))
    write(folder / "000002.npz", state)
    with pytest.warns(UserWarning, match=r"000002\.npz is damaged and is passed over"):
        found, arrays = checkpoints.load(tmp_path)
    assert found == STATE | {"epoch": 1} and arrays["model0"].tolist() == [1, 1, 1]


def test_arrays_that_are_no_numbers_are_damage(tmp_path):
    folder = tmp_path / checkpoints.FOLDER
    folder.mkdir()
    write(folder / "000002.npz", json.dumps(STATE), model0=np.array("text"))
    with (
        pytest.warns(UserWarning, match="its model0 must hold numbers"),
        pytest.raises(ValueError, match=r"All checkpoints in .* are damaged"),
    ):
        checkpoints.load(tmp_path)


def test_mutated_checkpoints(tmp_path):
    """Each is right, or passed over with a word."""
    folder, passed = tmp_path / checkpoints.FOLDER, 0
    folder.mkdir()
    write(folder / "000001.npz", json.dumps(STATE | {"epoch": 1}))
    for seed in range(60):
        write(folder / "000002.npz", mutated(STATE, seed))
        if seed % 3 == 0:
            data = bytearray((folder / "000002.npz").read_bytes())
            data[seed * len(data) // 60] ^= 4
            (folder / "000002.npz").write_bytes(data)
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            state, arrays = checkpoints.load(tmp_path)
        assert state["epoch"] == 2 - len(said) and isinstance(state["settings"], dict), seed
        assert 0 <= state["best"] <= 1 and arrays["model0"].tolist() == [1, 1, 1], seed
        passed += len(said)
    assert 0 < passed < 60


@pytest.mark.slow
def test_two_trainings_in_one_folder_are_refused(trained, tmp_path):
    with (
        checkpoints.lock(tmp_path / "run"),
        pytest.raises(ValueError, match=r"Another training runs in .*run; wait for its end"),
    ):
        trained(1)
    trained(1)


def test_averages_are_lent_to_the_bit(tiny_model, tiny_spec):
    keras_cpm.compile_cpm(tiny_model, spec=tiny_spec, total_steps=100)
    tiny_model.optimizer.build(tiny_model.trainable_variables)
    before = tiny_model.get_weights()
    with checkpoints.averaged(tiny_model):
        assert not np.any(tiny_model.get_weights()[0])
    for a, b in zip(tiny_model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)
