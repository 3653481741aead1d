"""Photographs of nobody teach that no part is there, and nothing else."""

import zipfile

import pytest

import keras_cpm
from keras_cpm.data.formats.nobody import load_nobody


@pytest.fixture
def folder(tmp_path):
    keras_cpm.draw_records(tmp_path / "empty", 3)
    return tmp_path / "empty"


def test_every_belief_is_zero_and_all_is_background(folder):
    spec = keras_cpm.PoseSpec(box_size=64)
    dataset = keras_cpm.make_dataset(load_nobody(folder), spec, stages=2, batch_size=3)
    inputs, targets = next(iter(dataset))
    for stage in ("stage1", "stage2"):
        beliefs = targets[stage].numpy()
        assert (beliefs[..., :-1] == 0).all() and (beliefs[..., -1] == 1).all()
    assert inputs["image"].numpy().std() > 1 and inputs["center_map"].numpy().max() > 0.9


def test_a_zip_has_the_same_places_as_its_folder(folder):
    with zipfile.ZipFile(folder.parent / "a.zip", "w") as file:
        for path in sorted(folder.glob("*.jpg")):
            file.write(path, path.name)
        file.writestr("notes.txt", "none")
    ours, packed = load_nobody(folder), load_nobody(folder.parent / "a.zip")
    assert [r.people[0].center for r in ours] == [r.people[0].center for r in packed]
    assert packed[1].image.endswith("a.zip/" + ours[1].image.rsplit("/")[-1])
    for record in ours:
        (x, y), height = record.people[0].center, record.people[0].height
        assert 0.2 <= x / record.size[1] <= 0.8 and 0.2 <= y / record.size[0] <= 0.8
        assert 0.3 <= height / record.size[0] <= 1.1
    others = load_nobody(folder, seed=1)
    assert ours[0].people[0].height != others[0].people[0].height


def test_nothing_to_learn_from(tmp_path):
    for root in (tmp_path, tmp_path / "none"):
        with pytest.raises(FileNotFoundError, match="There is no photograph in"):
            load_nobody(root)
