"""MediaPipe's pose model beside a bundle, on the same people, whose boxes are given.

    pip download --no-deps mediapipe==0.10.14
    python -m benchmarks.mediapipe_pose mediapipe-0.10.14-*.whl RECORDS... [--model cpm-light]

The wheel is not installed: `pose_landmark_full.tflite` is read from it (or given by itself) and run
by ai-edge-litert. A case is a record's primary person, or with `--everybody` each person of the
records once. Columns: PCK@0.2 of the torso over the twelve parts of the limbs, which both have, and
PCK@0.5 of the head, the records' `head_size` or else head to neck as labelled, over the same parts.
Then milliseconds for one network box, float32, one thread, taking turns, without cutting the box.

Taken from MediaPipe's graphs (mediapipe/modules/pose_landmark):
* `pose_detection_to_roi`, `pose_landmarks_to_roi`: the region is a square about the middle of the
  hips, turned so that the line from there to a second point stands upright; half its side is 1.25
  times the line's length, the radius of the circle around the person.
* `pose_landmark_by_roi_cpu`: 256x256, bilinear, the image's edge repeated, RGB 0..1.
* `tensors_to_pose_landmarks_and_segmentation`: 39 landmarks in pixels of the region, refined by 7x7
  cells of the heat map. Where its score is below 0.5 MediaPipe answers nothing; here its landmarks
  count all the same. Filters over time are left out: these are single photographs.

MediaPipe's two points come from its own detector; what stands for them here are the three rows
  box      centre of the box, upright, longest side x 1.25. Without a box: the one around the
           labels, 1.2 times as large, where hands, feet and hair end.
  twice    as it follows a person: "box" once, then the region of the two points which the model
           itself gave (landmarks 33 and 34). Two runs; a third adds a point or two at most.
  labels   middle of the labelled hips, towards the middle of the labelled shoulders, as far as the
           farthest labelled part; "box" where those four are not labelled. It is told more than a
           box, where the body is and how it is turned: a detector that is always right.
The bundle's rows are as `keras-cpm evaluate` has them, without and with `--flip` (two runs).
"""

import argparse
import dataclasses
import statistics
import tempfile
import time
import zipfile
from pathlib import Path

import cv2
import numpy as np

import keras_cpm
from keras_cpm.images import decode
from keras_cpm.pose import geometry

SIZE, CELLS, KERNEL, HIPS, CIRCLE = 256, 64, 7, 33, 34
AROUND = 1.2
# the longest side of a person's box, or the diameter of the circle, in the region
REGION = keras_cpm.PoseSpec(box_size=SIZE, person_height=SIZE / 1.25)
# MediaPipe's left and right are the person's own, as ours
LANDMARKS = {
    f"{side}_{part}": number + (side == "right")
    for part, number in (
        ("shoulder", 11),
        ("elbow", 13),
        ("wrist", 15),
        ("hip", 23),
        ("knee", 25),
        ("ankle", 27),
    )
    for side in ("left", "right")
}
_FILE = "mediapipe/modules/pose_landmark/pose_landmark_full.tflite"


def region(middle, end):
    """MediaPipe's square, as the matrix from the image into it: `middle` in its centre, `end` above
    that, as far as the circle around the person goes.

    Example:
        >>> from keras_cpm import geometry
        >>> matrix = region((50, 40), (90, 40))
        >>> geometry.apply(matrix, [(50, 40), (90, 40), (50, 60)]).numpy().round().tolist()
        [[128.0, 128.0], [128.0, 26.0], [179.0, 128.0]]
    """
    x, y = np.subtract(end, middle)
    return _region(middle, 2 * np.hypot(x, y), -np.arctan2(x, -y))


def region_of_box(record):
    """The upright square about the primary person's box, or about that of its labels."""
    person = record.people[0]
    if person.box is not None:
        return _region(*geometry.center_and_height(person.box))
    points = person.keypoints[person.labelled]
    box = np.concatenate([points.min(0), points.max(0)])
    center, height = geometry.center_and_height(box)
    return _region(center, AROUND * height)


