"""The plots of the paper's Figures 4 and 5; its curves of PCK are `visualization.plots`."""

import numpy as np

from ..visualization.canvas import (
    INK,
    PAPER,
    draw_axes,
    draw_curve,
    fill_disc,
    fill_line,
    grid,
    place_on_axes,
    save_image,
    ticks,
    write_text,
)

# Figure 5 has them in red and blue
WITH, WITHOUT = (205, 60, 50), (60, 90, 190)
_PANEL, _FLOOR, _CEILING, _MARGIN = (150, 170), 122, 12, 10
_HEAD, _SIDE = 62, 84
_BINS = 41


def plot_receptive_fields(curve, path):
    """PCK@0.2 over the receptive field, as Figure 4.

    Args:
        curve: {receptive field in pixels: PCK in percent}.
        path: of the picture.

    Returns:
        (h, w, 3) uint8, the picture.

    Example:
        >>> import tempfile
        >>> from keras_cpm.paper.plots import plot_receptive_fields
        >>> plot_receptive_fields({15: 40.0, 79: 70.0}, f"{tempfile.mkdtemp()}/fig4.png").shape
        (400, 640, 3)
    """
    fields = sorted(curve)
    axes = ticks(0, fields[-1] + 1), ticks(0, 100)
    label = "effective receptive field in pixels of the network box"
    image = draw_axes(*axes, "PCK@0.2 in percent", label)
    points = place_on_axes(*axes, fields, [curve[field] for field in fields])
    draw_curve(image, points, WITHOUT, 2)
    for point, field in zip(points, fields, strict=True):
        fill_disc(image, point, 4, WITHOUT)
        write_text(image, f"{curve[field]:.1f}", point[0], point[1] - 14, height=10)
    save_image(path, image)
    return image


def plot_bars(values, label, path):
    """A bar a name, in the order given.

    Args:
        values: {name: number}.
        label: what the numbers are.
        path: of the picture.

    Returns:
        (h, w, 3) uint8, the picture.

    Example:
        >>> import tempfile
        >>> from keras_cpm.paper.plots import plot_bars
        >>> plot_bars({"neck": 0.2, "head": -0.1}, "belief", f"{tempfile.mkdtemp()}/a.png").shape
        (88, 560, 3)
    """
    row, left, right = 22, 150, 500
    image = np.full((row * (len(values) + 2), 560, 3), PAPER, np.uint8)
    write_text(image, label, left, row / 2, align=0)
    lowest, highest = min(0.0, *values.values()), max(0.0, *values.values())
    room = (highest - lowest) or 1.0
    zero = left + (right - left) * (0.0 - lowest) / room
    for number, (name, value) in enumerate(values.items(), 1):
        y, end = row * (number + 0.5), zero + (right - left) * value / room
        write_text(image, name, left - 8, y, align=1)
        fill_line(
            image, np.array([zero, y]), np.array([end, y]), row / 2, WITHOUT if value >= 0 else WITH
        )
        write_text(image, f"{value:.3f}", max(zero, end) + 8, y, align=0)
    save_image(path, image)
    return image


def plot_gradients(supervised, alone, path):
    """Histograms of gradients, a column a layer from input to output, a row an epoch, as Figure 5.

    A column has one scale, so that its rows can be compared; it ends at three deviations of the
    wider of the two, in the median row, and what lies outside counts to the outermost bin.

    Args:
        supervised: {epoch: {name of a layer: (n,) gradients}} of the model with intermediate
            supervision; epoch 0 is before the training.
        alone: the same of the model without.
        path: of the picture.

    Returns:
        (h, w, 3) uint8, the picture.

    Example:
        >>> import numpy as np, tempfile
        >>> from keras_cpm.paper.plots import plot_gradients
        >>> rows = {1: {"conv1": np.linspace(-1, 1, 9)}}
        >>> plot_gradients(rows, rows, f"{tempfile.mkdtemp()}/fig5.png").dtype
        dtype('uint8')
    """
    layers = list(next(iter(supervised.values())))
    pairs = list(zip(supervised.values(), alone.values(), strict=True))
    ends = {
        name: max(3 * np.median([max(both[name].std() for both in row) for row in pairs]), 1e-30)
        for name in layers
    }
    rows = [[_text("", (_HEAD, _SIDE)), *(_text(name, (_HEAD, _PANEL[1])) for name in layers)]]
    for epoch in supervised:
        row = [_text(f"epoch {epoch}" if epoch else "before", (_PANEL[0], _SIDE))]
        for name in layers:
            row.append(_histogram(supervised[epoch][name], alone[epoch][name], ends[name]))
        rows.append(row)
    picture = grid(rows)
    _legend(picture)
    save_image(path, picture)
    return picture


def _legend(picture):
    names = (
        ("with intermediate supervision", WITH),
        ("without; height: square root of the share of weights", WITHOUT),
    )
    for number, (text, color) in enumerate(names):
        x = _SIDE + 12.0 + 270 * number
        fill_line(picture, np.array([x, 14.0]), np.array([x + 20, 14.0]), 3, color)
        write_text(picture, text, x + 28, 14, align=0)


def _text(text, size):
    image = np.full((*size, 3), PAPER, np.uint8)
    write_text(image, text, size[1] / 2, size[0] - 16 if size[0] == _HEAD else size[0] / 2)
    return image


def _histogram(supervised, alone, end):
    image = np.full((*_PANEL, 3), PAPER, np.uint8)
    edges = np.linspace(-end, end, _BINS + 1)
    inside = np.array([_MARGIN, _FLOOR]), np.array([_PANEL[1] - _MARGIN, _FLOOR])
    fill_line(image, *inside, 1, INK)
    for values, color in ((alone, WITHOUT), (supervised, WITH)):
        counts = np.histogram(np.clip(values, -end, end), edges)[0]
        # the height says where the gradients are; one bin must not flatten the rest
        heights = np.sqrt(counts / counts.sum())
        x = np.repeat(np.linspace(_MARGIN, _PANEL[1] - _MARGIN, _BINS + 1), 2)[1:-1]
        y = _FLOOR - (_FLOOR - _CEILING) * np.repeat(heights, 2)
        draw_curve(image, np.stack([x, y], -1), color, 1)
    for value, x, align in (
        (-end, _MARGIN, 0),
        (0, _PANEL[1] / 2, 0.5),
        (end, _PANEL[1] - _MARGIN, 1),
    ):
        write_text(image, f"{value:.2g}", x, _FLOOR + 14, height=9, align=align)
    return image
