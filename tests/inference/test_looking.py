"""What a worker makes of a block: the rows of good and bad photographs, by bundles and exports."""

import json

import cv2
import numpy as np
import pytest

import keras_cpm
from keras_cpm.inference.blocks import blocks_of
from keras_cpm.inference.looking import Looker
from keras_cpm.models.person import PERSON1
from tests.inference.glows import person_network, photograph

pa = pytest.importorskip("pyarrow", reason="the extra `bulk` is not installed")
parquet = pytest.importorskip("pyarrow.parquet")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory, tiny_spec):
    """The folder of an untrained bundle."""
    folder = tmp_path_factory.mktemp("tiny")
    keras_cpm.save_bundle(folder, keras_cpm.build_cpm(2, tiny_spec, width=8), tiny_spec)
    return folder


@pytest.fixture(scope="module")
def served(tiny, tmp_path_factory):
    """The same as a SavedModel."""
    folder = tmp_path_factory.mktemp("served") / "export"
    keras_cpm.export_saved_model(*keras_cpm.load(tiny), folder)
    return folder


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """The folder that workers write into."""
    return tmp_path_factory.mktemp("answers")


@pytest.fixture(scope="module")
def seen(answers):
    """Function: the rows of photographs, and the counts; each model is opened once."""
    lookers = {}

    def look(inputs, model, people="whole", person_model=None):
        arguments = (str(model), people, person_model)
        looker = lookers.setdefault(arguments, Looker(str(answers), "/", *arguments, None))
        rows, counts = [], []
        for block in blocks_of(inputs):
            counts += looker(pa.table({"block": [json.dumps(vars(block))]})).to_pylist()
            path = answers / f"{block.name}.parquet"
            rows += parquet.read_table(path).to_pylist() if path.is_file() else []
        return rows, counts

    return look


@pytest.fixture(scope="module")
def predictor(tiny):
    return keras_cpm.Predictor(*keras_cpm.load(tiny))


@pytest.fixture
def table(tmp_path, drawn_records):
    """A table of boxes: two people on the first photograph, of whom the second is nowhere."""
    path = tmp_path / "people.csv"
    image, other = (record.image for record in drawn_records[:2])
    lines = [f"{image},10,10,90,80", f"{image},50,20,10,80", f"{other},5,5,60,90"]
    path.write_text("\n".join(["path,x0,y0,x1,y1", *lines]))
    return path


def test_rows_are_what_the_predictor_says(seen, tiny, predictor, drawn_records):
    images = [record.image for record in drawn_records]
    rows, counts = seen(images, tiny)
    assert counts == [{"photographs": 6, "people": 6, "errors": 0, "refusal": ""}]
    for row, image in zip(rows, images, strict=True):
        pose = predictor(image)
        np.testing.assert_allclose(row["keypoints"], pose.keypoints, atol=0.05)
        np.testing.assert_allclose(row["scores"], pose.scores, atol=1e-4)
        assert row["path"] == image and row["person"] == 1 and row["error"] == ""
        assert len(row["box"]) == 4 and row["person_score"] <= max(row["scores"])


@pytest.mark.slow
def test_an_export_says_the_same(seen, tiny, served, drawn_records):
    images = [record.image for record in drawn_records]
    (keras, _), (export, counts) = seen(images, tiny), seen(images, served)
    assert counts[0]["people"] == 6
    for row, other in zip(keras, export, strict=True):
        np.testing.assert_allclose(row["keypoints"], other["keypoints"], atol=0.05)
        np.testing.assert_allclose(row["box"], other["box"], atol=0.05)


@pytest.mark.parametrize("kind", ["tiny", pytest.param("served", marks=pytest.mark.slow)])
def test_boxes_of_a_table_are_the_people(seen, table, predictor, kind, request):
    rows, counts = seen([table], request.getfixturevalue(kind))
    assert [row["person"] for row in rows] == [1, 2, 1]
    assert rows[0]["box"] == [10, 10, 90, 80] and rows[1]["box"] == [50, 20, 10, 80]
    assert "box" in rows[1]["error"] and rows[1]["keypoints"] == []
    assert counts == [{"photographs": 2, "people": 2, "errors": 1, "refusal": ""}]
    pose = predictor(rows[2]["path"], box=(5, 5, 60, 90))
    np.testing.assert_allclose(rows[2]["keypoints"], pose.keypoints, atol=0.05)


@pytest.mark.parametrize("kind", ["tiny", "served"])
def test_a_bad_photograph_is_one_row_with_its_reason(seen, tmp_path, drawn_records, kind, request):
    good = drawn_records[0].image
    data = cv2.imencode(".jpg", photograph([(50, 50)]))[1].tobytes()
    bad = {
        "cut.jpg": data[: len(data) // 2],
        "empty.jpg": b"",
        "text.jpg": b"a text",
        "a.heic": b"",
    }
    for name, content in bad.items():
        (tmp_path / name).write_bytes(content)
    path = tmp_path / "all.csv"
    path.write_text("\n".join(["path", *bad, "missing.jpg", good]))
    rows, counts = seen([path], request.getfixturevalue(kind))
    assert [row["path"] for row in rows] == [*bad, "missing.jpg", good]
    assert all(row["error"] and not row["keypoints"] and not row["person"] for row in rows[:-1])
    assert all("\n" not in row["error"] for row in rows)
    assert rows[-1]["error"] == "" and len(rows[-1]["keypoints"]) == 14
    assert counts == [{"photographs": 6, "people": 1, "errors": 5, "refusal": ""}]


def test_people_are_found(seen, tiny, tmp_path):
    spec = keras_cpm.PoseSpec(PERSON1, box_size=64, background=False)
    keras_cpm.save_bundle(tmp_path / "person", person_network(spec), spec)
    for name, people in (("two.png", [(60, 90), (230, 90)]), ("nobody.png", [])):
        cv2.imwrite(str(tmp_path / name), photograph(people)[..., ::-1])
    names = [str(tmp_path / name) for name in ("two.png", "nobody.png")]
    rows, counts = seen(names, tiny, "auto", tmp_path / "person")
    # an untrained network believes in nobody: a photograph without people has a row all the same
    assert [row["path"] for row in rows if row["person"] == 0][-1] == names[1]
    assert counts[0]["photographs"] == 2 and {row["path"] for row in rows} == {*names}


def test_a_model_that_is_none_is_said_and_nothing_is_written(seen, tmp_path, drawn_records):
    rows, counts = seen([drawn_records[0].image], tmp_path / "nowhere")
    assert rows == [] and "There is no folder" in counts[0]["refusal"]


def test_a_photograph_at_which_workers_die_is_left_out_in_the_end(seen, tiny, answers, tmp_path):
    """What a killed worker leaves is all that the next one knows of it."""
    for number in range(3):
        cv2.imwrite(str(tmp_path / f"{number}.png"), photograph([(50, 50)]))
    images = [str(tmp_path / f"{number}.png") for number in range(3)]
    (block,) = blocks_of(images)
    left = answers / f".{block.name}.attempts"
    for deaths, errors in (("0 1", 0), ("0 1\n0 1", 0), ("0 1\n\n1\n2", 0), ("1\n0 1\n1 ", 1)):
        left.write_text(deaths)
        rows, counts = seen(images, tiny)
        assert counts[0]["errors"] == errors and len(rows) == 3 and not left.exists()
    assert "3 workers died" in rows[1]["error"] and rows[2]["error"] == ""
