"""`keras-cpm predict` of a video or a camera: a person is followed, drawn and written down."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from keras_cpm.inference.frames import read_frames
from keras_cpm.models import bundle
from tests.cli.running import failure, run
from tests.inference.clips import Camera, without_a_screen, write_walk


@pytest.fixture(scope="module")
def walk(tmp_path_factory):
    """Path of a clip, and the person in each of its frames."""
    path = tmp_path_factory.mktemp("walk") / "walk.avi"
    return path, write_walk(path)


def test_a_video_is_drawn_and_written_down(walk, tmp_path):
    path, people = walk
    outputs = [tmp_path / name for name in ("out.mp4", "out.json", "out.csv")]
    flags = zip(("--draw", "--json", "--csv"), outputs, strict=True)
    output = run("predict", path, *(word for pair in flags for word in pair))
    assert output.lstrip().startswith("15 frames") and output.count("Written") == 3
    drawn, shown = list(read_frames(outputs[0])), list(read_frames(path))
    assert len(drawn) == 15
    changed = [np.abs(a[1].astype(int) - b[1]).mean() for a, b in zip(drawn, shown, strict=True)]
    assert min(changed) > 0.1
    (frames,) = json.loads(outputs[1].read_text()).values()
    assert len(frames) == 15 and frames[3]["seconds"] == pytest.approx(0.3)
    rows = list(csv.DictReader(outputs[2].open()))
    assert len(rows) == 15 * 14
    row = rows[3 * 14 + 1]
    point = frames[3]["keypoints"][row["part"]]
    assert (row["frame"], row["seconds"]) == ("3", "0.3000")
    assert (float(row["x"]), float(row["y"])) == (point["x"], point["y"])
    # the head is where it was drawn
    head = frames[-1]["keypoints"]["head"]
    off = np.hypot(*(people[-1].keypoints[0] - [head["x"], head["y"]]))
    assert off < 0.15 * people[-1].height


@pytest.mark.parametrize("flag, path", [("--csv", "/dev/full"), ("--draw", "file/out.avi")])
def test_an_output_without_room_does_not_cost_the_others(walk, flag, path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    sentence = failure("predict", walk[0], "--json", "out.json", flag, path)
    assert f"{path} cannot be written" in sentence
    (frames,) = json.loads(Path("out.json").read_text()).values()
    assert len(frames) == 15 and {file.name for file in tmp_path.iterdir()} == {"file", "out.json"}


def test_names_are_written_into_the_video(walk, tmp_path):
    means = []
    for number, flags in enumerate(([], ["--names"])):
        path = tmp_path / f"{number}.avi"
        run("predict", walk[0], "--draw", path, *flags)
        means.append(np.mean([frame.mean() for _, frame in read_frames(path)]))
    assert abs(means[1] - means[0]) > 0.2


def test_people_are_looked_for_unless_the_model_is_ones_own(walk, monkeypatch, tmp_path):
    looked, person = [], walk[1][0]
    place = {"center": person.center, "person_height": person.height}
    monkeypatch.setattr(
        "keras_cpm.inference.person_finder.find_people",
        lambda frame, *_, **options: looked.append(frame) or [place],
    )
    run("predict", walk[0])
    assert looked[0].shape == (180, 240, 3) and (count := len(looked)) < 15
    model = bundle.default_bundle()
    run("predict", walk[0], "--model", model)
    assert len(looked) == count
    run("predict", walk[0], "--model", model, "--people", "auto", "--max-people", 1)
    assert len(looked) > count


@pytest.mark.slow
def test_everybody_is_written_down_by_id(walk, monkeypatch, tmp_path):
    clip = np.int16([frame for _, frame in read_frames(walk[0])])

    def find(frame, *_, **options):
        person = walk[1][int(np.abs(clip - frame).mean(axis=(1, 2, 3)).argmin())]
        return [{"center": person.center, "person_height": person.height}]

    monkeypatch.setattr("keras_cpm.inference.person_finder.find_people", find)
    words = ("--model", "cpm-light-lsp", "--people", "auto", "--person-threshold", 0.3)
    outputs = ("--json", tmp_path / "out.json", "--csv", tmp_path / "out.csv")
    output = run("predict", walk[0], *words, *outputs)
    assert "15 frames; ids 1 to 1, at most 1 at a time" in output
    (frames,) = json.loads((tmp_path / "out.json").read_text()).values()
    assert len(frames) == 15 and set(frames[0]) == {"seconds", "people"}
    people = [frame["people"] for frame in frames if frame["people"]]
    assert len(people) >= 12 and {len(found) for found in people} == {1}
    assert list(people[0][0]) == ["id", "score", "box", "keypoints"]
    rows = list(csv.DictReader((tmp_path / "out.csv").open()))
    assert {row["id"] for row in rows} == {"1"} and len(rows) == 14 * len(people)
    # ours, and may be written again
    run("predict", walk[0], *words, *outputs)
    output = run("predict", walk[0], *words[:-1], 1.0, *outputs)
    assert "15 frames; nobody was found" in output


@pytest.mark.slow
def test_smoothing_can_be_left_out(walk, tmp_path):
    both = []
    for number, flag in enumerate(("--smooth", "--no-smooth")):
        path = tmp_path / f"{number}.json"
        words = ("--model", "cpm-light-lsp", "--people", "auto", "--max-people", 1)
        run("predict", walk[0], flag, *words, "--json", path)
        (frames,) = json.loads(path.read_text()).values()
        both.append(frames)
    assert both[0][0] == both[1][0] and both[0][5] != both[1][5]


@pytest.mark.parametrize(
    "words, sentence",
    [
        ((), "Give IMAGES, or --camera"),
        (("a.jpg", "--camera", 0), "Give IMAGES, or --camera"),
        (("a.mp4", "b.mp4"), "A video goes alone"),
        (("a.mp4", "--box", 1, 2, 3, 4), "A video goes alone"),
        (("a.mp4", "--people", "boxes.json"), "A video goes alone"),
        (("a.mp4", "--height", 5), "A video goes alone"),
        (("a.mp4", "--names"), "--names needs --draw"),
        (("a.mp4", "--max-people", 2), "--max-people need --people auto"),
        (("a.mp4", "--person-threshold", 0), "--max-people need --people auto"),
        (("a.jpg", "--csv", "a.csv"), "--csv needs a video"),
        (("a.jpg", "--names"), "--names needs --draw"),
    ],
)
def test_what_does_not_go_together(words, sentence):
    assert sentence in run("predict", *words, code=2)


def test_a_camera_that_is_not_there():
    assert "Camera 97 cannot be opened" in failure("predict", "--camera", 97)


def test_without_a_screen_a_camera_can_be_written_down(monkeypatch, tmp_path):
    monkeypatch.setattr("cv2.VideoCapture", Camera)
    without_a_screen(monkeypatch)
    output = run("predict", "--camera", 3, "--json", tmp_path / "out.json")
    assert "There is no screen; Ctrl-C ends" in output
    (frames,) = json.loads((tmp_path / "out.json").read_text()).values()
    assert 1 <= len(frames) <= 3
