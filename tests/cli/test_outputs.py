"""Nothing of the user's is written over, by no command, and no two drawings go into one file."""

import dataclasses
import json
import os
import shutil
from pathlib import Path

import click
import pytest

import keras_cpm
from keras_cpm.cli.outputs import drawing_files, guard
from tests.cli.running import failure


def refused(outputs, inputs=(), overwrite=False):
    with pytest.raises(click.UsageError) as caught:
        guard([("--json", path) for path in outputs], inputs, overwrite)
    return caught.value.message


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("theirs.json").write_text("{}")
    Path("model").mkdir()
    Path("model/spec.json").write_text("{}")
    os.link("theirs.json", "hard.json")
    Path("link.json").symlink_to("theirs.json")
    return tmp_path


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("name", ["theirs.json", "hard.json", "link.json", "./theirs.json"])
def test_an_input_is_never_written_over(name, overwrite, folder):
    message = refused([Path(name)], ["theirs.json"], overwrite)
    assert "which this command reads" in message and message.startswith("--json would write over")
    assert "this command reads" in refused([Path("model/spec.json")], ["model"], overwrite)


def test_an_argument_is_named_by_its_path(folder):
    """Nobody has typed "OUT"."""
    with pytest.raises(click.UsageError) as caught:
        guard([("OUT", Path("theirs.json"))], ["theirs.json"], False)
    assert caught.value.message == (
        "The command would write over theirs.json, which this command reads; name another file, "
        "or another folder."
    )


def test_what_is_not_ours_needs_overwrite(folder):
    for name in ("theirs.json", "link.json", "model"):
        assert "which keras-cpm did not write" in refused([Path(name)])
    guard([("--json", Path("theirs.json"))], [], True)
    guard([("--json", Path("new.json")), ("--csv", None), ("--json", Path("/dev/null"))], [], False)


def test_two_outputs_are_two_files(folder):
    assert "another output" in refused([Path("new.json"), Path("./new.json")])


def foreign(name, content=b"somebody's"):
    Path(name).write_bytes(content)
    return name


