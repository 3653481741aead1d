"""Records to batches: pixels and points move together, and sample k of epoch e is always the
same.
"""

import dataclasses
import gc
import os
import shutil

import numpy as np
import pytest
import tensorflow as tf

from keras_cpm import (
    AugmentSpec,
    Person,
    PoseSpec,
    Record,
    Skeleton,
    build_cpm,
    make_dataset,
    num_steps,
    read_records,
    stage_losses,
    write_records,
)
from keras_cpm.data.photographs import find_unreadable
from keras_cpm.images import sampling
from keras_cpm.pose import codec, geometry

PARTS = ("left", "middle", "right")
SPEC = PoseSpec(Skeleton("trio", PARTS, flip_pairs=(("left", "right"),)), box_size=64, pad_value=0)
POINTS = np.array([[33.25, 40.5], [52.0, 31.75], [60.5, 58.0]])
CENTER, HEIGHT = (48.5, 45.0), 41.0


def write_png(path, pixels):
    path.write_bytes(tf.io.encode_png(np.asarray(pixels, np.uint8)).numpy())
    return path


def paint(points=POINTS, size=(90, 100), sigma=2.5):
    """(h, w, 3): the first part red, the second green, the third blue."""
    y, x = np.mgrid[: size[0], : size[1]]
    d2 = [(x - px) ** 2 + (y - py) ** 2 for px, py in points]
    return np.round(250 * np.exp(-np.stack(d2, axis=-1) / (2 * sigma**2)))


def centroids(image):
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    weights = np.asarray(image, float)
    moments = [(weights * c[..., None]).sum(axis=(0, 1)) for c in (x, y)]
    return np.stack(moments, axis=-1) / weights.sum(axis=(0, 1))[:, None]


def person(points=POINTS, visible=(2, 2, 2), **changes):
    return Person(points, visible, **{"center": CENTER, "height": HEIGHT, **changes})


@pytest.fixture(scope="module")
def painted(tmp_path_factory):
    """Path of a picture with three coloured blobs."""
    return write_png(tmp_path_factory.mktemp("painted") / "blobs.png", paint())


def record(path, *people, parts=PARTS):
    return Record(path, None, parts, people or (person(),))


def batches(records, spec=SPEC, **options):
    return make_dataset(records, spec, **{"stages": 2, "batch_size": 2, **options})


def only(records, **options):
    """Inputs and targets of one sample, without the batch axis."""
    inputs, targets = next(iter(batches(records, batch_size=1, **options)))
    return ({name: value[0].numpy() for name, value in d.items()} for d in (inputs, targets))


def targets_of(records, **options):
    """The targets of each of a few records, by stage, all of one batch."""
    _, targets = next(iter(batches(records, batch_size=len(records), **options)))
    return [
        {name: value[i].numpy() for name, value in targets.items()} for i in range(len(records))
    ]


@pytest.fixture(scope="module")
def greys(tmp_path_factory):
    """Five records; the grey level says which."""
    folder = tmp_path_factory.mktemp("greys")
    pixels = [np.full((90, 100, 3), 40 * i + 40) for i in range(5)]
    return [record(write_png(folder / f"{i}.png", grey)) for i, grey in enumerate(pixels)]


def numbers(inputs):
    """Which records of `greys` a batch holds."""
    return [round(float(level) / 40) - 1 for level in inputs["image"][:, 32, 32, 0]]


# one sample --------------------------------------------------------------------------------------


