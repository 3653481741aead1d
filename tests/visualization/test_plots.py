"""The log of a training, and PCK over thresholds, as pictures."""

import csv

import cv2
import numpy as np
import pytest

from keras_cpm.visualization.plots import plot_curves, plot_training


def write_log(path, columns):
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(columns)
        rows.writerows(zip(*columns.values(), strict=True))
    return path


def test_a_training_is_plotted_loss_left_pck_right(tmp_path):
    columns = {"epoch": range(4), "loss": [9, 7, 5, 3], "learning_rate": [1e-3] * 4}
    columns |= {"stage1_loss": [5, 4, 3, 2], "stage2_loss": [4, 3, 2, 1]}
    log = write_log(tmp_path / "log.csv", columns)
    small = plot_training(log, tmp_path / "a.png")
    columns |= {"stage2_pck": [0.1, 0.2, 0.4, 0.8], "val_stage2_pck": ["", "NA", 0.3, 0.5]}
    both = plot_training(write_log(log, columns), tmp_path / "b.png")
    assert both.shape == (400, 2 * 640 + 4, 3) and small.shape == (400, 640, 3)
    np.testing.assert_array_equal(both[:, :640], small)
    read = cv2.imread(str(tmp_path / "b.png"))[..., ::-1]
    np.testing.assert_array_equal(read, both)


def test_curves_pass_through_their_values(tmp_path):
    log = write_log(tmp_path / "log.csv", {"epoch": range(3), "loss": [10, 10, 5]})
    image = plot_training(log, tmp_path / "a.png")
    color = np.array(cv2.applyColorMap(np.zeros((1, 1), np.uint8), cv2.COLORMAP_VIRIDIS)[0, 0])
    inked = np.abs(image.astype(int) - color[::-1]).sum(-1) < 60
    # from the top of the axes at 10 down to the middle between 0 and 10
    assert inked[53:60, 200].any() and not inked[60:350, 200].any()
    assert inked[199:208, 616].any() and not inked[215:345, 616].any()


@pytest.mark.parametrize("loss", ["nan", "inf", "0", "12345678"])
def test_a_training_that_went_wrong_is_plotted_too(loss, tmp_path):
    log = write_log(tmp_path / "log.csv", {"epoch": [0], "loss": [loss], "val_loss": ["NA"]})
    assert plot_training(log, tmp_path / "a.png").min() < 100


def test_logs_that_do_not_fit_are_named(tmp_path):
    log = tmp_path / "log.csv"
    with pytest.raises(ValueError, match="epoch"):
        plot_training(write_log(log, {"a": [1]}), tmp_path / "a.png")
    with pytest.raises(ValueError, match="at least one"):
        plot_training(write_log(log, {"epoch": []}), "a.png")
    with pytest.raises(FileNotFoundError, match=r"log\.csv"):
        plot_training(tmp_path / "no.csv", "a.png")


def test_the_names_of_many_rows_have_a_plot_of_their_own(tmp_path):
    def drawn(count):
        rows = {f"row {i}": {"total": np.array([0.0, 90.0])} for i in range(count)}
        return plot_curves(rows, [0, 0.2], tmp_path / "a.png")

    few, many = drawn(8), drawn(9)
    assert few.shape == (400, 640, 3) and many.shape == (400, 2 * 640 + 4, 3)
    # below the curves, where the names of few rows stand
    assert (few[225:345, 400:].min(-1) < 100).any()
    assert not (many[225:345, 400:640].min(-1) < 100).any()
    assert (many[56:200, 1000:].min(-1) < 100).any()


def test_names_stand_above_low_curves(tmp_path):
    def drawn(highest):
        rows = {f"row {i}": {"total": np.array([0.0, highest - 5 * i])} for i in range(4)}
        return plot_curves(rows, [0, 0.2], tmp_path / "a.png")

    high, low = (drawn(highest).min(-1) < 100 for highest in (90.0, 30.0))
    # letters, left of the ends of the curves
    assert high[290:345, 480:580].any() and not high[50:100, 480:580].any()
    assert low[50:100, 480:580].any() and not low[330:345, 480:580].any()
