"""Where there is no room, and after a kill, no command leaves half of anything, and the same call
again completes.
"""

import contextlib
import hashlib
import os
import random
import resource
import signal
import subprocess
import sys
import time

import pytest

from tests.cli.running import TRAIN, run
from tests.inference.clips import write_walk

VERBS = {
    "predict": "predict IN/images --model MODEL --json OUT/p.json --draw OUT/d --part neck",
    "video": "predict IN/walk.avi --model MODEL --json OUT/p.json --csv OUT/p.csv --draw OUT/v.mp4",
    "pack": "pack IN/people.jsonl --out OUT/pack --size 128 --shard-megabytes 0.02",
    "synthetic": "prepare synthetic OUT/images OUT/s.jsonl --count 8",
    "groups": "prepare groups IN/people.jsonl OUT/g.jsonl --count 4",
    "evaluate": "evaluate MODEL IN/people.jsonl --json OUT/e.json --draw OUT --curves OUT/c "
    "--write-predictions OUT/p.mat",
    "check-data": "check-data IN/people.jsonl --json OUT/c.json --draw OUT",
    "explain": "explain MODEL IN/images/cpm14_0_000000.jpg --part neck --stage 1 --method saliency "
    "--draw OUT/x.png",
    "reproduce": "reproduce fig1 --model MODEL --test IN/people.jsonl --out OUT",
    "tflite": "export MODEL --to tflite --out OUT/m.tflite",
    "savedmodel": "export MODEL --to savedmodel --out OUT/served",
    "train": "train IN/people.jsonl --out OUT/t " + " ".join(map(str, TRAIN)),
}
# what commands add to, and locks, which are empty
_GROWING = (".lock", "log.csv")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("in")
    run("prepare", "synthetic", folder / "images", folder / "people.jsonl", "--count", 4)
    write_walk(folder / "walk.avi")
    return folder


def words_of(verb, inputs, model, out):
    text = VERBS[verb].replace("IN/", f"{inputs}/").replace("OUT", str(out))
    return text.replace("MODEL", str(model)).split()


def contents(folder):
    """SHA-256 of every file, by name."""
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in paths
    }


@contextlib.contextmanager
def room(size):
    """The most bytes that a file may hold stands for a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def kept(found):
    return {name for name in found if not name.endswith(_GROWING)}


@pytest.mark.slow
@pytest.mark.parametrize("verb", VERBS)
def test_without_room_outputs_are_whole_or_absent(verb, inputs, model, tmp_path):
    clean, full = tmp_path / "clean", tmp_path / "full"
    for folder in (clean, full):
        folder.mkdir()
    before = contents(inputs)
    run(*words_of(verb, inputs, model, clean))
    whole = contents(clean)
    largest = max(path.stat().st_size for path in clean.rglob("*") if path.is_file())
    with room(largest // 2):
        output = run(*words_of(verb, inputs, model, full), code=1)
    assert "Traceback" not in output and "cannot be written" in output
    left = contents(full)
    # nothing hidden, nothing else than before
    assert kept(left) < kept(whole)
    run(*words_of(verb, inputs, model, full))
    assert kept(contents(full)) == kept(whole) and contents(inputs) == before


@pytest.mark.slow
@pytest.mark.parametrize("verb", ["synthetic", "pack"])
def test_after_a_kill_the_same_call_completes(verb, inputs, model, tmp_path):
    """At a random moment of its writing."""
    clean, killed = tmp_path / "clean", tmp_path / "killed"
    for folder in (clean, killed):
        folder.mkdir()
    run(*words_of(verb, inputs, model, clean))
    words = words_of(verb, inputs, model, killed)
    command = [sys.executable, "-m", "keras_cpm", *words]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None and not list(killed.rglob("*.*")):
        time.sleep(0.001)
    time.sleep(random.uniform(0, 0.1))
    with contextlib.suppress(ProcessLookupError):
        os.kill(process.pid, signal.SIGKILL)
    process.wait()
    run(*words)
    found = {name for name in contents(killed) if ".partial" not in name}
    assert kept(found) == kept(contents(clean))