def test_shapes_and_types(drawn_records):
    spec = PoseSpec(box_size=64)
    dataset = make_dataset(drawn_records, spec, stages=3, batch_size=4)
    inputs, targets = dataset.element_spec
    assert {n: tuple(s.shape) for n, s in inputs.items()} == {
        "image": (None, 64, 64, 3),
        "center_map": (None, 64, 64, 1),
    }
    assert {n: tuple(s.shape) for n, s in targets.items()} == {
        f"stage{t}": (None, 8, 8, 15) for t in (1, 2, 3)
    }
    assert {s.dtype for s in [*inputs.values(), *targets.values()]} == {tf.float32}
    sizes = []
    for inputs, targets in dataset:
        sizes.append(len(inputs["image"]))
        assert all(len(value) == sizes[-1] for value in [*inputs.values(), *targets.values()])
        assert np.min(inputs["image"]) >= 0 and 20 < np.ptp(inputs["image"]) <= 255
    assert sizes == [4, 2]


def test_without_center_map(painted):
    inputs, _ = batches([record(painted)], center_map=False).element_spec
    assert list(inputs) == ["image"]


def test_without_augmentation_everything_moves_by_one_matrix(drawn_records):
    spec = PoseSpec(box_size=64)
    inputs, targets = next(iter(batches(drawn_records, spec, batch_size=len(drawn_records))))
    center_map = codec.encode_center([31.5, 31.5], spec)
    for i, drawn in enumerate(drawn_records):
        first = drawn.people[0]
        matrix = geometry.network_from_image(first.center, first.height, spec)
        pixels = tf.io.decode_jpeg(tf.io.read_file(drawn.image), dct_method="INTEGER_ACCURATE")
        crop = sampling.warp(pixels, matrix, (64, 64), fill=128)
        np.testing.assert_allclose(inputs["image"][i], crop, atol=1e-3)
        np.testing.assert_allclose(inputs["center_map"][i], center_map, atol=1e-5)
        moved = geometry.apply(matrix, first.keypoints)
        expected = codec.encode(moved[None], first.visible[None], spec)
        np.testing.assert_allclose(targets["stage2"][i], expected, atol=1e-5)
        if len(drawn.people) == 1:
            np.testing.assert_allclose(targets["stage1"][i], expected, atol=1e-5)


def test_a_person_far_larger_than_the_box(tmp_path):
    size, points = (720, 1000), 8 * POINTS + 100
    path = tmp_path / "large.jpg"
    picture = np.uint8(paint(points, size, sigma=30))
    path.write_bytes(tf.io.encode_jpeg(picture, quality=98, chroma_downsampling=False).numpy())
    center = tuple(8 * np.array(CENTER) + 100)
    large = record(path, person(points, center=center, height=8 * HEIGHT))
    inputs, targets = only([large])
    matrix = geometry.network_from_image(center, 8 * HEIGHT, SPEC)
    whole = sampling.warp(picture, matrix, (64, 64), fill=0)
    # the decoder makes it four times smaller, not an average
    np.testing.assert_allclose(inputs["image"], whole, atol=4)
    # without the few levels that a JPEG leaves on black
    found, sought = (centroids(np.maximum(image - 10, 0)) for image in (inputs["image"], whole))
    np.testing.assert_allclose(found, sought, atol=0.1)
    expected = codec.encode(geometry.apply(matrix, points)[None], [[2, 2, 2]], SPEC)
    np.testing.assert_allclose(targets["stage2"], expected, atol=1e-5)


def test_one_stage_has_one_target(painted):
    dataset = batches([record(painted)], stages=1)
    assert dataset.element_spec[1].shape.as_list() == [None, 8, 8, 4]
    model = build_cpm(1, SPEC, width=8)
    model.compile("sgd", loss=stage_losses(model), run_eagerly=True)
    history = model.fit(dataset, shuffle=False, verbose=0).history
    assert history["loss"][0] > 1


# several people ----------------------------------------------------------------------------------

OTHER = np.add(POINTS, (12.0, -9.0))


def peaks(target, part):
    return np.count_nonzero(np.asarray(target)[..., part] > 0.5)


