"""What README.md, the pages of docs/ and the model cards show works; what they name exists.

`make docs` builds the site; here are the texts alone.
"""

import importlib.util
import re
from pathlib import Path

import click
import cv2
import pytest

import keras_cpm
from keras_cpm.cli.main import main

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
FOLDERS = ("docs", "saved_models")
FILES = [path for folder in FOLDERS for path in sorted(ROOT.glob(f"{folder}/**/*.md"))]
FILES = [README, ROOT / "CONTRIBUTING.md", *FILES]
PAGES = {path.relative_to(ROOT).as_posix(): path.read_text("utf-8") for path in FILES}
EACH = pytest.mark.parametrize("page", PAGES)

_spec = importlib.util.spec_from_file_location("docs_hooks", ROOT / "docs/hooks.py")
hooks = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(hooks)

FENCE = re.compile(r"^(<!-- not run: .+ -->\n)?```(\w*)\n(.*?)^```", re.M | re.S)
# what is shown large; each must be found somewhere
SMALLER = {
    "box_size=128": "box_size=64",
    "2000": "8",
    "epochs=20": "epochs=1",
    "folds = 5": "folds = 2",
}

# they train and export; so does README.md
SLOW = ("docs/get-started.md", "docs/training.md", "docs/export.md")


def python_of(page):
    """The Python of a page, its blocks one after the other."""
    blocks = FENCE.findall(PAGES[page])
    return "\n".join(code for skip, language, code in blocks if language == "python" and not skip)


def commands_of(page, program):
    """What follows `program` in blocks and in code within lines, as lists of words."""
    blocks = "\n".join(code for _, _, code in FENCE.findall(PAGES[page])).replace("\\\n", " ")
    inline = re.findall(r"`([^`\n]+)`", FENCE.sub("", PAGES[page]))
    lines = [line.split("  #")[0].strip() for line in [*blocks.splitlines(), *inline]]
    begins = re.compile(rf"(?:\.venv/bin/|[A-Z_]+=\S+ )?{re.escape(program)}\b *(.*)")
    return [match[1].split() for line in lines if (match := begins.fullmatch(line))]


def test_there_is_python():
    assert sum(bool(python_of(page)) for page in PAGES) >= 10
    for text in SMALLER:
        assert any(text in python_of(page) for page in PAGES), f"no page says {text} any more"


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=[pytest.mark.slow] if page in SLOW else [])
        for page in PAGES
        if python_of(page)
    ],
)
def test_python_runs(page, tmp_path, monkeypatch):
    """The blocks of a page in order, with one namespace; a photograph is there."""
    monkeypatch.chdir(tmp_path)
    image, _ = keras_cpm.draw_figure(keras_cpm.PERSON, seed=0, index=0, size=(400, 320))
    cv2.imwrite("photo.jpg", image[..., ::-1])
    code = python_of(page)
    for text, small in SMALLER.items():
        code = code.replace(text, small)
    exec(compile(code, page, "exec"), {})


@EACH
def test_commands_exist(page):
    for words in commands_of(page, "keras-cpm"):
        if not words or words[0].startswith("-") or words[0].isupper():
            continue
        verb = main.commands[words[0]]
        flags = {flag for option in verb.params for flag in (*option.opts, *option.secondary_opts)}
        unknown = [word for word in words if word.startswith("--") and word not in flags]
        assert not unknown, f"keras-cpm {words[0]} has no {unknown}"


@EACH
def test_other_programs_exist(page):
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text("utf-8"), re.M)
    for words in commands_of(page, "make"):
        assert {word for word in words if "=" not in word} <= {*targets}
    for module, *_ in commands_of(page, "python -m"):
        folder, _, name = module.partition(".")
        if folder == "benchmarks":
            path = ROOT / folder / name
            assert path.with_suffix(".py").is_file() or (path / "__main__.py").is_file(), module


