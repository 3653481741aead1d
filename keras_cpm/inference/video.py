"""The poses of one person, or of everybody, in every frame of a video or a camera, drawn and
written down.
"""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..images import marks
from ..models.person import MOST_PEOPLE, THRESHOLD
from ..pose import output
from ..pose.spec import Progress
from ..visualization.pose import draw_pose, write_ids
from . import frames
from .crowd import CrowdFollower, FollowedPerson
from .people import find_poses, poses_at
from .pipelining import pipelined
from .smoothing import OneEuro
from .tracking import Follower, Sighting

if TYPE_CHECKING:
    from .predictor import Predictor


def predict_video(
    source: Path | str | int,
    predictor: Predictor,
    *,
    find: Callable[[np.ndarray], list[dict[str, Any]]] | None = None,
    smooth: bool = True,
    draw: Path | str | None = None,
    names: bool = False,
    threshold: float = 0.15,
    show: Callable[[np.ndarray], object] | None = None,
    progress: Progress = iter,
    kept: list[tuple[float, Sighting]] | None = None,
) -> list[tuple[float, Sighting]]:
    """Follows one person through a video.

    Args:
        source: path of a video, or the number of a camera, which ends when `show` says so.
        predictor: `Predictor`.
        find: function of a frame to places, as in `tracking.Follower`; without, the person fills
            the frame when nobody is followed yet.
        smooth: whether keypoints are smoothed, see `smoothing.OneEuro`.
        draw: path of a video to write, with the pose drawn in. It keeps time: frames are repeated
            or left out where the rate of a file varies, or prediction is slower than a camera.
        names: whether names and scores are written beside the parts there.
        threshold: as in `draw_pose`.
        show: function of a frame (H, W, 3) uint8 RGB with the pose drawn in, called for every
            frame; what it returns ends a camera if it is true.
        progress: wraps the frames.
        kept: list that gets the entries as they come, for whoever wants them after an error, too.

    Returns:
        list of (seconds, `tracking.Sighting`), an entry a frame; poses are without belief maps,
        which would fill the memory. Ctrl-C ends a camera, too. A warning says where a file ends
        long before the time that it declares.

    Raises:
        FileNotFoundError, ValueError: as `frames.read_frames` and `frames.Writer`; a source without
            a frame; `draw` where the source is.
        OSError: the drawing cannot be written, and is not there.

    Example:
        >>> import tempfile, keras_cpm
        >>> from keras_cpm.data.synthetic.walking import walking_frames
        >>> from keras_cpm.inference.frames import Writer
        >>> path = tempfile.mkdtemp() + "/walk.mp4"
        >>> writer = Writer(path, 10)
        >>> for _, frame, _ in walking_frames(0.5, 10, (96, 128)): writer(frame)
        >>> writer.close()
        >>> spec = keras_cpm.PoseSpec(box_size=64)
        >>> predictor = keras_cpm.Predictor(keras_cpm.build_cpm(1, spec, width=8), spec)
        >>> len(keras_cpm.predict_video(path, predictor))
        5
    """
    follower = Follower(predictor, find=find, smooth=OneEuro() if smooth else None)
    skeleton = predictor.spec.skeleton

    def follow(frame, seconds):
        return _light(follower(frame, seconds))

    def drawn(frame, sighting):
        return draw_pose(frame, sighting.pose, skeleton, names=names, threshold=threshold)

    return _through(source, follow, drawn, draw=draw, show=show, progress=progress, kept=kept)


def follow_poses(
    source: Path | str | int,
    predictor: Predictor,
    find: Callable[[np.ndarray], list[dict[str, Any]]],
    *,
    person_threshold: float = THRESHOLD,
    most: int = MOST_PEOPLE,
    smooth: bool = True,
    draw: Path | str | None = None,
    names: bool = False,
    threshold: float = 0.15,
    show: Callable[[np.ndarray], object] | None = None,
    progress: Progress = iter,
    kept: list[tuple[float, list[FollowedPerson]]] | None = None,
) -> list[tuple[float, list[FollowedPerson]]]:
    """Follows everybody through a video, each with a number.

    Args:
        source: path of a video, or the number of a camera, which ends when `show` says so.
        predictor: `Predictor`.
        find: function of a frame to places, as in `find_poses`.
        person_threshold: score above which somebody is a person, see `FoundPerson`.
        most: people at most in a frame.
        smooth, draw, names, threshold, show, progress: as in `predict_video`; in drawings the
            number stands above each person.
        kept: list that gets the entries as they come, for whoever wants them after an error, too.

    Returns:
        list of (seconds, list of `FollowedPerson` by id), an entry a frame; poses are without
        belief maps. How people are followed, and when somebody is new: `crowd.CrowdFollower`.

    Raises:
        FileNotFoundError, ValueError, OSError: as `predict_video`; `most` is not positive.

    Example:
        >>> import tempfile, keras_cpm
        >>> from keras_cpm.data.synthetic.walking import walking_frames
        >>> from keras_cpm.inference.frames import Writer
        >>> path = tempfile.mkdtemp() + "/walk.mp4"
        >>> writer = Writer(path, 10)
        >>> for _, frame, _ in walking_frames(0.3, 10, (96, 128)): writer(frame)
        >>> writer.close()
        >>> spec = keras_cpm.PoseSpec(box_size=64)
        >>> predictor = keras_cpm.Predictor(keras_cpm.build_cpm(1, spec, width=8), spec)
        >>> def in_the_middle(frame): return [{"center": (64, 48), "person_height": 70}]
        >>> [people for _, people in keras_cpm.follow_poses(path, predictor, in_the_middle)]
        [[], [], []]
    """
    follower = CrowdFollower(
        lambda frame, places: poses_at(frame, predictor, places),
        lambda frame: find_poses(frame, predictor, find, threshold=person_threshold, most=most),
        threshold=person_threshold,
        most=most,
        smooth=OneEuro if smooth else None,
    )
    skeleton = predictor.spec.skeleton

    def follow(frame, seconds):
        return [_light(person) for person in follower(frame, seconds)]

    def drawn(frame, people):
        for person in people:
            frame = draw_pose(frame, person.pose, skeleton, names=names, threshold=threshold)
        return write_ids(frame, [person.id for person in people], [one.box for one in people])

    return _through(source, follow, drawn, draw=draw, show=show, progress=progress, kept=kept)