def test_stage_1_sees_everybody_and_later_stages_the_primary_person(painted):
    alone, targets = targets_of(
        [record(painted), record(painted, person(), person(OTHER))], stages=3
    )
    np.testing.assert_array_equal(targets["stage2"], alone["stage2"])
    np.testing.assert_array_equal(targets["stage3"], alone["stage2"])
    matrix = geometry.network_from_image(CENTER, HEIGHT, SPEC)
    both = geometry.apply(matrix, np.stack([POINTS, OTHER]))
    expected = codec.encode(both, np.full((2, 3), 2), SPEC)
    np.testing.assert_allclose(targets["stage1"], expected, atol=1e-5)
    assert (targets["stage1"] - alone["stage1"])[..., :3].max() > 0.5


def test_parts_without_label(painted):
    _, targets = only([record(painted, person(visible=(2, 0, 1)))])
    for target in targets.values():
        assert [(target[..., c] == codec.IGNORE).all() for c in range(4)] == [
            False,
            True,
            False,
            True,
        ]
    _, targets = only([record(painted, person(visible=(2, 0, 1)))], missing="zero")
    for target in targets.values():
        assert not target[..., 1].any() and target.min() >= 0
        np.testing.assert_allclose(target[..., 3], 1 - target[..., :3].max(axis=-1), atol=1e-6)


def test_parts_without_label_of_others_count_in_stage_1_if_they_are_in_sight(painted):
    near, far = person(OTHER, (2, 2, 0)), person(OTHER + 300, (2, 2, 0))
    beside, targets = targets_of([record(painted, person(), one) for one in (near, far)])
    assert (beside["stage1"][..., 2] == codec.IGNORE).all()
    assert (beside["stage2"] != codec.IGNORE).all()
    np.testing.assert_array_equal(targets["stage1"], targets["stage2"])


def test_the_primary_person_counts_even_out_of_sight(painted):
    away = person(POINTS + 500, (2, 2, 0))
    _, targets = only([record(painted, away)])
    assert (targets["stage1"][..., 2] == codec.IGNORE).all()
    assert not targets["stage1"][..., 0].any()


# parts by name -----------------------------------------------------------------------------------


def test_parts_are_matched_by_name(painted):
    turned = person(POINTS[[2, 1, 0]])
    more = person(np.concatenate([[[1.0, 2.0]], POINTS]), (2, 2, 2, 2))
    fewer = person(POINTS[:2], (2, 2))
    records = [
        record(painted),
        record(painted, turned, parts=("right", "middle", "left")),
        record(painted, more, parts=("hat", *PARTS)),
        record(painted, fewer, parts=PARTS[:2]),
    ]
    expected, turned, more, fewer = (targets["stage2"] for targets in targets_of(records))
    np.testing.assert_array_equal(turned, expected)
    np.testing.assert_array_equal(more, expected)
    np.testing.assert_array_equal(fewer[..., :2], expected[..., :2])
    assert (fewer[..., 2:] == codec.IGNORE).all()


def test_records_of_different_data_sets_mix(painted):
    records = [record(painted), record(painted, person(POINTS[:1], (2,)), parts=("middle",))]
    _, targets = next(iter(batches(records)))
    ignored = (targets["stage2"].numpy() == codec.IGNORE).all(axis=(1, 2))
    assert ignored.tolist() == [[False] * 4, [True, False, True, True]]


# augmentation ------------------------------------------------------------------------------------


def signed_area(points):
    (ax, ay), (bx, by) = points[1] - points[0], points[2] - points[0]
    return ax * by - ay * bx


