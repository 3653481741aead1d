"""`keras-cpm predict-many`: its words. `tests/inference/test_bulk.py` has what it does."""

import subprocess
import sys

import pytest

from tests.cli.running import failure, run


def test_a_finished_folder_is_counted(tmp_path, monkeypatch):
    """The one call that it makes, and what it prints."""
    given = {}

    def predict_many(photographs, out, **options):
        given.update(options, photographs=photographs, out=out)
        options["tell"](3, 9, 1)
        return {"photographs": 9, "people": 8, "errors": 1, "kept": 4}

    monkeypatch.setattr("keras_cpm.inference.bulk.predict_many", predict_many)
    words = ["--out", tmp_path, "--model", "lsp", "--workers", 2, "--people", "auto"]
    output = run("predict-many", "a.jpg", "s3://b/c", *words)
    assert "9 photographs, 8 people, 1 rows with an error, 4 photographs kept" in output
    assert given["photographs"] == ("a.jpg", "s3://b/c") and given["workers"] == 2
    assert given["people"] == "auto" and given["model"] == "lsp" and given["cluster"] is None


@pytest.mark.parametrize(
    "words, sentence",
    [
        (("a.jpg", "--out", "o", "--person-model", "p"), "--person-model needs --people auto."),
        (("a.jpg", "--out", "o", "--workers", 0), "0 is not in the range"),
        (("a.jpg",), "Missing option '--out'"),
        (("--out", "o"), "Missing argument 'PHOTOGRAPHS"),
    ],
)
def test_wrong_words_are_refused(words, sentence):
    assert sentence in failure("predict-many", *words, code=2)


def test_what_is_not_there_is_said(tmp_path, monkeypatch):
    pytest.importorskip("ray", reason="the extra `bulk` is not installed")
    monkeypatch.chdir(tmp_path)
    assert "no photograph, folder or table at none.jpg" in failure(
        "predict-many", "none.jpg", "--out", "poses"
    )


WITHOUT = """
import sys
sys.modules["ray"] = None
from keras_cpm.cli.main import main
try:
    main(["predict-many", "a.jpg", "--out", "poses"])
finally:
    print("tensorflow" in sys.modules)
"""


def test_without_the_extra_one_sentence_names_it(tmp_path):
    run = subprocess.run(
        [sys.executable, "-c", WITHOUT], capture_output=True, text=True, cwd=tmp_path
    )
    (line,) = [line for line in run.stderr.splitlines() if line.startswith("Error:")]
    assert "pip install 'keras-cpm[bulk]'" in line and run.stdout.split() == ["False"]
    assert not list(tmp_path.iterdir())