def region_of_labels(record):
    """The square of the labelled hips, shoulders and farthest part, or `region_of_box`."""
    person = record.people[0]
    points = dict(zip(record.parts, person.keypoints, strict=True))
    known = {part for part, there in zip(record.parts, person.labelled, strict=True) if there}
    four = [f"{side}_{part}" for part in ("hip", "shoulder") for side in ("left", "right")]
    if not known.issuperset(four):
        return region_of_box(record)
    hips, shoulders = (np.mean([points[name] for name in pair], 0) for pair in (four[:2], four[2:]))
    up, radius = shoulders - hips, max(np.linalg.norm(points[part] - hips) for part in known)
    return region(hips, hips + up * (radius / np.linalg.norm(up)))


def _region(middle, diameter, rotation=0.0):
    # MediaPipe's middle is 128, and that of pixels 127.5
    half = (0.5, 0.5)
    return geometry.network_from_image(middle, diameter, REGION, rotation=rotation, shift=half)


def refined(landmarks, heat):
    """Landmarks drawn to the heat map around them, as RefineLandmarksFromHeatmapCalculator does.

    Args:
        landmarks: (L, 2) pixels of the region.
        heat: (64, 64, L), before the sigmoid.

    Returns:
        (L, 2): the mean of the 7x7 cells around a landmark, weighted by their sigmoids; the
        landmark itself where it is outside, or none of the cells is sure.
    """
    answer, reach = landmarks.copy(), KERNEL // 2
    cells = (landmarks / SIZE * CELLS).astype(int)
    for number, (column, row) in enumerate(cells):
        if not (0 <= column < CELLS and 0 <= row < CELLS):
            continue
        rows = np.arange(max(0, row - reach), min(CELLS, row + reach + 1))
        columns = np.arange(max(0, column - reach), min(CELLS, column + reach + 1))
        sure = 1 / (1 + np.exp(-heat[np.ix_(rows, columns, [number])][..., 0].astype(float)))
        if sure.max() >= 0.5:
            mean = sure.sum(0) @ columns, sure.sum(1) @ rows
            answer[number] = np.array(mean) / sure.sum() * SIZE / CELLS
    return answer


class LiteRT:
    """A LiteRT file with one thread: an input to its outputs, by shape without the batch."""

    def __init__(self, content):
        from ai_edge_litert.interpreter import Interpreter

        self._file = Interpreter(model_content=content, num_threads=1)
        self._file.allocate_tensors()
        (box,) = self._file.get_input_details()
        self._input, self.shape = box["index"], tuple(map(int, box["shape"]))
        outputs = self._file.get_output_details()
        self._outputs = {tuple(map(int, one["shape"][1:])): one["index"] for one in outputs}
        # what runs, without its input and outputs
        self.run = self._file.invoke

    def __call__(self, box):
        self._file.set_tensor(self._input, np.asarray(box, np.float32))
        self.run()
        return {shape: self._file.get_tensor(index)[0] for shape, index in self._outputs.items()}


def model_of(path):
    """The bytes of MediaPipe's model, from a wheel or a .tflite file."""
    if Path(path).suffix == ".whl":
        with zipfile.ZipFile(path) as wheel:
            return wheel.read(_FILE)
    return Path(path).read_bytes()


