"""Photographs in blocks: what is listed, how tables are read, and that names follow the content."""

import subprocess
import sys

import pytest

from keras_cpm.inference.blocks import blocks_of

pa = pytest.importorskip("pyarrow", reason="the extra `bulk` is not installed")
csv = pytest.importorskip("pyarrow.csv")
parquet = pytest.importorskip("pyarrow.parquet")


@pytest.fixture
def folder(tmp_path):
    """Three photographs and a text; one photograph lies deeper."""
    for name in ("a.jpg", "b.PNG", "deeper/c.webp", "notes.txt"):
        path = tmp_path / "photographs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path / "photographs"


def paths(*inputs):
    return [path for block in blocks_of(inputs) for path in block.paths]


def test_folders_globs_files_and_urls_each_once(folder):
    a, b, c = (str(folder / name) for name in ("a.jpg", "b.PNG", "deeper/c.webp"))
    assert paths(folder) == [a, b, c]
    assert paths(f"{folder}/*.jpg") == [a] and paths(f"{folder}/**/*.webp") == [c]
    assert paths(b, folder, f"{folder}/*") == [b, a, c]
    assert paths(folder.as_uri()) == [f"file://{path}" for path in (a, b, c)]
    assert paths(f"{folder.as_uri()}/") == paths(folder.as_uri())
    assert paths(f"file://{a}") == [f"file://{a}"]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_table_may_have_boxes_a_person_a_row(tmp_path, kind):
    columns = {
        "note": ["", "", "", "x"],
        "path": ["a.jpg", "a.jpg", "b.jpg", "a.jpg"],
        **{name: [1, 2, None, 4] for name in ("x0", "y0")},
        **{name: [5.5, 6, None, 8] for name in ("x1", "y1")},
    }
    table, path = pa.table(columns), tmp_path / f"people.{kind}"
    csv.write_csv(table, path) if kind == "csv" else parquet.write_table(table, path)
    (block,) = blocks_of([path])
    assert block.paths == ["a.jpg", "b.jpg", "a.jpg"]
    assert block.boxes == [[[1, 1, 5.5, 5.5], [2, 2, 6, 6]], [], [[4, 4, 8, 8]]]


def test_a_folder_of_parquet_is_a_table(tmp_path):
    (tmp_path / "t.parquet").mkdir()
    for number in range(2):
        name = tmp_path / "t.parquet" / f"part-{number}.parquet"
        parquet.write_table(pa.table({"path": [f"{number}.jpg"]}), name)
    (tmp_path / "t.parquet" / "_metadata.parquet").touch()
    assert paths(tmp_path / "t.parquet") == ["0.jpg", "1.jpg"]


@pytest.mark.parametrize(
    "name, text, sentence",
    [
        ("t.csv", "file\na.jpg\n", "must have a column `path`. Received: the columns file"),
        ("t.csv", "path,x0\na.jpg,1\n", "x0, y0, x1, y1, or none. Received: x0"),
        ("t.csv", "path\n\n", "Received"),
        ("t.csv", "", "must be a table of paths"),
        ("t.csv", "path,x0,y0,x1,y1\na.jpg,left,1,2,3\n", "must be a table of paths"),
        ("t.parquet", "no parquet", "must be a table of paths"),
        ("other.csv", "", "There is no table at"),
        ("other.jpg", "", "There is no photograph, folder or table at"),
        ("*.gif", "", "There is no photograph, folder or table at"),
        ("file:///nowhere/b.jpg", "", "There is no photograph or folder at"),
        ("ftp://a/b.jpg", "", "must be the URL of an object store"),
    ],
)
def test_what_cannot_be_read_costs_a_sentence(tmp_path, monkeypatch, name, text, sentence):
    monkeypatch.chdir(tmp_path)
    if name.startswith("t."):
        (tmp_path / name).write_text(text)
    if text == "path\n\n":
        assert paths(name) == []
        return
    with pytest.raises((ValueError, FileNotFoundError)) as caught:
        paths(name)
    assert sentence in str(caught.value) and name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_blocks_grow_and_are_named_by_what_is_in_them(tmp_path):
    path = tmp_path / "many.csv"
    path.write_text("path\n" + "".join(f"{number}.jpg\n" for number in range(5000)))
    blocks = list(blocks_of([path]))
    assert sum(len(block.paths) for block in blocks) == 5000
    sizes = [len(block.paths) for block in blocks]
    assert sizes[:17] == [8] * 16 + [16] and max(sizes) == 256
    assert [block.name for block in blocks] == [block.name for block in blocks_of([path])]
    assert len({block.name for block in blocks}) == len(blocks)
    some = blocks[20]
    assert some.without({"nobody.jpg"}) is some
    left = some.without({some.paths[0]})
    assert left.paths == some.paths[1:] and left.name != some.name
    assert not some.without({*some.paths}).paths


MANY = """
import resource, sys, time
from keras_cpm.inference.blocks import blocks_of
before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
count = sum(len(block.paths) for block in blocks_of(sys.argv[1:]))
grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
print(count, round(grown), round(time.monotonic() - start, 1), "tensorflow" in sys.modules)
"""


def test_planning_a_long_table_takes_no_more_memory_than_a_short_one(tmp_path):
    def planned(count):
        path = tmp_path / f"{count}.parquet"
        names = [f"/photographs/of/somebody/{number % 100:03d}.jpg" for number in range(count)]
        parquet.write_table(pa.table({"path": names}), path, row_group_size=50_000)
        run = subprocess.run([sys.executable, "-c", MANY, path], capture_output=True, text=True)
        found, grown, _, heavy = run.stdout.split()
        assert int(found) == count and heavy == "False"
        return int(grown)

    # megabytes: pyarrow and its buffers
    assert planned(300_000) < planned(20_000) + 40
