"""People for the tests of evaluation, whose torso has a known length, and predictions of them."""

import numpy as np

import keras_cpm


def hand_made(count=2, skeleton=keras_cpm.LSP14, torso=100.0, head=20.0):
    """People whose torso is 100 pixels long: left shoulder (0, 0), right hip (100, 0)."""
    records = []
    for number in range(count):
        points = np.full((skeleton.num_parts, 2), 50.0)
        points[skeleton.index("left_shoulder")] = 0, 0
        points[skeleton.index("right_hip")] = torso, 0
        person = keras_cpm.Person(
            points, [2] * skeleton.num_parts, head_size=head, attributes={"view": number % 2}
        )
        records.append(
            keras_cpm.Record(
                f"{number}.jpg", None, skeleton.parts, (person,), attributes={"act": "row"}
            )
        )
    return records


def moved(records, distances, part="left_wrist"):
    """The truth with `part` of sample i moved by `distances[i]` pixels."""
    points = np.stack([record.people[0].keypoints for record in records]).astype(float)
    points[:, records[0].parts.index(part), 1] += distances
    return {"moved": (points, records[0].parts)}
