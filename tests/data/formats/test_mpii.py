"""MPII: a miniature of its .mat files written here, and the real detections.mat."""

import cv2
import h5py
import numpy as np
import pytest
from scipy.io import loadmat, savemat

from keras_cpm import CPM14, MPII16, pckh
from keras_cpm.data.formats.mpii import load_mpii, write_mpii_predictions

# Point ids, from the README of the data set and not from MPII16.
RANK, RKNE, RHIP, LHIP, LKNE, LANK, PELVIS, THORAX, NECK, HEAD = range(10)
RWRI, RELB, RSHO, LSHO, LELB, LWRI = range(10, 16)
TOMPSON = {  # `output_joints` of detections.mat, and their ids
    "rank": RANK,
    "rkne": RKNE,
    "rhip": RHIP,
    "lhip": LHIP,
    "lkne": LKNE,
    "lank": LANK,
    "neck": NECK,
    "head": HEAD,
    "rwri": RWRI,
    "relb": RELB,
    "rsho": RSHO,
    "lsho": LSHO,
    "lelb": LELB,
    "lwri": LWRI,
}
EMPTY = np.zeros((0, 0))


def struct(rows, shape=None):
    """A MATLAB struct array; what a row lacks is empty."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    array = np.empty(len(rows), [(name, object) for name in names])
    for i, row in enumerate(rows):
        for name in names:
            array[name][i] = row.get(name, EMPTY)
    return array.reshape(shape or (1, -1))


def cell(values, shape=None):
    array = np.empty(len(values), object)
    for i, value in enumerate(values):
        array[i] = value
    return array.reshape(shape or (1, -1))


def points(*rows):
    """`annopoints` of rows (id, x, y[, is_visible])."""
    names = ("id", "x", "y", "is_visible")
    return {"point": struct([dict(zip(names, row, strict=False)) for row in rows])}


def place(x, y, scale):
    return {"objpos": {"x": x, "y": y}, "scale": scale}


def box(x1, y1, x2, y2):
    return {"x1": x1, "y1": y1, "x2": x2, "y2": y2}


WHOLE = {
    **box(10, 20, 40, 60),
    **place(101, 202, 1.5),
    "annopoints": points(
        *((part, 100 + part, 200.5 + part, 1) for part in range(16) if part not in (LANK, RANK)),
        (RANK, 7, 9, 0),
    ),
}
UNPLACED = {**box(1, 1, 4, 5), "annopoints": points((NECK, 31, 41))}
HEAD_BOX_ONLY = box(5, 5, 9, 9)
SPELLINGS = {
    **place(51, 52, 2.0),
    "annopoints": points(
        (LWRI, 5, 6, "0"), (RWRI, 7, 8, "1"), (HEAD, 9, 10, EMPTY), (NECK, 11, 12, np.uint8(0))
    ),
}
WITHOUT_FLAG = {**place(61, 62, 3.0), "annopoints": points((HEAD, 21, 22), (RANK, 23, 24))}

IMAGES = [  # name, for training, people, single people, activity
    ("a.jpg", 1, [HEAD_BOX_ONLY, WHOLE, UNPLACED], [2], ("running", "track")),
    ("b.jpg", 0, [place(81, 82, 1.0), {"scale": 4.0}, place(91, 92, 2.0)], [1], None),
    ("c.jpg", 1, [], [], None),
    ("d.jpg", 1, [SPELLINGS, WITHOUT_FLAG], [1, 2], ("judo", "sports")),
    ("e.jpg", 0, [], [], None),
    ("f.jpg", 1, [WHOLE, place(1, 2, 1.0)], [1], ("running", "track")),
    ("g.jpg", 0, [HEAD_BOX_ONLY], [], None),
    ("h.jpg", 0, [{}, place(71, 72, 1.25)], [2], None),
]
VALIDATION = [(6, 1), (4, 2)]  # not in the order of the images
PREDICTED = np.arange(56.0).reshape(2, 14, 2) + 1


def save_release(path, **changes):
    names, training, people, single, acts = zip(*IMAGES, strict=True)
    release = {
        "annolist": struct(
            [
                {"image": {"name": name}, "annorect": struct(rects) if rects else EMPTY}
                for name, rects in zip(names, people, strict=True)
            ]
        ),
        "img_train": np.array([training], np.uint8),
        "single_person": cell([np.array(s, np.uint8).reshape(-1, 1) for s in single], (-1, 1)),
        "act": struct([dict(zip(("act_name", "cat_name"), a or (), strict=False)) for a in acts]).T,
    } | changes
    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(path, {"RELEASE": {k: v for k, v in release.items() if v is not None}})


def save_detections(path, **changes):
    path.parent.mkdir(parents=True, exist_ok=True)
    rects = [IMAGES[index - 1][2][person - 1] for index, person in VALIDATION]
    content = {
        "annolist": struct([{"annorect": struct([rect])} for rect in rects]),
        "RELEASE_img_index": np.array([[i for i, _ in VALIDATION]], np.uint16),
        "RELEASE_person_index": np.array([[p for _, p in VALIDATION]], np.uint8),
        "keypointsAll": cell(list(PREDICTED)),
        "output_joints": cell(list(TOMPSON)),
        "type": "valid",
    } | changes
    savemat(path, {k: v for k, v in content.items() if v is not None})


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("mpii")
    save_release(root / "mpii_human_pose_v1_u12_1/mpii_human_pose_v1_u12_1.mat")
    save_detections(root / "Tompson_valid/detections.mat")
    (root / "images").mkdir()
    for name in ("a.jpg", "b.jpg"):
        assert cv2.imwrite(str(root / "images" / name), np.zeros((48, 64, 3), np.uint8))
    return root


@pytest.fixture(scope="module")
def detections_only(tmp_path_factory):
    root = tmp_path_factory.mktemp("mpii")
    save_detections(root / "detections.mat")
    return root


def who(records):
    return [(r.attributes["index"], r.attributes["person"]) for r in records]


def by_id(person, part):
    return (*person.keypoints[part].tolist(), int(person.visible[part]))


def test_the_splits(root):
    assert who(load_mpii(root, "train")) == [(1, 2), (4, 1)]
    assert who(load_mpii(root, "validation")) == VALIDATION
    assert who(load_mpii(root, "tompson")) == VALIDATION
    assert who(load_mpii(root, "all")) == [(1, 2), (4, 1), (4, 2), (6, 1)]
    assert who(load_mpii(root, "test")) == [(2, 1), (2, 3), (8, 2)]


def test_the_names_of_the_splits(root):
    names = {split: [r.split for r in load_mpii(root, split)] for split in ("train", "all", "test")}
    assert names["train"] == ["train"] * 2 and names["test"] == ["test"] * 3
    assert names["all"] == ["train", "train", "validation", "validation"]
    assert {r.split for r in load_mpii(root, "validation")} == {"validation"}
    assert {r.dataset for r in load_mpii(root, "all")} == {"mpii"}


def test_keypoints_by_id_lose_one_pixel(root):
    person = load_mpii(root, "train")[0].people[0]
    assert MPII16.parts[LANK] == "left_ankle" and MPII16.parts[NECK] == "neck"
    for part in range(1, 16):
        expected = (99 + part, 199.5 + part, 2) if part != LANK else (0, 0, 0)
        assert by_id(person, part) == expected
    assert by_id(person, RANK) == (6, 8, 1)


def test_every_spelling_of_visible(root):
    spellings = load_mpii(root, "train")[1].people[0]
    assert by_id(spellings, LWRI) == (4, 5, 1) and by_id(spellings, RWRI) == (6, 7, 2)
    assert by_id(spellings, HEAD) == (8, 9, 2) and by_id(spellings, NECK) == (10, 11, 1)
    assert spellings.labelled.sum() == 4
    without = load_mpii(root, "validation")[1].people[0]
    assert by_id(without, HEAD) == (20, 21, 2) and by_id(without, RANK) == (22, 23, 2)


def test_place_and_head(root):
    person = load_mpii(root, "train")[0].people[0]
    assert person.center == (100, 201) and person.height == 300 and person.box is None
    assert person.head_size == pytest.approx(0.6 * 50)
    assert load_mpii(root, "train")[1].people[0].head_size is None


def test_the_others_are_the_labelled_ones(root):
    first, second = load_mpii(root, "train")
    (unplaced,) = first.people[1:]
    assert by_id(unplaced, NECK) == (30, 40, 2) and unplaced.labelled.sum() == 1
    assert unplaced.center is None and unplaced.height is None
    # the other one is held out, but stands in the photograph
    assert [p.center for p in second.people] == [(50, 51), (60, 61)]
    assert [p.center for p in load_mpii(root, "validation")[1].people] == [(60, 61), (50, 51)]


def test_thousands_in_one_photograph_have_the_nearest(tmp_path):
    """Each stood in the record of each."""
    places = np.random.default_rng(0).permutation(2000)
    rects = [{**place(x, 9, 1.0), "annopoints": points((HEAD, x, 5))} for x in places.tolist()]
    save_detections(tmp_path / "detections.mat")
    images = {"image": {"name": "a.jpg"}, "annorect": struct(rects)}
    save_release(
        tmp_path / "mpii_human_pose_v1_u12_1.mat",
        annolist=struct([images]),
        img_train=1,
        single_person=None,
        act=None,
    )
    records = load_mpii(tmp_path, "train")
    assert len(records) == 2000
    for record, x in zip(records, places, strict=True):
        found = np.array([person.center[0] for person in record.people]) + 1
        assert found[0] == x and len(set(found)) == 32
        assert abs(found - x).max() <= max(16, 31 - min(x, 1999 - x))


@pytest.mark.parametrize("part", [-1, 16])
def test_a_part_that_mpii_does_not_have_is_refused(tmp_path, part):
    image = {
        "image": {"name": "a.jpg"},
        "annorect": struct([{**place(5, 5, 1.0), "annopoints": points((part, 5, 5))}]),
    }
    path = tmp_path / "mpii_human_pose_v1_u12_1.mat"
    save_release(path, annolist=struct([image]), img_train=0, single_person=None, act=None)
    with pytest.raises(ValueError, match=rf"MPII is not laid out .*IndexError.*{part}"):
        load_mpii(tmp_path, "test")


@pytest.mark.parametrize("name", ["../../etc/a.jpg", "/etc/a.jpg"])
def test_a_photograph_outside_the_folder_is_refused(tmp_path, name):
    image = {"image": {"name": name}, "annorect": struct([WHOLE])}
    path = tmp_path / "mpii_human_pose_v1_u12_1.mat"
    save_release(path, annolist=struct([image]), img_train=0, single_person=None, act=None)
    with pytest.raises(ValueError, match=r"`name` must be a path within the folder of the images"):
        load_mpii(tmp_path, "test")


def test_the_test_people_have_a_place_and_no_labels(root):
    records = load_mpii(root, "test")
    assert [len(r.people) for r in records] == [1, 1, 1]
    assert [r.people[0].center for r in records] == [(80, 81), (90, 91), (70, 71)]
    assert [r.people[0].height for r in records] == [200, 400, 250]
    assert not any(r.people[0].labelled.any() for r in records)
    assert [r.attributes["single_person"] for r in records] == [True, False, True]


def test_attributes(root):
    records = load_mpii(root, "train")
    assert records[0].attributes == {
        "index": 1,
        "person": 2,
        "activity": "running",
        "category": "track",
        "single_person": True,
    }
    assert load_mpii(root, "test")[0].attributes == {"index": 2, "person": 1, "single_person": True}
    # the thorax lies a pixel below the pelvis, and a pixel to its right
    assert records[0].people[0].attributes == {"torso_angle": 135.0}
    assert load_mpii(root, "validation")[1].people[0].attributes == {}
    assert load_mpii(root, "tompson")[0].people[0].attributes == {"torso_angle": 135.0}


def test_an_annotation_without_single_person_and_act(root, tmp_path):
    save_release(tmp_path / "mpii_human_pose_v1_u12_1.mat", single_person=None, act=None)
    assert load_mpii(tmp_path, "test")[0].attributes == {"index": 2, "person": 1}


def test_photographs(root, monkeypatch):
    monkeypatch.chdir(root.parent)
    records = load_mpii(root.name, "all")
    assert [r.image for r in records] == [str(root / f"images/{n}.jpg") for n in "addf"]
    assert [r.size for r in records] == [(48, 64), None, None, None]


@pytest.mark.parametrize("split", ["validation", "tompson"])
def test_detections_alone_know_the_people_and_no_names(root, detections_only, split):
    alone, together = load_mpii(detections_only, split), load_mpii(root, split)
    assert who(alone) == who(together) == VALIDATION
    assert [r.image for r in alone] == [
        str(detections_only / f"images/{n}.jpg") for n in ("00006", "00004")
    ]
    assert [r.image for r in together] == [str(root / f"images/{n}.jpg") for n in "fd"]
    for a, b in zip(alone, together, strict=True):
        assert len(a.people) == 1
        p, q = a.people[0], b.people[0]
        np.testing.assert_array_equal(p.keypoints, q.keypoints)
        np.testing.assert_array_equal(p.visible, q.visible)
        assert (p.center, p.height, p.head_size) == (q.center, q.height, q.head_size)


def test_tompson_s_predictions_take_the_place_of_the_labels(root):
    records = load_mpii(root, "tompson")
    for record, truth, predicted in zip(
        records, load_mpii(root, "validation"), PREDICTED, strict=True
    ):
        (person,) = record.people
        for part, (x, y) in zip(TOMPSON.values(), predicted, strict=True):
            assert by_id(person, part) == (x - 1, y - 1, 2)
        assert [by_id(person, part) for part in (PELVIS, THORAX)] == [(0, 0, 0)] * 2
        assert person.center == truth.people[0].center
        assert person.head_size == truth.people[0].head_size


def test_progress_wraps_the_people(root):
    seen = []

    def progress(people):
        assert len(people) == 4
        return (seen.append(person) or person for person in people)

    assert who(load_mpii(root, "all", progress=progress)) == seen


def test_unknown_split(root):
    with pytest.raises(ValueError, match=r"`split` must be one of .*'tompson'.*split='valid'"):
        load_mpii(root, "valid")


@pytest.mark.parametrize("split", ["train", "validation", "all", "tompson"])
def test_missing_detections(tmp_path, split):
    save_release(tmp_path / "mpii_human_pose_v1_u12_1.mat")
    with pytest.raises(FileNotFoundError, match=r"must hold detections.mat, .*Tompson_valid/"):
        load_mpii(tmp_path, split)


@pytest.mark.parametrize("split", ["train", "all", "test"])
def test_missing_release(detections_only, split):
    with pytest.raises(FileNotFoundError, match=r"must hold mpii_human_pose_v1_u12_1.mat, "):
        load_mpii(detections_only, split)


@pytest.mark.parametrize("name", ["keypointsAll", "RELEASE_person_index", "annolist"])
def test_other_detections_are_refused(tmp_path, name):
    save_detections(tmp_path / "detections.mat", **{name: None})
    with pytest.raises(ValueError, match=f"detections.mat must hold '{name}'.*'type'"):
        load_mpii(tmp_path, "validation")


def test_files_that_do_not_fit_together(tmp_path):
    save_release(tmp_path / "mpii_human_pose_v1_u12_1.mat")
    save_detections(tmp_path / "detections.mat", RELEASE_person_index=np.array([[1, 3]]))
    with pytest.raises(ValueError, match=r"same version of MPII. Received: person 3 of image 4"):
        load_mpii(tmp_path, "validation")
    # number 2 is a test image
    save_detections(tmp_path / "detections.mat", RELEASE_img_index=np.array([[2, 4]]))
    with pytest.raises(ValueError, match="Received: person 1 of image 2"):
        load_mpii(tmp_path, "validation")


@pytest.mark.parametrize("changes", [{"img_train": np.ones((1, 7))}, {"annolist": None}])
def test_other_annotations_are_refused(tmp_path, changes):
    save_release(tmp_path / "mpii_human_pose_v1_u12_1.mat", **changes)
    with pytest.raises(ValueError, match=r"u12_1.mat must hold the struct RELEASE with `annolist`"):
        load_mpii(tmp_path, "test")


def test_a_file_without_release_is_refused(tmp_path):
    savemat(tmp_path / "mpii_human_pose_v1_u12_1.mat", {"other": 1})
    with pytest.raises(ValueError, match="must hold the struct RELEASE"):
        load_mpii(tmp_path, "test")


@pytest.mark.parametrize(
    "content, message",
    [
        (b"", "no MATLAB file, or a damaged one"),
        (b"<html>not found</html>" * 100, "no MATLAB file, or a damaged one"),
        (b"MATLAB 7.3".ljust(124) + b"\x00\x02IM" + bytes(512), "version 7.3; save it again"),
    ],
)
def test_damaged_files_are_named(tmp_path, content, message):
    (tmp_path / "detections.mat").write_bytes(content)
    with pytest.raises(ValueError, match=f"detections.mat is .*{message}"):
        load_mpii(tmp_path, "validation")


def test_a_file_cut_off_is_named(tmp_path):
    save_detections(tmp_path / "detections.mat")
    whole = (tmp_path / "detections.mat").read_bytes()
    (tmp_path / "detections.mat").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"detections.mat is no MATLAB file, or a damaged one"):
        load_mpii(tmp_path, "validation")


# The file for the test server.


def read_as_the_evaluation(path, single):
    """flatten_annolist.m, annolist2matrix.m: (people, 16, 2) of the single people, or NaN."""
    flat = []
    for image, numbers in zip(loadmat(path)["pred"][0], single, strict=True):
        for number, rect in enumerate(image["annorect"].ravel(), 1):
            if not rect.dtype.names or "objpos" not in rect.dtype.names or not rect["objpos"].size:
                continue
            if number in numbers:
                assert image["image"]["name"].item().item().endswith(".jpg")
                matrix = np.full((16, 2), np.nan)
                for point in rect["annopoints"]["point"].item().ravel():
                    matrix[point["id"].item()] = point["x"].item(), point["y"].item()
                flat.append(matrix)
    return np.array(flat)


@pytest.fixture
def single():
    return [numbers for _, training, _, numbers, _ in IMAGES if not training]


def test_written_predictions_are_what_the_evaluation_reads(root, tmp_path, single):
    records = load_mpii(root, "test")
    keypoints = np.random.default_rng(0).uniform(0, 99, (3, 14, 2))
    keypoints[2, CPM14.index("left_knee")] = np.nan
    path = tmp_path / "new/pred_keypoints_mpii.mat"
    write_mpii_predictions(path, records, keypoints, root=root, parts=CPM14.parts)
    matrix = read_as_the_evaluation(path, single)
    assert matrix.shape == (2, 16, 2)  # (2, 1) and (8, 2)
    for found, expected in zip(matrix, keypoints[[0, 2]], strict=True):
        for name, point in zip(CPM14.parts, expected, strict=True):
            np.testing.assert_array_equal(found[MPII16.index(name)], point + 1)
        assert np.isnan(found[[PELVIS, THORAX]]).all()
    pred = loadmat(path)["pred"]
    names = [image["image"]["name"].item().item() for image in pred[0]]
    assert pred.shape == (1, 4) and names == ["b.jpg", "e.jpg", "g.jpg", "h.jpg"]
    rects = pred[0, 0]["annorect"]
    assert rects.shape == (1, 3) and rects["annopoints"][0, 1].size == 0
    assert rects["annopoints"][0, 2]["point"].item().shape == (1, 14)
    assert rects["scale"][0, 1].item() == 4 and rects["objpos"][0, 2]["x"].item().item() == 91


def test_single_people_are_enough_in_any_order(root, tmp_path, single):
    records = [r for r in load_mpii(root, "test")[::-1] if r.attributes["single_person"]]
    keypoints = np.arange(64.0).reshape(2, 16, 2)
    write_mpii_predictions(tmp_path / "pred.mat", records, keypoints, root=root)
    np.testing.assert_array_equal(
        read_as_the_evaluation(tmp_path / "pred.mat", single), keypoints[::-1] + 1
    )


def test_predictions_that_do_not_fit_are_refused(root, tmp_path):
    path, records = tmp_path / "pred.mat", load_mpii(root, "test")
    keypoints = np.zeros((3, 16, 2))

    def write(records, keypoints, **changes):
        write_mpii_predictions(path, records, keypoints, root=root, **changes)

    with pytest.raises(ValueError, match=r"must be \(3, 16, 2\).*Received: shape \(2, 16, 2\)"):
        write(records, keypoints[:2])
    with pytest.raises(ValueError, match=r"must be \(3, 14, 2\)"):
        write(records, keypoints, parts=CPM14.parts)
    with pytest.raises(ValueError, match=r"`part` must be one of .*part='nose'"):
        write(records, keypoints[:, :1], parts=("nose",))
    with pytest.raises(ValueError, match=r'load_mpii\(root, "test"\)'):
        write(load_mpii(root, "train"), keypoints[:2])
    with pytest.raises(ValueError, match="1 have no prediction, the first is person 2 of image 8"):
        write(records[:2], keypoints[:2])
    assert not list(tmp_path.iterdir())


# With the real detections.mat.


@pytest.fixture(scope="module")
def mpii(data_root):
    if not (data_root / "mpii/detections.mat").is_file():
        pytest.skip("there is no mpii/detections.mat in the folder that KERAS_CPM_DATA names")
    return data_root / "mpii"


@pytest.fixture(scope="module")
def real_validation(mpii):
    return load_mpii(mpii, "validation")


def test_real_validation_people(real_validation):
    assert len(real_validation) == len(set(who(real_validation))) == 2958
    assert len({r.image for r in real_validation}) == 2729
    people = [r.people[0] for r in real_validation]
    assert all(p.center and p.height and p.head_size for p in people)
    visible = np.stack([p.visible for p in people])
    # counted in the file: is_visible 0 or '0'; absent for neck and head
    assert (visible == 1).sum() == 9513 + 730
    assert (visible > 0).sum() == 34722 + 5398 + 4120
    assert (visible[:, [NECK, HEAD]] != 1).all()


def test_real_angles_of_torsos(mpii, real_validation):
    """valid.h5 of eval-mpii-pose has them too, and 0 for people without pelvis or thorax."""
    if not (mpii / "torsoangle_valid.h5").is_file():
        pytest.skip("there is no mpii/torsoangle_valid.h5 in the folder that KERAS_CPM_DATA names")
    with h5py.File(mpii / "torsoangle_valid.h5") as file:
        numbers = np.stack([file["index"][:], file["person"][:]], axis=1) + 1
        expected = file["torsoangle"][:]
    np.testing.assert_array_equal(who(real_validation), numbers)
    found = [r.people[0].attributes.get("torso_angle") for r in real_validation]
    known = np.array([angle is not None for angle in found])
    assert known.sum() == 2857 and not expected[~known].any()
    np.testing.assert_allclose(np.array(found)[known].astype(float), expected[known], atol=1e-4)


def test_real_predictions_of_tompson(mpii, real_validation):
    counted = [part for part in range(16) if part not in (PELVIS, THORAX)]
    predicted = np.stack([r.people[0].keypoints for r in load_mpii(mpii, "tompson")])[:, counted]
    people = [r.people[0] for r in real_validation]
    truth = np.stack([p.keypoints for p in people])[:, counted]
    labelled = np.stack([p.labelled for p in people])[:, counted]
    per_part, total = pckh(predicted, truth, labelled, [p.head_size for p in people])
    assert 100 * total == pytest.approx(82.32, abs=0.005)
    expected = [65.15, 73.40, 82.00, 81.86, 73.24, 65.64, 97.71, 95.50]
    expected += [76.40, 83.37, 92.15, 93.27, 83.36, 77.07]
    np.testing.assert_allclose(100 * per_part, expected, atol=0.005)
