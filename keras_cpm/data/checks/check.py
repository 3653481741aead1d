"""What is wrong with records, found before a training finds out."""

import textwrap
from itertools import zip_longest
from pathlib import Path

import numpy as np
import tensorflow as tf

from ...images import decode, sampling
from ...pose import geometry
from ...pose.spec import PoseSpec
from ...visualization import beliefs, canvas
from .. import pipeline
from ..augment import AugmentSpec
from . import duplicates, labels

# of findings.png: side of a picture in pixels, letters and lines of the text above it
_PANEL, _LETTERS, _LINES, _LINE = 360, 46, 7, 15
_SAMPLE = 480
_MARK = (255, 0, 255)
# findings that are seen by where training takes the person to be
_PLACE_KINDS = ("place", "scale")


def check(records, *, progress=None):
    """Looks at every record and its image, and at all of them together.

    | kind | what is wrong |
    |---|---|
    | image | missing or unreadable |
    | size | the record says another one than the image has |
    | exif | labels of the photograph as it is stored, not upright |
    | place | nothing says where the person is, or a place far from the labels |
    | unlabelled | a person without labels |
    | axes | x and y swapped |
    | outside | parts far outside the image |
    | scale | a height that is no person's, or not this one's |
    | sides | right and left exchanged: by a mirror, of arms or legs, of the whole set |
    | mirror | mirrored about width instead of width - 1 |
    | duplicate | the same person in two records, or twice in one |

    What cannot be known is not reported: whether an EXIF orientation that keeps the size (2, 3, 4,
    or any of a square image) was heeded, and x and y swapped where both ways fit.

    Args:
        records: list of `Record`.
        progress: callable that wraps the iteration over the records, to show it.

    Returns:
        list of {"kind": ..., "problem": ..., "where": ..., "record": its number, or `None` where it
        is all of them}, empty where all is well. What concerns all comes first.

    Example:
        >>> import tempfile
        >>> from keras_cpm import draw_records
        >>> from keras_cpm.data.checks.check import check
        >>> check(draw_records(tempfile.mkdtemp(), 2))
        []
    """
    found, sizes = [], []
    for record in progress(records) if progress else records:
        problems, size, stored = _look_at_image(record)
        found.append([*problems, *labels.about_record(record, size, stored)])
        sizes.append(size)
    for number, kind, problem in duplicates.find(records, sizes):
        found[number].append((kind, problem))
    findings = [_finding(*about, "all records", None) for about in labels.about_set(records)]
    for number, record in enumerate(records):
        where = f"record {number} ({record.image})"
        findings += [_finding(*about, where, number) for about in found[number]]
    return findings


def _finding(kind, problem, where, number):
    return {"kind": kind, "problem": problem, "where": where, "record": number}


def _look_at_image(record):
    """Problems, and (height, width) upright and as stored; `None` where they are unknown."""
    try:
        pixels, upright_from_stored = decode.open_image(record.image)
    except (ValueError, OSError) as error:
        return [("image", str(error))], record.size, None
    stored = tuple(pixels.shape[:2])
    upright = _upright_size(pixels, upright_from_stored)
    if record.size in (None, upright):
        return [], upright, stored
    if record.size == upright[::-1] and stored == upright:
        problem = (
            f"the record says {record.size} (height, width), the image is {upright}; write the "
            "height first"
        )
        return [("size", problem)], upright, stored
    if record.size == upright[::-1]:
        problem = (
            f"the record says {record.size} (height, width), the upright image is {upright}: the "
            "labels were made without regard to EXIF orientation; turn them"
        )
        return [("exif", problem)], record.size, stored
    problem = (
        f"the record says {record.size} (height, width), the image is {upright}; were its labels "
        "made at another size?"
    )
    return [("size", problem)], record.size, stored


def _upright_size(pixels, upright_from_stored):
    size = geometry.upright_size(tf.shape(pixels)[:2], upright_from_stored)
    return tuple(size.numpy().tolist())


