"""A drawn person who walks past, frame by frame with exact labels: for video without a video."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from ...pose import geometry
from .draw import draw_figure
from .figures import PERSON

# of a leg's swing
_STEPS_A_SECOND = 0.9


def walking_figure(seconds):
    """`PERSON` in the pose that a walk has after so many seconds, without anything random in it.

    Example:
        >>> from keras_cpm.data.synthetic.walking import walking_figure
        >>> walking_figure(0.0).bones[0].angle
        (0.0, 0.0)
    """
    phase = 2 * math.pi * _STEPS_A_SECOND * seconds
    swing, lift = math.sin(phase), math.cos(phase)
    angles = {"head": 0.0}
    for side, sign in (("right", 1), ("left", -1)):
        # angles of a left bone mirror those of the right one
        angles |= {
            f"{side}_shoulder": sign * -112.0,
            f"{side}_hip": sign * -170.0,
            f"{side}_elbow": sign * -50.0 - 25 * sign * swing,
            f"{side}_wrist": -25 - 15 * sign * swing,
            f"{side}_knee": sign * -8.0 + 25 * sign * swing,
            f"{side}_ankle": 14 + 14 * sign * lift,
        }
    bones = [dataclasses.replace(bone, angle=(angles[bone.child],) * 2) for bone in PERSON.bones]
    return dataclasses.replace(PERSON, bones=bones, tilt=(0, 0), mirror=False, variation=0)


def walking_frames(seconds=10.0, rate=25.0, size=(360, 480), seed=0):
    """Frames of a camera that a person passes, from the left to the right.

    Args:
        seconds: of the clip.
        rate: frames a second.
        size: (height, width), pixels.
        seed: of colours and background.

    Yields:
        seconds of the frame, (H, W, 3) uint8 RGB, and its `Person`.

    Example:
        >>> from keras_cpm.data.synthetic.walking import walking_frames
        >>> [(t, frame.shape) for t, frame, person in walking_frames(0.1, 20, (96, 128))]
        [(0.0, (96, 128, 3)), (0.05, (96, 128, 3))]
    """
    height, width = size
    count = round(seconds * rate)
    for number in range(count):
        time = number / rate
        # one scene, of which the camera shows a window that moves
        scene, (person, *_) = draw_figure(
            walking_figure(time), seed, 0, (height, 2 * width), others=0, occluders=0
        )
        middle = person.keypoints[:, 0].mean()
        share = number / max(count - 1, 1)
        left = round(min(max(middle - width * (0.3 + 0.4 * share), 0), width))
        window_from_scene = geometry.shift_matrix((-left, 0.0))
        corners = np.reshape(person.box, (2, 2))
        keypoints, center, box = (
            geometry.apply(window_from_scene, points).numpy()
            for points in (person.keypoints, person.center, corners)
        )
        yield (
            time,
            scene[:, left : left + width].copy(),
            dataclasses.replace(
                person,
                keypoints=keypoints,
                center=tuple(center.tolist()),
                box=tuple(box.ravel().tolist()),
            ),
        )