@EACH
def test_links_and_paths_exist(page):
    text = FENCE.sub("", PAGES[page])
    folder = (ROOT / page).parent
    for link in re.findall(r"\]\((?!\w+:|#)([^)#\s]+)", text):
        assert (folder / link).exists(), link
    for path in re.findall(r"`((?:keras_cpm|benchmarks|examples|tests|docs)/[\w./-]+)`", text):
        assert "NAME" in path or (ROOT / path).exists(), path


def test_the_readme_is_short():
    assert README.stat().st_size <= 9_000


def test_the_page_of_commands_has_every_verb():
    described = re.findall(r"^\| `([\w-]+)` \| (.+) \|$", PAGES["docs/commands.md"], re.M)
    assert [verb for verb, _ in described if verb in main.commands] == [*dict(described)]
    assert dict(described).keys() == main.commands.keys()
    details = hooks.options_of_commands()
    for name, verb in main.commands.items():
        assert f"\n## {name}\n" in f"\n{details}"
        options = [option for option in verb.params if isinstance(option, click.Option)]
        assert all(f"`{max(option.opts, key=len)}" in details for option in options)


def test_the_page_of_the_architecture_has_every_room_and_names_what_is_there():
    page = PAGES["docs/architecture.md"]
    rooms = re.findall(r"^\*\*\[(\w+)\]\(\.\./keras_cpm/\1\)\*\*(.+?)\n\n", page, re.M | re.S)
    folders = {path.parent.name for path in ROOT.glob("keras_cpm/*/__init__.py")}
    assert {room for room, _ in rooms} == folders and len(rooms) == 13
    order = re.search(r"```text\n(.+?)```", page, re.S)[1]
    assert re.findall(r"\w+", order) == [room for room, _ in rooms]
    for room, says in rooms:
        there = {path.stem for path in (ROOT / "keras_cpm" / room).glob("[a-z]*")}
        assert {*re.findall(r"`([a-z_]+)`", says)} == there, room


def test_the_site_has_every_page():
    site = (ROOT / "mkdocs.yml").read_text("utf-8")
    written = {page.removeprefix("docs/") for page in PAGES if page.startswith("docs/")}
    made = {*hooks.reference(), *hooks.elsewhere().values()}
    pages = {page for page in written | made if page.endswith(".md")}
    assert pages == set(re.findall(r"\S+\.md", site[site.index("\nnav:") :]))


@pytest.mark.parametrize(
    "page, text, shown",
    [
        ("training.md", "[a](data.md#left-and-right)", "[a](data.md#left-and-right)"),
        ("decisions/a.md", "[a](../../setup.py)", f"[a]({hooks.REPOSITORY}/blob/main/setup.py)"),
        ("a.md", "[a](../tests)", f"[a]({hooks.REPOSITORY}/tree/main/tests)"),
        ("a.md", "[a](../saved_models/README.md)", "[a](models/index.md)"),
        ("models/cpm-light-lsp.md", "![a](failure.png)", "![a](cpm-light-lsp-failure.png)"),
        ("models/cpm-light-lsp.md", "[a](../../docs/export.md#b)", "[a](../export.md#b)"),
        ("a.md", r"| `--split a\|b` |", "| `--split a|b` |"),
        ("a.md", "`keras_cpm.pck`", "[`keras_cpm.pck`][keras_cpm.evaluation.metrics.pck]"),
        ("a.md", "```\n[a](../setup.py)\n```", "```\n[a](../setup.py)\n```"),
        ("a.md", "[a](https://keras.io)", "[a](https://keras.io)"),
    ],
)
def test_links_are_those_of_the_site(page, text, shown):
    assert hooks.outside_of_code(text, lambda part: hooks.linked(part, page)) == shown


def test_the_address_of_the_repository_stands_in_setup():
    """Whoever moves it changes setup.py, and then what this names."""
    globs = ("*.*", ".github/**/*.*", "docs/*.*", "notebooks/*.*")
    texts = {*FILES, *(path for glob in globs for path in ROOT.glob(glob))}
    for path in texts:
        if path.is_file():
            addresses = re.findall(rb"https://github\.com/[\w.-]+/keras_cpm\b", path.read_bytes())
            assert {*addresses} <= {hooks.REPOSITORY.encode()}, path
