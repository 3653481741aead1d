"""Shapes, text, axes, sheets of pictures and files, with OpenCV and to a fraction of a pixel.

Images are (H, W, 3) uint8 RGB, points (x, y) in their pixels. Shapes are drawn in place.
"""

from pathlib import Path

import cv2
import numpy as np

from ..images import marks

INK, PAPER, FAINT = (30, 30, 30), (255, 255, 255), (225, 225, 225)
GAP, CAPTION = 4, 28
# of a plot: its size, and where its axes are
PLOT_SIZE = (400, 640)
LEFT, TOP, RIGHT, BOTTOM = 62, 56, 616, 350
_SUBPIXEL_BITS = 8
_EXTENSIONS = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
_FONT = cv2.FONT_HERSHEY_SIMPLEX


def copy_rgb(image):
    """A copy to draw on.

    Raises:
        ValueError: not (H, W, 3) uint8.
    """
    image = np.array(image, order="C")
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(
            "`image` must be (height, width, 3) uint8 RGB; `decode.upright_array` makes it from a "
            f"file or an array. Received: {image.dtype} of shape {image.shape}"
        )
    return image


def fill_disc(image, center, radius, color):
    turn = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    _fill(image, center + radius * np.stack([np.cos(turn), np.sin(turn)], -1), color)


def fill_line(image, start, end, width, color):
    """A straight line with flat ends; `cv2.line` knows whole widths only."""
    along = end - start
    across = np.array([-along[1], along[0]]) * 0.5 * width / max(np.hypot(*along), 1e-6)
    _fill(image, [start + across, end + across, end - across, start - across], color)


def draw_curve(image, points, color, width):
    """A polyline of a whole `width`, broken where a point is not finite."""
    gaps = np.flatnonzero(~np.isfinite(points).all(1))
    for run in np.split(points, gaps):
        run = _fixed_point(run[np.isfinite(run).all(1)])
        cv2.polylines(image, [run], False, color, width, cv2.LINE_AA, _SUBPIXEL_BITS)


def _fill(image, outline, color):
    # cv2.fillPoly and cv2.circle are up to a pixel off; this one is exact, if given enough bits
    cv2.fillConvexPoly(image, _fixed_point(outline), color, cv2.LINE_AA, _SUBPIXEL_BITS)


def _fixed_point(points):
    # a million pixels outside is as good as further; more would not fit into 32 bits
    return np.rint(np.clip(points, -1e6, 1e6) * 2**_SUBPIXEL_BITS).astype(np.int32)


def write_text(image, text, x, y, *, height=11, color=INK, align=0.5):
    """One line around row `y`: `align` 0 starts at `x`, 0.5 is centered on it, 1 ends there."""
    scale = height / 22
    (width, capital), _ = cv2.getTextSize(text, _FONT, scale, 1)
    corner = (round(x - align * width), round(y + capital / 2))
    cv2.putText(image, text, corner, _FONT, scale, color, 1, cv2.LINE_AA)


def write_labels(image, texts, points, colors, gap, height):
    """A text beside each point, with a dark edge, where it hides no text or point and stays inside.

    Args:
        image: drawn on.
        texts: list of N.
        points: (N, 2); texts of those right of the middle go to their right, the others to their
            left, if there is room.
        colors: N of the texts.
        gap: pixels between a point and its text.
        height: of a capital letter, pixels.
    """
    half, middle, stroke = gap / 2, np.mean(points, axis=0)[0], max(1, round(height / 9))
    taken = [(x - half, y + half, x + half, y - half) for x, y in points]
    for text, (x, y), color in zip(texts, points, colors, strict=True):
        (width, capital), _ = cv2.getTextSize(text, _FONT, height / 22, stroke)
        sides = [x + gap, x - gap - width] if x >= middle else [x - gap - width, x + gap]
        rows = y + capital / 2 + 1.6 * capital * np.array([0, -1, 1, -2, 2, -3, 3, -4, 4])
        places = [
            (left, row, left + width, row - capital)
            for left in np.clip(sides, stroke, image.shape[1] - width - stroke)
            for row in np.clip(rows, capital + stroke, image.shape[0] - 1 - stroke)
        ]
        free = [p for p in places if not any(_overlap(p, other, 2 * stroke) for other in taken)]
        taken.append((free or places)[0])
        corner = tuple(np.rint(taken[-1][:2]).astype(int).tolist())
        for ink, more in ((INK, 2 * stroke), (color, 0)):
            cv2.putText(image, text, corner, _FONT, height / 22, ink, stroke + more, cv2.LINE_AA)


def _overlap(a, b, margin):
    across = min(a[2], b[2]) - max(a[0], b[0])
    return across > -margin and min(a[1], b[1]) - max(a[3], b[3]) > -margin


