"""A running server against the golden vectors of its export, and its latency under load."""

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from ..export.artefact import BOUNDS, SURE, Artefact

CONCURRENT = (1, 2, 4, 8, 16, 32, 64)


def golden_requests(artefact):
    """What the golden file of a SavedModel asks and expects.

    Args:
        artefact: path, see `manifest.Artefact`.

    Returns:
        list of (bytes of an image, box (4,) or `None`, keypoints (P, 2), scores (P,)), image frame.
    """
    with np.load(Artefact(artefact).golden, allow_pickle=False) as file:
        golden = dict(file)
    ends = np.cumsum(golden["lengths"])
    data = golden["encoded"].tobytes()
    images = [data[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    rows = []
    for name, boxes in (("serving_default", [None] * len(images)), ("boxes", golden["box"])):
        rows += zip(
            images, boxes, golden[f"{name}_keypoints"], golden[f"{name}_scores"], strict=True
        )
    return rows


def displacement(client, artefact):
    """The largest displacement of a keypoint that the Keras model is sure of, pixels.

    Args:
        client: `Client`.
        artefact: path of the export that the server was given.

    Raises:
        ValueError: the server gives poses of other parts, or refuses a golden image.
        ConnectionError: see `Client`.
    """
    worst = 0.0
    for image, box, keypoints, scores in golden_requests(artefact):
        found = client(image, box=box).keypoints
        if found.shape != keypoints.shape:
            raise ValueError(
                f"The server gives {len(found)} keypoints where {artefact} has {len(keypoints)}: it serves "
                "another model."
            )
        moved = np.hypot(*(found - keypoints).T)[scores >= SURE]
        worst = np.maximum(worst, moved.max(initial=0))
    return float(worst)


def latency(make_client, image, concurrent, requests):
    """Milliseconds of a request, of `concurrent` clients that each send `requests`, one after the other.

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


def is_right(moved):
    """Whether a displacement is as small as a SavedModel's must be."""
    return moved <= BOUNDS["none"]
