"""The notebooks are checked as texts here; `make notebooks` runs them."""

import base64
import importlib.util
from pathlib import Path

import cv2
import numpy as np
import pytest

jupytext = pytest.importorskip("jupytext")
nbformat = pytest.importorskip("nbformat")

FOLDER = Path(__file__).parents[1] / "notebooks"
_spec = importlib.util.spec_from_file_location("notebooks_build", FOLDER / "build.py")
build = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(build)

GOOD = """# %% tags=["install"]
# %pip install "keras-cpm @ git+REPOSITORY"

# %%
import os
SMOKE = bool(os.environ.get("KERAS_CPM_SMOKE"))
print(SMOKE)
"""


def test_there_are_five_and_all_are_sound():
    paths = build.notebooks()
    assert [path.name[:2] for path in paths] == ["01", "02", "03", "04", "05"]
    for path in paths:
        install = build.read(path).cells
        text = next(cell.source for cell in install if cell.cell_type == "code")
        assert text.startswith("%pip install") and build.REPOSITORY in text
        assert "REPOSITORY" not in text


def test_what_is_stored_is_the_text_with_small_outputs():
    """After a change of a text: `python notebooks/build.py --store`."""
    for path in build.notebooks():
        stored, text = jupytext.read(path.with_suffix(".ipynb")), build.read(path)
        assert [cell.source for cell in stored.cells] == [cell.source for cell in text.cells]
        assert path.with_suffix(".ipynb").stat().st_size < 500_000
        outputs = [out for cell in stored.cells for out in cell.get("outputs", [])]
        assert outputs and not any(out.get("name") == "stderr" for out in outputs)


def test_stored_outputs_are_small_and_stay():
    pixels = np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(np.uint8)
    png = base64.b64encode(cv2.imencode(".png", cv2.GaussianBlur(pixels, (0, 0), 5))[1]).decode()
    code = nbformat.v4.new_code_cell("1")
    code.outputs = [
        nbformat.v4.new_output("stream", name="stderr", text="/home/me/warning"),
        nbformat.v4.new_output("stream", name="stdout", text="a\n1/2\r2/2\r\nb\n"),
        nbformat.v4.new_output("display_data", {"image/png": png, "text/plain": "<Figure>"}),
    ]
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# A"), code])
    build.lighten(book)
    assert [cell.id for cell in book.cells] == ["cell-1", "cell-2"]
    text, picture = code.outputs
    assert text.text == "a\n2/2\nb\n" and set(picture.data) == {"image/jpeg", "text/plain"}
    jpeg = np.frombuffer(base64.b64decode(picture.data["image/jpeg"]), np.uint8)
    blurred = cv2.GaussianBlur(pixels, (0, 0), 5).astype(int)
    assert np.abs(cv2.imdecode(jpeg, cv2.IMREAD_COLOR) - blurred).mean() < 3


@pytest.mark.parametrize(
    "words, sentence", [(["9"], "no notebook is named 9"), (["--smoke", "--store"], "not stored")]
)
def test_words_that_would_do_harm_or_nothing(words, sentence, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["build.py", *words])
    with pytest.raises(SystemExit, match="2"):
        build.main()
    assert sentence in capsys.readouterr().err


def test_the_address_stands_in_one_place():
    assert build.REPOSITORY in (FOLDER.parent / "setup.py").read_text("utf-8")
    for path in FOLDER.glob("*.py"):
        assert build.REPOSITORY not in path.read_text("utf-8")


@pytest.mark.parametrize(
    "change, sentence",
    [
        (lambda text: text.split("\n\n", 1)[1], "must open with one install cell"),
        (lambda text: text.replace("KERAS_CPM_SMOKE", "SMALL"), "must read KERAS_CPM_SMOKE"),
        (lambda text: text + "\n# %%\n" + "print(1)\n" * 11, "a cell of 11 lines"),
    ],
)
def test_what_is_wrong_with_a_notebook_is_said(tmp_path, change, sentence):
    path = tmp_path / "01_a.py"
    path.write_text(GOOD)
    build.read(path)
    path.write_text(change(GOOD))
    with pytest.raises(ValueError, match=sentence):
        build.read(path)


def test_a_cell_that_fails_is_found_and_small_runs_are_small(tmp_path, monkeypatch):
    pytest.importorskip("nbclient")
    path = tmp_path / "01_a.py"
    path.write_text(GOOD)
    monkeypatch.setenv("KERAS_CPM_SMOKE", "1")
    book = build.read(path)
    build.run(book, tmp_path)
    code = [cell for cell in book.cells if cell.cell_type == "code"]
    # the installation is kept and was not run
    assert "%pip" in code[0].source and not code[0].outputs
    assert code[1].outputs[0].text == "True\n"
    path.write_text(GOOD + "\n# %%\nos._exit(1)\n")
    assert "died" in build.build(path, store=True)[1] and not path.with_suffix(".ipynb").exists()
    path.write_text(GOOD + "\n# %%\nraise RuntimeError('so it is')\n")
    with pytest.raises(build.CellExecutionError, match="so it is"):
        build.run(build.read(path), tmp_path)
