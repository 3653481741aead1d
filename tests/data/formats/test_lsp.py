"""LSP and LSPET: miniature files written here, and the real data where KERAS_CPM_DATA names it."""

import os
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.io import loadmat, savemat

from keras_cpm import LSP14
from keras_cpm.data.formats.lsp import LIMB_RATIOS, load_lsp

# Places of the parts in joints.mat, from README.txt of the data set and not from LSP14.
RANK, RKNE, RHIP, LHIP, LKNE, LANK, RWRI, RELB, RSHO, LSHO, LELB, LWRI, NECK, HEAD = range(14)


def _figure(points, others):
    """(14, 3) with `points` {part: (x, y) from 0} at flag `1 - others`, the other parts at
    `others`.
    """
    figure = np.zeros((14, 3))
    figure[:, 2] = others
    for part, (x, y) in points.items():
        figure[part] = (x + 1, y + 1, 1 - others)
    return figure


# Limbs that speak of heads of 20 (head), 24 (forearm), 28 (shank) and 36 pixels (left ankle to
# neck, a limb of the release's parents only). Hazen 0.75 of four values: the mean of the upper two.
FOUR_LIMBS = {
    NECK: (100, 60),
    HEAD: (100, 40),
    RELB: (60, 80),
    RWRI: (60 + 24 * 1.085102, 80),
    RKNE: (90, 100),
    RANK: (90, 100 + 28 * 1.694952),
    LANK: (100, 60 + 36 * 4.300568),
}
FOUR_LIMBS_HEIGHT = 200 / 35 * 32

# One limb of 20 pixels, and a hip 380 pixels to the right of it: 304 / 380 = 0.8 caps the resize
# factor.
WIDE = {NECK: (100, 60), HEAD: (100, 40), LHIP: (480, 70)}
WIDE_HEIGHT = 200 * (41 / 35) / 0.8


