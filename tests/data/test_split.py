"""People are held out by whole photographs, always the same ones."""

import dataclasses

import numpy as np
import pytest

from keras_cpm import Person, Record
from keras_cpm.data.split import hold_out

PERSON = Person([(5, 4)], [2], center=(5, 5), height=8)


def record(name, **attributes):
    return Record(f"/photographs/{name}", (9, 9), ("nose",), (PERSON,), attributes=attributes)


ORDER = ("0.jpg", "1.jpg", "2.jpg", "3.jpg", "4.jpg")


def names(records):
    return [record.image.rsplit("/")[-1] for record in records]


def test_whole_photographs_until_there_are_enough():
    records = [record(name) for name in ORDER for _ in range(3)]
    fit, held = hold_out(records, 4)
    assert len(held) == 6 and len(fit) == 9
    assert not set(names(fit)) & set(names(held))
    # each in its order
    assert names(fit) == sorted(names(fit)) and names(held) == sorted(names(held))


def test_neither_order_nor_folder_nor_further_people_change_who():
    records = [record(name) for name in ORDER]
    _, held = hold_out(records, 2)
    shuffled = [records[i] for i in np.random.default_rng(0).permutation(len(records))]
    assert set(names(hold_out(shuffled, 2)[1])) == set(names(held))
    moved = [
        dataclasses.replace(one, image=one.image.replace("/photographs", "C:\\elsewhere"))
        for one in records
    ]
    assert set(names(hold_out(moved, 2)[1])) == set(names(held))
    assert set(names(held)) < set(names(hold_out(records, 3)[1]))


def test_crops_of_one_photograph_stay_together():
    packed = [
        record(f"shard-00000.zip/{i}.jpg", packed_from={"image": f"people/{i // 2}.jpg"})
        for i in range(8)
    ]
    fit, held = hold_out(packed, 1)
    assert len(held) == 2
    first, second = (int(name[:-4]) for name in names(held))
    assert first // 2 == second // 2 and len(fit) == 6


def test_somebody_must_be_left():
    with pytest.raises(ValueError, match=r"`count` must leave somebody.*Received: 5 of 5 people"):
        hold_out([record(name) for name in ORDER], 5)
