"""MATLAB files: what comes back, and that no file takes the process or the memory along."""

import contextlib
import random
import struct
import sys

import h5py
import numpy as np
import pytest
from scipy.io import loadmat, savemat

from keras_cpm.data.formats.flic import load_flic
from keras_cpm.data.formats.lsp import load_lsp
from keras_cpm.data.formats.matlab import field, number, read_mat, rows, text, write_mat
from keras_cpm.data.formats.mpii import load_mpii
from keras_cpm.data.formats.predictions import read_detections, read_predictions

READERS = (
    (lambda path: load_flic(path.parent, "train"), "examples.mat"),
    (lambda path: load_lsp(path.parents[1], "train"), "lsp_dataset/joints.mat"),
    (lambda path: load_mpii(path.parent, "validation"), "detections.mat"),
    (lambda path: load_mpii(path.parent, "test"), "mpii_human_pose_v1_u12_1.mat"),
    (read_predictions, "predictions.mat"),
)


def _element(kind, data):
    return struct.pack("<II", kind, len(data)) + data + bytes(-len(data) % 8)


def _nested(depth):
    """A cell in a cell in a cell; the format sets no end."""
    value = _element(6, struct.pack("<II", 6, 0)) + _element(5, struct.pack("<ii", 1, 1))
    value = _element(14, value + _element(1, b"") + _element(9, struct.pack("<d", 1.0)))
    before = _element(6, struct.pack("<II", 1, 0)) + _element(5, struct.pack("<ii", 1, 1))
    before += _element(1, b"")
    heads, size = [], len(value)
    for _ in range(depth):
        size += len(before)
        heads.append(struct.pack("<II", 14, size) + before)
        size += 8
    first = _element(6, struct.pack("<II", 1, 0)) + _element(5, struct.pack("<ii", 1, 1))
    first += _element(1, b"prediction_all")
    head = b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack("<H", 0x0100) + b"IM"
    return head + _element(14, first + b"".join(reversed(heads)) + value)


def test_structs_texts_and_numbers_come_back(tmp_path):
    point = np.zeros((1, 2), [("x", object), ("seen", object), ("name", object)])
    point[0, 0] = (np.array([[7.5]]), np.array(["1"]), np.array(["ankle"]))
    point[0, 1] = (np.array([[-3]]), np.zeros((0, 0)), np.array(["é"]))
    write_mat(tmp_path / "a.mat", {"points": point, "x": np.arange(6.0).reshape(1, 2, 3)})
    content = read_mat(tmp_path / "a.mat")
    assert sorted(content) == ["points", "x"]
    np.testing.assert_array_equal(content["x"], np.arange(6.0).reshape(1, 2, 3))
    first, second = rows(content["points"])
    assert (number(first, "x"), number(first, "seen"), text(first, "name")) == (7.5, 1, "ankle")
    assert (number(second, "x"), field(second, "seen"), text(second, "name")) == (-3, None, "é")
    content["x"][0, 0, 0] = 5


def test_what_comes_back_is_what_scipy_reads(tmp_path):
    """Every kind of array, in cells and in structs of several rows, bit for bit."""
    kinds = [np.arange(6, dtype=kind).reshape(2, 3) for kind in ("u1", "i2", "f4", "f8", "c16")]
    kinds += [np.zeros((0, 0)), np.array([["ab", "c"]]), np.array([[True, False]]), "é", 7]
    cells = np.empty((len(kinds), 2), object)
    for i, value in enumerate(kinds):
        cells[i] = [value, i]
    table = np.zeros((2, 3), [("some", object), ("more", object)])
    for i in range(6):
        table[i // 3, i % 3] = (cells[: i + 1], {"deep": {"deeper": i}})
    savemat(tmp_path / "a.mat", {"cells": cells, "table": table, "none": np.empty((0, 3), object)})

    def same(ours, theirs):
        assert type(ours) is np.ndarray and ours.flags.writeable and ours.flags.aligned
        assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype)
        if not theirs.dtype.hasobject:
            assert ours.tobytes() == theirs.tobytes()
        for a, b in zip(ours.ravel(), theirs.ravel(), strict=True):
            if theirs.dtype.hasobject:
                for x, y in zip(a, b, strict=True) if theirs.dtype.names else [(a, b)]:
                    same(x, y)

    ours, theirs = read_mat(tmp_path / "a.mat"), loadmat(tmp_path / "a.mat")
    assert list(ours) == ["cells", "table", "none"]
    for name, value in ours.items():
        same(value, theirs[name])


def test_no_module_of_the_folder_at_hand_is_run(tmp_path, monkeypatch):
    """The reader is a process of its own, and Python looks for modules where it is started."""
    write_mat(tmp_path / "a.mat", {"x": [[1, 2]]})
    for name in ("scipy", "numpy", "json"):
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    monkeypatch.chdir(tmp_path)
    assert read_mat("a.mat")["x"].tolist() == [[1, 2]]
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("depth", [10_000, 100_000])
def test_nested_without_end(tmp_path, depth):
    """SciPy's reader ends the process on it."""
    (tmp_path / "deep.mat").write_bytes(_nested(depth))
    with pytest.raises(ValueError, match=r"deep.mat is no MATLAB file, or a damaged one .*again"):
        read_predictions(tmp_path / "deep.mat")
    (tmp_path / "deep.mat").write_bytes(_nested(20))
    assert read_mat(tmp_path / "deep.mat")["prediction_all"].shape == (1, 1)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits of memory")
