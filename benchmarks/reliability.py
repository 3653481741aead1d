"""What is a score worth? Of keypoints with a score, the share that is right.

    python -m benchmarks.reliability RECORDS.jsonl [RECORDS.jsonl ...] [--model cpm-light] [--flip]

A keypoint is right within 0.2 of the distance from left shoulder to right hip of where it is
labelled, as in PCK@0.2; boxes are given. A model whose scores are shares would have the middle of
each row in its last column.
"""

import argparse

import numpy as np

import keras_cpm
from keras_cpm.data.placement import keypoints_of, where_is

EDGES = np.arange(0, 1.01, 0.1)


def judged(records, predictor):
    """Scores and whether each keypoint is right, of all labelled parts."""
    parts = predictor.spec.skeleton.parts
    shoulder, hip = parts.index("left_shoulder"), parts.index("right_hip")
    scores, right = [], []
    for record in records:
        points, visible = keypoints_of(record.people[0], record.parts, predictor.spec.skeleton)
        torso = np.linalg.norm(points[shoulder] - points[hip])
        if not (visible[shoulder] and visible[hip] and torso > 0):
            continue
        center, height = where_is(record)
        pose = predictor(record.image, center=center, person_height=height)
        labelled = visible > 0
        distance = np.linalg.norm(pose.keypoints - points, axis=-1)
        scores += pose.scores[labelled].tolist()
        right += (distance <= 0.2 * torso)[labelled].tolist()
    return np.array(scores), np.array(right)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("records", nargs="+")
    parser.add_argument("--model", default="cpm-light")
    parser.add_argument("--flip", action="store_true")
    options = parser.parse_args()
    predictor = keras_cpm.Predictor(*keras_cpm.load(options.model), flip=options.flip)
    records = [one for path in options.records for one in keras_cpm.read_records(path)]
    scores, right = judged(records, predictor)
    bins = np.clip(np.digitize(scores, EDGES) - 1, 0, len(EDGES) - 2)
    print(f"{len(scores)} keypoints of {len(records)} people\nscore        keypoints   right")
    for number, low in enumerate(EDGES[:-1]):
        chosen = bins == number
        if chosen.any():
            share = 100 * right[chosen].mean()
            print(f"{low:.1f} to {low + 0.1:.1f}   {chosen.sum():9d}   {share:5.1f} %")


if __name__ == "__main__":
    main()