def test_pixels_and_points_move_together(painted):
    augment = AugmentSpec(rotation_degrees=40, scale_range=(0.7, 1.3), shift=0.05)
    dataset = batches([record(painted)] * 24, augment=augment, batch_size=24)
    inputs, targets = next(iter(dataset))
    images = inputs["image"].numpy()
    found, _ = codec.decode(targets["stage2"], SPEC)
    flipped = []
    for image, decoded in zip(images, np.asarray(found), strict=True):
        blobs = centroids(image)
        assert blobs.min() > 7 and blobs.max() < 56
        # a mirrored picture turns the triangle over, and its left blob is the right part
        flipped.append(signed_area(blobs) * signed_area(POINTS) < 0)
        expected = blobs[::-1] if flipped[-1] else blobs
        np.testing.assert_allclose(decoded, expected, atol=0.05)
    assert 4 < sum(flipped) < 20
    # the center map shows where the shift put the center
    y, x = np.divmod(inputs["center_map"].numpy().reshape(24, -1).argmax(axis=1), 64)
    shifted = np.hypot(x - 31.5, y - 31.5)
    assert 1 < shifted.max() < 0.05 * 64 * 2**0.5 + 1
    # rotated and scaled, each in its own way
    sides = [np.linalg.norm(np.subtract(*centroids(image)[:2])) for image in images]
    plain = np.linalg.norm(np.subtract(*POINTS[:2])) * SPEC.person_height / HEIGHT
    assert 0.7 < np.min(sides) / plain < 0.85 and 1.15 < np.max(sides) / plain < 1.3


def test_a_flip_mirrors_everything_and_swaps_sides(painted):
    mirrored = AugmentSpec(rotation_degrees=0, scale_range=(1, 1), flip_probability=1)
    records = [record(painted, person(visible=(2, 2, 1)), person(OTHER, (2, 2, 0)))]
    plain_inputs, plain = only(records)
    inputs, targets = only(records, augment=mirrored)
    np.testing.assert_allclose(inputs["image"], plain_inputs["image"][:, ::-1], atol=1e-2)
    np.testing.assert_allclose(inputs["center_map"], plain_inputs["center_map"][:, ::-1], atol=1e-5)
    for name in ("stage1", "stage2"):
        expected = codec.mirror(plain[name][None], SPEC)[0]
        np.testing.assert_allclose(targets[name], expected, atol=1e-5)
    # the other's right is not labelled: in the mirror it is a left
    assert (targets["stage1"][..., 0] == codec.IGNORE).all()


def test_half_a_person_fills_the_box_and_the_rest_teaches_nothing_there(tmp_path):
    parts, points = ("a", "b", "c", "d"), np.float32([[40, 30], [60, 50], [40, 150], [60, 170]])
    colors = np.float32([[250, 0, 0], [0, 250, 0], [0, 0, 250], [250, 250, 0]])
    picture = np.zeros((200, 100, 3), np.float32)
    for (x, y), color in zip(points.astype(int), colors, strict=True):
        picture[y - 6 : y + 7, x - 6 : x + 7] = color
    spec = PoseSpec(Skeleton("four", parts), box_size=64, pad_value=0)
    whole = Person(points, (2,) * 4, center=(50, 100), height=180)
    records = [record(write_png(tmp_path / "four.png", picture), whole, parts=parts)] * 12
    augment = AugmentSpec(0.0, (1.0, 1.0), 0.0, half_body_probability=1.0)
    inputs, targets = next(iter(batches(records, spec, batch_size=12, augment=augment)))
    seen = {"ab": 0, "cd": 0}
    for image, beliefs in zip(inputs["image"].numpy(), targets["stage2"].numpy(), strict=True):
        found, peaks = codec.decode(beliefs[None], spec)
        here = np.asarray(peaks)[0] > 0.5
        seen["".join(np.array(parts)[here])] += 1
        assert np.asarray(peaks)[0][~here].max() == 0
        for part in np.flatnonzero(here):
            column, row = np.round(np.asarray(found)[0, part]).astype(int)
            np.testing.assert_allclose(image[row, column], colors[part], atol=1)
    assert min(seen.values()) >= 2
    middles = inputs["center_map"].numpy().reshape(12, -1).argmax(axis=1)
    assert set(middles) <= {31 * 64 + 31, 31 * 64 + 32, 32 * 64 + 31, 32 * 64 + 32}


