"""Which tool made the labels, and what to say where none did; COCO's way back."""

import numpy as np
import pytest

import keras_cpm
from keras_cpm import load_labels, write_coco
from tests.data.formats.tools import make_labels, sio, write_photographs


def test_no_labels(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"There are no labels at .*a.slp; name SLEAP's"):
        load_labels(tmp_path / "a.slp")
    with pytest.raises(FileNotFoundError, match=r"neither data.yaml of YOLO nor config.yaml"):
        load_labels(tmp_path)
    (tmp_path / "a.xml").touch()
    (tmp_path / "config.yaml").write_text("port: 80\n")
    for path in (tmp_path / "a.xml", tmp_path / "config.yaml"):
        with pytest.raises(ValueError, match="holds no labels that are read here; name SLEAP's"):
            load_labels(path)


def test_photographs_in_which_nobody_is_labelled(tmp_path):
    images = write_photographs(tmp_path / "mice")
    labels = make_labels(sio.Video.from_filename([str(path) for path in images]))
    for frame in labels:
        for figure in frame.instances:
            figure.points["visible"] = False
    labels.save(str(tmp_path / "a.slp"))
    with pytest.raises(ValueError, match="has no labelled figure"):
        load_labels(tmp_path / "a.slp")


@pytest.mark.parametrize("figure", [keras_cpm.PERSON, keras_cpm.QUADRUPED])
def test_sleap_io_reads_what_write_coco_writes(tmp_path, figure):
    drawn = keras_cpm.draw_records(tmp_path / "drawn", 3, figure=figure, others=0)
    folder = write_coco(drawn, tmp_path / "labels.json")
    labels = sio.load_coco(str(tmp_path / "labels.json"), dataset_root=folder)
    skeleton = labels.skeleton
    assert tuple(skeleton.node_names) == figure.skeleton.parts
    assert set(skeleton.edge_names) == set(figure.skeleton.limbs)
    assert len(labels) == 3
    read = {}
    for frame in labels:
        names = frame.video.filename
        read[names if isinstance(names, str) else names[frame.frame_idx]] = frame.instances
    for record in drawn:
        (instance,), person = read[record.image], record.people[0]
        points = instance.numpy()
        assert np.isfinite(points).all(axis=1).tolist() == person.labelled.tolist()
        expected = person.keypoints[person.labelled]
        np.testing.assert_allclose(points[person.labelled], expected, atol=0.01)
