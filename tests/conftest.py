"""Shared fixtures: everything is tiny, so that the whole suite runs on a laptop's CPU."""

import ctypes
import gc
import os
from pathlib import Path

import pytest

import keras_cpm
from keras_cpm.cli.allocator import is_glibc

# TensorFlow, Keras and OpenCV are imported where they are needed: a process that only hands tests
# to others does without them
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

# bytes that a process of tests may take before it gives back what it does not use, and those that
# it held when it last did
_MORE, _held = 1e9, 1.6e9
# rooms of the longest tests
_FIRST = ("examples", "training", "paper", "benchmarks", "serving", "export", "cli")


def pytest_collection():
    """Of a process that runs tests itself: one that hands them to others collects none."""
    import tensorflow as tf

    # processes that share the cores of this machine would wait for each other's threads
    if workers := int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", 0)):
        threads = max(1, os.cpu_count() // workers)
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    # what tf.data runs follows what was set when TensorFlow began, not `graphs_as_traced`:
    # rewriting a pipeline takes longer than to trace it
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})


def _room(path):
    return path.relative_to(Path(__file__).parent).parts[0]


def pytest_collection_modifyitems(items):
    """The longest come first: at the end no process waits for another that has one of minutes."""
    place = {room: number for number, room in enumerate(_FIRST)}
    items.sort(key=lambda item: place.get(_room(item.path), len(_FIRST)))


def pytest_collection_finish():
    """What was imported stays: no collection of garbage looks through it again. What is traced is
    many objects and little garbage: looking through it less often saves 4 % of all time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(200_000, 20, 100)


@pytest.fixture(autouse=True, scope="module")
def memory_given_back():
    """After tests of the command line, whose settings keep what was ever used, a process that runs
    thousands of tests would hold all that the largest of them ever took, in pieces. To look for it
    after every module takes an eighth of the time of those that come last.
    """
    yield
    global _held
    if is_glibc() and _bytes_held() > _held + _MORE:
        gc.collect()
        ctypes.CDLL(None).malloc_trim(0)
        _held = _bytes_held()


def _bytes_held():
    """Memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


# of rooms whose tests trace much and run it a few times
_AS_TRACED = ("data", "training", "paper", "test_docs.py", "test_docstrings.py")


@pytest.fixture(autouse=True, scope="module")
def graphs_as_traced(request):
    """Graphs of some rooms run as they are traced, since to rewrite them takes longer than to run
    them. The other rooms run what users run, but for pipelines of tf.data; processes of their own,
    as trainings by the command line, all of it.
    """
    import tensorflow as tf

    options = {"disable_meta_optimizer": _room(request.path) in _AS_TRACED}
    tf.config.optimizer.set_experimental_options(options)


@pytest.fixture(scope="session")
def tiny_spec():
    """A box of 64 pixels: 8 x 8 cells, 15 channels."""
    return keras_cpm.PoseSpec(box_size=64)


@pytest.fixture
def tiny_model(tiny_spec):
    """Two stages of the paper's network at width 8, untrained."""
    import keras

    keras.utils.set_random_seed(0)
    return keras_cpm.build_cpm(2, tiny_spec, width=8)


@pytest.fixture(scope="session")
def drawn_records(tmp_path_factory):
    """Six drawn people, some with a neighbour."""
    return keras_cpm.draw_records(tmp_path_factory.mktemp("drawn"), 6, image_size=(96, 128))


@pytest.fixture
def picture(tmp_path):
    """A black picture 40 wide and 80 high, see `tests.data.checks.people.record`."""
    import cv2
    import numpy as np

    path = str(tmp_path / "picture.png")
    cv2.imwrite(path, np.zeros((80, 40, 3), np.uint8))
    return path


@pytest.fixture(scope="session")
def data_root():
    """Folder of the real data sets."""
    root = os.environ.get("KERAS_CPM_DATA")
    if not root or not Path(root).is_dir():
        pytest.skip("set KERAS_CPM_DATA to the folder of the data sets")
    return Path(root)


@pytest.fixture
def hub_server(tmp_path, monkeypatch):
    """A `Hub` that `huggingface_hub` asks, with an empty cache."""
    from tests.models.hub_server import serving

    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setenv("HF_TOKEN", "of-nobody")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving() as hub:
        monkeypatch.setattr(constants, "ENDPOINT", hub.url)
        # made of it when the library is imported
        where = f"{hub.url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", where)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        yield hub
