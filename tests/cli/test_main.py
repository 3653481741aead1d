"""Every verb once on drawn people, and the mistakes of a first-time user."""

import json
import subprocess
import sys

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

import keras_cpm
from keras_cpm.cli.main import main

VERBS = [
    "check-data",
    "demo",
    "doctor",
    "evaluate",
    "export",
    "inspect",
    "predict",
    "prepare",
    "train",
]


def run(*arguments, code=0):
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output
    return result.output


def failure(*arguments, code=1):
    """The one sentence a mistake ends in."""
    lines = [line for line in run(*arguments, code=code).splitlines() if line.startswith("Error:")]
    assert len(lines) == 1
    return lines[0]


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    """Eight drawn people as a file of records."""
    root = tmp_path_factory.mktemp("people")
    output = run("prepare", "synthetic", root / "images", root / "people.jsonl", "--count", 8)
    assert "8 records" in output and "--flip-probability 0" in output
    return root / "people.jsonl"


TRAIN = ["--box-size", 64, "--width", 8, "--stages", 2, "--batch-size", 4, "--epochs", 1]


@pytest.fixture(scope="module")
def model(people, tmp_path_factory):
    """A bundle that `keras-cpm train` made."""
    out = tmp_path_factory.mktemp("run") / "bundle"
    output = run("train", people, "--validation", people, "--out", out, *TRAIN)
    assert "8 people, 8 held out" in output
    assert (out / "curves.png").is_file()
    return out


