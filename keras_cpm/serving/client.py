"""Talks to a server of the SavedModel that `export_saved_model` writes, over gRPC or REST.

Photographs travel as the bytes of their files. gRPC needs `pip install 'keras-cpm[serving]'`.
"""

from __future__ import annotations

import math
import numbers
import os
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import numpy as np

from ..export.artefact import MAX_ROWS
from ..pose.pose import Pose
from ..pose.spec import Array, PoseSpec, Progress
from .answer import Busy, Unfit, largest_reply, people, poses
from .over_grpc import OverGrpc
from .over_rest import OverRest, trust

if TYPE_CHECKING:
    from ..inference.people import FoundPerson

# A batch of photographs from a phone.
_REQUEST_BYTES = 1 << 28
_REST, _ENCRYPTED = ("http", "https"), ("https", "grpcs")
_FIRST_WAIT, _LONGEST_WAIT = 0.2, 5.0
# printable ASCII, as HTTP wants it and gRPC too
_ADDRESS = re.compile(r"[\x21-\x7e]+")
_NAME, _VALUE = re.compile(r"[A-Za-z0-9_.-]+"), re.compile(r"[\x20-\x7e]*")


class Client:
    """A server of poses. Threads may share it.

    What a server answers is taken only where it fits the request and the spec; a reply is at most
    a few MB, and no redirect is followed.

    Args:
        url: "grpc://host:8500", or "http://host:8501" for REST; "grpcs" and "https" with TLS.
        spec: `PoseSpec` of the served model, or the path of its spec.json.
        model: its name on the server.
        timeout: seconds that one request may take, from the first try to the last byte.
        retries: how often a request is sent again, within that time, when the server is not to be
            reached or overloaded.
        headers: dict of name -> text, sent with every request, such as {"Authorization": "Bearer
            ..."}; needs TLS.
        authority: path of a PEM file with the authorities that may sign the server's certificate;
            the system's unless given.
        identity: paths of the certificate and the key, both PEM, that say who this client is.

    Raises:
        ValueError: another kind of `url`, numbers out of range, credentials without TLS, or a
            PEM file that is none.
        FileNotFoundError: a PEM file is not there.
        ImportError: gRPC without the extra.

    Example:
        >>> import keras_cpm
        >>> client = keras_cpm.Client("grpc://localhost:8500", keras_cpm.PoseSpec())
        >>> client.model
        'cpm'
        >>> client.close()
    """

    def __init__(
        self,
        url: str,
        spec: PoseSpec | Path | str,
        *,
        model: str = "cpm",
        timeout: float = 30.0,
        retries: int = 3,
        headers: Mapping[str, str] | None = None,
        authority: Path | str | None = None,
        identity: tuple[Path | str, Path | str] | None = None,
    ) -> None:
        place = _place(url)
        headers = dict(headers or {})
        _check_credentials(place, headers, authority, identity)
        if not (isinstance(timeout, (int, float)) and 0 < timeout < math.inf):
            raise ValueError(f"`timeout` must be positive seconds. Received: {timeout!r}")
        if not isinstance(retries, numbers.Integral) or retries < 0:
            raise ValueError(f"`retries` must be a whole number from 0. Received: {retries!r}")
        self.spec: PoseSpec = spec if isinstance(spec, PoseSpec) else PoseSpec.load(spec)
        self.model, self._url = model, place.geturl()
        self._timeout, self._retries = timeout, retries
        tls = trust(authority, identity) if place.scheme in _ENCRYPTED else None
        common = (place, model, headers, largest_reply(len(self.spec.skeleton.parts)))
        if place.scheme in _REST:
            self._server: OverRest | OverGrpc = OverRest(*common, tls)
        else:
            self._server = OverGrpc(*common, 2 * _REQUEST_BYTES, authority, identity)

    def __call__(self, image: Path | str | bytes, *, box: Array | None = None) -> Pose:
        """One pose.

        Args:
            image: path, or the bytes of an image file.
            box: (x0, y0, x1, y1) around the person, image frame; who has none fills the image.

        Returns:
            `Pose` with keypoints and scores of the last stage, image frame, pixels.

        Raises:
            ValueError: what the server says of the image or the box.
            FileNotFoundError: no such file.
            ConnectionError: what is wrong with the server.
        """
        (pose,) = self.predict_many([image], None if box is None else [box])
        if isinstance(pose, ValueError):
            raise pose
        return pose

    def predict_many(
        self,
        images: Sequence[Path | str | bytes],
        boxes: Array | None = None,
        *,
        batch: int = 8,
        progress: Progress = iter,
    ) -> list[Pose | ValueError]:
        """Many photographs, `batch` a request.

        Args:
            images: list of paths or bytes.
            boxes: (N, 4), or `None`.
            batch: 1 to 64, see `artefact.MAX_ROWS`.
            progress: wraps the list of batches, such as `tqdm.tqdm`.

        Returns:
            list of `Pose`, and of `ValueError` where an image or box is bad.

        Raises:
            ValueError: images or boxes of another kind or number, or too many bytes a request.
            FileNotFoundError: no such file.
            ConnectionError: what is wrong with the server.
        """
        if isinstance(images, (str, bytes, os.PathLike)):
            raise ValueError(f"`images` must be a list. Received: one {type(images).__name__}")
        if not isinstance(batch, numbers.Integral) or not 1 <= batch <= MAX_ROWS:
            raise ValueError(f"`batch` must be 1 to {MAX_ROWS}. Received: {batch!r}")
        images, boxes = list(images), None if boxes is None else _as_boxes(boxes, len(images))
        found = []
        for start in progress(range(0, len(images), batch)):
            chosen = slice(start, start + batch)
            data = _contents(images[chosen])
            if boxes is None:
                answer = self._ask("serving_default", data, None, self._poses)
            else:
                answer = self._ask("boxes", data, boxes[chosen], self._poses)
            found += [self._pose(*row) for row in zip(*answer, strict=True)]
        return found

    def find_poses(self, image: Path | str | bytes) -> list[FoundPerson]:
        """Everybody in a photograph; the server has the signature "people", see
        `export_saved_model`.

        Args:
            image: path, or the bytes of an image file.

        Returns:
            list of `FoundPerson`, the surest first; `center` and `person_height` are those of the
            box.

        Raises:
            ValueError: what the server says of the image.
            FileNotFoundError: no such file.
            ConnectionError: what is wrong with the server.
        """
        from ..inference.people import found_person

        parts = self.spec.skeleton.parts
        *columns, error = self._ask("people", _contents([image]), None, self._people)
        if error:
            raise ValueError(f"The server refused it: {error}.")
        return [
            found_person(Pose(keypoints, scores, parts), float(score))
            for keypoints, scores, score in zip(*columns, strict=True)
        ]

    def close(self) -> None:
        """Ends the connection."""
        self._server.close()

    def _ask(self, signature, data, boxes, read):
        """What `read` takes from the answer to one request, asked until its time is over."""
        deadline, wait = time.monotonic() + self._timeout, _FIRST_WAIT
        who = f"The server at {self._url}"
        for again in reversed(range(self._retries + 1)):
            try:
                return read(self._server.ask(signature, data, boxes, deadline), len(data))
            except Busy as error:
                if not again or time.monotonic() + wait >= deadline:
                    raise ConnectionError(f"{who} {error}") from None
            except TimeoutError:
                raise ConnectionError(
                    f"{who} gives no answer within {self._timeout:g} s; give a longer `timeout` or "
                    "a smaller `batch`"
                ) from None
            except (ConnectionError, Unfit) as error:
                raise ConnectionError(f"{who} {error}") from None
            time.sleep(wait)
            wait = min(2 * wait, _LONGEST_WAIT)
        raise AssertionError("the last try returns or raises")

    def _poses(self, outputs, rows):
        return poses(outputs, rows, self.spec.num_parts)

    def _people(self, outputs, rows):
        del rows  # one
        return people(outputs, self.spec.num_parts)

    def _pose(self, keypoints, scores, error):
        if error:
            return ValueError(f"The server refused it: {error}.")
        return Pose(keypoints, scores, self.spec.skeleton.parts)


