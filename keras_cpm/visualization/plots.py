"""The log of a training, and PCK over thresholds, as pictures."""

import csv
import re
from pathlib import Path

import cv2
import numpy as np

from .canvas import (
    BOTTOM,
    LEFT,
    RIGHT,
    TOP,
    draw_axes,
    draw_curve,
    fill_disc,
    fill_line,
    grid,
    place_on_axes,
    save_image,
    shade,
    ticks,
    tile,
    write_text,
)

_ACROSS = 3
_LONGEST = 36
# names and lines that a plot has room for, and those of a plot of their own
_NAMES, _LINE = 8, 16


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

    The names of many rows, which would hide the curves, have a plot of their own.

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
    if len(curves) > _NAMES:
        plots.append(_names_plot(colors, np.full_like(plots[0], 255)))
    picture = tile(plots, _ACROSS)
    save_image(path, picture)
    return picture


def _row_colors(curves):
    """Color by row of the table, as far apart as they go."""
    shades = shade(np.linspace(0, 0.85, len(curves)), cv2.COLORMAP_TURBO)
    return {row: tuple(color.tolist()) for row, color in zip(curves, shades, strict=True)}


def _curve_plot(curves, name, alphas, metric, colors):
    axes = ticks(alphas[0], alphas[-1]), ticks(0, 100)
    image = draw_axes(*axes, name, f"share of the normalizer; {metric} in percent")
    points = {row: place_on_axes(*axes, alphas, of[name]) for row, of in curves.items()}
    first = _first_line(points.values())
    for number, (row, columns) in enumerate(curves.items()):
        draw_curve(image, points[row], colors[row], 2)
        if len(curves) <= _NAMES:
            line = first + _LINE * number
            last = columns[name][-1]
            text = f"{_short(row)}  {last:.1f}" if np.isfinite(last) else f"{_short(row)}  -"
            _draw_name(image, text, line, colors[row])
    return image


def _first_line(curves):
    """Where the names begin: below the right half of the curves, or above if there is more room."""
    rows = np.concatenate([points[points[:, 0] > (LEFT + RIGHT) / 2, 1] for points in curves])
    rows, needed = rows[np.isfinite(rows)], _LINE * len(curves)
    below = BOTTOM - rows.max(initial=TOP)
    above = rows.min(initial=BOTTOM) - TOP
    return TOP if below < needed and above > below else BOTTOM - needed


def _names_plot(colors, image):
    for number, (row, color) in enumerate(colors.items()):
        line = TOP + min(_LINE, (BOTTOM - TOP) / len(colors)) * number
        _draw_name(image, _short(row), line, color)
    return image


def _draw_name(image, text, line, color):
    write_text(image, text, RIGHT - 24, line, align=1, height=10)
    fill_line(image, np.array([RIGHT - 20.0, line]), np.array([RIGHT - 4.0, line]), 3, color)


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
    epochs = log["epoch"] + 1
    values = np.array([log[name] for name in names])
    highest = 1.0 if title == "pck" else np.max(values, where=np.isfinite(values), initial=1e-9)
    axes = ticks(epochs[0], max(epochs[-1], epochs[0] + 1), least=1), ticks(0, highest)
    image = draw_axes(*axes, title.upper() if title == "pck" else title, "epoch")
    # those of all stages, so that the plots agree
    colors = {stage: c for stage, c in _stage_colors(log).items() if stage in map(_stage, names)}
    for name in names:
        points = place_on_axes(*axes, epochs, log[name])
        color, validates = colors[_stage(name)], name.startswith("val_")
        draw_curve(image, points, color, 2 if validates else 1)
        # one epoch makes no line
        last = points[np.isfinite(points).all(1)][-1:]
        for point in last:
            fill_disc(image, point, 4 if validates else 2.5, color)
    _draw_legend(image, colors, any(name.startswith("val_") for name in names))
    return image


def _stage(name):
    found = re.search(r"stage\d+", name)
    return found[0] if found else "stage1"


def _stage_colors(names):
    """Color by stage, from dark to light as the stages follow each other."""
    stages = sorted({_stage(name) for name in names}, key=lambda stage: (len(stage), stage))
    # the end of the map is too light a yellow for white paper
    shades = shade(np.linspace(0, 0.8, len(stages)), cv2.COLORMAP_VIRIDIS)
    return {stage: tuple(color.tolist()) for stage, color in zip(stages, shades, strict=True)}


def _draw_legend(image, colors, validates):
    for number, (stage, color) in enumerate(colors.items()):
        x = LEFT + 92 * number
        fill_line(image, np.array([x, 38.0]), np.array([x + 18.0, 38.0]), 3, color)
        write_text(image, stage.replace("stage", "stage "), x + 24, 38, align=0, height=10)
    if validates:
        note = "thick: validation, thin: training"
        write_text(image, note, RIGHT, 16, align=1, height=10, color=(110, 110, 110))
