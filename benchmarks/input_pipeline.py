"""Speed of the input pipeline: photographs of 1280x720 to training samples of 368x368.

    python -m benchmarks.input_pipeline [--photographs 512] [--rounds 5] [--json FILE]
    python -m benchmarks.input_pipeline --processes 1 2 4

Three passes over the same JPEG files take turns, and the table says the median of each: the decoder
alone; a pipeline that decodes whole photographs, `decode.read_image`, and warps them in one
operation, `sampling.crop`; and `make_dataset`. The last two draw the default augmentation and make
the targets of six stages. The people's heights are spread evenly over 150 to 700 pixels.

With `--processes`, another table: the photographs that so many processes make ready together, each
its share of the same batches, from files and from a pack that is streamed.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import cv2
import numpy as np
import tensorflow as tf

from keras_cpm import (
    AugmentSpec,
    Person,
    PoseSpec,
    Record,
    make_dataset,
    pack,
    read_records,
)
from keras_cpm.data.augment import draw_augmentation
from keras_cpm.images import decode, limits, sampling
from keras_cpm.pose import codec, geometry

SIZE = (720, 1280)
HEIGHTS = (150, 700)
STAGES, BATCH, WARM_UP = 6, 16, 16
PARALLEL = {"num_parallel_calls": tf.data.AUTOTUNE, "deterministic": True}
# A standing figure in hundredths of its height, from its middle; the parts are those of LSP.
FIGURE_X = (-10, -9, -7, 7, 9, 10, -20, -17, -10, 10, 17, 20, 0, 0)
FIGURE_Y = (47, 23, 0, 0, 23, 47, 5, -13, -30, -30, -13, 5, -34, -47)
BONES = [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (6, 7), (7, 8), (8, 9), (9, 10), (10, 11)]
BONES += [(2, 8), (3, 9), (12, 13)]


def photograph(points, height, rng):
    """A figure before a background with the structure and the grain of a photograph: about 2.2 bits
    a pixel at quality 90, uint8 (720, 1280, 3).
    """
    image = np.zeros((*SIZE, 3), np.float32)
    for cells in (3, 9, 27, 81, 243):  # coarse structures are the strongest, as in photographs
        noise = rng.standard_normal((cells, cells, 3), np.float32)
        image += cv2.resize(noise, SIZE[::-1], interpolation=cv2.INTER_CUBIC) / cells**0.5
    image = 120 + 45 * (image - image.mean()) / image.std()
    for first, second in BONES:
        ends = [tuple(int(v) for v in np.round(points[i])) for i in (first, second)]
        cv2.line(image, *ends, rng.uniform(0, 255, 3).tolist(), max(3, round(height / 14)))
    grain = cv2.GaussianBlur(rng.standard_normal(SIZE, np.float32), (0, 0), 0.7)
    return np.clip(np.round(image + 15 * grain[..., None]), 0, 255).astype(np.uint8)


def draw_photographs(folder, count, spec, seed=0):
    """Writes JPEG files of quality 90; their people's heights are spread evenly over `HEIGHTS`.

    Returns:
        list of `Record`.
    """
    records = []
    for i, height in enumerate(np.linspace(*HEIGHTS, count)):
        rng = np.random.default_rng([seed, i])
        room = np.array([0.25, 0.5]) * height
        center = rng.uniform(room, np.array(SIZE[::-1]) - room)
        points = center + height / 100 * np.stack([FIGURE_X, FIGURE_Y], axis=-1)
        path = Path(folder, f"{i:04}.jpg")
        picture = photograph(points, height, rng)[..., ::-1]
        cv2.imwrite(str(path), picture, [cv2.IMWRITE_JPEG_QUALITY, 90])
        person = Person(points, [2] * len(points), center=tuple(center), height=float(height))
        records.append(Record(path, SIZE, spec.skeleton.parts, (person,)))
    return records


def plain_dataset(records, spec, augment):
    """What `make_dataset` gives, by the functions that the predictor uses: each photograph is
    decoded whole and warped in one operation.
    """
    table = {
        "image": [str(record.image) for record in records],
        "center": np.float32([record.people[0].center for record in records]),
        "height": np.float32([record.people[0].height for record in records]),
        "keypoints": np.float32([record.people[0].keypoints for record in records]),
        "seed": np.int64([(0, i) for i in range(len(records))]),
    }

    def load(row):
        pixels, upright_from_stored = decode.read_image(tf.io.read_file(row["image"]))
        return {**row, "pixels": pixels, "upright_from_stored": upright_from_stored}

    def crop(row):
        draw = draw_augmentation(augment, row["seed"])
        turns = {name: draw[name] for name in ("rotation", "scale", "flip")}
        matrix = geometry.network_from_image(row["center"], row["height"], spec, **turns)
        image = sampling.crop(row["pixels"], row["upright_from_stored"], matrix, spec)
        points = geometry.apply(matrix, row["keypoints"])
        swapped = codec.swap_left_right(points, spec.skeleton, 0)
        points = tf.where(draw["flip"] > 0, swapped, points)
        return image, points[None], geometry.apply(matrix, row["center"])

    def targets(image, points, center):
        visible = tf.fill(tf.shape(points)[:2], 2)
        everybody, primary = (codec.encode(points, visible, spec) for _ in range(2))
        inputs = {"image": image, "center_map": codec.encode_center(center, spec)}
        return inputs, {f"stage{t}": primary if t > 1 else everybody for t in range(1, STAGES + 1)}

    dataset = tf.data.Dataset.from_tensor_slices(table)
    for step in (load, crop, targets):
        dataset = dataset.map(step, **PARALLEL)
    return dataset.batch(BATCH).prefetch(2)


def decoder_dataset(records):
    """Nothing but the decoder, each photograph whole."""

    def decode(path):
        data = tf.io.read_file(path)
        pixels = tf.io.decode_jpeg(data, channels=3, dct_method="INTEGER_ACCURATE")
        return tf.shape(pixels)

    paths = tf.data.Dataset.from_tensor_slices([str(record.image) for record in records])
    return paths.map(decode, **PARALLEL).batch(BATCH).prefetch(2)


def speed(dataset, count):
    """Photographs a second of an endless dataset, over about `count` of them.

    Its start is left out, and so is its end, in which TensorFlow may sleep for a second: an epoch
    of training has thousands of photographs.
    """
    batches, steps = iter(dataset), max(1, count // BATCH)
    for _ in range(WARM_UP):
        next(batches)
    start = time.perf_counter()
    for _ in range(steps):
        next(batches)
    return steps * BATCH / (time.perf_counter() - start)


def decoded_shares(records, spec, augment, draws=20):
    """Share of the samples decoded at full, half, quarter and eighth size, as `crop.read_box`
    does; of all augmentations only the scale matters.
    """
    counts = np.zeros(len(decode.JPEG_RATIOS))
    scales = [draw_augmentation(augment, [0, i])["scale"] for i in range(draws)]
    for person in (record.people[0] for record in records):
        for scale in scales:
            matrix = geometry.network_from_image(person.center, person.height, spec, scale=scale)
            counts[min(int(sampling.num_halvings(matrix, SIZE)), len(counts) - 1)] += 1
    return (counts / counts.sum()).tolist()


def compare(records, rounds):
    """Speeds of the three passes, taking turns: dict of name to photographs a second.

    Only one dataset is open at a time: each prepares batches ahead, on the cores of the others.
    """
    spec, augment = PoseSpec(), AugmentSpec()
    options = {"stages": STAGES, "batch_size": BATCH, "augment": augment, "first_step": 0}
    passes = {
        "decoder alone": lambda: decoder_dataset(records).repeat(),
        "whole photographs": lambda: plain_dataset(records, spec, augment).repeat(),
        "make_dataset": lambda: make_dataset(records, spec, **options),
    }
    speeds = {name: [] for name in passes}
    for _ in range(rounds):
        for name, build in passes.items():
            speeds[name].append(speed(build(), len(records)))
    return speeds


def share_of(records, number, count, steps, ready, seconds):
    """What process `number` of `count` does; puts how long its share of the steps took."""
    limits.MAX_HELD_BYTES = 0
    options = {"stages": STAGES, "batch_size": BATCH, "augment": AugmentSpec(), "first_step": 0}
    batches = iter(make_dataset(records, PoseSpec(), **options, share=(number, count)))
    for _ in range(WARM_UP):
        next(batches)
    ready.wait()
    start = time.perf_counter()
    for _ in range(steps):
        next(batches)
    seconds.put(time.perf_counter() - start)


def rate_of(records, count):
    """Photographs a second of `count` processes together; the slowest says when they are ready."""
    spawn, steps = multiprocessing.get_context("spawn"), max(1, len(records) // BATCH)
    ready, seconds = spawn.Barrier(count), spawn.Queue()
    processes = [
        spawn.Process(target=share_of, args=(records, number, count, steps, ready, seconds))
        for number in range(count)
    ]
    for process in processes:
        process.start()
    slowest = max(seconds.get() for _ in processes)
    for process in processes:
        process.join()
    return steps * BATCH / slowest


def compare_processes(records, folder, counts, rounds):
    """Prints the rates of several processes: of files, and of a pack that is streamed."""
    pack(records, folder)
    kinds = {"files": records, "pack": read_records(Path(folder) / "records.jsonl")}
    print(f"{'processes':<10}" + "".join(f"{kind:>8}" for kind in kinds))
    for count in counts:
        rates = [
            statistics.median(rate_of(people, count) for _ in range(rounds))
            for people in kinds.values()
        ]
        print(f"{count:<10}" + "".join(f"{rate:8.0f}" for rate in rates), flush=True)


def main(arguments=None):
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photographs", type=int, default=512, help="how many; 512 unless given")
    parser.add_argument("--rounds", type=int, default=5, help="passes of each; 5 unless given")
    parser.add_argument("--json", type=Path, help="write the table here, too")
    parser.add_argument("--processes", type=int, nargs="+", help="how many read their shares")
    options = parser.parse_args(arguments)
    if options.photographs < BATCH or options.rounds < 1:
        parser.error(f"--photographs must be at least {BATCH} and --rounds at least 1.")

    with tempfile.TemporaryDirectory() as folder:
        records = draw_photographs(folder, options.photographs, PoseSpec())
        if options.processes:
            compare_processes(records, Path(folder, "pack"), options.processes, options.rounds)
            return
        kilobytes = sum(os.path.getsize(record.image) for record in records) / len(records) / 1000
        speeds = compare(records, options.rounds)
    shares = decoded_shares(records, PoseSpec(), AugmentSpec())
    print(f"{len(records)} JPEGs of {kilobytes:.0f} kB, {os.cpu_count()} cores, images a second")
    for name, rounds in speeds.items():
        figures = "  ".join(f"{figure:4.0f}" for figure in rounds)
        print(f"{name:<18} {statistics.median(rounds):4.0f}   rounds: {figures}")
    sizes = zip(("full", "half", "quarter", "eighth"), shares, strict=True)
    print("decoded at " + ", ".join(f"{name} size: {share:.1%}" for name, share in sizes))
    if options.json:
        record = {"kilobytes": kilobytes, "speeds": speeds, "decoded": shares}
        options.json.write_text(json.dumps(record, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    sys.exit(main())
