"""Records to a tf.data pipeline of `({"image", "center_map"}, {"stage1": ..., "stageT": ...})`.

One sample walks through four steps: pick -> look up -> place -> read; the rest of the targets is
made for the whole batch. It is placed before its file is read, so that no more is decoded than the
box shows; packed photographs are in memory and no file is touched. Sample k of epoch e is a pure
function of (seed, e, k): the order, the augmentation and so the training can be resumed at any
step.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from ..images import crop, decode, shards
from ..pose import codec, geometry
from ..pose.spec import PoseSpec
from . import appearance
from .augment import AugmentSpec, draw_augmentation
from .photographs import Photographs
from .placement import (
    end_of_photograph,
    half_of,
    is_placed,
    keypoints_of,
    where_is,
    without_beyond,
)
from .records import Record

# fewer labelled parts have no halves
_PARTS_TO_HALVE = 4
# of the person's height: what is nearer shows skin
_SMALLEST_HALF = 0.3
_NO_END = np.iinfo(np.int64).max


def make_dataset(
    records: Sequence[Record],
    spec: PoseSpec,
    *,
    stages: int,
    batch_size: int,
    augment: AugmentSpec | None = None,
    shuffle: bool = False,
    seed: int = 0,
    first_step: int | None = None,
    missing: str = "ignore",
    center_map: bool = True,
    share: tuple[int, int] | None = None,
) -> tf.data.Dataset:
    """Makes the batches that `model.fit` takes.

    Args:
        records: list of `Record`; `people[0]` of each is the person of the sample. Parts are
            matched by name.
        spec: `PoseSpec` of the model.
        stages: number of stages, T.
        batch_size: samples a step.
        augment: `AugmentSpec`, or `None` for no randomness.
        shuffle: a new order each epoch; the last, incomplete batch of an epoch is then left out.
        seed: of order and augmentation.
        first_step: `None`: one pass over the dataset is one epoch, and each pass is the next epoch,
            so that `fit(dataset, epochs=n)` sees new augmentations every epoch. A number: an
            endless stream that starts at that step of the training, to be used with
            `steps_per_epoch=num_steps(...)`.
        missing: what a part without label teaches; see `codec.encode`.
        center_map: whether the model has that input.
        share: number of this process and of all that train together, which must divide
            `batch_size`: each reads its piece of every batch, in the order of the processes. All
            batches are whole then: what lacks at the end of a pass comes from its start and has no
            weight; the weights of the others make up for it, so that a mean over samples stays
            what it is.

    Returns:
        `tf.data.Dataset` of (inputs, targets): "image" (B, H, W, 3) float32 RGB 0..255,
        "center_map" (B, H, W, 1), "stage1" (B, h, w, C) with everybody's peaks, "stage2".. with the
        primary person's only. With `stages=1` the target is that of "stage1" itself, as Keras wants
        it. With `share` and without `shuffle` there is a third: (B,) weights of the samples.

    Raises:
        ValueError, FileNotFoundError: no records, no part in common, a person without centre or
            height, a missing image, a damaged shard.

    Example:
        >>> import tempfile
        >>> from keras_cpm import PoseSpec, draw_records, make_dataset
        >>> records = draw_records(tempfile.mkdtemp(), 4)
        >>> dataset = make_dataset(records, PoseSpec(box_size=64), stages=2, batch_size=2)
        >>> inputs, targets = next(iter(dataset))
        >>> inputs["image"].shape.as_list(), targets["stage2"].shape.as_list()
        ([2, 64, 64, 3], [2, 8, 8, 15])
    """
    check_records(records, spec)
    table = _Table(records, spec)

    # nothing here is Python's control flow; converting it would take most of the time of the start
    @tf.autograph.experimental.do_not_convert
    def sample(ticket):
        read = _read(_place(_look_up(table, ticket, augment), spec), spec, missing)
        return read | {name: ticket[name] for name in ("weight",) if name in ticket}

    @tf.autograph.experimental.do_not_convert
    def targets(batch):
        weight = [batch.pop("weight")] if "weight" in batch else []
        return (*_targets(batch, spec, stages, missing, center_map), *weight)

    parallel = {"num_parallel_calls": tf.data.AUTOTUNE, "deterministic": True}
    tickets = _tickets(len(records), batch_size, shuffle, seed, first_step, share)
    samples = tickets.map(sample, **parallel)
    whole = share is not None or _drops(len(records), batch_size, shuffle)
    batches = samples.batch(batch_size // share[1] if share else batch_size, drop_remainder=whole)
    batches = batches.map(targets, **parallel)
    if first_step is None:
        batches = batches.apply(
            tf.data.experimental.assert_cardinality(num_steps(len(records), batch_size, shuffle))
        )
    return batches.prefetch(2)


def num_steps(num_records: int, batch_size: int, shuffle: bool) -> int:
    """Steps of one epoch.

    Example:
        >>> from keras_cpm import num_steps
        >>> num_steps(10, 4, shuffle=True), num_steps(10, 4, shuffle=False)
        (2, 3)
    """
    if _drops(num_records, batch_size, shuffle):
        return num_records // batch_size
    return -(-num_records // batch_size)


def check_records(records, spec):
    """Raises one sentence about the first record that cannot be trained on or evaluated."""
    if not records:
        raise ValueError("`records` must hold at least one record. Received: none")
    for number, record in enumerate(records):
        where = f"Record {number} ({record.image})"
        if not set(record.parts) & set(spec.skeleton.parts):
            raise ValueError(
                f"{where} must have parts of the skeleton {spec.skeleton.name!r}: "
                f"{list(spec.skeleton.parts)}; rename them, or give the model's spec the data's "
                f"skeleton. Received: {list(record.parts)}"
            )
        if not is_placed(record):
            raise ValueError(
                f"{where}: nothing says where its primary person is; give `center` and `height`, "
                "or `box`, or the `size` of an image that the person fills."
            )
    missing = [record.image for record in records if not decode.is_there(record.image)]
    if missing:
        raise FileNotFoundError(
            f"{len(missing)} of {len(records)} images are missing, the first is {missing[0]}; put "
            "the images there, or write the records again with `keras-cpm prepare`."
        )
    for record in records:
        if not shards.split(record.image) and (problem := decode.why_not_read(record.image)):
            raise ValueError(f"The image {record.image} cannot be read: {problem}.")


def files_of_step(records, batch_size, seed, step):
    """The images of the batch that `make_dataset(shuffle=True, first_step=...)` makes of a step.

    Example:
        >>> import tempfile
        >>> from keras_cpm import draw_records
        >>> from keras_cpm.data.pipeline import files_of_step
        >>> records = draw_records(tempfile.mkdtemp(), 3)
        >>> len(files_of_step(records, 2, seed=0, step=7))
        2
    """
    tickets = _tickets(len(records), batch_size, True, seed, step).take(batch_size)
    return [records[int(ticket["record"])].image for ticket in tickets]


class _Table:
    """All records as flat tensors; the people of record i are rows start[i] to start[i + 1]."""

    def __init__(self, records, spec):
        labels = [
            keypoints_of(person, record.parts, spec.skeleton)
            for record in records
            for person in record.people
        ]
        self.photographs = Photographs([record.image for record in records])
        self.start = tf.constant(np.cumsum([0, *(len(record.people) for record in records)]))
        self.keypoints = tf.constant(np.stack([keypoints for keypoints, _ in labels]))
        self.visible = tf.constant(np.stack([visible for _, visible in labels]))
        places = [where_is(record) for record in records]
        self.center = tf.constant([center for center, _ in places], tf.float32)
        self.height = tf.constant([height for _, height in places], tf.float32)


def _drops(num_records, batch_size, shuffle):
    return shuffle and num_records >= batch_size


def _tickets(num_records, batch_size, shuffle, seed, first_step, share=None):
    """Dataset of record number, k and the seed of the epoch, epoch after epoch."""
    steps = num_steps(num_records, batch_size, shuffle)
    # endless streams and several processes: what lacks at the end of an epoch comes from its start
    whole = first_step is not None or share or _drops(num_records, batch_size, shuffle)
    length = steps * batch_size if whole else num_records
    start_epoch, start_step = divmod(first_step or 0, steps)

    def epoch_tickets(epoch):
        epoch_seed = _fold_in(tf.constant([seed, 0], tf.int64), epoch)
        order = tf.range(num_records)
        if shuffle:
            order = tf.random.experimental.stateless_shuffle(order, epoch_seed)
        k = tf.range(tf.where(epoch == start_epoch, start_step * batch_size, 0), length)
        if share:
            # of every batch its piece
            k = tf.boolean_mask(k, k % batch_size // (batch_size // share[1]) == share[0])
        tickets = {"record": tf.gather(order, k % num_records), "k": k}
        if share and not shuffle:
            tickets["weight"] = tf.where(k < num_records, length / num_records, 0.0)
        tickets["epoch_seed"] = tf.tile(epoch_seed[None], [tf.size(k), 1])
        return tf.data.Dataset.from_tensor_slices(tickets)

    if first_step is None:
        passes = tf.Variable(-1, dtype=tf.int64, trainable=False)
        epochs = tf.data.Dataset.from_tensors(0).map(lambda _: passes.assign_add(1))
    else:
        epochs = tf.data.Dataset.range(start_epoch, _NO_END)
    return epochs.flat_map(tf.autograph.experimental.do_not_convert(epoch_tickets))


def _fold_in(seed, number):
    return tf.random.experimental.stateless_fold_in(seed, tf.cast(number, tf.int64))


def _look_up(table, ticket, augment):
    """Record number -> what is known of its people, and the draw of the augmentation."""
    record = ticket["record"]
    people = slice(table.start[record], table.start[record + 1])
    sample = {
        "data": table.photographs.read(record),
        "keypoints": table.keypoints[people],
        "visible": table.visible[people],
        "center": table.center[record],
        "height": table.height[record],
        **draw_augmentation(augment, _fold_in(ticket["epoch_seed"], ticket["k"])),
    }
    return _halved(sample) if "half" in sample else sample


def _halved(sample):
    """The box around half of the primary person, if that was drawn and there are parts enough."""
    labelled = sample["visible"][0] > 0
    enough = (sample["half"] > 0) & (tf.reduce_sum(tf.cast(labelled, tf.int32)) >= _PARTS_TO_HALVE)

    def half():
        center, side = half_of(sample["keypoints"][0], labelled, sample["half_around"])
        return center, tf.maximum(side, _SMALLEST_HALF * sample["height"])

    center, height = tf.cond(enough, half, lambda: (sample["center"], sample["height"]))
    return {**sample, "center": center, "height": height}


def _place(sample, spec):
    """Puts everything that changes a coordinate into one matrix, and the points through it."""
    matrix = geometry.network_from_image(
        sample["center"],
        sample["height"],
        spec,
        rotation=sample["rotation"],
        scale=sample["scale"],
        flip=sample["flip"],
        shift=sample["shift"] * spec.box_size,
    )
    keypoints, visible = geometry.apply(matrix, sample["keypoints"]), sample["visible"]
    mirrored = sample["flip"] > 0
    return {
        "data": sample["data"],
        "network_from_image": matrix,
        "keypoints": tf.where(
            mirrored, codec.swap_left_right(keypoints, spec.skeleton, 1), keypoints
        ),
        "visible": tf.where(mirrored, codec.swap_left_right(visible, spec.skeleton, 1), visible),
        "center": geometry.apply(matrix, sample["center"]),
        **{name: sample[name] for name in ("cut", "color", "blur", "erase") if name in sample},
    }


def _read(sample, spec, missing):
    """The pixels, and what differs in size from sample to sample: everybody's belief maps."""
    keypoints, visible = sample["keypoints"], sample["visible"]
    if "cut" in sample:
        line = end_of_photograph(keypoints[0], visible[0] > 0, sample["cut"])
        keypoints = without_beyond(keypoints, line)
    # a peak reaches three sigma; whoever is farther outside leaves no trace, labelled or not
    near = geometry.inside_box(keypoints, spec, margin=3 * spec.part_sigma) & (visible > 0)
    in_sight = tf.reduce_any(near, axis=-1) | (tf.range(tf.shape(visible)[0]) == 0)
    everybody = codec.encode(
        tf.boolean_mask(keypoints, in_sight),
        tf.boolean_mask(visible, in_sight),
        spec,
        missing=missing,
    )
    image = crop.read_box(sample["data"], sample["network_from_image"], spec)
    if "color" in sample:
        image = appearance.change(image, sample)
    if "cut" in sample:
        image = appearance.end(image, line, spec.pad_value)
    return {
        "image": image,
        "everybody": everybody,
        "keypoints": keypoints[:1],
        "visible": visible[:1],
        "center": sample["center"],
    }


def _targets(batch, spec, stages, missing, center_map):
    """Belief maps: of everybody in sight for stage 1, of the primary person for later stages."""
    everybody = batch["everybody"]
    primary = everybody
    # a network that marks people, with one part and no center map, is to mark all at every stage
    if center_map or spec.num_parts > 1:
        primary = codec.encode(batch["keypoints"], batch["visible"], spec, missing=missing)
    inputs = {"image": batch["image"]}
    if center_map:
        inputs["center_map"] = codec.encode_center(batch["center"], spec)
    targets = {f"stage{t}": everybody if t == 1 else primary for t in range(1, stages + 1)}
    # Keras takes the target of a model with a single output without its name
    return inputs, targets if stages > 1 else everybody