@pytest.mark.parametrize(
    "words",
    [
        ("predict", "a.jpg", "--json", "x.json"),
        ("predict", "a.jpg", "--draw", "x.png"),
        ("predict", "a.jpg", "--draw", ".", "--part", "neck"),
        ("predict", "a.mp4", "--csv", "x.csv"),
        ("predict", "a.mp4", "--draw", "x.avi"),
        ("explain", "cpm-light-lsp", "a.jpg", "--part", "neck", "--draw", "x.png"),
        ("evaluate", "cpm-light-lsp", "r.jsonl", "--json", "x.json"),
        ("evaluate", "cpm-light-lsp", "r.jsonl", "--curves", "x"),
        ("evaluate", "cpm-light-lsp", "r.jsonl", "--draw", "."),
        ("evaluate", "cpm-light-lsp", "r.jsonl", "--write-predictions", "x.mat"),
        ("check-data", "r.jsonl", "--json", "x.json"),
        ("check-data", "r.jsonl", "--draw", "."),
        ("prepare", "lsp", ".", "x.jsonl"),
        ("prepare", "coco", "labels.json", "new.jsonl"),
        ("inspect", "cpm-light-lsp", "--json", "x.json"),
        ("import-caffe", "x.caffemodel", "--net", "lsp", "--out", "b", "--json", "x.json"),
        ("verify", "cpm-light-lsp", "--all", "--json", "x.json"),
        ("prepare", "synthetic", ".", "new.jsonl"),
        ("reproduce", "fig6c", "--out", "."),
        ("reproduce", "fig1", "--out", "fig1"),
        ("demo", "--out", "."),
        ("demo", "--out", "runs"),
    ],
)
def test_every_command_that_writes_asks_before_it_replaces(words, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    names = [
        *("a.jpg", "a.mp4", "x.json", "x.png", "x.csv", "x.avi", "x.mat", "x.jsonl", "r.jsonl"),
        *("a.neck.png", "predictions.png", "labels.png", "new.skeleton.json", "labels.json"),
        *("cpm14_0_000000.jpg", "fig6c.csv", "fig1/people/cpm14_2_000000.jpg"),
        "runs/model/model.keras",
    ]
    for folder in ("fig1/people", "runs/model"):
        Path(folder).mkdir(parents=True)
    before = {foreign(name): b"somebody's" for name in names}
    message = failure(*words, code=2)
    assert "which keras-cpm did not write" in message and "--overwrite" in message
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {path.relative_to(tmp_path).as_posix(): path.read_bytes() for path in files} == before


@pytest.mark.parametrize(
    "words",
    [
        ("predict", "a.jpg", "--json", "a.jpg"),
        ("explain", "cpm-light-lsp", "a.png", "--part", "neck", "--draw", "a.png"),
        ("check-data", "r.jsonl", "--json", "r.jsonl"),
        ("evaluate", "cpm-light-lsp", "r.jsonl", "--json", "r.jsonl"),
        ("prepare", "coco", "r.jsonl", "r.jsonl"),
        ("prepare", "mpii", ".", "detections.mat"),
        ("train", "r.jsonl", "--init", "b", "--out", "b"),
        ("export", "b", "--to", "tflite", "--check", "r.tflite", "--out", "r.tflite"),
    ],
)
def test_no_command_writes_over_what_it_reads(words, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    Path("b").mkdir()
    for name in (
        "a.jpg",
        "a.png",
        "r.jsonl",
        "r.tflite",
        "b/model.keras",
        "b/spec.json",
        "detections.mat",
    ):
        foreign(name)
    message = failure(*words, *(["--overwrite"] if words[0] in ("check-data",) else []), code=2)
    assert "which this command reads" in message


@pytest.mark.parametrize(
    "words",
    [
        ("prepare", "groups", "r.jsonl", "g.jsonl"),
        ("check-data", "r.jsonl", "--json", "g/000000.jpg"),
        ("evaluate", "cpm-light-lsp", "r.jsonl", "--json", "g/000000.jpg"),
        ("reproduce", "fig1", "--data", "r.jsonl", "--test", "r.jsonl", "--out", "g"),
    ],
)
def test_photographs_of_records_are_read(words, monkeypatch, tmp_path):
    """Also where they are drawn ones, which are ours."""
    monkeypatch.chdir(tmp_path)
    (record,) = keras_cpm.draw_records("g", 1)
    name = "g/fig1.png" if words[0] == "reproduce" else "g/000000.jpg"
    Path(record.image).rename(name)
    before = Path(name).read_bytes()
    keras_cpm.write_records([dataclasses.replace(record, image=name)], "r.jsonl")
    message = failure(*words, "--overwrite", code=2)
    assert f"{name}, which this command reads" in message and Path(name).read_bytes() == before


@pytest.mark.slow
def test_what_we_wrote_is_replaced_without_a_word(people, tmp_path):
    from tests.cli.running import run

    for _ in range(2):
        run("check-data", people, "--json", tmp_path / "f.json", "--draw", tmp_path, code=0)
    assert json.loads((tmp_path / "f.json").read_text())["records"] == 8


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    root = tmp_path_factory.mktemp("people")
    keras_cpm.write_records(keras_cpm.draw_records(root / "images", 8), root / "people.jsonl")
    yield root / "people.jsonl"
    shutil.rmtree(root)


# names of drawings -------------------------------------------------------------------------------


def names(*images, part=None):
    return [[path.name for path in paths] for paths in drawing_files(Path("o"), images, part)]


def test_every_photograph_has_a_drawing_of_its_own():
    assert names("x/a.jpg", "x/b.png") == [["a.png"], ["b.png"]]
    assert names("a.jpg", "a.png") == [["a.1.png"], ["a.2.png"]]
    assert names("a.jpg", "a.png", "a.1.jpg") == [["a.2.png"], ["a.3.png"], ["a.1.png"]]
    # as file systems that do not tell A from a would
    assert names("A.jpg", "a.jpg") == [["A.1.png"], ["a.2.png"]]


def test_drawings_of_a_part_are_no_other_photographs():
    found = names("pose.jpg", "pose.neck.jpg", part="neck")
    assert found[1] == ["pose.neck.png", "pose.neck.neck.png", "pose.neck.neck.stages.png"]
    flat = [name for paths in found for name in paths]
    assert len({*flat}) == 6


def test_one_image_goes_into_a_file():
    assert drawing_files(Path("o.jpg"), ["a.png"]) == [[Path("o.jpg")]]


def test_a_part_leads_into_no_other_folder():
    (paths,) = drawing_files(Path("o"), ["a.jpg"], "../../left/wrist")
    assert {path.parent for path in paths} == {Path("o")}


def test_many_of_one_name_have_names_of_their_own():
    """Looking each name up in all the others would take minutes."""
    found = drawing_files(Path("o"), [f"{i}/frame.jpg" for i in range(20_000)])
    assert len({path for paths in found for path in paths}) == 20_000
