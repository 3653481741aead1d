"""Drawn figures with exact labels, offline and by seed: for tests, the demo and the notebooks.

What is drawn is data; see `figures`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from ...images import marks
from ...pose.spec import Progress
from ..records import NOT_LABELLED, OCCLUDED, VISIBLE, Person, Record
from .figures import PERSON, Color, Figure, Panel, picture_name

_HEIGHT_SHARE = (0.45, 0.75)
_ANY_COLOR = Color("any")
_SUBPIXEL_BITS = 8
_JPEG = (cv2.IMWRITE_JPEG_QUALITY, 92)


@dataclass(frozen=True)
class _Body:
    """One posed figure: (P, 2) points in pixels, pixels of one figure unit, RGB of each shape."""

    points: np.ndarray
    height: float
    unit: float
    layers: tuple[int, ...]
    colors: tuple[tuple[float, ...], ...]


class _Canvas:
    """An RGB picture that remembers for every pixel which shape is in front."""

    def __init__(self, image):
        self.image = image
        self.front = np.zeros(image.shape[:2], np.int32)
        self.shows = [frozenset()]

    def fill(self, outline, color, shows=(), edge=None):
        """Fills a convex polygon (N, 2); `shows` are the labelled points that it does not hide."""
        points = np.rint(np.asarray(outline) * 2**_SUBPIXEL_BITS).astype(np.int32)
        # cv2.fillPoly draws limbs up to a pixel off; this one is exact, if given enough bits.
        cv2.fillConvexPoly(self.image, points, color, cv2.LINE_AA, _SUBPIXEL_BITS)
        if edge is not None:
            cv2.polylines(self.image, [points], True, edge, 1, cv2.LINE_AA, _SUBPIXEL_BITS)
        cv2.fillConvexPoly(self.front, points, len(self.shows), cv2.LINE_8, _SUBPIXEL_BITS)
        self.shows.append(frozenset(shows))

    def visible(self, point, label):
        x, y = (round(float(v)) for v in point)
        if not (0 <= x < self.front.shape[1] and 0 <= y < self.front.shape[0]):
            return NOT_LABELLED
        return VISIBLE if label in self.shows[self.front[y, x]] else OCCLUDED


_CIRCLE = np.stack([f(np.linspace(0, 2 * np.pi, 16, endpoint=False)) for f in (np.cos, np.sin)], -1)


def _hull(points, widths):
    """Outline (N, 2) around discs of the given widths: a limb around two, a torso around more."""
    discs = [point + _CIRCLE * width / 2 for point, width in zip(points, widths, strict=True)]
    return cv2.convexHull(np.concatenate(discs).astype(np.float32))[:, 0]


def _ellipse(start, end, width):
    """Outline (N, 2) of an ellipse from `start` to `end`, a bit longer so that both are on it."""
    along = (np.asarray(end) - start) * 0.54
    across = np.array([-along[1], along[0]]) / np.hypot(*along) * width / 2
    return (np.asarray(start) + end) / 2 + _CIRCLE @ np.stack([along, across])


def _pose(figure, rng, height):
    """A figure in a random pose, its root at (0, 0)."""
    lengths, unit = figure.pick_lengths(rng, height)
    side = -1 if rng.random() < 0.5 and figure.mirror else 1
    direction = {figure.root: rng.uniform(*figure.tilt)}
    point = {figure.root: np.zeros(2)}
    for bone, length in zip(figure.bones, lengths, strict=True):
        angle = direction[bone.parent] + side * rng.uniform(*bone.angle)
        step = np.array([np.sin(np.radians(angle)), -np.cos(np.radians(angle))])
        point[bone.child] = point[bone.parent] + length * step
        direction[bone.child] = angle
    points = np.array([point[part] for part in figure.skeleton.parts])
    order = [figure.partner(i) if side < 0 else i for i in range(len(figure.bones))]
    layers = [figure.bones[i].layer for i in order] + [panel.layer for panel in figure.panels]
    return _Body(points, height, unit, tuple(layers), figure.pick_colors(rng))


def _middle(points):
    return (points.min(0) + points.max(0)) / 2


def _move(body, center):
    return replace(body, points=body.points + (np.asarray(center) - _middle(body.points)))


def _place(body, rng, size):
    """Puts a figure anywhere where it fits, or in the middle where the picture is too small."""
    half = np.ptp(body.points, axis=0) / 2 + 0.06 * body.height
    room = np.array(size[::-1]) - 1
    low = np.minimum(half, room / 2)
    return _move(body, rng.uniform(low, room - low))


def _neighbor(figure, body, rng, size):
    """Another figure of about the same size beside `body`, on the side with more room."""
    other = _pose(figure, rng, body.height * rng.uniform(0.85, 1.15))
    center = _middle(body.points)
    side = 1 if center[0] < size[1] / 2 else -1
    offset = np.array([side * rng.uniform(0.25, 0.6), rng.uniform(-0.1, 0.1)])
    return _move(other, np.clip(center + offset * body.height, 0, np.array(size[::-1]) - 1))


def _cast(figure, rng, size, others):
    """The primary figure and perhaps another one beside it."""
    height = rng.uniform(*_HEIGHT_SHARE) * min(size)
    body = _place(_pose(figure, rng, height), rng, size)
    return [body, _neighbor(figure, body, rng, size)] if rng.random() < others else [body]


def _draw_body(canvas, figure, body, number):
    """Paints bones and panels from back to front."""
    index = figure.skeleton.index
    for i in sorted(range(len(body.layers)), key=lambda i: body.layers[i]):
        shape = (figure.bones + figure.panels)[i]
        parts = shape.parts if isinstance(shape, Panel) else (shape.parent, shape.child)
        points = body.points[[index(part) for part in parts]]
        widths = np.broadcast_to(shape.width, len(parts)) * body.unit
        oval = getattr(shape, "oval", False)
        outline = _ellipse(*points, widths.max()) if oval else _hull(points, widths)
        # An edge separates a sleeve from the shirt of the same color behind it.
        edge = tuple(0.75 * c for c in body.colors[i])
        canvas.fill(outline, body.colors[i], {(number, index(part)) for part in parts}, edge)


def _patch(rng, center, longest):
    """Outline (N, 2) of a rotated rectangle, an ellipse or a kind of limb around `center`."""
    angle, length = rng.uniform(0, np.pi), longest * rng.uniform(0.5, 1)
    half = np.array([np.cos(angle), np.sin(angle)]) * length / 2
    width = length * rng.uniform(0.2, 0.7)
    if (kind := rng.integers(3)) == 0:
        box = (tuple(map(float, center)), (float(length), float(width)), float(np.degrees(angle)))
        return cv2.boxPoints(box)
    if kind == 1:
        return _ellipse(center - half, center + half, width)
    return _hull((center - half, center + half), (width / 2, width / 2 * rng.uniform(0.6, 1)))


def _hide_something(canvas, body, rng):
    """Paints a patch over some part of `body`."""
    part = rng.integers(len(body.points))
    center = body.points[part] + rng.normal(0, 0.03 * body.height, 2)
    canvas.fill(_patch(rng, center, 0.3 * body.height), tuple(_ANY_COLOR.pick(rng).tolist()))


def _smooth(rng, size, cells, low, high, channels=3):
    """(h, w, channels) float32 of slowly changing random values."""
    grid = rng.uniform(low, high, (cells, cells, channels)).astype(np.float32)
    return cv2.resize(grid, size[::-1], interpolation=cv2.INTER_LINEAR).reshape(*size, channels)


def _background(rng, size):
    """A color gradient, blotches, stripes and scattered shapes, some of them like limbs."""
    image = _smooth(rng, size, 2, 50, 190) + _smooth(rng, size, int(rng.integers(6, 30)), -15, 15)
    image += _smooth(rng, size, int(rng.integers(6, 40)), -30, 30, channels=1)
    if rng.random() < 0.5:
        y, x = np.ogrid[: size[0], : size[1]]
        wave = rng.uniform(-0.5, 0.5, 2)
        image += np.cos(wave[0] * x + wave[1] * y, dtype=np.float32)[..., None] * rng.uniform(5, 25)
    canvas = _Canvas(np.clip(image, 0, 255).astype(np.uint8))
    for _ in range(rng.integers(4, 12)):
        center = rng.uniform(0, 1, 2) * size[::-1]
        canvas.fill(_patch(rng, center, 0.35 * min(size)), tuple(_ANY_COLOR.pick(rng).tolist()))
    return canvas.image


def _photograph(image, rng):
    """Uneven light, a slightly soft lens and grain."""
    size = image.shape[:2]
    lit = image * _smooth(rng, size, 3, 0.8, 1.1, channels=1)
    lit = cv2.GaussianBlur(lit, (3, 3), rng.uniform(0.2, 0.9))
    lit += rng.integers(-9, 10, image.shape, np.int8)
    return np.clip(np.rint(lit), 0, 255).astype(np.uint8)


def _label(figure, body, number, canvas):
    """The `Person` of a drawn body, or `None` if no part lies in the picture."""
    visible = np.array([canvas.visible(p, (number, i)) for i, p in enumerate(body.points)])
    inside = body.points[visible > NOT_LABELLED]
    if not len(inside):
        return None
    margin, last = 0.08 * body.height, np.array(canvas.front.shape[::-1]) - 1
    box = (*np.maximum(inside.min(0) - margin, 0), *np.minimum(inside.max(0) + margin, last))
    center, head = tuple(_middle(inside)), figure.head_size(body.points)
    return Person(body.points, visible, center, body.height, box, head)


def _label_all(figure, bodies, canvas):
    people = [_label(figure, body, number, canvas) for number, body in enumerate(bodies)]
    if people[0] is None:
        raise ValueError(
            "The figure is too large for its picture; choose `height_parts` that span more of it. "
            f"Received: height_parts={figure.height_parts}"
        )
    return tuple(person for person in people if person is not None)


def _check(count=1, seed=0, index=0, size=(224, 224), others=0.0, occluders=0.0):
    for name, value, least in (("count", count, 1), ("seed", seed, 0), ("index", index, 0)):
        if not isinstance(value, (int, np.integer)) or value < least:
            raise ValueError(
                f"`{name}` must be a whole number of at least {least}. Received: {name}={value!r}"
            )
    if np.shape(size) != (2,) or min(size) < 32:
        raise ValueError(
            f"The picture must be (height, width), both at least 32. Received: {size!r}"
        )
    for name, value in (("others", others), ("occluders", occluders)):
        if not 0 <= value <= 1:
            raise ValueError(f"`{name}` must be a probability in 0..1. Received: {name}={value!r}")


def draw_figure(
    figure: Figure,
    seed: int,
    index: int,
    size: tuple[int, int] = (224, 224),
    *,
    others: float = 0.3,
    occluders: float = 0.4,
    plain: bool = False,
) -> tuple[np.ndarray, tuple[Person, ...]]:
    """Draws picture `index` of the endless series `seed`: a pure function of its arguments.

    Args:
        figure: `Figure`.
        seed: of the series; another seed gives other figures, poses and colors.
        index: of the picture in the series.
        size: (height, width) of the picture, pixels.
        others: probability of a second figure beside the primary one, in front of it or behind.
        occluders: probability of a patch in front of the primary figure.
        plain: grey background without light, blur and grain, to see what is drawn where.

    Returns:
        (h, w, 3) uint8 RGB and the people, the primary first. Points are (x, y) in the image frame.
        A part outside the picture is not labelled; one behind a patch, another figure or another
        limb is labelled as occluded. The height is 0.45 to 0.75 of the picture's shorter side.

    Raises:
        ValueError: negative seed or index, a picture below 32 pixels, a probability outside 0..1.

    Example:
        >>> from keras_cpm.data.synthetic.figures import PERSON
        >>> from keras_cpm.data.synthetic.draw import draw_figure
        >>> image, people = draw_figure(PERSON, seed=0, index=3)
        >>> image.shape, image.dtype.name, people[0].keypoints.shape
        ((224, 224, 3), 'uint8', (14, 2))
    """
    _check(seed=seed, index=index, size=size, others=others, occluders=occluders)
    size = (int(size[0]), int(size[1]))
    rng = np.random.default_rng([seed, index])
    bodies = _cast(figure, rng, size, others)
    grey = np.full((*size, 3), 128, np.uint8)
    canvas = _Canvas(grey if plain else _background(rng, size))
    for number in rng.permutation(len(bodies)):
        _draw_body(canvas, figure, bodies[number], number)
    if rng.random() < occluders:
        _hide_something(canvas, bodies[0], rng)
    image = canvas.image if plain else _photograph(canvas.image, rng)
    return image, _label_all(figure, bodies, canvas)


def draw_records(
    directory: Path | str,
    count: int,
    *,
    figure: Figure = PERSON,
    seed: int = 0,
    image_size: tuple[int, int] = (224, 224),
    others: float = 0.3,
    occluders: float = 0.4,
    progress: Progress | None = None,
) -> list[Record]:
    """Writes the first `count` pictures of the series `seed` as JPEG files.

    The same arguments write the same files; a larger `count` continues the series.

    Left limbs are darker than right ones, seen from the front and from behind. A mirror image
    breaks that rule, so train on these with `AugmentSpec(flip_probability=0)`.

    Args:
        directory: of the pictures; made if it does not exist.
        count: how many.
        figure: `Figure`, such as `PERSON`, `HAND` or `QUADRUPED`.
        seed: of the series.
        image_size: (height, width), pixels.
        others: probability of a second figure; see `draw_figure`.
        occluders: probability of an occluding patch; see `draw_figure`.
        progress: wraps the range of indices, such as `tqdm.tqdm`.

    Returns:
        `count` records with absolute image paths, `dataset` "synthetic" and `split` "train".

    Raises:
        ValueError: count below 1, or as `draw_figure`.
        OSError: a picture cannot be written; those before stay.

    Example:
        >>> import tempfile
        >>> from keras_cpm.data.synthetic.draw import draw_records
        >>> records = draw_records(tempfile.mkdtemp(), 2, image_size=(64, 64))
        >>> len(records), records[0].size, records[0].dataset
        (2, (64, 64), 'synthetic')
    """
    _check(count, seed, size=image_size, others=others, occluders=occluders)
    size = (int(image_size[0]), int(image_size[1]))
    directory = Path(directory).absolute()
    records = []
    for index in range(count) if progress is None else progress(range(count)):
        image, people = draw_figure(figure, seed, index, size, others=others, occluders=occluders)
        path = directory / picture_name(figure, seed, index)
        bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
        marks.write_marked(path, cv2.imencode(".jpg", bgr, _JPEG)[1].tobytes())
        records.append(Record(str(path), size, figure.skeleton.parts, people, dataset="synthetic"))
    return records
