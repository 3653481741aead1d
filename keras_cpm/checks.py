"""What is wrong with records, found before a training finds out."""

from pathlib import Path

import numpy as np
import tensorflow as tf

from . import geometry, images, visualize
from .data import pipeline
from .recipes import AugmentSpec

# a figure smaller than this many pixels, or larger than this many pictures, is a slip of units
_SMALLEST_HEIGHT, _LARGEST_SHARE = 8, 5


def check(records, *, progress=None):
    """Looks at every record and its image.

    Args:
        records: list of `Record`.
        progress: callable that wraps the iteration over the records, to show it.

    Returns:
        list of {"problem": ..., "where": ...}, empty where all is well.

    Example:
        >>> import tempfile
        >>> from keras_cpm import draw_records
        >>> from keras_cpm.checks import check
        >>> check(draw_records(tempfile.mkdtemp(), 2))
        []
    """
    findings, seen = [], {}
    for number, record in enumerate(progress(records) if progress else records):
        where = f"record {number} ({record.image})"
        problems = [*_image_problems(record), *_people_problems(record)]
        key = (record.image, record.people[0].keypoints.tobytes())
        if key in seen:
            problems.append(f"the same person as in record {seen[key]}; remove one")
        seen.setdefault(key, number)
        findings += [{"problem": problem, "where": where} for problem in problems]
    return findings


def _image_problems(record):
    try:
        pixels, upright_from_stored = images.open_image(record.image)
    except (ValueError, OSError) as error:
        return [str(error)]
    stored = tf.shape(pixels)[:2]
    upright = tuple(geometry.upright_size(stored, upright_from_stored).numpy().tolist())
    if record.size is None or record.size == upright:
        return []
    if record.size == upright[::-1]:
        return [
            f"the record says {record.size} (height, width), the upright image is {upright}: the labels were made "
            "without regard to EXIF orientation; turn them"
        ]
    return [
        f"the record says {record.size} (height, width), the image is {upright}; were its labels made at another size?"
    ]


def _people_problems(record):
    problems = []
    if not pipeline.is_placed(record):
        problems.append("nothing says where the primary person is; give `center` and `height`")
    for i, person in enumerate(record.people):
        if not person.labelled.any():
            problems.append(f"person {i} has no labelled part; remove the person or label it")
            continue
        if record.size is not None:
            problems += _place_problems(person, np.array(record.size[::-1]), i)
    return problems


def _place_problems(person, size, i):
    points = person.keypoints[person.labelled]
    outside = ((points < -0.5 * size) | (points > 1.5 * size)).any(axis=1)
    inside = ((points >= 0) & (points < size)).all(axis=1)
    turned = ((points[:, ::-1] >= 0) & (points[:, ::-1] < size)).all(axis=1)
    if inside.mean() < 0.6 and turned.all():
        return [
            f"person {i}: most parts lie outside, and inside with x and y swapped; write points as (x, y)"
        ]
    problems = []
    if outside.any():
        problems.append(
            f"person {i}: {int(outside.sum())} parts lie far outside the image; give them visible 0"
        )
    height = person.height
    if height is not None and not _SMALLEST_HEIGHT <= height <= _LARGEST_SHARE * size.max():
        problems.append(
            f"person {i}: a height of {height:g} pixels is impossible here; heights are image pixels"
        )
    return problems


def draw_samples(records, spec, folder, count, *, augment=AugmentSpec()):  # noqa: B008 frozen
    """Draws `count` records: labels.png, the photographs with their labels, and targets.png, what training sees.

    Args:
        records: list of `Record`.
        spec: `PoseSpec`.
        folder: gets the two pictures.
        count: how many, spread over the records.
        augment: `AugmentSpec` of targets.png.
    """
    folder = Path(folder)
    step = max(1, len(records) // count)
    chosen = records[::step][:count]
    labels = []
    for record in chosen:
        picture = images.upright_array(record.image)
        for person in record.people:
            keypoints, visible = pipeline.keypoints_of(person, record.parts, spec.skeleton)
            picture = visualize.draw_keypoints(picture, keypoints, visible, spec.skeleton)
        labels.append(picture)
    visualize.save_image(folder / "labels.png", visualize.contact_sheet(labels))
    batches = pipeline.make_dataset(chosen, spec, stages=2, batch_size=len(chosen), augment=augment)
    inputs, targets = next(iter(batches))
    pairs = zip(inputs["image"].numpy(), targets["stage2"].numpy(), strict=True)
    drawn = [
        visualize.draw_targets(image.round().astype(np.uint8), beliefs, spec)
        for image, beliefs in pairs
    ]
    visualize.save_image(folder / "targets.png", visualize.contact_sheet(drawn))
