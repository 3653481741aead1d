"""The log of a training, and PCK over thresholds, as pictures."""

import csv
import re
from pathlib import Path

import cv2
import numpy as np

from .drawing import (
    FAINT,
    INK,
    PAPER,
    draw_curve,
    fill_disc,
    fill_line,
    grid,
    save_image,
    shade,
    write_text,
)

_SIZE = (400, 640)
_LEFT, _TOP, _RIGHT, _BOTTOM = 62, 56, 616, 350
_ACROSS = 3
_LONGEST = 36


def plot_training(log_csv, path):
    """Loss and PCK of every stage over the epochs.

    Args:
        log_csv: log.csv as `train` or `keras.callbacks.CSVLogger` writes it.
        path: of the picture.

    Returns:
        (h, w, 3) uint8, the picture.

    Raises:
        FileNotFoundError: no such log.
        ValueError: a log without a finished epoch, or an unknown extension of `path`.
    """
    log = _read_log(log_csv)
    plots = [
        _plot(log, names, kind)
        for kind in ("loss", "pck")
        if (names := [n for n in log if re.fullmatch(rf"(val_)?stage\d+_{kind}", n)])
    ]
    # a model of one stage has one loss, without a stage's name
    picture = grid([plots or [_plot(log, [n for n in log if n in ("loss", "val_loss")], "loss")]])
    save_image(path, picture)
    return picture


def plot_curves(curves, alphas, path, metric="pck"):
    """PCK over thresholds, a plot a column of the table, as the paper's Figures 8, 9 and 12.

    Args:
        curves: what `Evaluation.curves(alphas)` returns, in percent.
        alphas: ascending thresholds, shares of the normalizer.
        path: of the picture.
        metric: "pck" or "pckh", for the axis.

    Returns:
        (h, w, 3) uint8, the picture.

    Raises:
        ValueError: an unknown extension of `path`.
    """
    names = list(next(iter(curves.values())))
    colors = _row_colors(curves)
    plots = [_curve_plot(curves, name, alphas, metric, colors) for name in names]
    plots += [np.full_like(plots[0], 255)] * (-len(plots) % min(_ACROSS, len(plots)))
    across = min(_ACROSS, len(plots))
    picture = grid([plots[i : i + across] for i in range(0, len(plots), across)])
    save_image(path, picture)
    return picture


def _row_colors(curves):
    """Color by row of the table, as far apart as they go."""
    shades = shade(np.linspace(0, 0.85, len(curves)), cv2.COLORMAP_TURBO)
    return {row: tuple(color.tolist()) for row, color in zip(curves, shades, strict=True)}


def _curve_plot(curves, name, alphas, metric, colors):
    image = np.full((*_SIZE, 3), PAPER, np.uint8)
    x_ticks, y_ticks = _ticks(alphas[0], alphas[-1]), _ticks(0, 100)
    _draw_axes(image, x_ticks, y_ticks, f"share of the normalizer; {metric} in percent")
    write_text(image, name, _LEFT, 16, height=14, align=0)
    x = _place(alphas, (x_ticks[0], x_ticks[-1]), (_LEFT, _RIGHT))
    for number, (row, columns) in enumerate(curves.items()):
        y = _place(columns[name], (0, y_ticks[-1]), (_BOTTOM, _TOP))
        draw_curve(image, np.stack([x, y], -1), colors[row], 2)
        # where the curves leave room
        line = _BOTTOM - min(16, (_BOTTOM - _TOP) / len(curves)) * (len(curves) - number)
        last = columns[name][-1]
        text = f"{_short(row)}  {last:.1f}" if np.isfinite(last) else f"{_short(row)}  -"
        write_text(image, text, _RIGHT - 24, line, align=1, height=10)
        start, end = np.array([_RIGHT - 20.0, line]), np.array([_RIGHT - 4.0, line])
        fill_line(image, start, end, 3, colors[row])
    return image


def _short(name):
    """The end of a name, where names of files differ, in letters that OpenCV can draw."""
    plain = name.encode("ascii", "replace").decode()
    return plain if len(plain) <= _LONGEST else f"...{plain[-_LONGEST:]}"


