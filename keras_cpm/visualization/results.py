"""The pictures that predictions and evaluations leave on the disk."""

import dataclasses

import numpy as np

from ..data.pipeline import where_is
from ..images import sampling
from ..images.decode import open_image, upright_array
from ..pose import geometry
from .beliefs import contact_sheet, draw_beliefs, draw_pose, draw_stages, heat_over, save_image

# pixels of the longer side that a drawing needs
_READABLE = 480


def draw_prediction(image, pose, path, part=None, **looks):
    """Draws a pose on its photograph, and for `part` its belief map and its stages beside that.

    Args:
        image: path of the photograph.
        pose: `Pose`.
        path: of the drawing, such as "out/pose.png"; the part's pictures are then
            "out/pose.PART.png" and "out/pose.PART.stages.png".
        part: name, or `None`.
        looks: `threshold` and `names` as in `draw_pose`.

    Returns:
        The paths written. Small photographs are enlarged, so that the drawing does not hide them.
    """
    photograph, pose = _enlarged(upright_array(image), pose)
    save_image(path, draw_pose(photograph, pose, pose.spec.skeleton, **looks))
    if part:
        beliefs, stages = (f"{path.stem}.{part}{kind}{path.suffix}" for kind in ("", ".stages"))
        save_image(path.with_name(beliefs), draw_beliefs(photograph, pose, part))
        save_image(path.with_name(stages), draw_stages(photograph, pose, part))
        return [path, path.with_name(beliefs), path.with_name(stages)]
    return [path]


def draw_people(image, poses, path, **looks):
    """Draws several poses on their photograph.

    Args:
        image: path of the photograph.
        poses: list of `Pose`.
        path: of the drawing.
        looks: `threshold` and `names` as in `draw_pose`.

    Returns:
        The paths written. Small photographs are enlarged.
    """
    upright = upright_array(image)
    drawn = _enlarged_photograph(upright)
    for pose in poses:
        pose = _enlarged_pose(pose, _factor(upright))
        drawn = draw_pose(drawn, pose, pose.spec.skeleton, **looks)
    save_image(path, drawn)
    return [path]


def draw_predictions(predictor, records, path):
    """Draws the poses of the records' primary persons on one sheet.

    Args:
        predictor: `Predictor`.
        records: list of `Record`.
        path: of the sheet.

    Returns:
        `path`.
    """
    drawn = []
    for record in records:
        center, height = where_is(record)
        pose = predictor(record.image, center=center, person_height=height)
        photograph, pose = _enlarged(upright_array(record.image), pose)
        drawn.append(draw_pose(photograph, pose, predictor.spec.skeleton))
    save_image(path, contact_sheet(drawn))
    return path


def network_box(image, pose):
    """The network box (H, W, 3) uint8 RGB in which `pose` was found in `image`."""
    pixels, upright_from_stored = open_image(image)
    spec = pose.spec
    box = sampling.crop(pixels, upright_from_stored, np.float32(pose.network_from_image), spec)
    return np.rint(box.numpy()).astype(np.uint8)


def peak_in_box(pose, part, stage):
    """(2,) where a part was found at a stage, network frame."""
    point = pose.stage_keypoints[stage - 1][pose.parts.index(part)]
    return geometry.apply(np.float32(pose.network_from_image), point).numpy()


def draw_explained(crop, pose, part, heats):
    """A part's beliefs over the network box, and below them what made them, a column a stage.

    Args:
        crop: (H, W, 3) uint8 RGB, see `network_box`.
        pose: `Pose`.
        part: its name.
        heats: stage -> (H, W) 0..1, see `explaining.explain`.

    Returns:
        (h, w, 3) uint8 RGB.
    """
    in_box = dataclasses.replace(pose, network_from_image=np.eye(3, dtype=np.float32))
    beliefs = [draw_beliefs(crop, in_box, part, stage=stage) for stage in heats]
    made = [heat_over(crop, heat) for heat in heats.values()]
    number = pose.parts.index(part)
    scores = {stage: pose.stage_scores[stage - 1][number] for stage in heats}
    titles = [f"stage {stage} believes: {score:.2f}" for stage, score in scores.items()]
    seen = [f"what stage {stage} sees" for stage in heats]
    return contact_sheet(
        [crop, *beliefs, np.full_like(crop, 255), *made],
        columns=1 + len(heats),
        titles=[part, *titles, "", *seen],
    )


def _enlarged(photograph, pose):
    """Photograph and pose, a whole number of times as large where the photograph is small."""
    return _enlarged_photograph(photograph), _enlarged_pose(pose, _factor(photograph))


def _enlarged_pose(pose, factor):
    larger_from_image = geometry.resize_matrix(factor)
    network_from_larger = geometry.compose(
        pose.network_from_image, geometry.invert(larger_from_image)
    )
    return dataclasses.replace(
        pose,
        keypoints=geometry.apply(larger_from_image, pose.keypoints).numpy(),
        network_from_image=network_from_larger.numpy(),
    )


def _enlarged_photograph(photograph):
    factor = _factor(photograph)
    size = (photograph.shape[0] * factor, photograph.shape[1] * factor)
    larger = sampling.warp(photograph, geometry.resize_matrix(factor), size, fill=None)
    return np.rint(larger.numpy()).astype(np.uint8)


def _factor(photograph):
    return max(1, round(_READABLE / max(photograph.shape[:2])))
