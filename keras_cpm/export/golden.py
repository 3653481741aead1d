"""Golden vectors: network boxes of drawn people and what an export must make of them."""

import tempfile

import numpy as np

from ..data import pipeline
from ..data.synthetic.draw import draw_records
from ..images import decode, sampling
from ..pose import geometry

COUNT = 3


def golden_boxes(spec):
    """(3, H, W, 3) uint8: drawn people, whatever the skeleton; the same ones each time."""
    with tempfile.TemporaryDirectory() as folder:
        people = draw_records(folder, COUNT, seed=0)
        return np.stack([network_box(person, spec)[0] for person in people])


def golden_photographs():
    """Drawn people as bytes of JPEG files, and their boxes (3, 4) x0 y0 x1 y1."""
    with tempfile.TemporaryDirectory() as folder:
        people = draw_records(folder, COUNT, seed=0)
        boxes = np.array([person.people[0].box for person in people], np.float32)
        return [decode.encoded(person.image) for person in people], boxes


def network_box(record, spec):
    """The network box of a record's primary person, where `pipeline.where_is` says.

    Args:
        record: `Record`.
        spec: `PoseSpec`.

    Returns:
        (H, W, 3) uint8 RGB, and network_from_image (3, 3) float32.

    Example:
        >>> import keras_cpm, tempfile
        >>> from keras_cpm.export.golden import network_box
        >>> record = keras_cpm.draw_records(tempfile.mkdtemp(), 1)[0]
        >>> network_box(record, keras_cpm.PoseSpec(box_size=64))[0].shape
        (64, 64, 3)
    """
    pixels, upright_from_stored = decode.open_image(record.image)
    center, height = pipeline.where_is(record)
    network_from_image = geometry.network_from_image(center, height, spec)
    box = sampling.crop(pixels, upright_from_stored, network_from_image, spec)
    return np.rint(box.numpy()).astype(np.uint8), network_from_image


def write_boxes(path, boxes, reference, run):
    """Writes what a LiteRT file is tested with.

    Args:
        path: of the .npz file.
        boxes: (N, H, W, 3) uint8.
        reference: function of one box (1, H, W, 3), the Keras model.
        run: the file as a function of the same.
    """
    right = [reference(box[None].astype(np.float32)) for box in boxes]
    found = [run(box[None]) for box in boxes]
    outputs = {name: np.concatenate([one[name] for one in found]) for name in found[0]}
    outputs |= {f"keras_{name}": np.concatenate([one[name] for one in right]) for name in found[0]}
    np.savez_compressed(path, image=boxes, **outputs)


def write_photographs(path, reference):
    """Writes what a SavedModel is tested with.

    Args:
        path: of the .npz file.
        reference: function of encoded bytes and a box or None to a `Pose`, the Keras model.
    """
    encoded, boxes = golden_photographs()
    content = {"encoded": np.frombuffer(b"".join(encoded), np.uint8), "box": boxes}
    content["lengths"] = np.array([len(data) for data in encoded])
    for name, places in (("serving_default", [None] * COUNT), ("boxes", boxes)):
        poses = [reference(data, box) for data, box in zip(encoded, places, strict=True)]
        content[f"{name}_keypoints"] = np.stack([pose.keypoints for pose in poses])
        content[f"{name}_scores"] = np.stack([pose.scores for pose in poses])
    np.savez_compressed(path, **content)
