"""`keras-cpm predict` of photographs: what it prints, writes, draws and refuses. For videos see
`test_predict_video`.
"""

import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

import keras_cpm
from keras_cpm.cli.main import main
from keras_cpm.cli.people import read_places
from keras_cpm.models.person import PERSON1
from tests.cli.running import failure, run
from tests.inference.glows import person_network, photograph


def test_one_image(model, people, tmp_path):
    image = keras_cpm.read_records(people)[0].image
    output = run("predict", image, "--model", model, "--draw", tmp_path / "p.png", "--part", "neck")
    assert output.splitlines()[1].startswith("neck")
    for name in ("p.png", "p.neck.png", "p.neck.stages.png"):
        assert (tmp_path / name).is_file()


def test_several_images_as_json(model, people, tmp_path):
    images = [record.image for record in keras_cpm.read_records(people)[:2]]
    outputs = ["--json", tmp_path / "poses.json", "--draw", tmp_path / "d"]
    run("predict", *images, "--model", model, *outputs)
    poses = json.loads((tmp_path / "poses.json").read_text())
    assert list(poses) == images and len(list((tmp_path / "d").iterdir())) == 2
    network, spec = keras_cpm.load(model)
    pose = keras_cpm.Predictor(network, spec)(images[1])
    assert poses[images[1]]["keypoints"]["neck"]["y"] == pytest.approx(
        pose.keypoints[1, 1], abs=0.02
    )


@pytest.mark.parametrize(
    "words, sentence",
    [
        (("nothing.jpg",), "There is no image at nothing.jpg"),
        (("a.jpg", "--center", 9, 9), "--center and --height belong together"),
        (("a.jpg", "--height", 9), "--center and --height belong together"),
        (("a.jpg", "--box", 9, 1, 2, 5), "X0 < X1 and Y0 < Y1. Received: (9.0, 1.0"),
        ((".",), "There is no photograph in the folder ."),
    ],
)
def test_what_needs_no_network_is_said_at_once(words, sentence, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        "keras_cpm.cli.commands.predict.opened", lambda **_: pytest.fail("too late")
    )
    result = CliRunner().invoke(main, ["predict", *map(str, words)])
    assert result.exit_code and sentence in result.output


def test_a_folder_is_its_photographs_and_what_is_unsure_is_said(model, grey, tmp_path):
    (tmp_path / "photographs").mkdir()
    images = [str(grey(f"photographs/{name}", 48, 48)) for name in ("b.png", "a.PNG")]
    (tmp_path / "photographs" / "notes.txt").write_text("no photograph")
    words = ["--model", model, "--json", tmp_path / "out.json"]
    output = run("predict", tmp_path / "photographs", *words)
    assert "as they are no photographs: notes.txt (1)." in output
    assert list(json.loads((tmp_path / "out.json").read_text())) == images[::-1]
    # the model knows nothing
    unsure = ", ".join(images[::-1])
    assert f"Fewer than half of the parts are sure (score 0.3) in {unsure}" in output
    assert "give --box, or --people auto" in output


def test_nothing_is_drawn_below_the_threshold(model, grey, tmp_path):
    changed = []
    for threshold in (-1, 2):
        words = ["--draw", tmp_path / "out.png", "--threshold", threshold]
        run("predict", grey(), "--model", model, *words)
        changed.append((cv2.imread(str(tmp_path / "out.png")) != 128).any())
    assert changed == [True, False]


