"""Figures 4 and 5: where curves and histograms lie."""

import numpy as np

from keras_cpm.paper.plots import WITHOUT, plot_gradients, plot_receptive_fields


def where(image, color):
    """Rows and columns of the pixels of a colour."""
    return np.nonzero((image == color).all(-1))


def test_a_field_is_a_dot_at_its_height(tmp_path):
    low = plot_receptive_fields({15: 10.0, 79: 10.0}, tmp_path / "low.png")
    high = plot_receptive_fields({15: 10.0, 79: 90.0}, tmp_path / "high.png")
    assert (tmp_path / "high.png").is_file()
    rows, columns = where(high, WITHOUT)
    right = rows[columns == columns.max()].mean()
    left = rows[columns == columns.min()].mean()
    flat = where(low, WITHOUT)[0]
    assert np.ptp(flat) < 12 and abs(left - flat.mean()) < 6 and right < left - 100


def test_narrow_gradients_are_a_narrow_and_high_histogram(tmp_path):
    wide = {"conv1": np.linspace(-1, 1, 999)}
    narrow = {"conv1": np.linspace(-0.05, 0.05, 999)}
    image = plot_gradients({0: wide, 1: wide}, {0: wide, 1: narrow}, tmp_path / "f.png")
    # epoch 1, above the axis
    panel = image[220:335].astype(int)
    red, blue = (sign * (panel[..., 0] - panel[..., 2]) > 60 for sign in (1, -1))
    widths = [np.ptp(np.nonzero(mask)[1]) for mask in (red, blue)]
    heights = [np.ptp(np.nonzero(mask)[0]) for mask in (red, blue)]
    assert widths[0] > 5 * widths[1] and heights[1] > 3 * heights[0]
