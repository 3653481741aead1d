"""FLIC: a miniature of examples.mat written here, and the real data where there is some."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy.io import loadmat, savemat

from keras_cpm import FLIC9
from keras_cpm.data.formats.flic import load_flic
from keras_cpm.data.photographs import jpeg_size

# Columns of `coords`, from 0, in the order of FLIC9.
COLUMNS = [0, 1, 2, 3, 4, 5, 6, 9, 16]
EYES = [12, 13]
LSHO, LELB, LWRI, RSHO, RELB, RWRI, LHIP, RHIP, NOSE = range(9)
# The other side of each, written out.
SWAPPED = [RSHO, RELB, RWRI, LSHO, LELB, LWRI, RHIP, LHIP, NOSE]

FACING = np.array(  # the person's left is on the right of the photograph
    [[60, 40], [70, 60], [72, 80], [30, 40], [20, 60], [18, 80], [55, 90], [35, 90], [45, 20]],
    float,
)
BACK = FACING * (-1, 1) + (100, 0.5)


def example(keypoints, file, *, test=False, **changes):
    coords = np.full((2, 29), np.nan)
    coords[:, COLUMNS] = np.transpose(keypoints)
    coords[:, EYES] = 5
    return {
        "moviename": "a-movie",
        "coords": coords,
        "filepath": file,
        "imgdims": np.array([[120, 160, 3]], np.uint16),
        "currframe": np.uint16(71),
        "torsobox": np.array([[31, 41, 61, 101]], np.float32),
        "istrain": np.uint8(not test),
        "istest": np.uint8(test),
        "poselet_hit_idx": np.zeros((23, 1), np.uint16),
    } | changes


def without(keypoints, part):
    keypoints = keypoints.copy()
    keypoints[part] = np.nan
    return keypoints


EXAMPLES = [
    example(FACING, "a.jpg"),
    example(BACK, "b.jpg", test=True),
    example(FACING + 100, "a.jpg"),  # another person
    example(FACING + (1, 2), "a.jpg"),  # the first one once more
    example(FACING + 50, "a.jpg", test=True),
    example(without(BACK, RSHO), "c.jpg"),
    example(without(FACING, LWRI) - 40, "c.jpg", currframe=np.int32(70000)),
]


def save(root, examples=EXAMPLES, name="examples"):
    rows = np.empty((1, len(examples)), [(field, object) for field in examples[0]])
    for i, fields in enumerate(examples):
        for field, value in fields.items():
            rows[field][0, i] = value
    savemat(root / "examples.mat", {name: rows})


@pytest.fixture
def root(tmp_path):
    save(tmp_path)
    return tmp_path


def indices(records):
    return [record.attributes["index"] for record in records]


def test_the_splits(root):
    train, test = load_flic(root, "train"), load_flic(root, "test")
    assert indices(train) == [1, 3, 4, 6, 7] and indices(test) == [2, 5]
    assert {(r.dataset, r.split) for r in train} == {("flic", "train")}
    assert {(r.dataset, r.split) for r in test} == {("flic", "test")}


def test_labels_keep_order_and_lose_one_pixel(root):
    record = load_flic(root, "train")[0]
    assert record.parts == FLIC9.parts
    assert [FLIC9.parts[i] for i in (LSHO, RWRI, RHIP, NOSE)] == [
        "left_shoulder",
        "right_wrist",
        "right_hip",
        "nose",
    ]
    np.testing.assert_array_equal(record.people[0].keypoints, FACING - 1)
    assert record.people[0].visible.tolist() == [2] * 9


def test_sides_follow_the_observer_or_the_person(root):
    observer, person = (load_flic(root, "test", sides=s)[0] for s in ("observer", "person"))
    np.testing.assert_array_equal(person.people[0].keypoints, BACK - 1)
    np.testing.assert_array_equal(observer.people[0].keypoints, (BACK - 1)[SWAPPED])
    assert load_flic(root, "test")[0].people[0].keypoints[LSHO].tolist() == [69, 39.5]


def test_a_part_without_coordinates_is_not_labelled(root):
    no_shoulder, no_wrist = load_flic(root, "train")[3:]
    assert no_wrist.people[0].visible.tolist() == [2, 2, 0, 2, 2, 2, 2, 2, 2]
    # without a shoulder nothing says which side is which
    assert no_shoulder.people[0].visible.tolist() == [2, 2, 2, 0, 2, 2, 2, 2, 2]
    np.testing.assert_array_equal(no_shoulder.people[0].keypoints[LSHO], BACK[LSHO] - 1)


def test_place_comes_from_the_torso(root):
    person = load_flic(root, "train")[0].people[0]
    # 0.7 * 41 + 0.3 * 101 = 59, from 1
    assert person.center == pytest.approx((45, 58)) and person.height == pytest.approx(132)
    assert person.box is None and person.attributes == {"torsobox": [30, 40, 60, 100]}


def test_others_are_other_figures_of_the_same_split(root):
    first, second, again, *_ = load_flic(root, "train")
    assert [len(r.people) for r in (first, second, again)] == [2, 2, 2]
    np.testing.assert_array_equal(first.people[1].keypoints, FACING + 99)
    np.testing.assert_array_equal(second.people[0].keypoints, FACING + 99)
    np.testing.assert_array_equal(second.people[1].keypoints, FACING - 1)
    np.testing.assert_array_equal(again.people[0].keypoints, FACING + (0, 1))
    assert len(load_flic(root, "test")[1].people) == 1


def test_thousands_in_one_photograph_have_the_nearest(root):
    """Each was compared with each, and each of these with each."""
    places = 70.0 * np.random.default_rng(0).permutation(2000)
    boxes = [np.array([[31 + x, 41, 61 + x, 101]]) for x in places]
    moved = zip(places, boxes, strict=True)
    save(root, [example(FACING + (x, 0), "a.jpg", torsobox=box) for x, box in moved])
    for record, x in zip(load_flic(root, "train"), places, strict=True):
        found = np.array([p.keypoints[NOSE, 0] for p in record.people]) - FACING[NOSE, 0] + 1
        assert found[0] == x and len(set(found)) == 32
        assert abs(found - x).max() <= 70 * max(16, 31 - min(x, places.max() - x) / 70)


@pytest.mark.parametrize("name", ["../../etc/a.jpg", "/etc/a.jpg", ""])
def test_a_photograph_outside_the_folder_is_refused(root, name):
    save(root, [example(FACING, name)])
    with pytest.raises(ValueError, match=r"`filepath` must be a path within the folder of the im"):
        load_flic(root, "train")


def test_others_change_sides_too(root):
    save(root, [example(FACING, "a.jpg"), example(BACK + 200, "a.jpg")])
    record = load_flic(root, "train")[0]
    np.testing.assert_array_equal(record.people[1].keypoints, (BACK + 199)[SWAPPED])


def test_photograph_and_attributes(root, monkeypatch):
    monkeypatch.chdir(root.parent)
    record = load_flic(root.name, "train")[4]
    assert record.image == str(root / "images/c.jpg") and record.size == (120, 160)
    assert record.attributes == {"index": 7, "movie": "a-movie", "frame": 70000}


def test_progress_wraps_the_examples(root):
    seen = []
    records = load_flic(root, "train", progress=lambda items: (seen.append(i) or i for i in items))
    assert indices(records) == seen == [1, 3, 4, 6, 7]


def test_unknown_split_and_sides(root):
    with pytest.raises(ValueError, match=r"`split` must be one of \['train', 'test'\].*'all'"):
        load_flic(root, "all")
    with pytest.raises(ValueError, match=r"`sides` must be one of .*Received: sides='left'"):
        load_flic(root, "train", sides="left")


def test_missing_and_other_files(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"must hold examples.mat; .*Received: root="):
        load_flic(tmp_path, "train")
    save(tmp_path, name="annolist")
    with pytest.raises(ValueError, match=r"must hold `examples` .*Received: \['annolist'\]"):
        load_flic(tmp_path, "train")
    save(tmp_path, [{"filepath": "a.jpg"}])
    with pytest.raises(ValueError, match=r"examples.mat must hold `examples` with `torsobox`"):
        load_flic(tmp_path, "train")


# With the real data.


@pytest.fixture(scope="module")
def flic(data_root):
    if not (data_root / "flic/examples.mat").is_file():
        pytest.skip("there is no flic/examples.mat in the folder that KERAS_CPM_DATA names")
    return data_root / "flic"


@pytest.fixture(scope="module")
def real(flic):
    return {split: load_flic(flic, split) for split in ("train", "test")}


def labels(records):
    return np.stack([record.people[0].keypoints for record in records]).astype(float)


def test_real_counts(flic, real):
    assert len(real["train"]) == 3987 and len(real["test"]) == 1016
    for split, swapped in (("train", 199), ("test", 48)):
        as_in_the_file = labels(load_flic(flic, split, sides="person"))
        assert (as_in_the_file != labels(real[split])).any(axis=(1, 2)).sum() == swapped
        assert all(r.people[0].labelled.all() for r in real[split])
        assert (labels(real[split])[:, LSHO, 0] > labels(real[split])[:, RSHO, 0]).all()


def test_real_others(real):
    assert sum(len(r.people) - 1 for r in real["train"]) == 119
    assert sum(len(r.people) - 1 for r in real["test"]) == 17
    shared = {r.image for r in real["train"]} & {r.image for r in real["test"]}
    assert len(shared) == 2


def test_real_sizes(flic, real):
    names = {path.name for path in (flic / "images").glob("*.jpg")}
    if not names:
        pytest.skip("there are no images in flic/images")
    records = [r for r in real["train"] + real["test"] if Path(r.image).name in names]
    assert {Path(r.image).name for r in records} == names
    assert all(jpeg_size(record.image) == record.size for record in records)


def test_real_heights_are_plausible(real):
    # cpm-facts: a torso of 131.4 pixels on average over the test set
    heights = np.array([r.people[0].height for r in real["test"]])
    assert heights.mean() == pytest.approx(2.2 * 131.4, abs=0.2)


def test_real_predictions_of_the_authors(data_root, real):
    path = data_root / "predictions/FLIC_prediction_model_FLIC_4s.mat"
    if not path.is_file():
        pytest.skip("there is no predictions/ in the folder that KERAS_CPM_DATA names")
    predicted = loadmat(path)["prediction_all"].astype(float).transpose(2, 0, 1) - 1
    truth = labels(real["test"])
    torso = np.linalg.norm(truth[:, LSHO] - truth[:, RHIP], axis=1)
    right = np.linalg.norm(predicted - truth, axis=2) <= 0.2 * torso[:, None]
    assert 100 * right[:, [LELB, RELB]].mean() == pytest.approx(97.59, abs=0.005)
    assert 100 * right[:, [LWRI, RWRI]].mean() == pytest.approx(95.03, abs=0.005)


@pytest.mark.parametrize("split, name", [("train", "train.h5"), ("test", "valid.h5")])
def test_real_labels_are_those_of_the_hourglass(flic, real, split, name):
    """The same examples in the same order, observer-centric, and in pixels from 1."""
    if not (flic / name).is_file():
        pytest.skip(f"there is no {name} in flic/")
    with h5py.File(flic / name) as file:
        parts, names = file["part"][:], [n.decode() for n in file["imgname"][:]]
    assert [Path(record.image).name for record in real[split]] == names
    without_eyes = parts[:, [0, 1, 2, 3, 4, 5, 6, 7, 10]]
    np.testing.assert_allclose(labels(real[split]), without_eyes - 1, atol=1e-4)
