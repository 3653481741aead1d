"""Pictures of poses, beliefs and trainings.

Images are (H, W, 3) uint8 RGB, points (x, y) in their pixels. Every function returns a new image.
"""

import re

import cv2
import numpy as np

from . import geometry, sampling
from .drawing import CAPTION, INK, caption, copy_rgb, fill_disc, fill_line, grid, shade
from .drawing import save_image as save_image
from .plots import plot_training as plot_training

# Okabe and Ito's colors, which the color-blind can tell apart: warm right, cool left.
_SIDES = {
    "right": ((230, 159, 0), (213, 94, 0)),
    "left": ((86, 180, 233), (0, 114, 178)),
    "middle": ((240, 240, 240),),
}
_NO_SIDES = (*_SIDES["right"], (240, 228, 66), (0, 158, 115), *_SIDES["left"], (204, 121, 167))
# Radius of a dot as a share of the person's extent.
_DOT = 0.017


def draw_pose(image, pose, skeleton, *, threshold=0.15):
    """Limbs as lines, parts as dots; call it once a person.

    Args:
        image: (H, W, 3) uint8 RGB.
        pose: `Pose` of that image.
        skeleton: `Skeleton` of the pose.
        threshold: a part with a lower score is not drawn, nor are its limbs; 0.15 in the release.

    Returns:
        (H, W, 3) uint8.

    Example:
        >>> import tempfile, keras_cpm
        >>> from keras_cpm.images import upright_array
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
    visible = np.where(np.asarray(pose.scores) >= threshold, 2, 0)
    return draw_keypoints(image, pose.keypoints, visible, skeleton)


def draw_keypoints(image, keypoints, visible, skeleton):
    """Like `draw_pose`, for labels.

    Args:
        image: (H, W, 3) uint8 RGB.
        keypoints: (P, 2) in the pixels of `image`; they may lie outside.
        visible: (P,) 0 = not drawn, 1 = a hollow dot, 2 = a filled one.
        skeleton: `Skeleton` of P parts.

    Returns:
        (H, W, 3) uint8.

    Example:
        >>> import numpy as np
        >>> from keras_cpm import CPM14, visualize
        >>> grey = np.full((64, 64, 3), 128, np.uint8)
        >>> image = visualize.draw_keypoints(grey, [[20, 30]] * 14, [2] + [0] * 13, CPM14)
        >>> image[30, 20].tolist() == list(visualize.part_colors(CPM14)[0])
        True
    """
    before, image = copy_rgb(image), copy_rgb(image)
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
                _draw_limb(image, points[[a, b]], radius, color)
        for i in shown:
            window = before if visible[i] == 1 else None
            _draw_dot(image, points[i], radius, colors[i], window)
    return image


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


def _draw_limb(image, ends, radius, color):
    fill_line(image, *ends, radius + 2 * _rim(radius), INK)
    fill_line(image, *ends, radius, color)


def _draw_dot(image, center, radius, color, window=None):
    """A dot; with a `window` image, that shows through its middle."""
    fill_disc(image, center, radius + _rim(radius), INK)
    fill_disc(image, center, radius, color)
    if window is not None:
        hole = np.zeros(image.shape[:2], np.uint8)
        fill_disc(hole, center, radius - max(1.0, 0.35 * radius), 255)
        inside = hole > 0
        share = hole[inside, None] / 255
        image[inside] = np.rint(share * window[inside] + (1 - share) * image[inside])


def draw_beliefs(image, pose, part, *, stage=None):
    """One part's belief map over the photograph.

    Args:
        image: (H, W, 3) uint8 RGB.
        pose: `Pose` of that image.
        part: name of a part, or "background" where `pose.spec.background`.
        stage: 1..T as in the paper; `None` is the last.

    Returns:
        (H, W, 3) uint8.

    Raises:
        ValueError: unknown part or stage.

    Example:
        >>> import tempfile, keras_cpm
        >>> from keras_cpm.images import upright_array
        >>> spec = keras_cpm.PoseSpec(box_size=64)
        >>> path = keras_cpm.draw_records(tempfile.mkdtemp(), 1)[0].image
        >>> pose = keras_cpm.Predictor(keras_cpm.build_cpm(2, spec, width=8), spec)(path)
        >>> keras_cpm.draw_beliefs(upright_array(path), pose, "neck", stage=1).shape
        (224, 224, 3)
    """
    last = len(pose.beliefs)
    if stage is not None and stage not in range(1, last + 1):
        raise ValueError(
            f"`stage` must be in 1..{last}, or None for the last. Received: stage={stage!r}"
        )
    belief = pose.beliefs[(stage or last) - 1][..., pose.spec.channel(part)]
    image_from_network = geometry.invert(np.float32(pose.network_from_image))
    image_from_belief = geometry.compose(image_from_network, _network_from_belief(pose.spec))
    return _overlay(copy_rgb(image), belief, image_from_belief)


def draw_stages(image, pose, part):
    """The beliefs of all stages side by side on the network box, as in Fig. 7 of the paper.

    Args:
        image: (H, W, 3) uint8 RGB.
        pose: `Pose` of that image.
        part: name of a part, or a list of them: one row each.

    Returns:
        (h, w, 3) uint8: square panels of at least 256 pixels, stage 1 first, with their titles.

    Example:
        >>> import tempfile, keras_cpm
        >>> from keras_cpm.images import upright_array
        >>> spec = keras_cpm.PoseSpec(box_size=64)
        >>> path = keras_cpm.draw_records(tempfile.mkdtemp(), 1)[0].image
        >>> pose = keras_cpm.Predictor(keras_cpm.build_cpm(2, spec, width=8), spec)(path)
        >>> keras_cpm.draw_stages(upright_array(path), pose, "neck").ndim
        3
    """
    parts, spec = [part] if isinstance(part, str) else list(part), pose.spec
    side = max(spec.box_size, 256)
    panel_from_network = geometry.resize_matrix(side / spec.box_size)
    panel_from_belief = geometry.compose(panel_from_network, _network_from_belief(spec))
    panel_from_image = geometry.compose(panel_from_network, np.float32(pose.network_from_image))
    crop = _to_uint8(
        sampling.warp(copy_rgb(image), panel_from_image, (side, side), fill=spec.pad_value)
    )
    titles = [caption(f"stage {stage + 1}", side) for stage in range(len(pose.beliefs))]
    names = [np.rot90(caption(name, side)) for name in parts]
    rows = [[caption("", CAPTION), *titles]]
    for name, label in zip(parts, names, strict=True):
        channel, row = spec.channel(name), [label]
        for beliefs in pose.beliefs:
            row.append(_overlay(crop, beliefs[..., channel], panel_from_belief))
        rows.append(row)
    return grid(rows)


def draw_targets(image, beliefs, spec):
    """The highest belief of all parts over the network's input, to look at training data.

    Args:
        image: (box_size, box_size, 3) uint8 RGB, network frame.
        beliefs: (h, w, C); channels without label (IGNORE) do not show.
        spec: `PoseSpec`.

    Returns:
        (box_size, box_size, 3) uint8.
    """
    image, beliefs = copy_rgb(image), np.asarray(beliefs)
    if image.shape[:2] != (spec.box_size, spec.box_size):
        raise ValueError(
            f"`image` must be the network box, {spec.box_size} pixels square; warp it there with "
            f"`geometry.network_from_image`. Received: shape {image.shape}"
        )
    heat = beliefs[..., : spec.num_parts].max(-1)
    return _overlay(image, heat, _network_from_belief(spec))


def heat_over(image, heat):
    """(H, W) values 0..1 over an image of that size: dimmed where they are low, covered where high."""
    return _overlay(copy_rgb(image), heat, np.eye(3, dtype=np.float32))


def _network_from_belief(spec):
    return geometry.invert(geometry.belief_from_network(spec))


def _overlay(image, belief, image_from_belief):
    """(h, w) beliefs over an image: dimmed where they are low, covered where they are high."""
    belief = np.clip(np.asarray(belief, np.float32), 0, 1)
    heat = sampling.warp(belief[..., None], image_from_belief, image.shape[:2], fill=0).numpy()
    share = 0.85 * heat**0.7
    return _to_uint8((1 - share) * 0.7 * image + share * shade(heat[..., 0], cv2.COLORMAP_INFERNO))


def _to_uint8(image):
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def contact_sheet(images, *, columns=4, cell=256, titles=None):
    """Pictures of any size in a grid of square cells.

    Args:
        images: list of (H, W, 3) uint8 RGB.
        columns: pictures in a row.
        cell: side of a cell in pixels; a picture is made as large as fits into it.
        titles: one text a picture, written above it.

    Returns:
        (h, w, 3) uint8 on white.

    Example:
        >>> import numpy as np
        >>> from keras_cpm import visualize
        >>> black = np.zeros((30, 40, 3), np.uint8)
        >>> visualize.contact_sheet([black] * 3, columns=2, cell=100).shape
        (204, 204, 3)
    """
    for name, value in (("columns", columns), ("cell", cell)):
        if value < 1:
            raise ValueError(f"`{name}` must be at least 1. Received: {name}={value}")
    images = [_letterbox(copy_rgb(image), cell) for image in images]
    if not images or (titles is not None and len(titles) != len(images)):
        raise ValueError(
            "`images` must hold at least one picture and `titles`, if given, one text for each. "
            f"Received: {len(images)} images and {len(titles or ())} titles"
        )
    if titles is not None:
        images = [
            np.vstack([caption(title, cell), image])
            for title, image in zip(titles, images, strict=True)
        ]
    columns = min(columns, len(images))
    images += [np.full_like(images[0], 255)] * (-len(images) % columns)
    return grid([images[i : i + columns] for i in range(0, len(images), columns)])


def _letterbox(image, cell):
    factor = cell / max(image.shape[:2])
    height, width = (max(1, round(side * factor)) for side in image.shape[:2])
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    boxed = np.full((cell, cell, 3), 255, np.uint8)
    top, left = (cell - height) // 2, (cell - width) // 2
    boxed[top : top + height, left : left + width] = cv2.resize(image, (width, height), method)
    return boxed
