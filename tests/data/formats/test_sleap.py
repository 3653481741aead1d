"""Labels of SLEAP and DeepLabCut, written by sleap-io or as DeepLabCut does, are read to 0.01
pixels.
"""

import shutil
import sys

import cv2
import numpy as np
import pytest

from keras_cpm import labels_skeleton, load_labels
from tests.data.formats.tools import (
    ANIMALS,
    MISSING,
    PARTS,
    SIZE,
    assert_same,
    make_labels,
    sio,
    write_photographs,
)

LIMBS = (("snout", "ear_left"), ("snout", "ear_right"), ("snout", "tail"))


@pytest.fixture
def images(tmp_path):
    return write_photographs(tmp_path / "mice")


@pytest.fixture
def slp(tmp_path, images):
    labels = make_labels(sio.Video.from_filename([str(path) for path in images]))
    labels.save(str(tmp_path / "mice.slp"))
    return tmp_path / "mice.slp"


def test_a_slp_file_of_photographs(slp, images):
    records = load_labels(slp, split="test")
    assert_same(records)
    assert [r.image for r in records] == [str(images[i]) for i in (0, 0, 1)]
    assert {(r.split, r.dataset) for r in records} == {("test", "sleap")}
    person = records[2].people[0]
    assert person.center == ((12 + 55.5) / 2, (17.25 + 33) / 2) and person.height == 43.5
    skeleton = labels_skeleton(slp)
    assert (skeleton.name, skeleton.parts, skeleton.limbs) == ("mouse", PARTS, LIMBS)
    assert skeleton.flip_pairs == (("ear_left", "ear_right"),)


def test_mirror_pairs_are_symmetries_or_else_told_by_names(tmp_path, images):
    video = sio.Video.from_filename([str(path) for path in images])
    for symmetries, pair in (((), ("ear_right", "ear_left")), ([("snout", "tail")], PARTS[::3])):
        make_labels(video, symmetries=symmetries).save(str(tmp_path / "a.slp"))
        assert labels_skeleton(tmp_path / "a.slp").flip_pairs == (pair,)


def test_photographs_are_found_where_the_labels_went(slp, images, tmp_path):
    moved = tmp_path / "elsewhere"
    shutil.move(tmp_path / "mice", moved / "mice")
    with pytest.raises(FileNotFoundError, match=r"There is no .*img000.png.*`images`"):
        load_labels(slp)
    assert load_labels(slp, images=moved)[0].image == str(moved / "mice/img000.png")
    shutil.move(slp, moved)
    assert_same(load_labels(moved / "mice.slp"))


def test_predictions_and_hidden_points_are_no_labels(tmp_path, images):
    labels = make_labels(sio.Video.from_filename([str(path) for path in images]))
    first, second = labels[0].instances
    labels[0].instances[1] = sio.PredictedInstance.from_numpy(
        second.numpy(), skeleton=labels.skeleton, point_scores=np.ones(4), score=0.9
    )
    first.points["visible"][0] = False
    labels.save(str(tmp_path / "a.slp"))
    with pytest.warns(UserWarning, match="1 predicted figures are left out"):
        records = load_labels(tmp_path / "a.slp")
    hidden = [MISSING, *ANIMALS[0][0][1:]]
    assert_same(records, [[hidden], ANIMALS[1]])
    labels[0].instances = labels[0].instances[1:]
    labels[1].instances = []
    labels.save(str(tmp_path / "b.slp"))
    with pytest.raises(ValueError, match="no figure that somebody labelled, and 1 predicted"):
        load_labels(tmp_path / "b.slp")


def write_video(path, colors):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 25, SIZE[::-1])
    for color in colors:
        writer.write(np.full((*SIZE, 3), color, np.uint8))
    writer.release()


@pytest.mark.parametrize("embedded", [False, True])
def test_frames_of_videos_become_photographs(tmp_path, embedded):
    write_video(tmp_path / "run.avi", [(250, 0, 0), (0, 0, 250)])  # blue, red
    labels = make_labels(sio.Video.from_filename(str(tmp_path / "run.avi")))
    path = tmp_path / ("a.pkg.slp" if embedded else "a.slp")
    labels.save(str(path), embed="user" if embedded else False)
    if embedded:
        (tmp_path / "run.avi").unlink()
    with pytest.raises(ValueError, match=r"frames of the video run.avi; .*`frames`"):
        load_labels(path)
    for _ in range(2):  # ours are replaced
        records = load_labels(path, frames=tmp_path / "frames")
    assert_same(records)
    names = [str(tmp_path / f"frames/run-00000{i}.png") for i in (0, 0, 1)]
    assert [r.image for r in records] == names
    blue, red = (cv2.imread(names[i])[30, 50] for i in (0, 2))
    assert blue[0] > 200 and blue[2] < 50 and red[2] > 200 and red[0] < 50
    cv2.imwrite(names[0], np.zeros((9, 9, 3), np.uint8))
    with pytest.raises(ValueError, match="is there, and no frame of ours"):
        load_labels(path, frames=tmp_path / "frames")


