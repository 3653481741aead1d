"""What an experiment leaves."""

import csv

import cv2
import numpy as np

VERDICTS = ("As in the paper: ", "Not as in the paper: ", "Too small a run to judge: ")


def outputs(folder, figure):
    """Rows of the table; the picture shows something."""
    image = cv2.imread(str(folder / f"{figure}.png"))
    assert image is not None and np.ptp(image) > 100
    with (folder / f"{figure}.csv").open(newline="") as file:
        return list(csv.reader(file))
