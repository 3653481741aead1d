"""Golden vectors: what an export is asked and must answer, in a file beside it.

Written where the export is made, of drawn people; read wherever it runs, which needs numpy alone.
"""

import contextlib
import tempfile
import zipfile
from dataclasses import dataclass

import numpy as np

from ..models.person import MOST_PEOPLE

COUNT = 3


@dataclass(frozen=True, eq=False)
class Golden:
    """What one signature is asked and must answer.

    Args:
        signature: its name.
        inputs: dict of "image", N network boxes (H, W, 3) uint8 or the bytes of N image files, and
            of "box" (N, 4) x0 y0 x1 y1, image frame, where the signature takes it.
        keypoints: (N, P, 2), network frame for network boxes, image frame for files.
        scores: (N, P). Of the signature "people" both have an axis of people, the second.
    """

    signature: str
    inputs: dict
    keypoints: np.ndarray
    scores: np.ndarray


def read(artefact):
    """The golden vectors of an export.

    Args:
        artefact: `Artefact`.

    Returns:
        list of `Golden`: one for a LiteRT or ONNX file, two for a SavedModel, without boxes and
        with them, and a third for one that finds people.

    Raises:
        FileNotFoundError, ValueError: no golden file beside it, or a damaged one.

    Example:
        >>> from keras_cpm.export import golden
        >>> from keras_cpm.export.artefact import Artefact
        >>> from keras_cpm.models import bundle
        >>> folder = bundle.shipped_bundles()["cpm-light"]
        >>> (asked,) = golden.read(Artefact(folder / "cpm.tflite"))
        >>> asked.signature, asked.inputs["image"].shape, asked.scores.shape
        ('serving_default', (3, 192, 192, 3), (3, 14))
    """
    with _damaged_unless_read(artefact.golden):
        return _read(artefact)


def _read(artefact):
    with np.load(artefact.golden, allow_pickle=False) as file:
        arrays = dict(file)
    if artefact.is_file:
        outputs = arrays["keypoints"], arrays["scores"]
        return [Golden("serving_default", {"image": arrays["image"]}, *outputs)]
    data, ends = arrays["encoded"].tobytes(), np.cumsum(arrays["lengths"])
    images = [data[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    asked = [("serving_default", {"image": images})]
    asked += [("boxes", {"image": images, "box": arrays["box"]})]
    asked += [("people", {"image": images})] if "people_keypoints" in arrays else []
    return [
        Golden(name, inputs, arrays[f"{name}_keypoints"], arrays[f"{name}_scores"])
        for name, inputs in asked
    ]


def read_keras(artefact):
    """What the Keras model answered to the golden boxes of a LiteRT or ONNX file, as `Golden`."""
    with (
        _damaged_unless_read(artefact.golden),
        np.load(artefact.golden, allow_pickle=False) as file,
    ):
        outputs = file["keras_keypoints"], file["keras_scores"]
        return Golden("serving_default", {"image": file["image"]}, *outputs)


@contextlib.contextmanager
def _damaged_unless_read(path):
    try:
        yield
    except FileNotFoundError:
        raise
    except (KeyError, TypeError, ValueError, EOFError, OSError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} is damaged; copy it again. It says: {error}") from None


def write_boxes(path, spec, reference, run):
    """Writes what a LiteRT or ONNX file is tested with: drawn people's boxes, of any skeleton.

    Args:
        path: of the .npz file.
        spec: `PoseSpec`.
        reference: function of one box (1, H, W, 3), the Keras model.
        run: the file as a function of the same.
    """
    from ..data.crop import network_box

    with tempfile.TemporaryDirectory() as folder:
        boxes = np.stack([network_box(person, spec)[0] for person in _people(folder)])
    right = [reference(box[None].astype(np.float32)) for box in boxes]
    found = [run(box[None]) for box in boxes]
    outputs = {name: np.concatenate([one[name] for one in found]) for name in found[0]}
    outputs |= {f"keras_{name}": np.concatenate([one[name] for one in right]) for name in found[0]}
    np.savez_compressed(path, image=boxes, **outputs)


def write_photographs(path, reference, people=None):
    """Writes what a SavedModel is tested with: drawn people, filling their images and in boxes.

    Args:
        path: of the .npz file.
        reference: function of encoded bytes and a box or None to a `Pose`, the Keras model.
        people: function of encoded bytes to a list of `Pose`, of an export that finds people.
    """
    encoded, boxes = photographs()
    content = {"encoded": np.frombuffer(b"".join(encoded), np.uint8), "box": boxes}
    content["lengths"] = np.array([len(data) for data in encoded])
    for name, places in (("serving_default", [None] * COUNT), ("boxes", boxes)):
        poses = [reference(data, box) for data, box in zip(encoded, places, strict=True)]
        content[f"{name}_keypoints"] = np.stack([pose.keypoints for pose in poses])
        content[f"{name}_scores"] = np.stack([pose.scores for pose in poses])
    if people:
        parts = content["boxes_scores"].shape[1]
        found = np.zeros((COUNT, MOST_PEOPLE, parts, 3), np.float32)
        for row, data in zip(found, encoded, strict=True):
            for place, pose in zip(row, people(data), strict=False):
                place[:, :2], place[:, 2] = pose.keypoints, pose.scores
        content |= {"people_keypoints": found[..., :2], "people_scores": found[..., 2]}
    np.savez_compressed(path, **content)


def photographs():
    """Drawn people as bytes of JPEG files, and their boxes (3, 4) x0 y0 x1 y1."""
    from ..images import decode

    with tempfile.TemporaryDirectory() as folder:
        people = _people(folder)
        boxes = np.array([person.people[0].box for person in people], np.float32)
        return [decode.encoded(person.image) for person in people], boxes


def _people(folder):
    """The same ones each time."""
    from ..data.synthetic.draw import draw_records

    return draw_records(folder, COUNT, seed=0)
