"""Records as pictures: samples as people labelled them and as training sees them, and findings."""

import textwrap
from itertools import zip_longest
from pathlib import Path

import numpy as np

from ..data.augment import AugmentSpec
from ..data.pipeline import make_dataset
from ..data.placement import keypoints_of, place_of
from ..images.crop import cut_box
from ..images.decode import upright_array
from ..pose import geometry
from ..pose.spec import PoseSpec
from . import canvas
from .beliefs import draw_targets
from .pose import draw_keypoints

# of findings.png: side of a picture in pixels, letters and lines of the text above it
_PANEL, _LETTERS, _LINES, _LINE = 360, 46, 7, 15
_SAMPLE = 480
_MARK = (255, 0, 255)
# findings that are seen by where training takes the person to be
_PLACE_KINDS = ("place", "scale")


def draw_samples(records, spec, folder, count):
    """Draws `count` records: labels.png, the photographs with their labels by name, and
    targets.png, what training sees.

    Args:
        records: list of `Record`.
        spec: `PoseSpec`.
        folder: gets the two pictures.
        count: how many, spread over the records.
    """
    folder = Path(folder)
    step = max(1, len(records) // count)
    chosen = records[::step][:count]
    labels = [_sample(record, spec.skeleton) for record in chosen]
    canvas.save_image(folder / "labels.png", canvas.contact_sheet(labels, cell=_SAMPLE))
    batches = make_dataset(chosen, spec, stages=2, batch_size=len(chosen), augment=AugmentSpec())
    inputs, targets = next(iter(batches))
    pairs = zip(inputs["image"].numpy(), targets["stage2"].numpy(), strict=True)
    drawn = [draw_targets(image.round().astype(np.uint8), maps, spec) for image, maps in pairs]
    canvas.save_image(folder / "targets.png", canvas.contact_sheet(drawn))


def _sample(record, skeleton):
    photograph = upright_array(record.image)
    height, width = photograph.shape[:2]
    whole = (0, 0, width - 1, height - 1)
    return _labelled(photograph, record, skeleton, whole, _SAMPLE, names=True)[0]


def _labelled(photograph, record, skeleton, view, side, *, names):
    """A square picture of the box `view` of a photograph with a record's labels, and
    picture_from_image.

    With `names`, those of the first person's parts are written beside them.
    """
    spec = PoseSpec(box_size=side, person_height=side)
    picture_from_image = geometry.network_from_box(view, spec)
    picture = cut_box(photograph, picture_from_image, spec)
    for number, person in enumerate(record.people):
        keypoints, visible = keypoints_of(person, record.parts, skeleton)
        keypoints = geometry.apply(picture_from_image, keypoints)
        named = names and not number
        picture = draw_keypoints(picture, keypoints, visible, skeleton, names=named)
    return picture, picture_from_image


def draw_findings(records, findings, skeleton, folder, count):
    """Draws records with findings, each kind in turn: findings.png.

    Args:
        records: list of `Record`.
        findings: what `data.checks.check.check` returned for them.
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
        >>> from keras_cpm.data.checks.check import check
        >>> from keras_cpm.visualization.labels import draw_findings
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
    canvas.save_image(path, canvas.tile(panels, 4))
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
    photograph = upright_array(record.image)
    view = _view(record, photograph.shape[:2], finding["kind"])
    panel, panel_from_image = _labelled(photograph, record, skeleton, view, _PANEL, names=False)
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
    place = place_of(person)
    if place is None:
        return np.zeros((0, 2))
    center, height = place
    return np.array(center) + height / 2 * np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)])


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
