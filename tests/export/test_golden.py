"""Golden files: what is read is what the export was asked and answered."""

import subprocess
import sys

import numpy as np

from keras_cpm.data.crop import network_box
from keras_cpm.data.synthetic.draw import draw_records
from keras_cpm.export import golden
from keras_cpm.export.artefact import Artefact


def test_network_boxes_of_a_litert_file(phone_file, tiny_spec, tmp_path):
    (asked,) = golden.read(Artefact(phone_file))
    people = draw_records(tmp_path, golden.COUNT, seed=0)
    boxes = [network_box(person, tiny_spec)[0] for person in people]
    np.testing.assert_array_equal(asked.inputs["image"], boxes)
    arrays = np.load(phone_file.with_suffix(".golden.npz"))
    np.testing.assert_array_equal(asked.keypoints, arrays["keypoints"])
    np.testing.assert_array_equal(asked.scores, arrays["scores"])


def test_photographs_of_a_saved_model(served, tmp_path):
    whole, boxed = golden.read(Artefact(served))
    people = draw_records(tmp_path, golden.COUNT, seed=0)
    files = [open(person.image, "rb").read() for person in people]
    assert whole.signature == "serving_default" and whole.inputs == {"image": files}
    assert boxed.signature == "boxes" and boxed.inputs["image"] == files
    boxes = [person.people[0].box for person in people]
    np.testing.assert_allclose(boxed.inputs["box"], boxes, rtol=1e-6)
    for asked in (whole, boxed):
        assert asked.keypoints.shape == (3, 14, 2) and asked.scores.shape == (3, 14)
    # a person fills the box otherwise than the image
    assert np.abs(whole.keypoints - boxed.keypoints).max() > 1


def test_reading_needs_neither_tensorflow_nor_opencv():
    script = "import sys; from keras_cpm.export import golden; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert not {"tensorflow", "keras", "cv2"} & set(done.stdout.split())
