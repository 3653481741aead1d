"""What a record shows of its primary person: the network box, or a crop kept with its labels."""

import dataclasses
import math
import os

import numpy as np
import tensorflow as tf

from ..images import decode, sampling
from ..images.crop import cut_box
from ..pose import geometry
from .placement import place_of, where_is


def network_box(record, spec):
    """The network box of a record's primary person, where `placement.where_is` says.

    Args:
        record: `Record`.
        spec: `PoseSpec`.

    Returns:
        (H, W, 3) uint8 RGB, and network_from_image (3, 3) float32.

    Example:
        >>> import keras_cpm, tempfile
        >>> from keras_cpm.data.crop import network_box
        >>> record = keras_cpm.draw_records(tempfile.mkdtemp(), 1)[0]
        >>> network_box(record, keras_cpm.PoseSpec(box_size=64))[0].shape
        (64, 64, 3)
    """
    network_from_image = geometry.network_from_image(*where_is(record), spec)
    return cut_box(record.image, network_from_image, spec), network_from_image


def crop_from_image(center, person_height, size, spec, *, margin):
    """The frame of a photograph that is cropped around a person, and made smaller where it is fine.

    Args:
        center: (2,) point in the image frame, in the middle of the crop.
        person_height: pixels; where the person is taller than `spec.person_height`, the crop is
            made smaller to that height, to the whole pixel of its own height.
        size: (height, width) of the image; the crop ends where the image does.
        spec: `PoseSpec`.
        margin: side of the crop in network boxes; `math.inf` for the whole image.

    Returns:
        (3, 3), a move and a resize; where nothing is resized, a move by whole pixels. And (height,
        width) of the crop, which may leave out a part of a pixel to the left and to the right.

    Raises:
        ValueError: nothing of the image is there.

    Example:
        >>> from keras_cpm import PoseSpec, geometry
        >>> from keras_cpm.data.crop import crop_from_image
        >>> center, size = (99.5, 79.5), (300, 400)
        >>> matrix, size = crop_from_image(center, 100, size, PoseSpec(), margin=0.5)
        >>> size, geometry.apply(matrix, center).numpy().tolist()
        ((80, 80), [39.5, 39.5])
    """
    reach = margin / 2 * spec.box_size * float(person_height) / spec.person_height
    # edges of pixels, half a pixel before their centres
    starts = [math.floor(max(0.0, float(c) + 0.5 - reach)) for c in center]
    ends = [
        math.ceil(min(n, float(c) + 0.5 + reach)) for c, n in zip(center, size[::-1], strict=True)
    ]
    width, height = (max(0, end - start) for start, end in zip(starts, ends, strict=True))
    if not width * height:
        raise ValueError(
            f"The crop of the person at {tuple(map(float, center))} with height "
            f"{float(person_height):g} lies outside the image of {tuple(size)} (height, width); "
            "correct `center` and `height`."
        )
    rows = max(1, round(height * min(1.0, spec.person_height / float(person_height))))
    factor = rows / height
    columns = max(1, math.floor(width * factor + 1e-6))
    left = starts[0] + (width - columns / factor) / 2
    move = geometry.shift_matrix((-left, -float(starts[1])))
    return geometry.compose(geometry.resize_matrix(factor), move), (rows, columns)


def crop_record(record, spec, margin):
    """The frame of a record's crop, and the record in it.

    A person without `center` and `height`, and without `box`, keeps the whole photograph, whose
    size says where the person is.

    Args:
        record: `Record` whose `size` is known.
        spec: `PoseSpec`; see `crop_from_image`.
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
    if place_of(record.people[0]) is None:
        margin = math.inf
    center, height = where_is(record)
    matrix, size = crop_from_image(center, height, record.size, spec, margin=margin)
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
        FileNotFoundError, ValueError: the photograph is missing, cannot be decoded, or is not of
            the record's size; nothing of it is in the crop.

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
            f"The record of {record.image} says {record.size} (height, width), the upright image "
            f"is {size}; correct the record, `keras-cpm check-data` says more."
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

    area = person.attributes.get("area")
    scaled = {"area": length(length(area))} if isinstance(area, int | float) else {}
    # the point of a part without label means nothing and stays
    labelled, points = person.labelled[:, None], person.keypoints
    return dataclasses.replace(
        person,
        keypoints=np.where(labelled, geometry.apply(matrix, points), points),
        center=point(person.center),
        height=length(person.height),
        box=person.box and (*point(person.box[:2]), *point(person.box[2:])),
        head_size=length(person.head_size),
        attributes=person.attributes | scaled,
    )
