"""Whether a running server is right: the golden vectors of its export, and latency under load."""

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from ..export import golden
from ..export.artefact import Artefact
from ..export.displacement import BOUNDS, displacements

CONCURRENT = (1, 2, 4, 8, 16, 32, 64)


def displacement(client, path):
    """The largest displacement of a keypoint that the Keras model is sure of, pixels.

    Args:
        client: `Client`.
        path: of the export that the server was given, a SavedModel.

    Raises:
        FileNotFoundError, ValueError: no SavedModel at `path`.
        ValueError: the server gives poses of other parts, or refuses a golden image.
        ConnectionError: see `Client`.
    """
    artefact = Artefact(path)
    if artefact.is_file:
        raise ValueError(
            "`path` must be the folder of the SavedModel that the server was given. Received: "
            f"{path}, a file that no server of TensorFlow takes"
        )
    worst = 0.0
    for asked in golden.read(artefact):
        boxes = asked.inputs.get("box", [None] * len(asked.scores))
        rows = zip(asked.inputs["image"], boxes, asked.keypoints, asked.scores, strict=True)
        for image, box, keypoints, scores in rows:
            if asked.signature == "people":
                found = np.zeros_like(keypoints)
                for place, person in zip(found, client.find_poses(image), strict=False):
                    place[:] = person.pose.keypoints
            else:
                found = client(image, box=box).keypoints
            if found.shape != keypoints.shape:
                raise ValueError(
                    f"The server gives {len(found)} keypoints where {path} has {len(keypoints)}: "
                    "it serves another model."
                )
            worst = max(worst, displacements(found, keypoints, scores).max(initial=0))
    return float(worst)


def is_right(moved):
    """Whether a displacement is as small as a SavedModel's must be."""
    return moved <= BOUNDS["none"]


def latency(make_client, image, concurrent, requests):
    """Milliseconds of a request where `concurrent` clients send `requests` each, one by one.

    Args:
        make_client: function without arguments to a `Client`.
        image: bytes of an image file.

    Returns:
        dict of "median", "p95", and "per_second", all answers together.
    """

    def work(_):
        client, taken = make_client(), []
        for _ in range(requests):
            start = time.perf_counter()
            client(image)
            taken.append(time.perf_counter() - start)
        client.close()
        return taken

    start = time.perf_counter()
    with ThreadPoolExecutor(concurrent) as pool:
        taken = 1e3 * np.concatenate(list(pool.map(work, range(concurrent))))
    seconds = time.perf_counter() - start
    return {
        "median": float(np.median(taken)),
        "p95": float(np.quantile(taken, 0.95)),
        "per_second": len(taken) / seconds,
    }