def _light(sighting):
    return dataclasses.replace(sighting, pose=dataclasses.replace(sighting.pose, beliefs=None))


def _through(source, follow, drawn, *, draw, show, progress, kept):
    """What `follow` says of every frame; `drawn` draws it into a frame."""
    is_camera = isinstance(source, int)
    if draw and not isinstance(source, int) and Path(draw).resolve() == Path(source).resolve():
        raise ValueError(f"`draw` must not be the video itself. Received: {draw}")
    own_rate, count = (25.0, 0) if is_camera else frames.frame_rate(source)
    rate, longest = min(own_rate, frames.FASTEST), count / own_rate or float("inf")
    writer = frames.Writer(draw, rate) if draw else None
    # last, so that nothing that fails leaves a camera on
    captured = frames.read_frames(source)
    sightings = [] if kept is None else kept
    stopped, last, failed = [], [], []

    def until_stopped():
        for item in progress(captured):
            if stopped:
                return
            yield item

    def work(item):
        seconds, frame = item
        sighting = follow(frame, seconds)
        sightings.append((seconds, sighting))
        # here, because windows belong to the main thread on some systems
        if show and show(drawn(frame, sighting)) and is_camera:
            stopped.append(True)
        return seconds, frame, sighting

    def write(item):
        if not writer or failed:
            return
        # a drawing without room does not end the prediction
        try:
            add(*item)
        except OSError as error:
            failed.append(error)

    def add(seconds, frame, sighting):
        # the one before stays until this one comes
        due = round(rate * min(seconds - sightings[0][0], longest))
        while last and writer.count < due:
            writer(last[0])
        last[:] = [drawn(frame, sighting)]
        if writer.count <= due:
            writer(last[0])

    with contextlib.closing(captured), writer or contextlib.nullcontext():
        try:
            pipelined(until_stopped(), work, write, live=is_camera)
        except KeyboardInterrupt:
            # of a camera without a window it is the way to end
            if not is_camera:
                raise
        if failed:
            raise failed[0]
    if not sightings:
        raise ValueError(
            f"Camera {source} gives no picture; check that this program may use it."
            if is_camera
            else f"There is no frame in {source}; it is damaged or of a format that OpenCV does "
            "not know."
        )
    early = None if is_camera else frames.ends_early(source, [seconds for seconds, _ in sightings])
    if early:
        warnings.warn(early, stacklevel=3)
    return sightings


def as_json(sightings):
    """JSON values: a list of {"seconds", "followed", "keypoints": as `Pose.to_dict`}; of everybody
    of {"seconds", "people": list of {"id", "score", "box", "keypoints"}}.
    """
    entries = []
    for seconds, sighting in sightings:
        if isinstance(sighting, list):
            said = {"people": [person.to_dict() for person in sighting]}
        else:
            said = {"followed": sighting.followed, **sighting.pose.to_dict()}
        entries.append({"seconds": round(seconds, 4), **said})
    return entries


def write_csv(path, sightings):
    """A line a part and frame: frame, seconds, part, x, y, score; of everybody the id, too."""
    everybody = any(isinstance(sighting, list) for _, sighting in sightings)
    with output.whole(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow([*marks.TABLES[0], *(["id"] if everybody else [])])
        for number, (seconds, sighting) in enumerate(sightings):
            for one in sighting if everybody else [sighting]:
                number_of_person = [one.id] if everybody else []
                pose = one.pose
                for part, (x, y), score in zip(
                    pose.parts, pose.keypoints, pose.scores, strict=True
                ):
                    cells = [part, f"{x:.2f}", f"{y:.2f}", f"{score:.4f}"]
                    rows.writerow([number, f"{seconds:.4f}", *cells, *number_of_person])
