"""The frame of a record's crop, and the record in it."""

import dataclasses
import math

import numpy as np
import pytest

from keras_cpm import PoseSpec, Record
from keras_cpm.data import crop, placement
from keras_cpm.images import sampling
from keras_cpm.pose import geometry
from tests.data.waves import PARTS, SIZE, SPEC, person, smooth

FRAMES = [
    ((210.0, 150.0), 100.0, 1.5),
    ((211.3, 148.8), 60.5, 2.25),
    ((5.0, 290.0), 80.0, 2.25),
    ((210.0, 150.0), 500.0, 2.25),
    ((400.0, 20.0), 777.7, 1.0),
    ((209.5, 149.5), 300.0, math.inf),
]


@pytest.mark.parametrize(("center", "height", "margin"), FRAMES)
def test_the_frame_against_edges_counted_by_hand(center, height, margin):
    """Where the corners of pixels go, in doubles, without matrices."""
    matrix, (rows, columns) = crop.crop_from_image(center, height, SIZE, SPEC, margin=margin)
    half = margin / 2 * 64 * height / SPEC.person_height
    factor = min(1.0, SPEC.person_height / height)
    top = max(0, math.floor(center[1] + 0.5 - half)) if half < 1e9 else 0
    bottom = min(300, math.ceil(center[1] + 0.5 + half)) if half < 1e9 else 300
    left = max(0, math.floor(center[0] + 0.5 - half)) if half < 1e9 else 0
    right = min(420, math.ceil(center[0] + 0.5 + half)) if half < 1e9 else 420
    assert rows == round((bottom - top) * factor)
    factor = rows / (bottom - top)
    assert 0 <= (right - left) * factor - columns < 1
    if factor == 1:
        assert columns == right - left
    for x, y in [(0, 0), (419, 299), (210.25, 150.5), center]:
        across = columns / 2 + ((x + 0.5) - (left + right) / 2) * factor - 0.5
        down = (y + 0.5 - top) * factor - 0.5
        np.testing.assert_allclose(geometry.apply(matrix, (x, y)), (across, down), atol=1e-3)


def test_a_crop_without_a_resize_is_the_pixels():
    matrix, size = crop.crop_from_image((99.7, 80.2), 30.0, SIZE, SPEC, margin=2.0)
    x, y = (-matrix.numpy()[:2, 2]).astype(int)
    kept = sampling.shrink(smooth(), matrix, size)
    np.testing.assert_allclose(kept, smooth()[y : y + size[0], x : x + size[1]], atol=1e-3)


def test_a_small_picture_shows_what_was_there():
    """The waves at the places that the matrix says."""
    matrix, size = crop.crop_from_image((200, 160), 130.0, SIZE, SPEC, margin=2.25)
    assert matrix[0, 0] < 0.4
    x, y = (v.numpy() for v in geometry.apply_to_grid(geometry.invert(matrix), size))
    waves = [np.sin(x / 31), np.cos(y / 27), np.sin((x + y) / 43)]
    expected = 127.5 + 100 * np.stack(waves, axis=-1)
    difference = np.abs(sampling.shrink(smooth(), matrix, size) - expected)
    inside = (x > 4) & (x < 415) & (y > 4) & (y < 295)
    assert difference[inside].max() < 1.5


def test_a_record_in_its_crop():
    record = Record("a.jpg", SIZE, PARTS, (person(box=(10, 20, 300, 280)), person((30, 40), 50)))
    matrix, cropped = crop.crop_record(record, SPEC, 2.25)
    assert cropped.size[0] < 300 and cropped.people[0].height < 100
    assert cropped.attributes["packed_from"]["image"] == "a.jpg"
    scale, (x, y) = float(matrix[0, 0]), matrix.numpy()[:2, 2]
    for before, after in zip(record.people, cropped.people, strict=True):
        moved = before.keypoints[before.labelled] * scale + (x, y)
        np.testing.assert_allclose(after.keypoints[after.labelled], moved, atol=0.01)
        assert (after.keypoints[~after.labelled] == before.keypoints[~before.labelled]).all()
        np.testing.assert_allclose(
            after.center, np.array(before.center) * scale + (x, y), atol=0.01
        )
        np.testing.assert_allclose(after.height, before.height * scale, atol=0.01)
        np.testing.assert_allclose(after.head_size, before.head_size * scale, atol=0.01)
    marked = dataclasses.replace(record.people[0], attributes={"area": 700.0, "pose": "side"})
    _, again = crop.crop_record(dataclasses.replace(record, people=(marked,)), SPEC, 2.25)
    assert again.people[0].attributes == {"area": pytest.approx(700 * scale**2), "pose": "side"}
    box = [10 * scale + x, 20 * scale + y, 300 * scale + x, 280 * scale + y]
    np.testing.assert_allclose(cropped.people[0].box, box, atol=0.01)
    sides = np.array(cropped.size[::-1])
    points = cropped.people[0].keypoints[:-1]
    assert (points > -0.5).all() and (points < sides - 0.5).all()


@pytest.mark.parametrize("size", [SIZE, (301, 423), (97, 31)])
def test_who_fills_the_photograph_still_does(size):
    nowhere = dataclasses.replace(person(), center=None, height=None)
    record = Record("a.jpg", size, PARTS, (nowhere,))
    spec = PoseSpec(box_size=32)
    matrix, cropped = crop.crop_record(record, spec, 2.25)
    assert matrix[0, 0] < 1 and cropped.people[0].center is None
    assert abs(cropped.size[1] - cropped.size[0] * size[1] / size[0]) < 1
    before, after = (
        geometry.network_from_image(*placement.where_is(r), spec) for r in (record, cropped)
    )
    corners = geometry.apply(geometry.invert(geometry.compose(after, matrix)), [[0, 0], [31, 31]])
    np.testing.assert_allclose(geometry.apply(before, corners), [[0, 0], [31, 31]], atol=0.01)


def test_the_default_margin_has_room_for_every_augmented_box():
    """The farthest corner of all boxes that the default augmentation, shifted by 0.05, can show."""
    spec, height = PoseSpec(), 200.0
    reach = 2.25 / 2 * spec.box_size * height / spec.person_height
    corners = geometry.box_corners(spec).numpy() + [
        [-0.5, -0.5],
        [0.5, -0.5],
        [-0.5, 0.5],
        [0.5, 0.5],
    ]
    for degrees in (0, 20, 40):
        for shift in ((0.05, 0.05), (-0.05, 0.05), (0.05, -0.05), (-0.05, -0.05)):
            matrix = geometry.network_from_image(
                (0.0, 0.0),
                height,
                spec,
                rotation=math.radians(degrees),
                scale=0.7,
                shift=np.array(shift) * spec.box_size,
            )
            assert np.abs(geometry.apply(geometry.invert(matrix), corners)).max() <= reach
