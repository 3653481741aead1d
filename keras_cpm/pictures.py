"""The pictures that predictions and evaluations leave on the disk."""

from .images import upright_array
from .visualize import contact_sheet, draw_beliefs, draw_pose, draw_stages, save_image


def draw_prediction(image, pose, path, part=None):
    """Draws a pose on its photograph, and for `part` its belief map and its stages beside that.

    Args:
        image: path of the photograph.
        pose: `Pose`.
        path: of the drawing, such as "out/pose.png"; the part's pictures are then
            "out/pose.PART.png" and "out/pose.PART.stages.png".
        part: name, or `None`.
    """
    photograph = upright_array(image)
    save_image(path, draw_pose(photograph, pose, pose.spec.skeleton))
    if part:
        beliefs, stages = (f"{path.stem}.{part}{kind}{path.suffix}" for kind in ("", ".stages"))
        save_image(path.with_name(beliefs), draw_beliefs(photograph, pose, part))
        save_image(path.with_name(stages), draw_stages(photograph, pose, part))


def draw_predictions(predictor, records, folder):
    """Draws the poses of the records' primary persons on one sheet.

    Args:
        predictor: `Predictor`.
        records: list of `Record`.
        folder: gets predictions.png.

    Returns:
        The path of the sheet.
    """
    drawn = []
    for record in records:
        person = record.people[0]
        pose = predictor(record.image, center=person.center, person_height=person.height)
        drawn.append(draw_pose(upright_array(record.image), pose, predictor.spec.skeleton))
    save_image(folder / "predictions.png", contact_sheet(drawn))
    return folder / "predictions.png"