def test_beyond_the_end_of_a_photograph_is_padding_and_no_part(tmp_path):
    points = np.float32([[20, 20], [60, 60], [30, 100], [80, 140]])
    spec = PoseSpec(Skeleton("four", tuple("abcd")), box_size=64, person_height=30.0, pad_value=7)
    whole = Person(points, (2, 2, 2, 0), center=(50, 80), height=120)
    white = write_png(tmp_path / "white.png", np.full((160, 100, 3), 255))
    records = [record(white, whole, parts=tuple("abcd"))] * 40
    augment = AugmentSpec(0.0, (1.0, 1.0), 0.0, cut_probability=0.9, color=0.1)
    inputs, targets = next(iter(batches(records, spec, batch_size=40, augment=augment)))
    matrix = geometry.network_from_image((50, 80), 120, spec)
    columns, rows = np.round(geometry.apply(matrix, points)).astype(int).T
    ends = set()
    for image, beliefs in zip(inputs["image"].numpy(), targets["stage2"].numpy(), strict=True):
        padding = (image == 7).all(axis=-1)
        peaks = beliefs[..., :3].max(axis=(0, 1))
        for x, y, peak in zip(columns, rows, peaks, strict=False):
            around = padding[y - 1 : y + 2, x - 1 : x + 2]
            # where the line goes through its pixels, either may be
            assert peak > 0.4 if not around.any() else peak == 0 or not around.all()
        assert (beliefs[..., 3] == codec.IGNORE).all()
        # what a whole photograph shows: 25 columns and 40 rows
        sides = padding[32, 20], padding[32, 43], padding[13, 32], padding[50, 32]
        ends.add(sides if any(sides) else None)
    left, right, above, below = (tuple(i == side for i in range(4)) for side in range(4))
    assert {left, right, above, below, None} <= ends


@pytest.mark.slow
def test_colours_of_a_batch_differ_and_are_those_of_its_seed(greys):
    augment = AugmentSpec(0.0, (1.0, 1.0), 0.0, color=0.5)
    levels = [
        next(iter(batches([greys[2]] * 8, batch_size=8, augment=augment, seed=seed)))[0]["image"]
        .numpy()[:, 32, 32]
        .round(2)
        .tolist()
        for seed in (1, 1, 2)
    ]
    assert levels[0] == levels[1] != levels[2] and len({tuple(c) for c in levels[0]}) == 8


# order, epochs and resuming ----------------------------------------------------------------------

AUGMENT = AugmentSpec(shift=0.02)


def stream(records, steps=None, **options):
    """Everything in the first `steps` batches, in one array a sample."""
    dataset = batches(records, augment=AUGMENT, **options)
    dataset = dataset if steps is None else dataset.take(steps)
    return [
        np.concatenate(
            [inputs["center_map"][i].numpy().ravel(), inputs["image"][i].numpy().ravel()]
        )
        for inputs, _ in dataset
        for i in range(len(inputs["image"]))
    ]


@pytest.mark.parametrize(
    "count, batch_size, shuffle, steps, sizes",
    [
        (5, 2, False, 3, [2, 2, 1]),
        (5, 2, True, 2, [2, 2]),
        (4, 2, False, 2, [2, 2]),
        (3, 4, True, 1, [3]),
    ],
)
def test_steps_of_an_epoch_and_the_last_batch(greys, count, batch_size, shuffle, steps, sizes):
    assert num_steps(count, batch_size, shuffle) == steps
    dataset = batches(greys[:count], batch_size=batch_size, shuffle=shuffle)
    assert dataset.cardinality() == steps
    assert [len(inputs["image"]) for inputs, _ in dataset] == sizes


def test_without_shuffle_records_come_in_their_order(greys):
    dataset = batches(greys)
    for _ in range(2):
        assert [n for inputs, _ in dataset for n in numbers(inputs)] == [0, 1, 2, 3, 4]


