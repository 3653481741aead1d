"""Trainings in several processes, on the loopback of this machine: they are one training.

`pytest -rP` prints how far they differ.
"""

import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import keras_cpm
from keras_cpm.training import processes
from keras_cpm.training.joining import joined

# 30 steps of 4, the last validation batch not whole
EPOCHS, STEPS, COUNT, VALIDATION = 5, 6, 26, 7
HEARTBEAT, PEOPLE = 30, "people.jsonl"
# how many processes, who is killed, and after which step of all: drawn by lot
KILLS = [(4, 3, 4), (4, 0, 7), (2, 0, 11), (2, 1, 17), (2, 1, 18), (2, 0, 29)]


class Server:
    """Trains in folders of `root`, under a backend of Keras.

    Example: `Server(root, "jax").train(["mine", "mine"])` is a training of two processes.
    """

    def __init__(self, root, backend):
        self.root = root
        environment = {
            **os.environ,
            **{"KERAS_BACKEND": backend, "JAX_PLATFORMS": "cpu", "TF_CPP_MIN_LOG_LEVEL": "3"},
            # what is compiled once is not compiled again
            "JAX_COMPILATION_CACHE_DIR": str(root / "compiled"),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "XLA_FLAGS": "--xla_backend_optimization_level=0",
            "TMPDIR": str(root),
        }
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).parent / "processes_server.py")],
            **{"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True},
            env=environment,
        )

    def start(self, folders, *, kill=None, **changes):
        """Exit code and time of each end; `kill` is a process and its step."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            coordinator = f"127.0.0.1:{free.getsockname()[1]}"
        jobs = []
        for i, folder in enumerate(folders):
            join = {"coordinator": coordinator, "processes": len(folders), "process": i}
            jobs.append(
                {
                    **{"folder": str(self.root / folder), "people": str(self.root / PEOPLE)},
                    **{"epochs": EPOCHS, "validation": VALIDATION, "minutes": 0.0, "devices": 1},
                    "join": {**join, "heartbeat": HEARTBEAT} if len(folders) > 1 else {},
                    "kill": kill[1] if kill and kill[0] == i else None,
                    **{"out": str(self.root / f"{i}.npz"), "said": str(self.root / f"{i}.txt")},
                    **changes,
                }
            )
        print(json.dumps(jobs), file=self.process.stdin, flush=True)
        return json.loads(self.process.stdout.readline())

    def said(self, i):
        """The last line of a process."""
        return (self.root / f"{i}.txt").read_text("utf-8").strip().rpartition("\n")[2]

    def train(self, folders, **changes):
        """Losses of steps, history and weights of each process."""
        ends = self.start(folders, **changes)
        assert [code for code, _ in ends] == [0] * len(ends), list(map(self.said, range(len(ends))))
        found = []
        for i in range(len(folders)):
            with np.load(self.root / f"{i}.npz") as file:
                arrays = dict(file)
            found.append((*json.loads(str(arrays.pop("text"))).values(), list(arrays.values())))
        return found

    def close(self):
        self.process.stdin.close()
        self.process.wait()


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("several")
    people = keras_cpm.draw_records(root / "people", COUNT, image_size=(96, 128))
    keras_cpm.write_records(people, root / PEOPLE)
    return root


@pytest.fixture(scope="module")
def server(root):
    if importlib.util.find_spec("jax") is None:
        pytest.skip("jax is not installed: pip install 'keras-cpm[jax]'")
    server = Server(root, "jax")
    yield server
    server.close()


@pytest.fixture(scope="module")
def alone(server):
    """The training of one process."""
    return server.train(["alone"])[0]


def check_equal(result, alone):
    """Losses and weights of a process, the losses from where it went on."""
    losses, history, weights = result
    count = len(losses)
    assert count
    pairs = zip(weights, alone[2], strict=True)
    worst = [max(np.abs(ours - theirs).max() for ours, theirs in pairs)]
    worst.append(np.abs(np.subtract(losses, alone[0][-count:])).max())
    print(f"weights differ by {worst[0]:.1e}, losses of {count} steps by {worst[1]:.1e}")
    np.testing.assert_allclose(losses, alone[0][-count:], rtol=1e-5, atol=1e-5)
    for name, values in history.items():
        known = alone[1][name][-len(values) :]
        np.testing.assert_allclose(values, known, rtol=1e-5, atol=1e-5, err_msg=name)
    for ours, theirs in zip(weights, alone[2], strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 4])
def test_processes_with_folders_of_their_own_train_as_one(server, root, alone, count):
    results = server.train([f"own{count}", *["none"] * (count - 1)])
    for result in results:
        assert len(result[0]) == EPOCHS * STEPS
        assert len(result[1]["val_loss"]) == EPOCHS
        check_equal(result, alone)
    assert keras_cpm.load(root / f"own{count}")
    assert not (root / "none").exists()


@pytest.mark.slow
def test_who_is_killed_ends_the_others_and_the_same_command_goes_on(server, alone):
    """Six times, process 0 too, at any step; what four processes began, two end."""
    for count, killed, step in KILLS:
        ends = server.start(["shared"] * count, kill=(killed, step))
        for i, (code, _) in enumerate(ends):
            assert code == (-signal.SIGKILL if i == killed else 1), server.said(i)
            if i != killed:
                assert server.said(i).startswith("Error: Another process was lost")
                assert "goes on" in server.said(i)
        times = [time for _, time in ends]
        print(f"{killed} of {count} killed at {step}; all ended in {max(times) - min(times):.1f} s")
    for result in server.train(["shared"] * 2):
        assert len(result[0]) == EPOCHS * STEPS - step // STEPS * STEPS
        check_equal(result, alone)


@pytest.mark.slow
def test_the_first_process_keeps_the_time(server):
    ends = server.train(["timed"] * 2, minutes=1e-6)
    assert [len(losses) for losses, _, _ in ends] == [STEPS] * 2


@pytest.mark.slow
def test_two_devices_of_tensorflow_train_one_model(root):
    server = Server(root, "tensorflow")
    losses, history, weights = server.train(["mirrored"], epochs=2, devices=2)[0]
    server.close()
    assert len(losses) == 2 * STEPS
    assert np.isfinite([*losses, *history["val_loss"]]).all()
    model, _ = keras_cpm.load(root / "mirrored")
    for ours, saved in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, saved)


def test_several_hosts_of_tensorflow_are_refused(tiny_model, tiny_spec, tmp_path, monkeypatch):
    workers = {"cluster": {"worker": ["10.0.0.1:1", "10.0.0.2:1"]}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(workers))
    with pytest.raises(ValueError, match=r"KERAS_BACKEND=jax keras-cpm train .* 2 workers"):
        keras_cpm.train(tiny_model, [], spec=tiny_spec, directory=tmp_path)


def test_other_processes_need_jax():
    with (
        pytest.raises(ValueError, match=r"`coordinator` .* KERAS_BACKEND=jax"),
        joined("127.0.0.1:9", 2, 0),
    ):
        pass


def test_one_process_asks_nobody():
    assert processes.is_first()
    assert processes.agreed([1, "a"]) == [1, "a"]
    assert processes.share() is None
