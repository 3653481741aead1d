"""The pose of one person in every frame of a video or a camera, drawn and written down."""

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
from ..pose import output
from ..pose.spec import Progress
from ..visualization.pose import draw_pose
from . import frames
from .pipelining import pipelined
from .tracking import Follower, OneEuro, Sighting

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
        smooth: whether keypoints are smoothed, see `tracking.OneEuro`.
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
    is_camera = isinstance(source, int)
    if draw and not isinstance(source, int) and Path(draw).resolve() == Path(source).resolve():
        raise ValueError(f"`draw` must not be the video itself. Received: {draw}")
    own_rate, count = (25.0, 0) if is_camera else frames.frame_rate(source)
    rate, longest = min(own_rate, frames.FASTEST), count / own_rate or float("inf")
    follow = Follower(predictor, find=find, smooth=OneEuro() if smooth else None)
    writer = frames.Writer(draw, rate) if draw else None
    # last, so that nothing that fails leaves a camera on
    captured = frames.read_frames(source)
    sightings = [] if kept is None else kept
    skeleton, stopped, last, failed = predictor.spec.skeleton, [], [], []

    def until_stopped():
        for item in progress(captured):
            if stopped:
                return
            yield item

    def drawn(frame, sighting):
        return draw_pose(frame, sighting.pose, skeleton, names=names, threshold=threshold)

    def work(item):
        seconds, frame = item
        sighting = follow(frame, seconds)
        light = dataclasses.replace(sighting.pose, beliefs=None)
        sightings.append((seconds, dataclasses.replace(sighting, pose=light)))
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
        warnings.warn(early, stacklevel=2)
    return sightings


def as_json(sightings):
    """JSON values: a list of {"seconds", "followed", "keypoints": as `Pose.to_dict`}."""
    return [
        {"seconds": round(seconds, 4), "followed": sighting.followed, **sighting.pose.to_dict()}
        for seconds, sighting in sightings
    ]


def write_csv(path, sightings):
    """A line a part and frame: frame, seconds, part, x, y, score."""
    with output.whole(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(marks.TABLES[0])
        for number, (seconds, sighting) in enumerate(sightings):
            pose = sighting.pose
            for part, (x, y), score in zip(pose.parts, pose.keypoints, pose.scores, strict=True):
                rows.writerow(
                    [number, f"{seconds:.4f}", part, f"{x:.2f}", f"{y:.2f}", f"{score:.4f}"]
                )
