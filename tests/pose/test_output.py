"""Files appear whole or not at all, wherever a write fails."""

import json
import os
import signal
import subprocess
import sys

import pytest

from keras_cpm.pose import output

# The most that a file of the process may hold stands for a disk that is full.
SMALL = """
import json, resource, sys
from pathlib import Path
import numpy as np
import keras_cpm
from keras_cpm.data.formats.matlab import write_mat
from keras_cpm.images.shards import Shard
from keras_cpm.inference.frames import Writer
from keras_cpm.pose import output
from keras_cpm.visualization.canvas import save_image

def bytes_(path):
    output.write_bytes(path, bytes(10_000))

def text(path):
    output.write_text(path, "a" * 10_000)

def picture(path):
    save_image(path, np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(np.uint8))

def records(path):
    person = keras_cpm.Person(np.zeros((14, 2)), np.ones(14, bool))
    parts = keras_cpm.CPM14.parts
    keras_cpm.write_records([keras_cpm.Record("a.jpg", (9, 9), parts, (person,))] * 99, path)

def skeleton(path):
    keras_cpm.Skeleton("many", tuple(f"part{i}" for i in range(999))).save(path)

def spec(path):
    keras_cpm.PoseSpec(keras_cpm.Skeleton("many", tuple(f"part{i}" for i in range(999)))).save(path)

def drawn(path):
    keras_cpm.draw_records(Path(path).parent, 1)

def video(path):
    with Writer(path, 10) as write:
        for frame in np.random.default_rng(0).integers(0, 255, (20, 64, 64, 3)):
            write(frame.astype(np.uint8))

def shard(path):
    with Shard(path) as new:
        new.add("a", bytes(10_000))

def mat(path):
    write_mat(path, {"x": np.random.default_rng(0).random(2000)})

def folder(path):
    with output.whole(path) as partial:
        partial.mkdir()
        (partial / "a").write_bytes(bytes(10_000))

resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
said = {}
for write, path in json.loads(sys.argv[1]):
    try:
        globals()[write](path)
        said[path] = "written"
    except OSError as error:
        said[path] = str(error).splitlines()[-1]
print(json.dumps(said))
"""
NAMES = {
    **{"bytes_": "a.bin", "text": "a.json", "picture": "a.png", "records": "a.jsonl"},
    **{"mat": "a.mat", "folder": "a", "skeleton": "s.json", "spec": "spec.json"},
    **{"drawn": "cpm14_0_000000.jpg", "video": "a.mp4", "shard": "a.zip"},
}


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    """Each kind of file, where nothing is and where something is: (path, what is said)."""
    paths = {}
    for write, name in NAMES.items():
        for there in (False, True):
            # shards and skeletons are written where a folder is
            path = tmp_path_factory.mktemp(write) / name
            paths[write, there] = path
            if there:
                path.write_text("before")
    calls = json.dumps([(write, str(path)) for (write, _), path in paths.items()])
    # one process for all, for it takes long to start
    done = subprocess.run([sys.executable, "-c", SMALL, calls], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    return {key: (path, said[str(path)]) for key, path in paths.items()}


@pytest.mark.parametrize("there", [False, True])
@pytest.mark.parametrize("write", NAMES)
def test_without_room_nothing_changes_and_the_sentence_names_the_file(write, there, outputs):
    path, said = outputs[write, there]
    # OpenCV does not say why
    reason = "No space left on device" if write == "video" else "File too large"
    assert said == f"{path} cannot be written ({reason}); make room, or name another place."
    assert [p.name for p in path.parent.iterdir()] == ([path.name] if there else [])
    assert not there or path.read_text() == "before"


def test_what_cannot_be_read_is_not_what_cannot_be_written(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.txt"), output.whole(tmp_path / "a.txt"):
        (tmp_path / "none.txt").read_text()


def test_a_folder_that_cannot_be_moved_leaves_the_one_that_was_there(tmp_path, monkeypatch):
    folder, move = tmp_path / "a", os.replace
    folder.mkdir()
    (folder / "old").touch()

    def failing(source, target):
        if target == folder and (source / "new").exists():
            raise PermissionError(13, "Permission denied")
        move(source, target)

    monkeypatch.setattr(os, "replace", failing)
    with pytest.raises(OSError, match="a cannot be written"), output.whole(folder) as partial:
        partial.mkdir()
        (partial / "new").touch()
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert [path.name for path in folder.iterdir()] == ["old"]


def test_a_block_that_fails_leaves_what_was_there(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("before")
    with pytest.raises(KeyboardInterrupt), output.whole(path) as partial:
        partial.write_text("half")
        assert partial.name.startswith(".") and partial.suffix == ".txt"
        assert output.is_partial(partial) and not output.is_partial(path)
        raise KeyboardInterrupt
    assert path.read_text() == "before" and len(list(tmp_path.iterdir())) == 1


def test_what_a_kill_leaves_can_be_swept(tmp_path):
    script = (
        "import os, signal, sys; from keras_cpm.pose import output\n"
        "with output.whole(sys.argv[1]) as partial:\n"
        "    partial.write_text('half'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    (tmp_path / ".keep").touch()
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path / "a.json")])
    assert done.returncode == -signal.SIGKILL and len(list(tmp_path.iterdir())) == 2
    output.sweep(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [".keep"]


def test_links_are_replaced_not_followed(tmp_path):
    (tmp_path / "theirs.txt").write_text("theirs")
    (tmp_path / "ours.txt").symlink_to("theirs.txt")
    os.link(tmp_path / "theirs.txt", tmp_path / "hard.txt")
    for name in ("ours.txt", "hard.txt"):
        output.write_text(tmp_path / name, "ours")
        assert (tmp_path / name).read_text() == "ours" and not (tmp_path / name).is_symlink()
    assert (tmp_path / "theirs.txt").read_text() == "theirs"


def test_a_folder_takes_the_place_of_a_folder(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "old").touch()
    with output.whole(tmp_path / "a") as partial:
        partial.mkdir()
        (partial / "new").touch()
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["new"]


def test_devices_are_written_to(tmp_path):
    output.write_text("/dev/null", "gone")
    assert not os.path.isfile("/dev/null")
    with pytest.raises(OSError, match=r"full cannot be written \(No space left"):
        output.write_text("/dev/full", "no room")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_the_right_to_write(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(OSError, match=r"a\.txt cannot be written .Permission denied"):
        output.write_text(tmp_path / "a.txt", "a")
