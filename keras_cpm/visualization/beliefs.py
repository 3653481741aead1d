"""Belief maps over the photograph, the network box or the input of a training.

Images are (H, W, 3) uint8 RGB. Every function returns a new image.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from ..images import sampling
from ..pose import geometry
from ..pose.pose import Pose
from .canvas import CAPTION, caption, copy_rgb, grid, shade


def draw_beliefs(
    image: np.ndarray, pose: Pose, part: str, *, stage: int | None = None
) -> np.ndarray:
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
        >>> from keras_cpm.images.decode import upright_array
        >>> spec = keras_cpm.PoseSpec(box_size=64)
        >>> path = keras_cpm.draw_records(tempfile.mkdtemp(), 1)[0].image
        >>> pose = keras_cpm.Predictor(keras_cpm.build_cpm(2, spec, width=8), spec)(path)
        >>> keras_cpm.draw_beliefs(upright_array(path), pose, "neck", stage=1).shape
        (224, 224, 3)
    """
    maps, spec = _maps_of(pose)
    last = len(maps)
    if stage is not None and stage not in range(1, last + 1):
        raise ValueError(
            f"`stage` must be in 1..{last}, or None for the last. Received: stage={stage!r}"
        )
    belief = maps[(stage or last) - 1][..., spec.channel(part)]
    image_from_network = geometry.invert(np.float32(pose.network_from_image))
    image_from_belief = geometry.compose(image_from_network, _network_from_belief(spec))
    return _overlay(copy_rgb(image), belief, image_from_belief)


def draw_stages(image: np.ndarray, pose: Pose, part: str | Sequence[str]) -> np.ndarray:
    """The beliefs of all stages side by side on the network box, as in Fig. 7 of the paper.

    Args:
        image: (H, W, 3) uint8 RGB.
        pose: `Pose` of that image.
        part: name of a part, or a list of them: one row each.

    Returns:
        (h, w, 3) uint8: square panels of at least 256 pixels, stage 1 first, with their titles.

    Example:
        >>> import tempfile, keras_cpm
        >>> from keras_cpm.images.decode import upright_array
        >>> spec = keras_cpm.PoseSpec(box_size=64)
        >>> path = keras_cpm.draw_records(tempfile.mkdtemp(), 1)[0].image
        >>> pose = keras_cpm.Predictor(keras_cpm.build_cpm(2, spec, width=8), spec)(path)
        >>> keras_cpm.draw_stages(upright_array(path), pose, "neck").ndim
        3
    """
    parts = [part] if isinstance(part, str) else list(part)
    maps, spec = _maps_of(pose)
    side = max(spec.box_size, 256)
    panel_from_network = geometry.resize_matrix(side / spec.box_size)
    panel_from_belief = geometry.compose(panel_from_network, _network_from_belief(spec))
    panel_from_image = geometry.compose(panel_from_network, np.float32(pose.network_from_image))
    crop = _to_uint8(
        sampling.warp(copy_rgb(image), panel_from_image, (side, side), fill=spec.pad_value)
    )
    titles = [caption(f"stage {stage + 1}", side) for stage in range(len(maps))]
    names = [np.rot90(caption(name, side)) for name in parts]
    rows = [[caption("", CAPTION), *titles]]
    for name, label in zip(parts, names, strict=True):
        channel, row = spec.channel(name), [label]
        for beliefs in maps:
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
    """(H, W) values 0..1 over an image of that size: dimmed where low, covered where high."""
    return _overlay(copy_rgb(image), heat, np.eye(3, dtype=np.float32))


def _maps_of(pose):
    """The belief maps of all stages, and the spec that says how to read them."""
    if pose.beliefs is None:
        raise ValueError(
            "`pose` must have belief maps; take one that `Predictor` returns: a server sends "
            "keypoints alone, and `predict_video` keeps them alone. Received: beliefs=None"
        )
    return pose.beliefs, pose.spec


def _network_from_belief(spec):
    return geometry.invert(geometry.belief_from_network(spec))


def _overlay(image, belief, image_from_belief):
    """(h, w) beliefs over an image: dimmed where they are low, covered where they are high."""
    belief = np.clip(np.asarray(belief, np.float32), 0, 1)
    warped = sampling.warp(belief[..., None], image_from_belief, image.shape[:2], fill=0)
    heat = np.asarray(warped)
    share = 0.85 * heat**0.7
    return _to_uint8((1 - share) * 0.7 * image + share * shade(heat[..., 0], cv2.COLORMAP_INFERNO))


def _to_uint8(image):
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)
