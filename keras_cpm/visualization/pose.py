"""A pose as limbs and dots, in colors that tell the sides apart.

Images are (H, W, 3) uint8 RGB, points (x, y) in their pixels. Every function returns a new image.
"""

from __future__ import annotations

import re

import numpy as np

from ..pose.pose import Pose
from ..pose.skeleton import Skeleton
from .canvas import INK, copy_rgb, fill_disc, fill_line, write_labels

# Okabe and Ito's colors, which the color-blind can tell apart: warm right, cool left.
_SIDES = {
    "right": ((230, 159, 0), (213, 94, 0)),
    "left": ((86, 180, 233), (0, 114, 178)),
    "middle": ((240, 240, 240),),
}
_NO_SIDES = (*_SIDES["right"], (240, 228, 66), (0, 158, 115), *_SIDES["left"], (204, 121, 167))
# Radius of a dot and height of a letter as shares of the person's extent.
_DOT, _LETTER = 0.017, 0.021
# Height of a person's number as a share of the picture's longer side.
_ID = 0.025


def draw_pose(
    image: np.ndarray,
    pose: Pose,
    skeleton: Skeleton,
    *,
    threshold: float = 0.15,
    names: bool = False,
) -> np.ndarray:
    """Limbs as lines, parts as dots; call it once a person.

    The colored area of a dot is in proportion to its part's score, and is full from 1 on; a limb is
    as thin as the less sure of its ends asks for.

    Args:
        image: (H, W, 3) uint8 RGB.
        pose: `Pose` of that image.
        skeleton: `Skeleton` of the pose.
        threshold: a part with a lower score is not drawn, nor are its limbs; 0.15 in the release.
        names: whether names and scores are written beside the parts.

    Returns:
        (H, W, 3) uint8.

    Example:
        >>> import tempfile, keras_cpm
        >>> from keras_cpm.images.decode import upright_array
        >>> spec = keras_cpm.PoseSpec(box_size=64)
        >>> path = keras_cpm.draw_records(tempfile.mkdtemp(), 1)[0].image
        >>> pose = keras_cpm.Predictor(keras_cpm.build_cpm(2, spec, width=8), spec)(path)
        >>> keras_cpm.draw_pose(upright_array(path), pose, spec.skeleton).shape
        (224, 224, 3)
    """
    if tuple(pose.parts) != skeleton.parts:
        raise ValueError(
            f"`skeleton` must be the pose's own, with parts {list(pose.parts)}; take the "
            f"`spec.skeleton` of its model. Received: {skeleton.name!r} with {list(skeleton.parts)}"
        )
    scores = np.asarray(pose.scores, np.float64)
    visible = np.where(scores >= threshold, 2, 0)
    drawn = _draw_figure(image, pose.keypoints, visible, skeleton, np.clip(scores, 0, 1))
    if names:
        texts = [f"{part} {score:.2f}" for part, score in zip(pose.parts, scores, strict=True)]
        _write_names(drawn, pose.keypoints, visible, skeleton, texts)
    return drawn


def draw_keypoints(image, keypoints, visible, skeleton, *, names=False):
    """Like `draw_pose`, for labels.

    Args:
        image: (H, W, 3) uint8 RGB.
        keypoints: (P, 2) in the pixels of `image`; they may lie outside.
        visible: (P,) 0 = not drawn, 1 = a hollow dot, 2 = a filled one.
        skeleton: `Skeleton` of P parts.
        names: whether their names are written beside the parts.

    Returns:
        (H, W, 3) uint8.

    Example:
        >>> import numpy as np
        >>> from keras_cpm import CPM14
        >>> from keras_cpm.visualization import pose
        >>> grey = np.full((64, 64, 3), 128, np.uint8)
        >>> image = pose.draw_keypoints(grey, [[20, 30]] * 14, [2] + [0] * 13, CPM14)
        >>> image[30, 20].tolist() == list(pose.part_colors(CPM14)[0])
        True
    """
    drawn = _draw_figure(image, keypoints, visible, skeleton, np.ones(skeleton.num_parts))
    if names:
        _write_names(drawn, keypoints, visible, skeleton, skeleton.parts)
    return drawn


