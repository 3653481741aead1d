"""Prediction files: layouts written here, and the authors' own where there are some."""

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from keras_cpm import (
    FLIC9,
    LSP14,
    MPII16,
    Person,
    Record,
    Skeleton,
    pck,
    pckh,
    reference_length,
    write_records,
)
from keras_cpm.data.formats.flic import load_flic
from keras_cpm.data.formats.lsp import load_lsp
from keras_cpm.data.formats.mpii import load_mpii
from keras_cpm.data.formats.predictions import read_predictions, write_predictions


def cell(values):
    array = np.empty((1, len(values)), object)
    for i, value in enumerate(values):
        array[0, i] = value
    return array


@pytest.mark.parametrize("skeleton", [LSP14, FLIC9, MPII16])
def test_the_release_s_layout(tmp_path, skeleton):
    # bytes and 16 bits without sign, as in the authors' files: 0 - 1 must not wrap around
    matrix = np.arange(skeleton.num_parts * 6, dtype=np.uint16).reshape(-1, 2, 3)
    savemat(tmp_path / "p.mat", {"prediction_all": matrix})
    keypoints, parts = read_predictions(tmp_path / "p.mat")
    assert parts == skeleton.parts and keypoints.dtype == np.float64
    assert keypoints.shape == (3, skeleton.num_parts, 2)
    assert keypoints[0, 0].tolist() == [-1, 2]
    for image in range(3):
        np.testing.assert_array_equal(keypoints[image], matrix[:, :, image].astype(float) - 1)


def test_a_single_image(tmp_path):
    savemat(tmp_path / "p.mat", {"prediction_all": np.ones((14, 2))})
    assert read_predictions(tmp_path / "p.mat")[0].shape == (1, 14, 2)


def test_mpi_s_layout(tmp_path):
    matrix = np.arange(2 * 14 * 3, dtype=np.uint8).reshape(2, 14, 3)
    savemat(tmp_path / "p.mat", {"pred": matrix})
    keypoints, parts = read_predictions(tmp_path / "p.mat")
    assert parts == LSP14.parts and keypoints.shape == (3, 14, 2)
    np.testing.assert_array_equal(keypoints, matrix.transpose(2, 1, 0).astype(float) - 1)
    savemat(tmp_path / "p.mat", {"pred": matrix[:, :3, 0]})
    keypoints, parts = read_predictions(tmp_path / "p.mat", parts=["a", "b", "c"])
    assert keypoints.shape == (1, 3, 2) and parts == ("a", "b", "c")


def test_flic_in_mpi_s_layout_has_eyes_and_may_lack_parts(tmp_path):
    matrix = np.arange(2 * 11 * 4, dtype=float).reshape(2, 11, 4) + 1
    matrix[:, 2, 1] = 0  # of one image only
    matrix[0, 3] = 0  # at the left border
    savemat(tmp_path / "p.mat", {"pred": matrix})
    eyes = ("left_eye", "right_eye")
    assert read_predictions(tmp_path / "p.mat")[1] == (*FLIC9.parts[:8], *eyes, "nose")
    matrix[:, [6, 8, 9]] = 0
    savemat(tmp_path / "p.mat", {"pred": matrix})
    keypoints, parts = read_predictions(tmp_path / "p.mat")
    assert parts == (*FLIC9.parts[:6], "right_hip", "nose")
    np.testing.assert_array_equal(keypoints[2, -1], matrix[:, 10, 2] - 1)


def test_parts_name_other_rows(tmp_path):
    savemat(tmp_path / "p.mat", {"prediction_all": np.ones((3, 2, 5))})
    keypoints, parts = read_predictions(tmp_path / "p.mat", parts=["a", "b", "c"])
    assert keypoints.shape == (5, 3, 2) and parts == ("a", "b", "c")
    with pytest.raises(
        ValueError, match=r"has 3 parts, .*\[14, 9, 16, 11\]; name them with `parts`"
    ):
        read_predictions(tmp_path / "p.mat")
    with pytest.raises(ValueError, match=r"`parts` must name the 3 parts .*Received: \['a', 'b'\]"):
        read_predictions(tmp_path / "p.mat", parts=("a", "b"))


def test_what_is_written_is_read(tmp_path):
    keypoints = np.random.default_rng(0).uniform(-5, 500, (4, 9, 2))
    keypoints[1, 2] = np.nan
    path = tmp_path / "new/p.mat"
    write_predictions(path, keypoints)
    np.testing.assert_allclose(read_predictions(path)[0], keypoints, atol=1e-9)
    matrix = loadmat(path)["prediction_all"]
    assert matrix.shape == (9, 2, 4) and matrix.dtype == np.float64
    np.testing.assert_array_equal(matrix[3, :, 2], keypoints[2, 3] + 1)
    assert [file.name for file in path.parent.iterdir()] == ["p.mat"]


@pytest.mark.parametrize("shape", [(14, 2), (3, 2, 14), (3, 14, 3)])
def test_other_shapes_are_not_written(tmp_path, shape):
    with pytest.raises(ValueError, match=r"must be \(images, parts, 2\). Received: shape"):
        write_predictions(tmp_path / "p.mat", np.zeros(shape))
    assert not list(tmp_path.iterdir())


def save_detections(path):
    annolist = np.empty((1, 1), [("annorect", object)])
    annolist["annorect"][0, 0] = {"scale": 1.0}
    savemat(
        path,
        {
            "annolist": annolist,
            "RELEASE_img_index": 7,
            "RELEASE_person_index": 1,
            "keypointsAll": cell([np.array([[11, 12.5], [21, 22], [31, 32]])]),
            "output_joints": cell(["lwri", "head", "rkne"]),
        },
    )