def test_shuffle_takes_every_record_once_an_epoch_in_another_order(greys):
    dataset = batches(greys, batch_size=1, shuffle=True)
    orders = [tuple(n for inputs, _ in dataset for n in numbers(inputs)) for _ in range(4)]
    assert all(sorted(order) == [0, 1, 2, 3, 4] for order in orders)
    assert len(set(orders)) == 4
    # what an incomplete last batch leaves out is not always the same
    dataset = batches(greys, shuffle=True)
    taken = [frozenset(n for inputs, _ in dataset for n in numbers(inputs)) for _ in range(4)]
    assert all(len(numbers) == 4 for numbers in taken) and len(set(taken)) > 1


@pytest.mark.slow
@pytest.mark.parametrize("shuffle", [False, True])
def test_every_pass_and_every_sample_differ_and_the_seed_tells_all(painted, shuffle):
    records = [record(painted)] * 4
    dataset = batches(records, augment=AUGMENT, shuffle=shuffle, seed=3)
    gc.collect()  # the count of passes belongs to the dataset
    seen = [inputs["image"].numpy() for _ in range(3) for inputs, _ in dataset]
    samples = np.concatenate(seen).reshape(12, -1)
    assert len(np.unique(samples, axis=0)) == 12
    again = stream(records, shuffle=shuffle, seed=3)
    np.testing.assert_array_equal([s[64 * 64 :] for s in again], samples[:4])
    other = stream(records, shuffle=shuffle, seed=4)
    assert not np.array_equal(other, again)


@pytest.mark.slow
@pytest.mark.parametrize("count, shuffle", [(5, False), (5, True), (1, True)])
def test_the_stream_can_be_entered_anywhere(greys, count, shuffle):
    options = {"shuffle": shuffle, "seed": 1}
    whole = stream(greys[:count], 8, first_step=0, **options)
    assert len(whole) == 16  # never an incomplete batch
    assert len(np.unique(whole, axis=0)) == 16
    for first in (1, 3, 4):
        found = stream(greys[:count], 8 - first, first_step=first, **options)
        np.testing.assert_array_equal(found, whole[2 * first :])


def test_an_epoch_of_the_stream_holds_every_record(greys):
    dataset = batches(greys, first_step=0).take(6)
    assert [numbers(inputs) for inputs, _ in dataset] == [[0, 1], [2, 3], [4, 0]] * 2


def test_passes_are_the_epochs_of_the_stream(greys):
    options = {"shuffle": True, "seed": 5, "augment": AUGMENT}
    dataset = batches(greys, **options)
    passes = [inputs["image"].numpy() for _ in range(3) for inputs, _ in dataset]
    endless = batches(greys, first_step=0, **options).take(3 * num_steps(5, 2, True))
    np.testing.assert_array_equal(passes, [inputs["image"].numpy() for inputs, _ in endless])


# files -------------------------------------------------------------------------------------------


def test_labels_of_turned_photographs_are_upright(tmp_path, painted):
    Image = pytest.importorskip("PIL.Image", reason="Pillow writes turned pictures")
    turn = Image.Transpose
    stored_as = {
        2: turn.FLIP_LEFT_RIGHT,
        3: turn.ROTATE_180,
        4: turn.FLIP_TOP_BOTTOM,
        5: turn.TRANSPOSE,
        6: turn.ROTATE_90,
        7: turn.TRANSVERSE,
        8: turn.ROTATE_270,
    }
    records = [record(painted)]
    for orientation, transpose in stored_as.items():
        picture = Image.fromarray(paint().astype(np.uint8)).transpose(transpose)
        exif = picture.getexif()
        exif[0x0112] = orientation
        records.append(record(tmp_path / f"{orientation}.png"))
        picture.save(records[-1].image, exif=exif)
    inputs, targets = next(iter(batches(records, batch_size=8)))
    images, beliefs = inputs["image"].numpy(), targets["stage2"].numpy()
    for i in range(1, 8):
        np.testing.assert_allclose(images[i], images[0], atol=0.02)
        np.testing.assert_array_equal(beliefs[i], beliefs[0])


