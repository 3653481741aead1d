"""How many people of a photograph are found, and how many are found where nobody is?

    python -m benchmarks.everybody PEOPLE.held.jsonl NOBODY.held.jsonl [--model cpm-light]

As `keras-cpm predict --people auto` finds them. Somebody is posed where a third of the labelled
parts lie within 0.1 of the longest side of the person's box; people of fewer than eight labels are
left out. Other finds are people without labels, second poses of one person, and nobody. About a
second a photograph on two cores.
"""

import argparse

import numpy as np

import keras_cpm
from keras_cpm.cli.people import everybody
from keras_cpm.images import decode
from keras_cpm.inference.person_finder import load_finder

THRESHOLDS = (0.35, 0.4, 0.45, 0.5, 0.55, 0.6)
LEAST_LABELS, NEAR, ENOUGH = 8, 0.1, 1 / 3


def people_of(records):
    """Image path -> everybody once who has labels enough."""
    found = {}
    for record in records:
        people = found.setdefault(record.image, {})
        for person in record.people:
            if person.labelled.sum() >= LEAST_LABELS:
                people.setdefault(person.keypoints.tobytes(), person)
    return {image: list(people.values()) for image, people in found.items()}


def is_posed(person, found):
    """Whether a find is that person."""
    x0, y0, x1, y1 = person.box
    distance = np.linalg.norm(found.pose.keypoints - person.keypoints, axis=-1)
    near = distance[person.labelled] < NEAR * max(x1 - x0, y1 - y0)
    return near.mean() >= ENOUGH


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("people")
    parser.add_argument("nobody")
    parser.add_argument("--model", default="cpm-light")
    parser.add_argument("--person-model", help="cpm-light-person unless given")
    options = parser.parse_args()
    model, spec = keras_cpm.load(options.model)
    predictor = keras_cpm.Predictor(model, spec)
    # what is less sure than the lowest threshold is not asked for
    settings = {"person_threshold": THRESHOLDS[0], "max_people": 99}
    find = everybody(predictor, None, load_finder(options.person_model), **settings)

    def finds(image):
        return find(image, decode.upright_array(image))

    people = people_of(keras_cpm.read_records(options.people))
    found = {image: finds(image) for image in people}
    pairs = [
        [one.score for one in found[image] if is_posed(person, one)]
        for image, persons in people.items()
        for person in persons
    ]
    scores = [one.score for finds_of_image in found.values() for one in finds_of_image]
    empty = {record.image for record in keras_cpm.read_records(options.nobody)}
    nobody = [one.score for image in sorted(empty) for one in finds(image)]
    print(f"{len(pairs)} people in {len(people)} photographs, {len(empty)} photographs of nobody")
    print("threshold   posed        other finds   in those of nobody")
    for threshold in THRESHOLDS:
        posed = sum(any(score > threshold for score in one) for one in pairs)
        others = sum(score > threshold for score in scores) - posed
        false = sum(score > threshold for score in nobody)
        share = 100 * posed / len(pairs)
        print(f"{threshold:<10}  {posed:4d} {share:5.1f} %   {others:4d}          {false:4d}")


if __name__ == "__main__":
    main()