def write_ids(image, ids, boxes):
    """Writes the number of each person above the box around the parts, in a color of its own.

    Args:
        image: (H, W, 3) uint8 RGB.
        ids: N numbers.
        boxes: N of (x0, y0, x1, y1) in the pixels of `image`.

    Returns:
        (H, W, 3) uint8.

    Example:
        >>> import numpy as np
        >>> from keras_cpm.visualization import pose
        >>> grey = np.full((64, 64, 3), 128, np.uint8)
        >>> bool((pose.write_ids(grey, [7], [(20, 30, 40, 60)]) != grey).any())
        True
    """
    drawn = copy_rgb(image)
    if ids:
        x0, y0, x1, _ = np.transpose(np.asarray(boxes, np.float64))
        height = max(11.0, _ID * max(drawn.shape[:2]))
        colors = [tuple((c + 255) // 2 for c in _NO_SIDES[i % len(_NO_SIDES)]) for i in ids]
        texts, points = [str(i) for i in ids], np.stack([(x0 + x1) / 2, y0 - height], axis=-1)
        write_labels(drawn, texts, points, colors, 0, height)
    return drawn


def _draw_figure(image, keypoints, visible, skeleton, sure):
    """`draw_keypoints`, with (P,) 0..1 how sure each is."""
    before, image = np.asarray(image), copy_rgb(image)
    points, visible = np.asarray(keypoints, np.float64), np.asarray(visible)
    if points.shape != (skeleton.num_parts, 2) or visible.shape != (skeleton.num_parts,):
        raise ValueError(
            f"`keypoints` must be ({skeleton.num_parts}, 2) and `visible` ({skeleton.num_parts},), "
            f"as {skeleton.name!r} has it. Received: shapes {points.shape} and {visible.shape}"
        )
    shown = np.flatnonzero((visible > 0) & np.isfinite(points).all(1))
    if len(shown):
        radius, colors = _dot_radius(points[shown], image), part_colors(skeleton)
        for color, (a, b) in zip(_limb_colors(skeleton), skeleton.limb_indices, strict=True):
            if a in shown and b in shown:
                _draw_limb(image, points[[a, b]], radius, color, min(sure[a], sure[b]))
        for i in shown:
            window = before if visible[i] == 1 else None
            _draw_dot(image, points[i], radius, colors[i], sure[i], window)
    return image


def _write_names(image, keypoints, visible, skeleton, texts):
    points = np.asarray(keypoints, np.float64)
    shown = np.flatnonzero((np.asarray(visible) > 0) & np.isfinite(points).all(1))
    if not len(shown):
        return
    radius = _dot_radius(points[shown], image)
    # smaller letters cannot be read
    height = max(9.0, _LETTER / _DOT * radius)
    # halfway to white: letters are thinner than dots
    colors = [tuple((c + 255) // 2 for c in part_colors(skeleton)[i]) for i in shown]
    texts = [texts[i].replace("_", " ") for i in shown]
    write_labels(image, texts, points[shown], colors, 2 * radius, height)


def part_colors(skeleton):
    """P colors (R, G, B): warm on the right, cool on the left, neutral between.

    Parts joined by limbs of one side share a color; without sides, each branch has its own.
    """
    sides = [_side(part) for part in skeleton.parts]
    limbs = [(a, b) for a, b in skeleton.limb_indices if sides[a] == sides[b]]
    ends = [end for limb in limbs for end in limb]
    chain = list(range(skeleton.num_parts))
    for a, b in limbs:
        if ends.count(a) < 3 and ends.count(b) < 3:
            chain = [chain[a] if c == chain[b] else c for c in chain]
    has_sides, colors = set(sides) != {"middle"}, []
    for side, number in zip(sides, chain, strict=True):
        peers = sorted({c for c, s in zip(chain, sides, strict=True) if s == side})
        palette = _SIDES[side] if has_sides else _NO_SIDES
        colors.append(palette[peers.index(number) % len(palette)])
    return tuple(colors)


def _side(part):
    words = re.split(r"[^a-z]+", part.lower())
    return next((side for side in ("right", "left") if side in words), "middle")


def _limb_colors(skeleton):
    colors, middle = part_colors(skeleton), _SIDES["middle"][0]
    for limb, (a, b) in zip(skeleton.limbs, skeleton.limb_indices, strict=True):
        first, second = map(_side, limb)
        if first == second or first == "middle":
            yield colors[b]
        else:
            yield colors[a] if second == "middle" else middle


def _dot_radius(points, image):
    """In proportion to the person; a single point says nothing of its size, the picture must do."""
    extent = np.ptp(points, axis=0).max() if len(points) > 1 else 0.3 * max(image.shape[:2])
    return max(2.0, _DOT * extent)


def _rim(radius):
    """Width of the dark edge that keeps every color readable on every photograph."""
    return max(0.7, 0.2 * radius)


def _draw_limb(image, ends, radius, color, sure):
    width = max(1.5, radius * sure)
    fill_line(image, *ends, width + 2 * _rim(radius), INK)
    fill_line(image, *ends, width, color)


def _draw_dot(image, center, radius, color, sure, window):
    """A dot; with a `window` image, that shows through its middle."""
    fill_disc(image, center, radius + _rim(radius), INK)
    # less than a pixel would show no color
    fill_disc(image, center, max(1.2, radius * np.sqrt(sure)), color)
    if window is not None:
        hole = np.zeros(image.shape[:2], np.uint8)
        fill_disc(hole, center, radius - max(1.0, 0.35 * radius), 255)
        inside = hole > 0
        share = hole[inside, None] / 255
        image[inside] = np.rint(share * window[inside] + (1 - share) * image[inside])
