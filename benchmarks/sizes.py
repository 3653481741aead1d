"""Is the same photograph answered alike at every size?

    python -m benchmarks.sizes PEOPLE.held.jsonl [--photographs 30] [--model cpm-light]

Each photograph is resized to ten heights from 240 to 4,000 pixels, and everybody is looked for as
`keras-cpm predict --people auto` does. Alike are two answers with the same number of people, who
lie in the same places: joints of a score of 0.3 or more within 3 % of the height of the person in
the answer at the photograph's own size.
"""

import argparse

import cv2
import numpy as np

import keras_cpm
from keras_cpm.cli.people import everybody
from keras_cpm.images import decode
from keras_cpm.inference.person_finder import load_finder

HEIGHTS = (240, 330, 450, 480, 640, 900, 1200, 1700, 2600, 4000)
NEAR, SURE = 0.03, 0.3


def at_height(pixels, height):
    """The photograph as it would be had it been taken so high."""
    width = round(pixels.shape[1] * height / pixels.shape[0])
    kind = cv2.INTER_AREA if height < pixels.shape[0] else cv2.INTER_CUBIC
    return cv2.resize(pixels, (width, height), interpolation=kind)


def are_alike(people, others, scale):
    """Whether `others`, of the photograph `scale` times as large, are the same `people`."""
    if len(people) != len(others):
        return False
    left = list(others)
    for one in people:
        sure = one.pose.scores >= SURE
        moved = [np.inf]
        for other in left:
            points = (other.pose.keypoints + 0.5) / scale - 0.5
            distance = np.linalg.norm(points - one.pose.keypoints, axis=-1)[sure]
            moved.append(distance.max(initial=0))
        nearest = int(np.argmin(moved))
        x0, y0, x1, y1 = one.box
        if moved[nearest] > NEAR * max(x1 - x0, y1 - y0):
            return False
        left.pop(nearest - 1)
    return True


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("people")
    parser.add_argument("--photographs", type=int, default=30)
    parser.add_argument("--model", default="cpm-light")
    options = parser.parse_args()
    predictor = keras_cpm.Predictor(*keras_cpm.load(options.model))
    settings = {"person_threshold": None, "max_people": None}
    find = everybody(predictor, None, load_finder(), **settings)
    images = list(dict.fromkeys(r.image for r in keras_cpm.read_records(options.people)))
    alike = {height: [] for height in HEIGHTS}
    for image in images[: options.photographs]:
        pixels = decode.upright_array(image)
        people = find(image, pixels)
        for height in HEIGHTS:
            others = find(image, at_height(pixels, height))
            alike[height].append(are_alike(people, others, height / pixels.shape[0]))
    for height, answers in alike.items():
        print(f"{height:5d} pixels: {sum(answers)} of {len(answers)}")
    everywhere = np.all(list(alike.values()), axis=0)
    print(f"at all ten: {everywhere.sum()} of {len(everywhere)}")


if __name__ == "__main__":
    main()