def test_no_records():
    with pytest.raises(ValueError, match="`records` must hold at least one"):
        batches([])


def test_missing_files_are_counted_and_the_first_is_named(painted, tmp_path):
    gone = [record(tmp_path / name) for name in ("one.jpg", "two.jpg")]
    with pytest.raises(FileNotFoundError, match=r"2 of 3 images are missing.*one\.jpg"):
        batches([record(painted), *gone])


def test_no_part_in_common(painted):
    stranger = record(painted, person(POINTS[:1], (2,)), parts=("tail",))
    with pytest.raises(ValueError, match=r"Record 1 .*blobs\.png.* 'trio'.*Received: \['tail'\]"):
        batches([record(painted), stranger])


def test_nothing_says_where_the_person_is(painted):
    lost = dataclasses.replace(record(painted, person(center=None)), size=None)
    with pytest.raises(ValueError, match=r"Record 1 .*blobs\.png.*nothing says where"):
        batches([record(painted), lost])
    # only of the primary person
    batches([record(painted, person(), person(center=None))])


def test_find_unreadable(painted, tmp_path):
    assert find_unreadable([record(painted)]) is None
    cut = tmp_path / "cut.png"
    cut.write_bytes(painted.read_bytes()[:200])
    sentence = find_unreadable([record(painted), record(cut)])
    assert str(cut) in sentence and "cut off" in sentence


def test_a_spec_without_background_and_with_another_box(painted):
    spec = dataclasses.replace(SPEC, background=False, box_size=96, person_height=61.0)
    inputs, targets = only([record(painted)], spec=spec)
    assert inputs["image"].shape == (96, 96, 3) and targets["stage2"].shape == (12, 12, 3)
    found, _ = codec.decode(targets["stage2"][None], spec)
    np.testing.assert_allclose(found[0], centroids(inputs["image"]), atol=0.05)


@pytest.mark.skipif(os.sep != "/", reason="a system whose names are always text")
def test_a_photograph_whose_name_is_in_another_encoding(drawn_records, tmp_path, tiny_spec):
    """Latin-1, as old archives unpack: records name it, the pipeline reads it."""
    names = [tmp_path / "plain.jpg", tmp_path / os.fsdecode(b"caf\xe9.jpg")]
    for name in names:
        shutil.copy(drawn_records[0].image, name)
    records = [dataclasses.replace(drawn_records[0], image=name) for name in names]
    write_records(records, tmp_path / "r.jsonl")
    records = read_records(tmp_path / "r.jsonl")
    assert [record.image for record in records] == [str(name) for name in names]
    ((inputs, _),) = make_dataset(records, tiny_spec, stages=1, batch_size=2, shuffle=False)
    np.testing.assert_array_equal(*inputs["image"])


@pytest.mark.slow
def test_processes_read_their_pieces_of_the_same_batches(drawn_records):
    """As `jax.process_index` numbers them; what pads the last batch of a pass has no weight."""
    options = {"stages": 2, "batch_size": 4}
    spec = PoseSpec(box_size=64)

    def batches(steps=None, **changes):
        dataset = make_dataset(drawn_records, spec, **options, **changes)
        return [tuple(batch) for batch in dataset.take(steps or -1)]

    learnt = {"shuffle": True, "seed": 3, "first_step": 1, "augment": AugmentSpec(), "steps": 3}
    pieces = [batches(share=(i, 2), **learnt) for i in range(2)]
    for whole, *parts in zip(batches(**learnt), *pieces, strict=True):
        images = [np.asarray(part[0]["image"]) for part in parts]
        np.testing.assert_array_equal(np.concatenate(images), whole[0]["image"])
    weights = [[np.asarray(batch[2]) for batch in batches(share=(i, 2))] for i in range(2)]
    weights = np.concatenate([np.concatenate(step) for step in zip(*weights, strict=True)])
    np.testing.assert_allclose(weights, [8 / 6] * 6 + [0, 0])