def test_what_would_fill_the_memory(tmp_path):
    """A struct array of 2^31 - 1 elements, declared in 200 bytes."""
    head = b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack("<H", 0x0100) + b"IM"
    value = _element(6, struct.pack("<II", 2, 0)) + _element(5, struct.pack("<ii", 1, 2**31 - 1))
    value += _element(1, b"a") + _element(5, struct.pack("<i", 8)) + _element(1, b"x" + bytes(7))
    (tmp_path / "bomb.mat").write_bytes(head + _element(14, value))
    with pytest.raises(ValueError, match=r"bomb.mat is no MATLAB file, or .*bytes of memory"):
        read_mat(tmp_path / "bomb.mat")


def test_a_file_of_gigabytes_is_refused_by_its_size(tmp_path):
    with (tmp_path / "a.mat").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(ValueError, match=r"a.mat has 1099511627776 bytes; .mat files are read up"):
        read_mat(tmp_path / "a.mat")


def test_other_versions_and_no_mat_file(tmp_path):
    path = tmp_path / "a.mat"
    path.write_bytes(b"MATLAB 7.3 MAT-file".ljust(124) + struct.pack("<H", 0x0200) + b"IM")
    with pytest.raises(ValueError, match=r"a.mat is a MATLAB file of version 7.3; save it again"):
        read_mat(path)
    for data in (b"", b"no", bytes(300)):
        path.write_bytes(data)
        with pytest.raises(ValueError, match=r"a.mat is no MATLAB file, or a damaged one"):
            read_mat(path)


@contextlib.contextmanager
def version_73(path):
    """A file of HDF5 behind the 512 bytes in which MATLAB says what it is."""
    with h5py.File(path, "w", userblock_size=512) as file:
        yield file
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file".ljust(124) + struct.pack("<H", 0x0200) + b"IM")


def test_numbers_of_version_73(tmp_path):
    path, values = tmp_path / "a.mat", np.arange(24.0).reshape(2, 3, 4)
    with version_73(path) as file:
        file["pred"] = values.T  # MATLAB goes through the first axis first
        file["pred"].attrs["MATLAB_class"] = np.bytes_("double")
    np.testing.assert_array_equal(read_mat(path)["pred"], values)


@pytest.mark.parametrize("what", ["struct", "text", "empty", "link", "outside", "virtual"])
def test_more_than_numbers_of_version_73(tmp_path, what):
    other, path = tmp_path / "other.h5", tmp_path / "a.mat"
    with h5py.File(other, "w") as file:
        file["x"] = np.ones(2)
    with version_73(path) as file:
        if what == "struct":
            file["x/y"] = 1.0
        elif what == "text":
            file["x"] = "a"
        elif what == "empty":
            file["x"] = np.zeros(2, np.uint64)
            file["x"].attrs["MATLAB_empty"] = 1
        elif what == "link":
            file["x"] = h5py.ExternalLink(other, "x")
        elif what == "outside":
            file.create_dataset("x", (8,), "u1", external=[(other, 0, 8)])
        else:
            layout = h5py.VirtualLayout((2,), "f8")
            layout[:] = h5py.VirtualSource(other, "x", (2,))
            file.create_virtual_dataset("x", layout)
    with pytest.raises(ValueError, match=r"a.mat is a MATLAB file of version 7.3; save it again"):
        read_mat(path)


def _mutated(data, seed):
    rng = random.Random(seed)
    data = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        data[rng.randrange(128, len(data))] = rng.choice((0, 1, 14, 127, 255, rng.randrange(256)))
    return bytes(data[: rng.randrange(len(data))] if rng.random() < 0.1 else data)


@pytest.mark.slow
def test_a_mutated_file_is_read_or_refused_in_one_sentence(tmp_path):
    """Four bytes are enough for SciPy's reader to crash, or to allocate without end."""
    point = np.zeros((1, 4), [("x", object), ("id", object)])
    for i in range(4):
        point[0, i] = (np.array([[1.5 * i]]), np.array([str(i)]))
    savemat(tmp_path / "whole.mat", {"prediction_all": np.ones((14, 2, 3)), "point": point})
    data, outcomes = (tmp_path / "whole.mat").read_bytes(), []
    for seed in range(40):
        path = tmp_path / "a.mat"
        path.write_bytes(_mutated(data, seed))
        try:
            keypoints, parts = read_predictions(path)
        except ValueError as error:
            assert str(path) in str(error) and len(str(error)) < 2000
            outcomes.append("refused")
            continue
        outcomes.append("read")
        assert keypoints.shape == (3, len(parts), 2)
    assert {"read", "refused"} == set(outcomes)


@pytest.mark.parametrize(
    "content", [{"x": 1.0}, {"examples": 5}, {"examples": {"torsobox": 1, "istrain": 1}}]
)
@pytest.mark.parametrize("read, name", READERS)
def test_a_file_of_another_layout_is_named(tmp_path, content, read, name):
    names = ("joints", "RELEASE", "prediction_all", "annolist", "keypointsAll", "output_joints")
    content = content | {key: {"annolist": [1, 2], "img_train": [1, 0]} for key in names}
    content |= {"RELEASE_img_index": "a", "RELEASE_person_index": 5}
    write_mat(tmp_path / name, content)
    with pytest.raises(ValueError, match="mat"):
        read(tmp_path / name)
    if name == "detections.mat":
        with pytest.raises(ValueError, match="mat"):
            read_detections(tmp_path / name)