def test_figures_of_two_kinds(tmp_path, images):
    labels = make_labels(sio.Video.from_filename([str(path) for path in images]))
    fly = sio.Skeleton(["head", "wing"])
    labels[1].instances.append(sio.Instance.from_numpy(np.ones((2, 2)), skeleton=fly))
    labels = sio.Labels(labels.labeled_frames)
    labels.save(str(tmp_path / "a.slp"))
    with pytest.raises(ValueError, match="figures of 2 skeletons; save a file for each"):
        load_labels(tmp_path / "a.slp")


def test_a_damaged_file(tmp_path, slp):
    slp.write_bytes(slp.read_bytes()[:3000])
    with pytest.raises(ValueError, match=r"mice.slp cannot be read .*export the labels again"):
        load_labels(slp)


def test_without_sleap_io(slp, monkeypatch):
    monkeypatch.setitem(sys.modules, "sleap_io", None)
    with pytest.raises(ImportError, match=r"need sleap-io: pip install 'keras-cpm\[labels\]'"):
        load_labels(slp)


def write_deeplabcut(project, video, figures, individuals=None, split_path=True):
    """A folder of a project as DeepLabCut writes it: three columns of path, or one."""
    folder = project / "labeled-data" / video
    images = write_photographs(folder, len(figures))
    names = individuals or [None]
    heads = [(who, part, axis) for who in names for part in PARTS for axis in "xy"]
    blank = [""] * (3 if split_path else 1)
    rows = [["scorer", *blank[1:], *["me"] * len(heads)]]
    rows += [["individuals", *blank[1:], *[h[0] for h in heads]]] if individuals else []
    rows += [["bodyparts", *blank[1:], *[h[1] for h in heads]]]
    rows += [["coords", *blank[1:], *[h[2] for h in heads]]]
    for image, people in zip(images, figures, strict=True):
        place = ["labeled-data", video, image.name]
        values = np.full((len(names), 4, 2), np.nan)
        values[: len(people)] = people
        numbers = ["" if np.isnan(v) else str(v) for v in values.ravel()]
        rows.append([*(place if split_path else ["/".join(place)]), *numbers])
    table = folder / "CollectedData_me.csv"
    table.write_text("\n".join(",".join(row) for row in rows) + "\n")
    kind = "multianimalbodyparts" if individuals else "bodyparts"
    (project / "config.yaml").write_text(
        f"Task: mice\nscorer: me\nvideo_sets: {{}}\n{kind}: [{', '.join(PARTS)}]\n"
        "skeleton:\n- [snout, ear_left]\n- [snout, tail]\n"
    )
    return table


SINGLE = [[ANIMALS[0][0]], [ANIMALS[1][0]]]


@pytest.mark.parametrize("split_path", [True, False])
@pytest.mark.parametrize("individuals", [None, ["a", "b"]])
def test_a_project_of_deeplabcut(tmp_path, individuals, split_path):
    figures = ANIMALS if individuals else SINGLE
    for video in ("day", "night"):
        table = write_deeplabcut(tmp_path, video, figures, individuals, split_path)
    for path in (tmp_path, tmp_path / "config.yaml"):
        records = load_labels(path)
        assert_same(records, figures * 2)
        assert {record.image.split("/")[-2] for record in records} == {"day", "night"}
    assert records[0].dataset == "deeplabcut"
    assert_same(load_labels(table), figures)
    skeleton = labels_skeleton(table)
    assert skeleton.limbs == (("snout", "ear_left"), ("snout", "tail"))
    assert skeleton.flip_pairs == (("ear_right", "ear_left"),) and skeleton.name == "mice"


def test_the_h5_of_deeplabcut_is_read_from_the_csv_beside_it(tmp_path):
    table = write_deeplabcut(tmp_path, "day", SINGLE)
    table.with_suffix(".h5").write_bytes(b"\x89HDF pickles are programs")
    assert_same(load_labels(table.with_suffix(".h5")), SINGLE)
    table.unlink()
    with pytest.raises(FileNotFoundError, match=r"CollectedData_me.csv.*is missing"):
        load_labels(table.with_suffix(".h5"))


@pytest.mark.parametrize("which", ["first", "all"])
def test_no_label_comes_to_another_photograph(tmp_path, which):
    """sleap-io leaves missing photographs out, and counts on."""
    for video in ("day", "night"):
        table = write_deeplabcut(tmp_path, video, SINGLE)
    for image in sorted(table.parent.glob("*.png"))[: 1 if which == "first" else 2]:
        image.unlink()
    for path in (tmp_path, table):
        with pytest.raises(
            FileNotFoundError, match=r"night/CollectedData_me.csv labels are missing"
        ):
            load_labels(path)


def test_a_table_of_something_else(tmp_path):
    (tmp_path / "a.csv").write_text("x,y\n1,2\n")
    with pytest.raises(ValueError, match='must begin with "scorer"'):
        load_labels(tmp_path / "a.csv")