def caption(text, width):
    """(CAPTION, width, 3) dark text on white, smaller where it would not fit."""
    image = np.full((CAPTION, width, 3), 255, np.uint8)
    needed = cv2.getTextSize(text, _FONT, 0.6, 1)[0][0]
    letters = 13 * min(1.0, (width - 4) / max(needed, 1))
    write_text(image, text, width / 2, CAPTION / 2, height=letters)
    return image


def draw_axes(x_ticks, y_ticks, title, label):
    """A plot without curves: (h, w, 3), x from the first to the last tick, y from 0 to the last."""
    image = np.full((*PLOT_SIZE, 3), PAPER, np.uint8)
    ends = x_ticks[[0, -1]], np.array([0, y_ticks[-1]])
    for value in y_ticks:
        start, end = place_on_axes(*ends, ends[0], value)
        fill_line(image, start, end, 1, FAINT)
        write_text(image, f"{value:.4g}", LEFT - 8, start[1], align=1)
    for value in x_ticks:
        write_text(image, f"{value:.4g}", place_on_axes(*ends, value, 0)[0], BOTTOM + 16)
    fill_line(image, np.array([LEFT, BOTTOM]), np.array([RIGHT, BOTTOM]), 1, INK)
    write_text(image, title, LEFT, 16, height=14, align=0)
    write_text(image, label, (LEFT + RIGHT) / 2, BOTTOM + 36)
    return image


def place_on_axes(x_ticks, y_ticks, x, y):
    """(..., 2) where the values `x` and `y` are on the axes of `draw_axes`."""
    across = (np.asarray(x, float) - x_ticks[0]) / (x_ticks[-1] - x_ticks[0])
    up = np.asarray(y, float) / y_ticks[-1]
    points = LEFT + across * (RIGHT - LEFT), BOTTOM - up * (BOTTOM - TOP)
    return np.stack(np.broadcast_arrays(*points), axis=-1)


def ticks(low, high, least=0.0):
    """About five round numbers, the first at or below `low`, the last at or above `high`."""
    rough = (high - low) / 5
    power = 10.0 ** np.floor(np.log10(rough))
    step = max(least, next(m * power for m in (1, 2, 5, 10) if m * power >= rough * (1 - 1e-9)))
    first = np.floor(low / step + 1e-9)
    return step * np.arange(first, np.ceil(high / step - 1e-9) + 1)


def grid(rows):
    """Rows of images as one picture with white gaps; heights agree in a row, widths in a column."""
    lines = []
    for row in rows:
        gap = np.full((row[0].shape[0], GAP, 3), 255, np.uint8)
        line = np.hstack([piece for image in row for piece in (image, gap)][:-1])
        lines += [line, np.full((GAP, line.shape[1], 3), 255, np.uint8)]
    return np.vstack(lines[:-1])


def tile(images, columns):
    """Images of one size as a grid of `columns`, white where the last row is not full."""
    columns = min(columns, len(images))
    images = [*images, *[np.full_like(images[0], 255)] * (-len(images) % columns)]
    return grid([images[i : i + columns] for i in range(0, len(images), columns)])


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
        >>> from keras_cpm.visualization import canvas
        >>> black = np.zeros((30, 40, 3), np.uint8)
        >>> canvas.contact_sheet([black] * 3, columns=2, cell=100).shape
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
    return tile(images, columns)


def _letterbox(image, cell):
    factor = cell / max(image.shape[:2])
    height, width = (max(1, round(side * factor)) for side in image.shape[:2])
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    boxed = np.full((cell, cell, 3), 255, np.uint8)
    top, left = (cell - height) // 2, (cell - width) // 2
    boxed[top : top + height, left : left + width] = cv2.resize(image, (width, height), method)
    return boxed


def shade(values, colormap):
    """(...) values within 0..1 to (..., 3) uint8 RGB by one of OpenCV's color maps."""
    levels = np.rint(255 * np.asarray(values)).astype(np.uint8)
    bgr = cv2.applyColorMap(levels.reshape(-1, 1), colormap)
    return bgr.reshape(*levels.shape, 3)[..., ::-1]


def save_image(path, image):
    """Writes (H, W, 3) uint8 RGB as a file, whole or not at all; makes its folder.

    Raises:
        ValueError: a name with an extension that is not known.
        OSError: it cannot be written, see `output.whole`.
    """
    path = Path(path)
    if path.suffix.lower() not in _EXTENSIONS:
        raise ValueError(
            f"`path` must end in one of {', '.join(_EXTENSIONS)}. Received: path={str(path)!r}"
        )
    bgr = np.ascontiguousarray(copy_rgb(image)[..., ::-1])
    # imencode, because cv2.imwrite fails on some paths outside ASCII without saying so
    data = cv2.imencode(path.suffix.lower(), bgr)[1].tobytes()
    marks.write_marked(path, data)