def test_help_lists_every_verb_without_loading_tensorflow():
    script = (
        "import sys; from keras_cpm.cli.main import main; main(['--help'], standalone_mode=False); "
        "sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert all(f"  {verb} " in done.stdout for verb in VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(verb):
    output = run(verb, "--help")
    assert output.startswith(f"Usage: main {verb}") and "-h, --help" in output


def test_flags_come_from_the_fields():
    output = run("train", "--help")
    for flag in (
        "--learning-rate",
        "--part-sigma",
        "--rotation-degrees",
        "--decay-biases",
        "--max-minutes",
    ):
        assert flag in output


def test_prepare_keeps_a_range(tmp_path):
    run(
        "prepare",
        "synthetic",
        tmp_path,
        tmp_path / "a.jsonl",
        "--count",
        5,
        "--first",
        2,
        "--last",
        3,
    )
    kept = keras_cpm.read_records(tmp_path / "a.jsonl")
    assert [record.image[-6:] for record in kept] == ["01.jpg", "02.jpg"]


@pytest.mark.slow
def test_prepare_draws_hands_that_train(tmp_path):
    run("prepare", "synthetic", tmp_path, tmp_path / "h.jsonl", "--count", 4, "--figure", "hand")
    run("train", tmp_path / "h.jsonl", "--out", tmp_path / "bundle", *TRAIN)
    assert keras_cpm.load(tmp_path / "bundle")[1].skeleton == keras_cpm.HAND21


def test_check_data_finds_nothing_and_draws(people, tmp_path):
    output = run("check-data", people, "--draw", tmp_path, "--json", tmp_path / "found.json")
    assert "8 records, 0 findings" in output
    assert (tmp_path / "labels.png").is_file() and (tmp_path / "targets.png").is_file()
    assert json.loads((tmp_path / "found.json").read_text()) == {"records": 8, "findings": []}


def test_evaluate_prints_and_writes_the_same(model, people, tmp_path):
    path = tmp_path / "scores.json"
    output = run(
        "evaluate", model, people, "--baseline", people, "--alpha", 0.2, "--alpha", 0.5, "--json", path,
        "--draw", tmp_path, "--count", 2,
    )  # fmt: skip
    scores = json.loads(path.read_text())
    assert list(scores) == ["mean pose", "stage1", "stage2"]
    assert set(scores["stage2"]) == {"pck@0.2", "pck@0.5"}
    assert set(scores["stage2"]["pck@0.2"]["parts"]) == set(keras_cpm.CPM14.parts)
    assert f"{scores['mean pose']['pck@0.2']['total']:.2f}" in output
    assert (tmp_path / "predictions.png").is_file()


def test_predict_one_image(model, people, tmp_path):
    image = keras_cpm.read_records(people)[0].image
    output = run("predict", image, "--model", model, "--draw", tmp_path / "p.png", "--part", "neck")
    assert output.splitlines()[1].startswith("neck")
    for name in ("p.png", "p.neck.png", "p.neck.stages.png"):
        assert (tmp_path / name).is_file()


def test_errors_speak_of_flags():
    from keras_cpm.cli.main import in_flags

    train, predict = main.commands["train"], main.commands["predict"]
    said = in_flags("`batch_size` was 8; take another `directory` or `keras.Model`.", train)
    assert said == "--batch-size was 8; take another --out or `keras.Model`."
    assert in_flags("`person_height` is missing", predict) == "--height is missing"
    result = CliRunner().invoke(main, ["export", "cpm-light-lsp", "--to", "tflite", "--out", "x"])
    assert result.exit_code == 1 and "--out must end in .tflite" in result.output


def test_errors_of_photographs_speak_of_flags(model, tmp_path):
    cv2.imwrite(str(path := tmp_path / "grey.png"), np.full((48, 48, 3), 128, np.uint8))
    words = ["predict", str(path), "--model", str(model), "--center", "3", "4", "--height", "-1"]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 1 and "Traceback" not in result.output
    assert "--center must be a finite (x, y) and --height positive" in result.output


def test_the_overview_has_whole_sentences():
    overview = run("--help").split("Commands:")[1]
    assert (
        "..." not in overview and " ".join(overview.split()).count(". ") >= len(main.commands) - 1
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
        "keras_cpm.cli.commands.predict.load_tensorflow", lambda: pytest.fail("too late")
    )
    result = CliRunner().invoke(main, ["predict", *map(str, words)])
    assert result.exit_code and sentence in result.output


def test_a_folder_is_its_photographs_and_what_is_unsure_is_said(model, tmp_path):
    folder = tmp_path / "photographs"
    folder.mkdir()
    for name in ("b.png", "a.PNG"):
        grey = cv2.imencode(".png", np.full((48, 48, 3), 128, np.uint8))[1]
        (folder / name).write_bytes(grey.tobytes())
    (folder / "notes.txt").write_text("no photograph")
    words = ["predict", str(folder), "--model", str(model), "--json", str(tmp_path / "out.json")]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0, result.output
    names = [str(folder / name) for name in ("a.PNG", "b.png")]
    assert list(json.loads((tmp_path / "out.json").read_text())) == names
    # the model knows nothing
    assert (
        f"Fewer than half of the parts are sure (score 0.3) in {', '.join(names)}" in result.output
    )
    assert "give --box, or --people auto" in result.output


def test_nothing_is_drawn_below_the_threshold(model, tmp_path):
    cv2.imwrite(str(tmp_path / "grey.png"), np.full((480, 480, 3), 128, np.uint8))
    changed = []
    for threshold in (-1, 2):
        words = ["--draw", tmp_path / "out.png", "--threshold", threshold]
        run("predict", tmp_path / "grey.png", "--model", model, *words)
        changed.append((cv2.imread(str(tmp_path / "out.png")) != 128).any())
    assert changed == [True, False]


@pytest.mark.parametrize("several", [False, True])
def test_photographs_are_not_drawn_over(model, several, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    grey = np.full((48, 48, 3), 128, np.uint8)
    for name in ("a.png", "b.png"):
        cv2.imwrite(name, grey)
    for draw in (".", "a.png") if not several else (".",):
        images = ["a.png", "b.png"] if several else ["a.png"]
        result = CliRunner().invoke(
            main, ["predict", *images, "--model", str(model), "--draw", draw]
        )
        assert result.exit_code == 2 and "--draw would write over a.png" in result.output
    assert (cv2.imread("a.png") == grey).all()


def test_a_small_photograph_is_enlarged_to_its_edges(model, tmp_path):
    cv2.imwrite(str(tmp_path / "grey.png"), np.full((60, 80, 3), 200, np.uint8))
    run("predict", tmp_path / "grey.png", "--model", model, "--draw", tmp_path / "out.png")
    drawn = cv2.imread(str(tmp_path / "out.png"))
    assert drawn.shape == (360, 480, 3) and (drawn == 200).all()


@pytest.mark.parametrize("place", [(), ("--people", "boxes.json")])
def test_names_are_drawn_on_request(model, place, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "boxes.json").write_text("[[10, 10, 200, 200]]")
    cv2.imwrite("grey.png", np.full((480, 480, 3), 128, np.uint8))
    real, seen = keras_cpm.draw_pose, []
    monkeypatch.setattr(
        "keras_cpm.visualization.results.draw_pose",
        lambda *words, **options: seen.append(options["names"]) or real(*words, **options),
    )
    for flags in ((), ("--names",)):
        run("predict", "grey.png", "--model", model, "--draw", "drawn.png", *place, *flags)
    assert seen == [False, True]


def test_predict_several_images_as_json(model, people, tmp_path):
    images = [record.image for record in keras_cpm.read_records(people)[:2]]
    run(
        "predict",
        *images,
        "--model",
        model,
        "--json",
        tmp_path / "poses.json",
        "--draw",
        tmp_path / "d",
    )
    poses = json.loads((tmp_path / "poses.json").read_text())
    assert list(poses) == images and len(list((tmp_path / "d").iterdir())) == 2
    network, spec = keras_cpm.load(model)
    pose = keras_cpm.Predictor(network, spec)(images[1])
    assert poses[images[1]]["keypoints"]["neck"]["y"] == pytest.approx(
        pose.keypoints[1, 1], abs=0.02
    )


def test_export_and_inspect(model, tmp_path):
    assert "serving_default" in run(
        "export", model, "--to", "savedmodel", "--out", tmp_path / "served"
    )
    assert "keypoints" in run("export", model, "--to", "tflite", "--out", tmp_path / "m.tflite")
    assert (tmp_path / "served/1/saved_model.pb").is_file() and (tmp_path / "m.tflite").is_file()
    run("inspect", model, "--json", tmp_path / "facts.json")
    facts = json.loads((tmp_path / "facts.json").read_text())
    assert facts["parameters"] == keras_cpm.load(model)[0].count_params()
    assert facts["outputs"] == {"stage1": [None, 8, 8, 15], "stage2": [None, 8, 8, 15]}


@pytest.mark.slow
def test_train_starts_from_another_skeleton(model, people, tmp_path):
    run(
        "prepare",
        "synthetic",
        tmp_path,
        tmp_path / "q.jsonl",
        "--count",
        4,
        "--figure",
        "quadruped",
    )
    output = run(
        "train", tmp_path / "q.jsonl", "--init", model, "--out", tmp_path / "b", *TRAIN[2:]
    )
    assert "new layers: " in output and "Mconv6_stage2" in output
    spec = keras_cpm.load(tmp_path / "b")[1]
    assert spec.skeleton == keras_cpm.QUADRUPED17 and spec.box_size == 64


def test_a_refused_training_leaves_the_folder_as_it_was(model, people):
    before = (model / "network.json").read_text()
    message = failure("train", people, "--out", model, *TRAIN[:2], "--width", 16, *TRAIN[4:])
    assert "of another model" in message
    assert (model / "network.json").read_text() == before


def test_train_by_the_release_recipe(people, tmp_path):
    run("train", people, "--out", tmp_path, *TRAIN, "--recipe", "release", "--backbone", "cpm",
        "--stage-block", "classic", "--dropout", 0.5)  # fmt: skip
    assert (tmp_path / "model.keras").is_file()


def test_doctor_looks_at_what_is_installed():
    output = run("doctor", code=CliRunner().invoke(main, ["doctor"]).exit_code)
    assert "tensorflow" in output and "Keras backend" in output


@pytest.mark.slow
def test_a_skeleton_of_ones_own_is_mirrored_by_its_names(people, tmp_path):
    parts = ["mouth", "right_fin", "left_fin"]
    lines = []
    for line in people.read_text().splitlines():
        record = json.loads(line) | {"parts": parts}
        record["image"] = str(people.parent / record["image"])
        for person in record["people"]:
            person["keypoints"] = person["keypoints"][:3]
        lines.append(json.dumps(record))
    (tmp_path / "fish.jsonl").write_text("\n".join(lines))
    run("train", tmp_path / "fish.jsonl", "--out", tmp_path / "b", *TRAIN)
    skeleton = keras_cpm.load(tmp_path / "b")[1].skeleton
    assert skeleton.parts == tuple(parts) and skeleton.flip_permutation == (0, 2, 1)
    both = failure("train", people, tmp_path / "fish.jsonl", "--out", tmp_path / "c", *TRAIN)
    assert "--skeleton" in both


def test_one_bad_image_does_not_cost_the_others(model, people, tmp_path):
    image = keras_cpm.read_records(people)[0].image
    path = tmp_path / "poses.json"
    message = failure("predict", tmp_path / "gone.jpg", image, "--model", model, "--json", path)
    assert "gone.jpg" in message and list(json.loads(path.read_text())) == [image]


class TestMistakes:
    def test_missing_records(self, tmp_path):
        message = failure("check-data", tmp_path / "absent.jsonl")
        assert "absent.jsonl" in message and "prepare" in message

    def test_nan_names_line_part_and_remedy(self, people, tmp_path):
        lines = people.read_text().splitlines()
        record = json.loads(lines[1])
        record["people"][0]["keypoints"][3] = [float("nan"), 1, 2]
        (tmp_path / "bad.jsonl").write_text("\n".join([lines[0], json.dumps(record)]))
        message = failure("check-data", tmp_path / "bad.jsonl")
        assert "line 2" in message and "right_elbow" in message and "[0, 0, 0]" in message

    def test_wrong_number_of_parts(self, people, tmp_path):
        record = json.loads(people.read_text().splitlines()[0])
        del record["people"][0]["keypoints"][0]
        (tmp_path / "bad.jsonl").write_text(json.dumps(record))
        assert "13 keypoints" in failure("train", tmp_path / "bad.jsonl", "--out", tmp_path / "b")

    def test_missing_empty_truncated_and_foreign_images(self, model, people, tmp_path):
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

    def test_missing_image_in_training(self, people, tmp_path):
        record = json.loads(people.read_text().splitlines()[0]) | {"image": "gone.jpg"}
        (tmp_path / "bad.jsonl").write_text(json.dumps(record))
        message = failure("train", tmp_path / "bad.jsonl", "--out", tmp_path / "b")
        assert "gone.jpg" in message and "1 of 1 images are missing" in message

    def test_box_outside_the_image(self, model, people):
        image = keras_cpm.read_records(people)[0].image
        message = failure("predict", image, "--model", model, "--box", 900, 900, 990, 990)
        assert "overlap the image" in message

    def test_a_box_belongs_to_one_image(self, model, people):
        images = [record.image for record in keras_cpm.read_records(people)[:2]]
        assert "one image" in failure(
            "predict", *images, "--model", model, "--box", 1, 1, 9, 9, code=2
        )

    def test_a_folder_that_is_no_bundle(self, people, tmp_path):
        message = failure("evaluate", tmp_path, people)
        assert "spec.json" in message
        assert "no folder" in failure("inspect", "no-such-model")

    def test_a_box_size_that_is_no_multiple_of_8(self, people, tmp_path):
        message = failure("train", people, "--out", tmp_path, "--box-size", 100)
        assert "multiple of 8" in message and "box_size=100" in message

    def test_unknown_backbone_and_skeleton(self, people, tmp_path):
        message = failure("train", people, "--out", tmp_path, "--backbone", "resnet", code=2)
        assert "'cpm', 'vgg19', 'vgg19-person', 'light'" in message
        message = failure("train", people, "--out", tmp_path, "--skeleton", "snake")
        assert "cpm14" in message and "snake" in message

    def test_missing_data_set(self, tmp_path):
        assert "lsp_dataset" in failure("prepare", "lsp", tmp_path, tmp_path / "o.jsonl")

    def test_predict_without_any_model(self, people, monkeypatch):
        from keras_cpm.models import bundle

        monkeypatch.setattr(bundle, "shipped_bundles", dict)
        image = keras_cpm.read_records(people)[0].image
        assert "--model" in failure("predict", image)