@pytest.mark.parametrize("several", [False, True])
def test_photographs_are_not_drawn_over(model, grey, several, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for name in ("a.png", "b.png"):
        grey(name, 48, 48)
    images = ["a.png", "b.png"] if several else ["a.png"]
    for draw in (".",) if several else (".", "a.png"):
        output = run("predict", *images, "--model", model, "--draw", draw, code=2)
        assert "--draw would write over a.png" in output
    assert (cv2.imread("a.png") == np.full((48, 48, 3), 128)).all()


def test_a_small_photograph_is_enlarged_to_its_edges(model, grey, tmp_path):
    run("predict", grey("grey.png", 60, 80, 200), "--model", model, "--draw", tmp_path / "out.png")
    drawn = cv2.imread(str(tmp_path / "out.png"))
    assert drawn.shape == (360, 480, 3) and (drawn == 200).all()


@pytest.mark.parametrize("place", [(), ("--people", "boxes.json")])
def test_names_are_drawn_on_request(model, grey, place, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "boxes.json").write_text("[[10, 10, 200, 200]]")
    grey()
    real, seen = keras_cpm.draw_pose, []
    monkeypatch.setattr(
        "keras_cpm.visualization.results.draw_pose",
        lambda *words, **options: seen.append(options["names"]) or real(*words, **options),
    )
    for flags in ((), ("--names",)):
        run("predict", "grey.png", "--model", model, "--draw", "drawn.png", *place, *flags)
    assert seen == [False, True]


def test_one_bad_image_does_not_cost_the_others(model, people, tmp_path):
    image = keras_cpm.read_records(people)[0].image
    path = tmp_path / "poses.json"
    message = failure("predict", tmp_path / "gone.jpg", image, "--model", model, "--json", path)
    assert "gone.jpg" in message and list(json.loads(path.read_text())) == [image]


def test_names_of_all_photographs_are_tried(model, grey, tmp_path):
    folder, data = tmp_path / "photographs", grey("a.png", 48, 48).read_bytes()
    folder.mkdir()
    for name in ("a.jfif", "b.jpe", "c.jpg"):
        (folder / name).write_bytes(data)
    (folder / "d.HEIC").write_bytes(b"\0\0\0\x18ftypheic" + bytes(99))
    path = tmp_path / "poses.json"
    message = failure("predict", folder, "--model", model, "--json", path)
    assert "d.HEIC" in message and "convert" in message
    assert [Path(name).name for name in json.loads(path.read_text())] == [
        *("a.jfif", "b.jpe", "c.jpg")
    ]


def test_what_was_found_is_kept_when_a_file_or_a_drawing_fails(model, grey, tmp_path):
    images = [grey(f"{name}.png", 48, 48) for name in "abc"]
    # as a file with an error of the disk: reading it fails with a number of the system
    (tmp_path / "bad.png").symlink_to("/proc/self/mem")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "b.png").mkdir()
    words = ["--json", tmp_path / "poses.json", "--draw", tmp_path / "out", "--overwrite"]
    output = run(
        *("predict", images[0], tmp_path / "bad.png", *images[1:], "--model", model, *words), code=1
    )
    assert "bad.png cannot be read" in output and "b.png cannot be written" in output
    assert list(json.loads((tmp_path / "poses.json").read_text())) == list(map(str, images))
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.png", "b.png", "c.png"]


def test_what_was_found_is_kept_when_somebody_ends_it(model, grey, monkeypatch, tmp_path):
    images = [grey(f"{name}.png", 48, 48) for name in "abc"]
    real, calls = keras_cpm.Predictor.__call__, []

    def interrupted(self, *words, **options):
        calls.append(words)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(self, *words, **options)

    monkeypatch.setattr(keras_cpm.Predictor, "__call__", interrupted)
    output = run("predict", *images, "--model", model, "--json", tmp_path / "p.json", code=1)
    assert "Aborted!" in output
    assert list(json.loads((tmp_path / "p.json").read_text())) == list(map(str, images[:2]))


def test_without_room_for_json_the_poses_are_printed(model, grey):
    output = run("predict", grey(), "--model", model, "--json", "/dev/full", code=1)
    assert "/dev/full cannot be written" in output and "What was found is printed" in output
    assert output.count("neck ") == 1


