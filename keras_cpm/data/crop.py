"""A record cropped around its primary person: the frame, the labels in it, and the JPEG."""

import dataclasses
import math
import os

import numpy as np
import tensorflow as tf

from ..images import decode, sampling, windows
from ..pose import geometry
from . import pipeline


def crop_record(record, spec, margin):
    """The frame of a record's crop, and the record in it.

    A person without `center` and `height`, and without `box`, keeps the whole photograph, whose size
    says where the person is.

    Args:
        record: `Record` whose `size` is known.
        spec: `PoseSpec`; see `windows.crop_from_image`.
        margin: side of the crop in network boxes.

    Returns:
        crop_from_image (3, 3), and the `Record` whose size and people are those of the crop. Its
        `image` is still the photograph; `attributes["packed_from"]` holds the name of that and
        crop_from_image, two rows.

    Raises:
        ValueError: nothing of the photograph is in the crop.

    Example:
        >>> from keras_cpm import Person, PoseSpec, Record
        >>> from keras_cpm.data.crop import crop_record
        >>> person = Person([(50, 40)], [2], center=(50, 40), height=10, head_size=2)
        >>> record = Record("a.jpg", (90, 100), ("nose",), (person,))
        >>> matrix, cropped = crop_record(record, PoseSpec(), margin=2.0)
        >>> cropped.size, cropped.people[0].keypoints.tolist()
        ((33, 33), [[16.0, 16.0]])
    """
    person = record.people[0]
    if person.box is None and (person.center is None or person.height is None):
        margin = math.inf
    center, height = pipeline.where_is(record)
    matrix, size = windows.crop_from_image(center, height, record.size, spec, margin=margin)
    origin = {
        "image": os.path.basename(record.image),
        "crop_from_image": matrix[:2].numpy().tolist(),
    }
    return matrix, dataclasses.replace(
        record,
        size=size,
        people=tuple(_moved(person, matrix) for person in record.people),
        attributes={**record.attributes, "packed_from": origin},
    )


def crop_photograph(record, spec, margin, quality):
    """A record and its photograph, cropped, upright and small.

    Args:
        record: `Record`; its photograph is read.
        spec, margin: as in `crop_record`.
        quality: of the JPEG encoder, 1..100.

    Returns:
        the `Record` of `crop_record`, and the bytes of the JPEG: those of the photograph where
        nothing changes.

    Raises:
        FileNotFoundError, ValueError: the photograph is missing, cannot be decoded, or is not of the
            record's size; nothing of it is in the crop.

    Example:
        >>> import keras_cpm, tempfile
        >>> from keras_cpm.data.crop import crop_photograph
        >>> record, = keras_cpm.draw_records(tempfile.mkdtemp(), 1)
        >>> cropped, data = crop_photograph(record, keras_cpm.PoseSpec(), 2.25, 92)
        >>> cropped.size == record.size, data[:2].hex()
        (True, 'ffd8')
    """
    pixels, upright_from_stored = decode.open_image(record.image)
    stored = tuple(pixels.shape[:2])
    size = tuple(geometry.upright_size(stored, upright_from_stored).numpy().tolist())
    if record.size not in (None, size):
        raise ValueError(
            f"The record of {record.image} says {record.size} (height, width), the upright image is "
            f"{size}; correct the record, `keras-cpm check-data` says more."
        )
    try:
        matrix, cropped = crop_record(dataclasses.replace(record, size=size), spec, margin)
    except ValueError as error:
        raise ValueError(f"The record of {record.image}: {error}") from None
    crop_from_stored = geometry.compose(matrix, upright_from_stored)
    if cropped.size == stored and np.array_equal(crop_from_stored, np.eye(3)):
        data = decode.encoded(record.image)
        if decode.is_whole_jpeg(tf.constant(data)):
            return cropped, data
    upright = sampling.warp(pixels, upright_from_stored, size, fill=0)
    crop = sampling.shrink(upright, matrix, cropped.size)
    crop = tf.cast(tf.round(tf.clip_by_value(crop, 0.0, 255.0)), tf.uint8)
    return cropped, tf.io.encode_jpeg(crop, quality=quality, optimize_size=True).numpy()


def _moved(person, matrix):
    """The person, all that is in pixels in the frame of the crop."""

    def point(values):
        return values and tuple(geometry.apply(matrix, values).numpy().tolist())

    def length(value):
        return value and value * float(matrix[0, 0])

    # the point of a part without label means nothing and stays
    labelled, points = person.labelled[:, None], person.keypoints
    return dataclasses.replace(
        person,
        keypoints=np.where(labelled, geometry.apply(matrix, points), points),
        center=point(person.center),
        height=length(person.height),
        box=person.box and (*point(person.box[:2]), *point(person.box[2:])),
        head_size=length(person.head_size),
    )