def _read_log(path):
    """Columns of numbers by name; what is no number becomes NaN."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no log at {path}; `train` writes log.csv to its folder.")
    with path.open(newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    if not rows or not {"epoch", "loss"} <= set(rows[0]):
        raise ValueError(
            f"{path} must have columns `epoch` and `loss` and at least one epoch; give the log.csv "
            "of a training."
        )
    log = {name: np.array([_number(row[name]) for row in rows]) for name in rows[0]}
    # Keras writes columns of NA where nothing was validated
    return {n: values for n, values in log.items() if np.isfinite(values).any() or n == "loss"}


def _number(text):
    try:
        return float(text)
    except (TypeError, ValueError):
        return np.nan


def _plot(log, names, title):
    """(h, w, 3): one curve a name, thin for training and thick for validation."""
    image = np.full((*_SIZE, 3), PAPER, np.uint8)
    epochs = log["epoch"] + 1
    values = np.array([log[name] for name in names])
    highest = 1.0 if title == "pck" else np.max(values, where=np.isfinite(values), initial=1e-9)
    x_ticks = _ticks(epochs[0], max(epochs[-1], epochs[0] + 1), least=1)
    y_ticks = _ticks(0, highest)
    _draw_axes(image, x_ticks, y_ticks, "epoch")
    # those of all stages, so that the plots agree
    colors = {stage: c for stage, c in _stage_colors(log).items() if stage in map(_stage, names)}
    for name in names:
        x = _place(epochs, (x_ticks[0], x_ticks[-1]), (_LEFT, _RIGHT))
        y = _place(log[name], (0, y_ticks[-1]), (_BOTTOM, _TOP))
        points = np.stack([x, y], -1)
        color, validates = colors[_stage(name)], name.startswith("val_")
        draw_curve(image, points, color, 2 if validates else 1)
        # one epoch makes no line
        last = points[np.isfinite(points).all(1)][-1:]
        for point in last:
            fill_disc(image, point, 4 if validates else 2.5, color)
    _draw_legend(image, title, colors, any(name.startswith("val_") for name in names))
    return image


def _place(values, source, target):
    share = (np.asarray(values, float) - source[0]) / (source[1] - source[0])
    return target[0] + share * (target[1] - target[0])


def _ticks(low, high, least=0.0):
    """About five round numbers, the first at or below `low`, the last at or above `high`."""
    rough = (high - low) / 5
    power = 10.0 ** np.floor(np.log10(rough))
    step = max(least, next(m * power for m in (1, 2, 5, 10) if m * power >= rough * (1 - 1e-9)))
    first = np.floor(low / step + 1e-9)
    return step * np.arange(first, np.ceil(high / step - 1e-9) + 1)


def _draw_axes(image, x_ticks, y_ticks, label):
    for value in y_ticks:
        y = _place(value, (0, y_ticks[-1]), (_BOTTOM, _TOP))
        fill_line(image, np.array([_LEFT, y]), np.array([_RIGHT, y]), 1, FAINT)
        write_text(image, f"{value:.4g}", _LEFT - 8, y, align=1)
    for value in x_ticks:
        x = _place(value, (x_ticks[0], x_ticks[-1]), (_LEFT, _RIGHT))
        write_text(image, f"{value:.4g}", x, _BOTTOM + 16)
    fill_line(image, np.array([_LEFT, _BOTTOM]), np.array([_RIGHT, _BOTTOM]), 1, INK)
    write_text(image, label, (_LEFT + _RIGHT) / 2, _BOTTOM + 36)


def _stage(name):
    found = re.search(r"stage\d+", name)
    return found[0] if found else "stage1"


def _stage_colors(names):
    """Color by stage, from dark to light as the stages follow each other."""
    stages = sorted({_stage(name) for name in names}, key=lambda stage: (len(stage), stage))
    # the end of the map is too light a yellow for white paper
    shades = shade(np.linspace(0, 0.8, len(stages)), cv2.COLORMAP_VIRIDIS)
    return {stage: tuple(color.tolist()) for stage, color in zip(stages, shades, strict=True)}


def _draw_legend(image, title, colors, validates):
    write_text(image, title.upper() if title == "pck" else title, _LEFT, 16, height=14, align=0)
    for number, (stage, color) in enumerate(colors.items()):
        x = _LEFT + 92 * number
        fill_line(image, np.array([x, 38.0]), np.array([x + 18.0, 38.0]), 3, color)
        write_text(image, stage.replace("stage", "stage "), x + 24, 38, align=0, height=10)
    if validates:
        note = "thick: validation, thin: training"
        write_text(image, note, _RIGHT, 16, align=1, height=10, color=(110, 110, 110))