def test_missing_empty_truncated_and_foreign_images(model, people, tmp_path):
    image = keras_cpm.read_records(people)[0].image
    data = open(image, "rb").read()
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "cut.jpg").write_bytes(data[: len(data) // 2])
    (tmp_path / "text.jpg").write_text("hello")
    for name, words in {
        "absent.jpg": "no image at",
        "empty.jpg": "is empty",
        "cut.jpg": "cut off or damaged",
        "text.jpg": "not a JPEG",
    }.items():
        message = failure("predict", tmp_path / name, "--model", model)
        assert name in message and words in message


def test_errors_of_a_photograph_speak_of_flags(model, grey):
    words = ["--model", model, "--center", "3", "4", "--height", "-1"]
    output = run("predict", grey("grey.png", 48, 48), *words, code=1)
    assert "Traceback" not in output
    assert "--center must be a finite (x, y) and --height positive" in output


def test_a_box_outside_the_image(model, people):
    image = keras_cpm.read_records(people)[0].image
    message = failure("predict", image, "--model", model, "--box", 900, 900, 990, 990)
    assert "overlap the image" in message


def test_a_box_belongs_to_one_image(model, people):
    images = [record.image for record in keras_cpm.read_records(people)[:2]]
    message = failure("predict", *images, "--model", model, "--box", 1, 1, 9, 9, code=2)
    assert "one image" in message


def test_without_any_model(people, monkeypatch):
    from keras_cpm.models import bundle

    monkeypatch.setattr(bundle, "shipped_bundles", dict)
    image = keras_cpm.read_records(people)[0].image
    assert "--model" in failure("predict", image)


# several people ----------------------------------------------------------------------------------


def boxes(tmp_path, content):
    path = tmp_path / "boxes.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_boxes_of_any_detector(tmp_path):
    path = boxes(tmp_path, [[1, 2, 3, 4], {"box": [5, 6, 7, 8]}, {"center": [1, 2], "height": 9}])
    places = [{"box": (1, 2, 3, 4)}, {"box": (5, 6, 7, 8)}]
    places.append({"center": (1, 2), "person_height": 9})
    assert read_places(path, ["a/b.jpg"]) == {"a/b.jpg": places}
    path = boxes(tmp_path, {"b.jpg": [[1, 2, 3, 4]], "a/c.jpg": []})
    both = read_places(path, ["a/b.jpg", "a/c.jpg"])
    assert both == {"a/b.jpg": [{"box": (1, 2, 3, 4)}], "a/c.jpg": []}
    # as editors of Windows write it
    path.write_text("[[1, 2, 3, 4]]", encoding="utf-8-sig")
    assert read_places(path, ["b.jpg"]) == {"b.jpg": [{"box": (1, 2, 3, 4)}]}


@pytest.mark.parametrize(
    ("content", "count", "message"),
    [
        ("{", 1, "must be JSON"),
        ([[1, 2, 3, 4]], 2, "object from file name to boxes, as there are 2 images"),
        ({"c.jpg": []}, 1, "has no entry for a/b.jpg"),
        ([[1, 2, 3]], 1, r"entry 0 must be one of .* Received: \[1, 2, 3\]"),
        ([{"center": [1, 2]}], 1, "entry 0 must be one of"),
        ([[1, 2, 3, "4"]], 1, "entry 0 must be one of"),
        ([[1, 2, 3, True]], 1, "entry 0 must be one of"),
        ([7], 1, "entry 0 must be one of"),
        ([[1, 2, float("nan"), 4]], 1, "entry 0 must be one of"),
        ([[9, 2, 3, 4]], 1, "entry 0 must be one of"),
        ([{"center": [1, 2], "height": 0}], 1, "entry 0 must be one of"),
        (7, 1, "must hold a list of boxes"),
    ],
)
def test_a_wrong_file_of_boxes(tmp_path, content, count, message):
    with pytest.raises(ValueError, match=message):
        read_places(boxes(tmp_path, content), ["a/b.jpg", "d.jpg"][:count])


def test_no_file_of_boxes(tmp_path):
    with pytest.raises(FileNotFoundError, match="no file of boxes"):
        read_places(tmp_path / "boxes.json", ["b.jpg"])


def test_no_file_of_boxes_is_said_at_once(grey, monkeypatch):
    monkeypatch.setattr(
        "keras_cpm.cli.commands.predict.opened", lambda **_: pytest.fail("too late")
    )
    assert "no file of boxes" in failure("predict", grey(), "--people", "boxes.json")


def test_people_in_boxes(tmp_path, model, people):
    image = keras_cpm.read_records(people)[0].image
    path = boxes(tmp_path, [[10, 5, 60, 90], {"center": [70, 50], "height": 40}])
    words = ("predict", image, "--model", model, "--people", path)
    files = ("--json", tmp_path / "pose.json", "--coco", tmp_path / "coco.json")
    run(*words, "--draw", tmp_path / "pose.png", *files)
    first, _ = json.loads((tmp_path / "coco.json").read_text())
    assert first["image_id"] == image.rsplit("/")[-1] and len(first["keypoints"]) == 51
    (entry,) = json.loads((tmp_path / "pose.json").read_text()).values()
    assert len(entry["people"]) == 2 and "neck" in entry["people"][1]["keypoints"]
    assert entry["size"] == list(cv2.imread(str(image)).shape[:2])
    assert [list(person) for person in entry["people"]] == 2 * [["id", "score", "box", "keypoints"]]
    assert [person["id"] for person in entry["people"]] == [1, 2]
    assert cv2.imread(str(tmp_path / "pose.png")) is not None
    assert "person 2 of 2" in run(*words)


def test_people_found_by_a_person_network(tmp_path, model):
    spec = keras_cpm.PoseSpec(skeleton=PERSON1, background=False, pad_value=0)
    keras_cpm.save_bundle(tmp_path / "person", person_network(spec), spec)
    glows = photograph([(60, 90), (150, 40)])
    (tmp_path / "red.png").write_bytes(cv2.imencode(".png", glows[..., ::-1])[1].tobytes())
    # what an untrained network takes for a pose is nobody's
    words = ("--people", "auto", "--person-model", tmp_path / "person")
    output = run("predict", tmp_path / "red.png", "--model", model, *words)
    assert "nobody found" in output and "Nobody was found in" in output
    words += ("--person-threshold", 0)
    assert "person 2 of 2" in run("predict", tmp_path / "red.png", "--model", model, *words)
    nothing = cv2.imencode(".png", np.zeros((150, 200, 3), np.uint8))[1].tobytes()
    for name in ("dark.png", "night.png"):
        (tmp_path / name).write_bytes(nothing)
    images = [tmp_path / name for name in ("red.png", "dark.png", "night.png")]
    path = tmp_path / "poses.json"
    output = run("predict", *images, "--model", model, *words, "--json", path)
    named = ", ".join(map(str, images[1:]))
    assert f"Nobody was found in {named}, 2 of 3 photographs: say where" in output
    assert [len(entry["people"]) for entry in json.loads(path.read_text()).values()] == [2, 0, 0]


def test_auto_without_a_person_network_says_so_in_one_sentence(model, people, monkeypatch):
    from keras_cpm.models import bundle

    monkeypatch.setattr(bundle, "shipped_bundles", dict)
    image = keras_cpm.read_records(people)[0].image
    output = run("predict", image, "--model", model, "--people", "auto", code=1)
    assert "--person-model" in output and "BOXES.json" in output
    assert "Traceback" not in output and output.strip().count("\n") == 0


def test_ways_to_say_where_exclude_each_other(grey):
    run("predict", grey(), "--people", "auto", "--box", 1, 2, 3, 4, code=2)
    run("predict", grey(), "--person-model", "x", code=2)


@pytest.mark.parametrize("engine, name", [("litert", "LiteRT"), ("keras", "Keras")])
def test_the_engine_that_is_asked_for_answers(engine, name, model, people, tmp_path):
    pytest.importorskip("ai_edge_litert", reason="the extra `mobile`")
    image = keras_cpm.read_records(people)[0].image
    words = ["predict", image, "--model", model, "--json", tmp_path / "pose.json"]
    assert f"Engine: {name}" in run(*words, "--engine", engine, "--verbose")
    found = json.loads((tmp_path / "pose.json").read_text())[image]["keypoints"]
    pose = keras_cpm.Predictor(*keras_cpm.load(model))(image)
    points = [[found[part]["x"], found[part]["y"]] for part in pose.parts]
    np.testing.assert_allclose(points, pose.keypoints, atol=0.05)


def test_without_litert_keras_answers(model, people, monkeypatch):
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    words = ["predict", keras_cpm.read_records(people)[0].image, "--model", model, "--verbose"]
    assert "Engine: Keras" in run(*words)
    sentence = failure(*words, "--engine", "litert")
    assert "pip install 'keras-cpm[mobile]'" in sentence and "--engine" in sentence


def test_photographs_that_litert_leaves_to_tensorflow(model, tmp_path):
    """One of 16 bits among others: the same keypoints, whoever decodes."""
    pytest.importorskip("ai_edge_litert", reason="the extra `mobile`")
    picture = np.random.default_rng(0).integers(0, 256, (96, 64, 3), np.uint8)
    for name, values in (("a.png", picture), ("b.png", picture.astype(np.uint16) * 257)):
        cv2.imwrite(str(tmp_path / name), values)
    (tmp_path / "c.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    words = ["predict", tmp_path, "--model", model, "--json", tmp_path / "poses.json"]
    assert "c.png cannot be decoded" in failure(*words, "--engine", "litert")
    found = json.loads((tmp_path / "poses.json").read_text())
    assert found[str(tmp_path / "a.png")] == found[str(tmp_path / "b.png")]