def _place(url):
    """The parts of an address that is one."""
    expected = '`url` must be "grpc://host:port" or "http://host:port", or grpcs and https'
    try:
        place = urlsplit(url)
        sound = place.scheme in ("grpc", *_REST, *_ENCRYPTED) and place.hostname
        sound = sound and place.port != 0 and _ADDRESS.fullmatch(url)
    except (ValueError, TypeError, AttributeError):
        sound = False
    if not sound:
        raise ValueError(f"{expected}. Received: {url!r}")
    if "@" in place.netloc:
        # without repeating it: a password is in it
        raise ValueError(f"{expected}; give a name and password as `headers`, not in it.")
    if place.query or place.fragment or (place.scheme not in _REST and place.path not in ("", "/")):
        raise ValueError(f"{expected}, and nothing behind that. Received: {url!r}")
    return place


def _check_credentials(place, headers, authority, identity):
    if (headers or authority or identity) and place.scheme not in _ENCRYPTED:
        raise ValueError(
            "`headers`, `authority` and `identity` need an encrypted connection. Received: "
            f"{place.scheme}://; use grpcs:// or https://"
        )
    for name, value in headers.items():
        texts = isinstance(name, str) and isinstance(value, str)
        if not (texts and _NAME.fullmatch(name) and _VALUE.fullmatch(value)):
            # without its value: a secret is in it
            raise ValueError(
                "`headers` must be names and texts of printable ASCII. Received: one that is not, "
                f"{name!r}"
            )
    if identity is not None and (isinstance(identity, str) or len(identity) != 2):
        raise ValueError("`identity` must be two paths, a certificate and its key.")


def _as_boxes(boxes, count):
    try:
        boxes = np.asarray(boxes, np.float32)
    except (ValueError, TypeError):
        boxes = None
    if boxes is None or (boxes.shape != (count, 4) and (count or boxes.size)):
        received = "no numbers" if boxes is None else f"{boxes.shape}"
        raise ValueError(
            f"`boxes` must hold one box an image, ({count}, 4) x0, y0, x1, y1. Received: {received}"
        )
    return boxes


def _contents(images):
    """The bytes of a request's images, if they are not too many."""
    names = [_described(image) for image in images]
    sizes = [len(one) if isinstance(one, bytes) else one.stat().st_size for one in names]
    if sum(sizes) > _REQUEST_BYTES:
        raise ValueError(
            f"`images` of one request may have {_REQUEST_BYTES >> 20} MB. Received: "
            f"{sum(sizes) >> 20} MB; choose a smaller `batch`, or smaller photographs"
        )
    return [one if isinstance(one, bytes) else one.read_bytes() for one in names]


def _described(image):
    if isinstance(image, bytes):
        return image
    if not isinstance(image, (str, os.PathLike)):
        raise ValueError(
            "`image` must be a path or the bytes of an image file. Received: "
            f"{type(image).__name__}; encode pixels first, as PNG or JPEG"
        )
    path = Path(image)
    if not path.is_file():
        raise FileNotFoundError(f"There is no image file at {path}; check the path.")
    return path
