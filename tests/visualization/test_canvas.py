"""Texts, sheets and files."""

import cv2
import numpy as np
import pytest

from keras_cpm.visualization import canvas
from tests.visualization.scene import grey


def test_labels_stay_inside_and_apart():
    """Crowded in a corner, each shows as many of its pixels as alone in the middle."""
    texts = ["first 1.00", "second 1.00", "third 1.00", "fourth 1.00"]
    colors = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0)]
    points = np.array([[5.0, 6], [5, 16], [690, 11], [8, 20]])
    crowd = grey(400, 700)
    canvas.write_labels(crowd, texts, points, colors, 8, 30)
    for text, color in zip(texts, colors, strict=True):
        alone = grey(400, 700)
        canvas.write_labels(alone, [text], np.array([[250.0, 200]]), [color], 8, 30)
        shown = [(image == color).all(-1).sum() for image in (crowd, alone)]
        assert shown[0] == shown[1] > 200


def test_a_contact_sheet_letterboxes_pictures_in_reading_order():
    shades = [10, 60, 110, 160, 210]
    images = [
        np.full((20, 40, 3) if i % 2 else (90, 30, 3), s, np.uint8) for i, s in enumerate(shades)
    ]
    sheet = canvas.contact_sheet(images, columns=2, cell=60)
    assert sheet.shape == (3 * 60 + 2 * 4, 2 * 60 + 4, 3)
    for i, level in enumerate(shades):
        top, left = (i // 2) * 64, (i % 2) * 64
        cell = sheet[top : top + 60, left : left + 60, 0]
        assert cell[30, 30] == level
        assert (cell == level).sum() == (60 * 30 if i % 2 else 60 * 20)
    assert (sheet[128:, 64:] == 255).all()  # an empty cell
    titled = canvas.contact_sheet(images, columns=2, cell=60, titles=list("abcde"))
    assert titled.shape == (3 * 88 + 2 * 4, 2 * 60 + 4, 3)
    assert titled[:28, :60].min() < 128


@pytest.mark.parametrize("name", ["a.png", "deep/er/b.PNG", "c.jpg", "ü/d.webp", "e.bmp"])
def test_files_hold_the_picture(name, tmp_path):
    image = np.zeros((16, 24, 3), np.uint8)
    image[..., 0] = 200
    canvas.save_image(tmp_path / name, image)
    data = np.frombuffer((tmp_path / name).read_bytes(), np.uint8)
    read = cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1]
    np.testing.assert_allclose(read, image, atol=4)


def test_arguments_that_do_not_fit_are_named(tmp_path):
    cases = [
        (lambda: canvas.contact_sheet([]), "0 images"),
        (lambda: canvas.contact_sheet([grey()], titles=["a", "b"]), "2 titles"),
        (lambda: canvas.contact_sheet([grey()], columns=0), "columns=0"),
        (lambda: canvas.save_image(tmp_path / "new" / "a.tga", grey()), r"\.png.*a\.tga"),
    ]
    for call, message in cases:
        with pytest.raises(ValueError, match=message):
            call()
    assert not (tmp_path / "new").exists()