def landmarks_of(model, pixels, matrix):
    """(39, 2) landmarks, image frame, and the score of there being a person."""
    box = cv2.warpAffine(
        pixels,
        np.asarray(matrix)[:2].astype(float),
        (SIZE, SIZE),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    found = model(box[None] / np.float32(255))
    points = found[(195,)].reshape(39, 5)[:, :2]
    points = refined(points, found[(CELLS, CELLS, 39)])
    return geometry.apply(geometry.invert(matrix), points).numpy(), found[(1,)].item()


def by_mediapipe(model, records):
    """{"box": (S, 12, 2), ...}, image frame, and of how many people MediaPipe had said nothing."""
    rows, unsure = {"box": [], "twice": [], "labels": []}, dict.fromkeys(("box", "labels"), 0)
    for record in records:
        pixels = decode.upright_array(record.image)
        first, score = landmarks_of(model, pixels, region_of_box(record))
        unsure["box"] += score < 0.5
        own = region(first[HIPS], first[CIRCLE])
        second, _ = landmarks_of(model, pixels, own)
        told, score = landmarks_of(model, pixels, region_of_labels(record))
        unsure["labels"] += score < 0.5
        for name, points in (("box", first), ("twice", second), ("labels", told)):
            rows[name].append(points[list(LANDMARKS.values())])
    return {name: np.stack(points) for name, points in rows.items()}, unsure


def cases_of(records, everybody):
    """The records, or one for each person of them who has a box and labels, once."""
    if not everybody:
        return records
    found = {}
    for record in records:
        for number, person in enumerate(record.people):
            others = (*record.people[:number], *record.people[number + 1 :])
            case = dataclasses.replace(record, people=(person, *others))
            if person.box is not None and person.labelled.any():
                found.setdefault((record.image, person.keypoints.tobytes()), case)
    return list(found.values())


def print_scores(rows, records):
    """PCK of the limbs in percent, by the torso and by the head."""
    predictions = {name: (points, tuple(LANDMARKS)) for name, points in rows.items()}
    sizes = any(record.people[0].head_size for record in records)
    by_head = {"metric": "pckh"} if sizes else {"normalizer": "head-segment"}
    tables = [
        keras_cpm.evaluate_predictions(predictions, records, **rules).scores(alpha)
        for rules, alpha in (({"normalizer": "torso"}, 0.2), (by_head, 0.5))
    ]
    print(f"{'':22}torso @0.2   {'head size' if sizes else 'head-neck'} @0.5")
    for name in rows:
        totals = [next(iter(table[name].values()))["total"] for table in tables]
        cells = ("-" if total is None else f"{total:.2f}" for total in totals)
        print(f"{name:22}" + "".join(f"{cell:13}" for cell in cells))


def milliseconds(theirs, model, spec, runs):
    """Medians of `runs` turns of MediaPipe's network and of ours as `export_tflite` writes it."""
    with tempfile.TemporaryDirectory() as folder:
        keras_cpm.export_tflite(model, spec, f"{folder}/ours.tflite")
        ours = LiteRT(Path(f"{folder}/ours.tflite").read_bytes())
    times = {theirs: [], ours: []}
    for network in times:
        network(np.random.default_rng(0).random(network.shape))
    for _ in range(runs):
        for network, taken in times.items():
            start = time.perf_counter()
            network.run()
            taken.append(1000 * (time.perf_counter() - start))
    return [statistics.median(taken) for taken in times.values()]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("mediapipe", help="its wheel, or pose_landmark_full.tflite")
    parser.add_argument("records", nargs="+")
    parser.add_argument("--model", default="cpm-light")
    parser.add_argument("--everybody", action="store_true")
    parser.add_argument("--limit", type=int, help="people of each file")
    parser.add_argument("--runs", type=int, default=50, help="timed; 0 for none")
    options = parser.parse_args()
    theirs = LiteRT(model_of(options.mediapipe))
    model, spec = keras_cpm.load(options.model)
    for path in options.records:
        records = cases_of(keras_cpm.read_records(path), options.everybody)[: options.limit]
        found, unsure = by_mediapipe(theirs, records)
        rows = {f"MediaPipe, {name}": points for name, points in found.items()}
        chosen = [spec.skeleton.index(part) for part in LANDMARKS]
        for name, flip in ((options.model, False), (f"{options.model} --flip", True)):
            stages = keras_cpm.predict_records(model, records, spec, flip=flip)
            rows[name] = stages[model.output_names[-1]][:, chosen]
        print(f"\n{path}: {len(records)} people")
        print_scores(rows, records)
        print("MediaPipe had said nothing of {box} (box), {labels} (labels)".format(**unsure))
    if options.runs:
        mediapipe, ours = milliseconds(theirs, model, spec, options.runs)
        print(f"\none box, float32, one thread, median of {options.runs}: MediaPipe ", end="")
        print(f"{mediapipe:.1f} ms, {options.model} {ours:.1f} ms, {ours / mediapipe:.2f} as long")


if __name__ == "__main__":
    main()