def test_detections_name_their_parts(tmp_path):
    save_detections(tmp_path / "detections.mat")
    keypoints, parts = read_predictions(tmp_path / "detections.mat")
    assert parts == ("left_wrist", "head", "right_knee")
    assert keypoints.tolist() == [[[10, 11.5], [20, 21], [30, 31]]]


def save_jsonl(path, parts=("a", "b")):
    people = Person([(1.5, 2), (3, 4)], [2, 0]), Person([(9, 9), (9, 9)], [2, 2])
    records = [
        Record("1.jpg", (5, 5), ("a", "b"), people),
        Record("2.jpg", None, parts, (Person([(5, 6), (7, 8)], [1, 2]),)),
    ]
    write_records(records, path)


def test_records_are_predictions_of_their_primary_people(tmp_path):
    save_jsonl(tmp_path / "p.jsonl")
    keypoints, parts = read_predictions(tmp_path / "p.jsonl")
    assert parts == ("a", "b") and keypoints.dtype == np.float64
    np.testing.assert_array_equal(keypoints, [[[1.5, 2], [np.nan] * 2], [[5, 6], [7, 8]]])


def test_records_of_different_parts_are_refused(tmp_path):
    save_jsonl(tmp_path / "p.jsonl", parts=("b", "a"))
    with pytest.raises(ValueError, match=r"same parts, \['a', 'b'\].*\['b', 'a'\] for .*2.jpg"):
        read_predictions(tmp_path / "p.jsonl")


@pytest.mark.parametrize("name, save", [("p.jsonl", save_jsonl), ("d.mat", save_detections)])
def test_files_that_name_their_parts_take_no_others(tmp_path, name, save):
    save(tmp_path / name)
    _, own = read_predictions(tmp_path / name)
    assert read_predictions(tmp_path / name, parts=list(own))[1] == own
    with pytest.raises(ValueError, match=rf"{name} names its parts itself, .*leave out `parts`"):
        read_predictions(tmp_path / name, parts=own[::-1])


def test_other_files_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no file of predictions at .*none.mat"):
        read_predictions(tmp_path / "none.mat")
    path = tmp_path / "p.mat"
    savemat(path, {"preds": np.zeros((5, 16, 2)), "note": "x"})
    with pytest.raises(ValueError, match=r"must hold `prediction_all`.*'preds': \(5, 16, 2\)"):
        read_predictions(path)
    savemat(path, {"prediction_all": np.zeros((5, 14, 2))})
    with pytest.raises(ValueError, match=r"\(P, 2, images\); .*Received: shape \(5, 14, 2\)"):
        read_predictions(path)
    savemat(path, {"pred": np.zeros((5, 16, 2))})
    with pytest.raises(ValueError, match=r"\(2, P, images\); .*Received: shape \(5, 16, 2\)"):
        read_predictions(path)
    savemat(path, {"pred": {"annopoints": 1}})  # what the benchmark of MPII takes
    with pytest.raises(ValueError, match=r"must hold `prediction_all`.*'pred': \(1, 1\)"):
        read_predictions(path)
    path.write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"p.mat is no MATLAB file"):
        read_predictions(path)
    path.rename(tmp_path / "p.csv")
    with pytest.raises(ValueError, match=r"must end in .mat or .jsonl; .*p.csv"):
        read_predictions(tmp_path / "p.csv")


# With the real files.


def real(data_root, *names):
    for name in names:
        if not (data_root / name).exists():
            pytest.skip(f"there is no {name} in the folder that KERAS_CPM_DATA names")
    return [data_root / name for name in names]


def score(records, predictions, metric=pck, **options):
    """Per part and pooled, percent; labels matched by name, normalised by the torso for `pck`."""
    keypoints, parts = predictions
    skeleton = Skeleton("s", parts, torso=("left_shoulder", "right_hip"))
    columns = [records[0].parts.index(part) for part in parts]
    people = [record.people[0] for record in records]
    truth = np.stack([person.keypoints[columns] for person in people])
    labelled = np.stack([person.labelled[columns] for person in people])
    normalizer = [person.head_size for person in people]
    if metric is pck:
        normalizer = reference_length(truth, labelled, skeleton)
    per_part, total = metric(keypoints, truth, labelled, normalizer, **options)
    return dict(zip(parts, 100 * per_part, strict=True)), 100 * total


@pytest.mark.parametrize(
    "name, total, ankle", [("LSP_6s", 84.321, 81.15), ("MPII_LSP_6s", 90.5, 89.9)]
)
def test_real_lsp(data_root, name, total, ankle):
    lsp, path = real(data_root, "lsp", f"predictions/LSP_prediction_model_{name}.mat")
    per_part, found = score(load_lsp(lsp, "test"), read_predictions(path), alpha=0.2)
    assert found == pytest.approx(total, abs=0.0006)
    ankles = per_part["left_ankle"] + per_part["right_ankle"]
    assert ankles / 2 == pytest.approx(ankle, abs=0.006)


def test_real_flic(data_root):
    flic, path = real(data_root, "flic", "predictions/FLIC_prediction_model_FLIC_4s.mat")
    per_part, total = score(load_flic(flic, "test"), read_predictions(path), alpha=0.2)
    for part, expected in (("elbow", 97.59), ("wrist", 95.03)):
        both = per_part[f"left_{part}"] + per_part[f"right_{part}"]
        assert both / 2 == pytest.approx(expected, abs=0.005)
    assert total == pytest.approx(96.24, abs=0.005)


def test_real_tompson(data_root):
    (path,) = real(data_root, "mpii/detections.mat")
    predictions = read_predictions(path)
    assert predictions[1] == tuple(p for p in MPII16.parts if p not in ("pelvis", "thorax"))
    _, total = score(load_mpii(path.parent, "validation"), predictions, pckh)
    assert total == pytest.approx(82.32, abs=0.005)