def _write_images(folder, names, size=(60, 80)):
    folder.mkdir(parents=True)
    for name in names:
        assert cv2.imwrite(str(folder / name), np.zeros((*size, 3), np.uint8))


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Both data sets in full length; three photographs of each kind, the rest missing."""
    root = tmp_path_factory.mktemp("lsp")
    rng = np.random.default_rng(0)
    lsp = rng.integers(1, 200, (2000, 14, 3)).astype(float)
    lsp[..., 2] = rng.integers(0, 2, (2000, 14))
    lsp[0] = _figure(FOUR_LIMBS, others=1)
    lsp[1] = _figure(WIDE, others=1)
    lsp[2, :, 2] = 1  # everything occluded
    lspet = rng.integers(1, 200, (10000, 14, 3)).astype(float)
    lspet[..., 2] = rng.integers(0, 2, (10000, 14))
    lspet[0] = _figure(FOUR_LIMBS, others=0)
    lspet[1] = _figure({LWRI: (70, 90)}, others=0)
    lspet[2] = _figure({}, others=0)
    lspet[3] = _figure({NECK: (10, 10), HEAD: (10, 10)}, others=0)
    lspet[4] = _figure({RANK: (0, 10), LWRI: (304, 20)}, others=0)
    lspet[:5][lspet[:5, :, 2] == 0] = (-37.5, -12.25, 0)
    _write_images(root / "lsp_dataset/images", ["im0001.jpg", "im1001.jpg", "im2000.jpg"])
    _write_images(root / "lspet_dataset/images", ["im00001.jpg", "im10000.jpg"], (33, 21))
    savemat(root / "lsp_dataset/joints.mat", {"joints": lsp.transpose(2, 1, 0)})
    savemat(root / "lspet_dataset/joints.mat", {"joints": lspet.transpose(1, 2, 0)})
    return root


@pytest.fixture(scope="module")
def train(root):
    return load_lsp(root, "train")


@pytest.fixture(scope="module")
def test(root):
    return load_lsp(root, "test")


@pytest.fixture(scope="module")
def extended(root):
    return load_lsp(root, "extended")


def _indices(records):
    return [record.attributes["index"] for record in records]


def test_splits_are_the_release_s(train, test, extended):
    assert _indices(train) == list(range(1, 1001))
    assert _indices(test) == list(range(1001, 2001))
    assert _indices(extended) == list(range(1, 10001))
    kinds = [{(r.dataset, r.split) for r in records} for records in (train, test, extended)]
    assert kinds == [{("lsp", "train")}, {("lsp", "test")}, {("lspet", "train")}]


def test_images_belong_to_their_numbers(root, train, test, extended):
    assert Path(train[0].image) == root / "lsp_dataset/images/im0001.jpg"
    assert Path(test[-1].image) == root / "lsp_dataset/images/im2000.jpg"
    assert Path(extended[6].image) == root / "lspet_dataset/images/im00007.jpg"


def test_image_paths_are_absolute(root, monkeypatch):
    monkeypatch.chdir(root.parent)
    assert Path(load_lsp(root.name, "train")[0].image) == root / "lsp_dataset/images/im0001.jpg"


def test_labels_keep_order_and_lose_one_pixel(root, train, test, extended):
    assert train[0].parts == LSP14.parts
    assert LSP14.parts[RANK] == "right_ankle" and LSP14.parts[HEAD] == "head"
    assert LSP14.parts[LSHO] == "left_shoulder" and LSP14.parts[RWRI] == "right_wrist"
    lsp = loadmat(root / "lsp_dataset/joints.mat")["joints"]
    lspet = loadmat(root / "lspet_dataset/joints.mat")["joints"]
    for part in range(14):
        x, y, _ = lsp[:, part, 4]
        assert train[4].people[0].keypoints[part].tolist() == [x - 1, y - 1]
        x, y, _ = lsp[:, part, 1999]
        assert test[999].people[0].keypoints[part].tolist() == [x - 1, y - 1]
        x, y, labelled = lspet[part, :, 9999]
        expected = [x - 1, y - 1] if labelled else [0, 0]
        assert extended[9999].people[0].keypoints[part].tolist() == expected


def test_lsp_flag_is_occlusion_and_lspet_flag_is_label(train, test, extended):
    labelled = [i in FOUR_LIMBS for i in range(14)]
    assert train[0].people[0].visible.tolist() == [2 if seen else 1 for seen in labelled]
    assert extended[0].people[0].visible.tolist() == [2 if seen else 0 for seen in labelled]
    assert {int(v) for r in train + test for v in r.people[0].visible} == {1, 2}
    assert {int(v) for r in extended for v in r.people[0].visible} == {0, 2}


def test_size_is_read_from_the_photograph(train, test, extended):
    assert train[0].size == test[0].size == test[-1].size == (60, 80)
    assert extended[0].size == extended[-1].size == (33, 21)


def test_train_stands_at_the_middle_of_the_photograph(train):
    assert train[0].people[0].center == (39.5, 29.5)


def test_extended_stands_at_the_middle_of_its_labels(extended):
    # x from 60 to 100; y from 40 to 60 + 36 * 4.300568 = 214.820448
    assert extended[0].people[0].center == pytest.approx((80, 127.410224), abs=1e-6)
    assert extended[4].people[0].center == (152, 15)


def test_training_height_is_the_quantile_of_the_visible_limbs(train, extended):
    assert train[0].people[0].height == pytest.approx(FOUR_LIMBS_HEIGHT, rel=1e-6)
    assert extended[0].people[0].height == pytest.approx(FOUR_LIMBS_HEIGHT, rel=1e-6)


def test_training_height_is_capped_by_the_extent(train):
    assert train[1].people[0].height == pytest.approx(WIDE_HEIGHT, rel=1e-9)


def test_height_without_a_usable_limb(train, extended):
    assert train[2].people[0].height == 150
    for lone_point, nothing, no_length in [extended[1:4]]:
        assert lone_point.people[0].center == (70, 90)
        assert nothing.people[0].center is None
        assert [r.people[0].height for r in (lone_point, nothing, no_length)] == [150, 150, 150]
    # 304 pixels apart, not a limb: shown as large as they are
    assert extended[4].people[0].height == pytest.approx(200 * 41 / 35, rel=1e-9)


def test_test_height_comes_from_the_photograph_only(test):
    # 60 pixels shown as 0.8 * 368 = 294.4; a person of 234.2857 there is 47.7484 here
    for record in (test[0], test[-1]):
        assert record.people[0].height == pytest.approx(47.7484, abs=1e-4)
        assert record.people[0].center == (39.5, 29.5)


def test_missing_photographs_leave_what_needs_them_unknown(train, test, extended):
    for record in (train[1], test[1], extended[1]):
        assert record.size is None
    assert train[1].people[0].center is None and train[1].people[0].height is not None
    assert test[1].people[0].center is None and test[1].people[0].height is None
    assert extended[4].people[0].center is not None and extended[4].people[0].height is not None


def test_progress_wraps_the_paths(root, test):
    seen = []

    def progress(paths):
        assert len(paths) == 1000
        for path in paths:
            seen.append(str(path))
            yield path

    assert len(load_lsp(root, "test", progress=progress)) == 1000
    assert seen == [record.image for record in test]


def test_unknown_split(root):
    with pytest.raises(
        ValueError, match=r"`split` must be one of .*'extended'.*split='validation'"
    ):
        load_lsp(root, "validation")


@pytest.mark.parametrize("split, name", [("train", "lsp"), ("test", "lsp"), ("extended", "lspet")])
def test_missing_root_names_what_to_extract(tmp_path, split, name):
    with pytest.raises(
        FileNotFoundError, match=f"{name}_dataset/joints.mat; extract {name}_dataset"
    ):
        load_lsp(tmp_path / "nowhere", split)
    (tmp_path / f"{name}_dataset").mkdir()
    with pytest.raises(FileNotFoundError, match="Received: root="):
        load_lsp(tmp_path, split)


@pytest.mark.parametrize(
    "split, content, received",
    [
        ("train", {"joints": np.zeros((14, 3, 10000))}, r"\(14, 3, 10000\)"),
        ("test", {"joints": np.zeros((14, 3, 2000))}, r"\(14, 3, 2000\)"),
        ("extended", {"joints": np.zeros((3, 14, 2000))}, r"\(3, 14, 2000\)"),
        ("extended", {"other": np.zeros((14, 3, 10000))}, r"\(\)"),
    ],
)
def test_other_shapes_are_refused(tmp_path, split, content, received):
    folder = tmp_path / ("lspet_dataset" if split == "extended" else "lsp_dataset")
    folder.mkdir()
    savemat(folder / "joints.mat", content)
    expected = r"\(14, 3, 10000\)" if split == "extended" else r"\(3, 14, 2000\)"
    with pytest.raises(
        ValueError, match=f"joints.mat must be {expected}.*Received: shape {received}"
    ):
        load_lsp(tmp_path, split)


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n" + b"\0" * 64, b"\xff\xd8\xff\xe0"])
def test_broken_photograph_is_named(root, tmp_path, content):
    (tmp_path / "lsp_dataset/images").mkdir(parents=True)
    shutil.copy(root / "lsp_dataset/joints.mat", tmp_path / "lsp_dataset")
    (tmp_path / "lsp_dataset/images/im1003.jpg").write_bytes(content)
    with pytest.raises(ValueError, match=r"im1003.jpg must be a whole JPEG file"):
        load_lsp(tmp_path, "test")


@pytest.mark.parametrize("flag", [cv2.IMWRITE_JPEG_PROGRESSIVE, cv2.IMWRITE_JPEG_OPTIMIZE])
def test_size_of_other_jpegs_and_after_long_segments(root, tmp_path, flag):
    (tmp_path / "lsp_dataset/images").mkdir(parents=True)
    shutil.copy(root / "lsp_dataset/joints.mat", tmp_path / "lsp_dataset")
    _, data = cv2.imencode(".jpg", np.zeros((7, 300, 3), np.uint8), [flag, 1])
    data = data.tobytes()
    # a segment of the largest length, full of frame markers; a short one; a table, whose marker
    # lies between those of the frame headers; filling
    extra = b"\xff\xe1\xff\xff" + b"\xff\xc0" * 32766 + b"\0"
    extra += b"\xff\xe2\x00\x03\x01" + b"\xff\xc4\x00\x0b" + b"\x09" * 9 + b"\xff\xff"
    path = tmp_path / "lsp_dataset/images/im1001.jpg"
    path.write_bytes(data[:2] + extra + data[2:])
    assert load_lsp(tmp_path, "test")[0].size == (7, 300)


# Left and right as the observer sees them.


@pytest.fixture(scope="module")
def seen(root):
    """The labels of `root` but for two people of the test: 1001 changes sides, 1002 moves a bit."""
    joints = loadmat(root / "lsp_dataset/joints.mat")["joints"]
    joints[:, :, 1000] = joints[:, LSP14.flip_permutation, 1000]
    joints[0, RHIP, 1001] += 19.5
    joints[2, RHIP, 1001] = 1 - joints[2, RHIP, 1001]
    path = root / "LSP-joints-OC.mat"
    savemat(path, {"joints": joints})
    yield path
    path.unlink()


def test_the_observer_s_sides(root, test, seen):
    found = load_lsp(root, "test", sides="observer")
    assert found[0].attributes == {"index": 1001, "sides": "differ"}
    assert {r.attributes["sides"] for r in found[1:]} == {"agree"}
    before, after = test[0].people[0], found[0].people[0]
    order = list(LSP14.flip_permutation)
    np.testing.assert_array_equal(after.keypoints, before.keypoints[order])
    np.testing.assert_array_equal(after.visible, before.visible[order])
    assert (after.center, after.height) == (before.center, before.height)
    before, after = test[1].people[0], found[1].people[0]
    assert (after.keypoints - before.keypoints)[RHIP].tolist() == [19.5, 0]
    assert after.visible[RHIP] == 3 - before.visible[RHIP]


def test_the_person_s_sides_know_whose_are_the_same(root, train, seen, tmp_path):
    found = load_lsp(root, "train")
    assert {record.attributes["sides"] for record in found} == {"agree"}
    for before, after in zip(train, found, strict=True):
        assert before.people[0].keypoints.tolist() == after.people[0].keypoints.tolist()
    other = shutil.copy(seen, tmp_path / "elsewhere.mat")
    seen.rename(tmp_path / "away.mat")
    try:
        assert "sides" not in load_lsp(root, "test")[0].attributes
        named = load_lsp(root, "test", observer_labels=other)
        with pytest.raises(FileNotFoundError, match=r"need LSP-joints-OC.mat .*observer_labels"):
            load_lsp(root, "test", sides="observer")
    finally:
        (tmp_path / "away.mat").rename(seen)
    assert [record.attributes["sides"] for record in named].count("differ") == 1
    with pytest.raises(FileNotFoundError, match=r"Received: none.mat"):
        load_lsp(root, "test", observer_labels="none.mat")


def test_other_sides_are_refused(root, seen, tmp_path):
    with pytest.raises(ValueError, match=r"`sides` must be one of .*Received: sides='left'"):
        load_lsp(root, "test", sides="left")
    with pytest.raises(ValueError, match=r"LSPET has no labels with the observer's sides; leave"):
        load_lsp(root, "extended", sides="observer")
    assert "sides" not in load_lsp(root, "extended")[0].attributes
    savemat(tmp_path / "a.mat", {"joints": np.zeros((3, 14, 1000))})
    with pytest.raises(ValueError, match=r"a.mat must be \(3, 14, 2000\); give LSP-joints-OC.mat"):
        load_lsp(root, "test", observer_labels=tmp_path / "a.mat")


# With the real data sets.


@pytest.fixture(scope="module")
def data():
    folder = os.environ.get("KERAS_CPM_DATA")
    if not folder:
        pytest.skip("KERAS_CPM_DATA is not set: no real data")
    if not (Path(folder) / "lsp/lspet_dataset/joints.mat").is_file():
        pytest.skip("there is no lsp/ in the folder that KERAS_CPM_DATA names")
    return Path(folder)


@pytest.fixture(scope="module")
def real_train(data):
    return load_lsp(data / "lsp", "train")


@pytest.fixture(scope="module")
def real_test(data):
    return load_lsp(data / "lsp", "test")


@pytest.fixture(scope="module")
def real_extended(data):
    return load_lsp(data / "lsp", "extended")


def test_real_counts(real_train, real_test, real_extended):
    assert [len(r) for r in (real_train, real_test, real_extended)] == [1000, 1000, 10000]
    labelled = np.array([r.people[0].labelled.sum() for r in real_extended])
    assert (labelled == 14).sum() == 3945
    assert (labelled <= 6).sum() == 49
    assert all(r.people[0].labelled.all() for r in real_train + real_test)


def test_real_heights_are_plausible(real_train, real_test, real_extended):
    for records, usual in ((real_train, 128), (real_test, 150), (real_extended, 140)):
        heights = np.array([r.people[0].height for r in records])
        assert np.isfinite(heights).all() and (heights > 50).all() and (heights < 450).all()
        assert abs(np.median(heights) - usual) < 12


def test_real_sizes_and_centers(real_train, real_extended):
    for record in real_train[::200] + real_extended[::2000]:
        assert record.size == cv2.imread(record.image).shape[:2]
    for record in real_train + real_extended:
        assert 0 <= record.people[0].center[0] <= record.size[1] - 1
        assert 0 <= record.people[0].center[1] <= record.size[0] - 1


def test_real_ratios_are_the_constants(data):
    lspet = loadmat(data / "lsp/lspet_dataset/joints.mat")["joints"].transpose(2, 0, 1)
    lsp = loadmat(data / "lsp/lsp_dataset/joints.mat")["joints"].transpose(2, 1, 0)[:1000]
    points = np.concatenate([lspet[..., :2], lsp[..., :2]])
    seen = np.concatenate([lspet[..., 2] == 1, lsp[..., 2] == 0])
    # genJSON.m: `pa`, 1-based, in the order of MPII without pelvis and thorax
    mpii = [RANK, RKNE, RHIP, LHIP, LKNE, LANK, NECK, HEAD, RWRI, RELB, RSHO, LSHO, LELB, LWRI]
    parents = [2, 3, 7, 5, 4, 7, 8, None, 10, 11, 7, 13, 12, 7]
    pairs = [(mpii[i], mpii[p - 1]) for i, p in enumerate(parents) if p]
    medians = []
    for a, b in pairs:
        keep = seen[:, [a, b, NECK, HEAD]].all(axis=1)
        length = np.hypot(*(points[keep, a] - points[keep, b]).T)
        head = np.hypot(*(points[keep, NECK] - points[keep, HEAD]).T)
        with np.errstate(divide="ignore", invalid="ignore"):
            medians.append(np.nanmedian(length / head))
    assert [(LSP14.parts[a], LSP14.parts[b]) for a, b in pairs] == [row[:2] for row in LIMB_RATIOS]
    np.testing.assert_allclose([row[2] for row in LIMB_RATIOS], medians, atol=1e-6)


def test_real_predictions_of_the_authors(data, real_test):
    path = data / "predictions/LSP_prediction_model_LSP_6s.mat"
    if not path.is_file():
        pytest.skip("there is no predictions/ in the folder that KERAS_CPM_DATA names")
    arrays = [v for k, v in loadmat(path).items() if not k.startswith("__")]
    (predicted,) = [a for a in arrays if a.shape == (14, 2, 1000)]
    predicted = predicted.transpose(2, 0, 1) - 1
    truth = np.stack([record.people[0].keypoints for record in real_test]).astype(float)
    torso = np.linalg.norm(truth[:, LSHO] - truth[:, RHIP], axis=1)
    right = np.linalg.norm(predicted - truth, axis=2) <= 0.2 * torso[:, None]
    assert 100 * right.mean() == pytest.approx(84.32, abs=0.006)
