"""The pictures that predictions and evaluations leave on the disk."""

import dataclasses

import numpy as np

from ..data.placement import where_is
from ..images import sampling
from ..images.decode import upright_array
from ..pose import geometry, output
from .beliefs import draw_beliefs, draw_stages, heat_over
from .canvas import contact_sheet, save_image
from .pose import draw_pose

# pixels of the longer side that a drawing needs
_READABLE = 480


def draw_prediction(image, poses, path, part=None, **looks):
    """Draws poses on their photograph, and for `part` its belief map and its stages beside that.

    Args:
        image: path of the photograph.
        poses: list of `Pose`; for `part` of one.
        path: of the drawing, such as "out/pose.png"; the part's pictures are then
            "out/pose.PART.png" and "out/pose.PART.stages.png".
        part: name, or `None`.
        looks: `threshold` and `names` as in `draw_pose`.

    Returns:
        The paths written. Small photographs are enlarged, so that the drawing does not hide them.
    """
    photograph, poses = _enlarged(image, poses)
    save_image(path, _draw_all(photograph, poses, **looks))
    if not part:
        return [path]
    (pose,) = poses
    beliefs, stages = output.beside(path, part), output.beside(path, part, "stages")
    save_image(beliefs, draw_beliefs(photograph, pose, part))
    save_image(stages, draw_stages(photograph, pose, part))
    return [path, beliefs, stages]


def draw_everybody(image, poses, **looks):
    """Poses on their photograph, as `draw_prediction` writes them.

    Args:
        image: path of the photograph, bytes of its file, or (H, W, 3) uint8 RGB.
        poses: list of `Pose`.
        **looks: `threshold` and `names` as in `draw_pose`.

    Returns:
        (h, w, 3) uint8 RGB.
    """
    return _draw_all(*_enlarged(image, poses), **looks)


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
        drawn.append(draw_everybody(record.image, [pose]))
    save_image(path, contact_sheet(drawn))
    return path


def peak_in_box(pose, part, stage):
    """(2,) where a part was found at a stage, network frame."""
    point = pose.stage_keypoints[stage - 1][pose.parts.index(part)]
    return np.asarray(geometry.apply(np.float32(pose.network_from_image), point))


def draw_explained(crop, pose, part, heats):
    """A part's beliefs over the network box, and below them what made them, a column a stage.

    Args:
        crop: (H, W, 3) uint8 RGB, see `images.crop.cut_box`.
        pose: `Pose`.
        part: its name.
        heats: stage -> (H, W) 0..1, see `saliency.explain`.

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


def _draw_all(photograph, poses, **looks):
    for pose in poses:
        photograph = draw_pose(photograph, pose, pose.spec.skeleton, **looks)
    return photograph


def _enlarged(image, poses):
    """Photograph and poses, a whole number of times as large where the photograph is small."""
    photograph = upright_array(image)
    height, width = photograph.shape[:2]
    factor = max(1, round(_READABLE / max(height, width)))
    larger_from_image = geometry.resize_matrix(factor)
    image_from_larger = geometry.invert(larger_from_image)
    size = (height * factor, width * factor)
    larger = sampling.warp(photograph, larger_from_image, size, fill=None)
    moved = [
        dataclasses.replace(
            pose,
            keypoints=np.asarray(geometry.apply(larger_from_image, pose.keypoints)),
            network_from_image=np.asarray(
                geometry.compose(pose.network_from_image, image_from_larger)
            ),
        )
        for pose in poses
    ]
    return np.rint(larger).astype(np.uint8), moved