def draw_samples(records, spec, folder, count, *, augment=AugmentSpec()):  # noqa: B008 frozen
    """Draws `count` records: labels.png, the photographs with their labels by name, and targets.png, what
    training sees.

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
    labels = [_sample(record, spec.skeleton) for record in chosen]
    beliefs.save_image(folder / "labels.png", beliefs.contact_sheet(labels, cell=_SAMPLE))
    batches = pipeline.make_dataset(chosen, spec, stages=2, batch_size=len(chosen), augment=augment)
    inputs, targets = next(iter(batches))
    pairs = zip(inputs["image"].numpy(), targets["stage2"].numpy(), strict=True)
    drawn = [
        beliefs.draw_targets(image.round().astype(np.uint8), maps, spec) for image, maps in pairs
    ]
    beliefs.save_image(folder / "targets.png", beliefs.contact_sheet(drawn))


def _sample(record, skeleton):
    height, width = _size(record)
    whole = (0, 0, width - 1, height - 1)
    return _labelled(record, skeleton, whole, _SAMPLE, names=True)[0]


def _size(record):
    """(height, width) of the upright photograph."""
    return _upright_size(*decode.open_image(record.image))


def _labelled(record, skeleton, view, side, *, names):
    """What a square picture shows of a record in the box `view`, with its labels; and picture_from_image.

    With `names`, those of the first person's parts are written beside them.
    """
    pixels, upright_from_stored = decode.open_image(record.image)
    spec = PoseSpec(box_size=side, person_height=side)
    picture_from_image = geometry.network_from_box(view, spec)
    picture = sampling.crop(pixels, upright_from_stored, picture_from_image, spec)
    picture = np.rint(picture).astype(np.uint8)
    for number, person in enumerate(record.people):
        keypoints, visible = pipeline.keypoints_of(person, record.parts, skeleton)
        keypoints = geometry.apply(picture_from_image, keypoints)
        named = names and not number
        picture = beliefs.draw_keypoints(picture, keypoints, visible, skeleton, names=named)
    return picture, picture_from_image


def draw_findings(records, findings, skeleton, folder, count):
    """Draws records with findings, each kind in turn: findings.png.

    Args:
        records: list of `Record`.
        findings: what `check` returned for them.
        skeleton: `Skeleton` to draw with.
        folder: gets the picture.
        count: how many records at most.

    Returns:
        The path of the picture, or `None` where there is nothing to draw: no findings, or no image
        that can be read. Of findings of place and scale, a square shows where training takes the
        person to be and how tall, if it is in sight.

    Example:
        >>> import tempfile
        >>> from keras_cpm import CPM14, draw_records
        >>> from keras_cpm.data.checks.check import check, draw_findings
        >>> folder = tempfile.mkdtemp()
        >>> records = draw_records(folder, 1) * 2
        >>> path = draw_findings(records, check(records), CPM14, folder, count=4)
        >>> path.name
        'findings.png'
    """
    panels = []
    for finding in _one_of_each_record(findings):
        if len(panels) < count:
            try:
                panels.append(_panel(records[finding["record"]], finding, skeleton))
            except (ValueError, OSError):
                continue  # the finding says so
    if not panels:
        return None
    path = Path(folder) / "findings.png"
    columns = min(4, len(panels))
    panels += [np.full_like(panels[0], 255)] * (-len(panels) % columns)
    rows = [panels[i : i + columns] for i in range(0, len(panels), columns)]
    beliefs.save_image(path, canvas.grid(rows))
    return path


def _one_of_each_record(findings):
    """The first finding of each record, the kinds in turn."""
    kinds, seen = {}, {None}
    for finding in findings:
        kinds.setdefault(finding["kind"], []).append(finding)
    for finding in (f for turn in zip_longest(*kinds.values()) for f in turn if f):
        if finding["record"] not in seen:
            seen.add(finding["record"])
            yield finding


def _panel(record, finding, skeleton):
    """A picture of everything that is labelled, also outside the photograph, below its text."""
    view = _view(record, _size(record), finding["kind"])
    panel, panel_from_image = _labelled(record, skeleton, view, _PANEL, names=False)
    if finding["kind"] in _PLACE_KINDS:
        _draw_places(panel, record.people, panel_from_image)
    if len(record.people) > 1:
        _draw_numbers(panel, record.people, panel_from_image)
    return np.vstack([_text(f"record {finding['record']}: {finding['problem']}"), panel])


def _view(record, size, kind):
    """Box x0, y0, x1, y1 of the labels, and of the image where that shows what is wrong."""
    sides = np.array(size[::-1])
    corners = [person.keypoints[person.labelled] for person in record.people]
    if kind in _PLACE_KINDS:
        corners += [_square(person).reshape(-1, 4, 2).mean(axis=1) for person in record.people]
    if kind not in ("sides", "mirror", "duplicate") or not np.concatenate(corners).size:
        corners += [np.stack([0 * sides, sides])]
    # what is labelled a thousand pixels off would leave no room for the rest
    corners = np.clip(np.concatenate(corners), -sides, 2 * sides)
    low, high = corners.min(axis=0), corners.max(axis=0)
    margin = 0.1 * max(1, (high - low).max())
    return np.concatenate([low - margin, high + margin])


def _square(person):
    """(4, 2) corners of the place a person takes in training, (0, 2) where it is not known."""
    place = labels.place_of(person)
    if place is None:
        return np.zeros((0, 2))
    center, height, _ = place
    return center + height / 2 * np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)])


def _draw_places(panel, people, panel_from_image):
    for person in people:
        corners = geometry.apply(panel_from_image, _square(person)).numpy()
        for start, end in zip(corners, np.roll(corners, -1, axis=0), strict=True):
            canvas.fill_line(panel, start, end, 3, _MARK)


def _draw_numbers(panel, people, panel_from_image):
    spots = []
    for number, person in enumerate(people):
        if person.labelled.any():
            middle = person.keypoints[person.labelled].mean(axis=0)
            spot = geometry.apply(panel_from_image, middle).numpy()
            # beside each other where somebody stands there twice
            while any(abs(spot - other).max() < 20 for other in spots):
                spot = spot + (22, 0)
            spots.append(spot)
            canvas.fill_disc(panel, spot, 10, canvas.PAPER)
            canvas.write_text(panel, str(number), *spot, height=12)


def _text(text):
    image = np.full((_LINES * _LINE, _PANEL, 3), 255, np.uint8)
    lines = textwrap.wrap(text, _LETTERS, max_lines=_LINES, placeholder=" ...")
    for i, line in enumerate(reversed(lines)):
        canvas.write_text(image, line, 2, (_LINES - i - 0.6) * _LINE, height=9, align=0)
    return image
