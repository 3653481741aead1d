"""Photographs by the million as a stream of blocks, each with a name that its content gives it.

The same photographs make the same blocks, in whatever process and however often: so a block whose
file is there is done, and one that is computed twice takes its own place. No TensorFlow.
"""

from __future__ import annotations

import glob
import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ..images import formats, shards
from ..pose import output

BOX = ("x0", "y0", "x1", "y1")
_TABLES = (".parquet", ".csv")
# Small inputs keep several workers busy, large ones make few files: sixteen blocks of 8, then
# sixteen of twice as many, and so on.
_FIRST, _LARGEST, _OF_A_SIZE = 8, 256, 16
# rows of a table that are held at once
_ROWS = 8192


@dataclass(frozen=True)
class Block:
    """Photographs that are looked at together.

    Args:
        name: of its file, without suffix.
        paths: of the photographs.
        boxes: for each a list of boxes (x0, y0, x1, y1), image frame, pixels; empty where it is
            not said where people are.
    """

    name: str
    paths: list[str]
    boxes: list[list[list[float]]]

    def without(self, answered: set[str]) -> Block:
        """The same without photographs that another block has answered."""
        left = [i for i, path in enumerate(self.paths) if path not in answered]
        if len(left) == len(self.paths):
            return self
        number = int(self.name.split("-")[1])
        return _block(number, [(self.paths[i], self.boxes[i]) for i in left])


def blocks_of(photographs: Iterable[str | Path]) -> Iterator[Block]:
    """Blocks of photographs, as they are read: no more than one is in memory.

    Args:
        photographs: paths of photographs, folders (with all folders in them), globs, tables of
            paths (.parquet, .csv: a column `path`, and where they have them the columns `x0`, `y0`,
            `x1`, `y1`; neighbouring rows of one path are people of one photograph), URLs of files,
            folders and tables in an object store, such as s3://bucket/folder.

    Yields:
        `Block`.

    Raises:
        FileNotFoundError, ValueError: one sentence that names what is not there, or the table.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from keras_cpm.inference.blocks import blocks_of
        >>> folder = Path(tempfile.mkdtemp())
        >>> for number in range(12): (folder / f"{number:02d}.jpg").touch()
        >>> [len(block.paths) for block in blocks_of([folder])]
        [8, 4]
    """
    gathered, number = [], 0
    for photograph in _each(dict.fromkeys(map(str, photographs))):
        gathered.append(photograph)
        if len(gathered) == min(_LARGEST, _FIRST << number // _OF_A_SIZE):
            yield _block(number, gathered)
            gathered, number = [], number + 1
    if gathered:
        yield _block(number, gathered)


def _block(number, photographs):
    paths, boxes = map(list, zip(*photographs, strict=True)) if photographs else ([], [])
    digest = hashlib.sha256(json.dumps([paths, boxes]).encode()).hexdigest()[:16]
    return Block(f"poses-{number:08d}-{digest}", paths, boxes)


def _each(inputs):
    """(path, boxes) of every photograph; one that two inputs name comes once."""
    seen = set()
    for one in (path for name in inputs for path in _expanded(name)):
        if _is_table(one):
            yield from _photographs_of(one)
            continue
        for path in _listed(one):
            if path not in seen:
                yield path, []
            # one folder alone names nothing twice
            if len(inputs) > 1 or glob.has_magic(*inputs):
                seen.add(path)


def _expanded(one):
    """What a glob finds: photographs, tables and folders, as in a folder."""
    if "://" in one or os.path.lexists(one) or not glob.has_magic(one):
        return [one]
    endings = (*formats.PHOTOGRAPHS, *formats.FOREIGN, *_TABLES)
    found = sorted(glob.glob(one, recursive=True))
    found = [path for path in found if path.lower().endswith(endings) or os.path.isdir(path)]
    if not found:
        raise FileNotFoundError(f"There is no photograph, folder or table at {one}; check it.")
    return found


def _listed(one):
    if "://" in one:
        return _listed_in_store(one)
    if os.path.isdir(one):
        return map(str, _in_folder(Path(one)))
    if os.path.lexists(one) or shards.contains(one):
        return [one]
    raise FileNotFoundError(f"There is no photograph, folder or table at {one}; check the path.")


def _in_folder(folder):
    photographs, others = formats.list_photographs(folder)
    yield from photographs
    for other in others:
        if other.is_dir():
            yield from _in_folder(other)


def _listed_in_store(url):
    from pyarrow import fs

    store, path = store_of(url)
    there = store.get_file_info(path)
    if there.type == fs.FileType.NotFound:
        raise FileNotFoundError(f"There is no photograph or folder at {url}; check it.")
    if there.is_file:
        return [url]
    entries = store.get_file_info(fs.FileSelector(path, recursive=True))
    inside = sorted(one.path[len(path.rstrip("/")) + 1 :] for one in entries if one.is_file)
    # what follows a question mark says how the store is reached
    base, mark, query = url.partition("?")
    return [
        f"{base.rstrip('/')}/{quote(name)}{mark}{query}"
        for name in inside
        if name.lower().endswith((*formats.PHOTOGRAPHS, *formats.FOREIGN))
    ]


def store_of(place: str | Path) -> tuple[Any, str]:
    """The file system of a path or URL, as pyarrow has it, and the path in it.

    Raises:
        ValueError: a URL of a kind that is not known.
    """
    from pyarrow import fs

    if "://" not in str(place):
        return fs.LocalFileSystem(), os.path.abspath(place)
    try:
        return fs.FileSystem.from_uri(str(place))
    except (ValueError, OSError, NotImplementedError) as error:
        raise ValueError(
            f"{place} must be the URL of an object store, such as s3://bucket/folder or "
            f"gs://bucket/folder. pyarrow says: {str(error).splitlines()[0]}"
        ) from None


def _photographs_of(table):
    """(path, boxes) of the rows; only neighbours are put together: it may be larger than memory."""
    for path, rows in groupby(_rows(table), lambda row: row["path"]):
        if not path:
            raise ValueError(f"{table} must name a photograph in every row of `path`.")
        boxes = [[row[name] for name in BOX] for row in rows if BOX[0] in row]
        yield path, [box for box in boxes if None not in box]


def _rows(table):
    import pyarrow as pa
    from pyarrow import csv, dataset

    types = {"path": pa.string(), **dict.fromkeys(BOX, pa.float64())}
    try:
        store, path = store_of(table)
        kind = "parquet"
        if _is_table(table, ".csv"):
            options = csv.ConvertOptions(column_types=types)
            kind = dataset.CsvFileFormat(convert_options=options)
        # a folder of Parquet files is a table, too, as many programs write it
        found = dataset.dataset(path, filesystem=store, format=kind)
        schema = pa.schema([(name, types[name]) for name in _known(found.schema.names, table)])
        little = {"batch_size": _ROWS, "batch_readahead": 1, "fragment_readahead": 1}
        for batch in found.to_batches(columns=schema.names, **little):
            yield from batch.cast(schema).to_pylist()
    except FileNotFoundError:
        raise FileNotFoundError(f"There is no table at {table}; check the path.") from None
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"{table} must be a table of paths, Parquet or CSV: {reason}") from None


def _is_table(name, endings=_TABLES):
    return name.partition("?")[0].lower().endswith(endings)


def _known(names, table):
    """Those of the columns that say something to us."""
    if "path" not in names:
        raise ValueError(
            f"{table} must have a column `path`. Received: the columns {', '.join(names[:8])}"
        )
    boxed = {*BOX} & {*names}
    if boxed and len(boxed) < len(BOX):
        raise ValueError(
            f"{table} must have all of the columns {', '.join(BOX)}, or none. Received: "
            f"{', '.join(sorted(boxed))}"
        )
    return ["path", *(name for name in BOX if name in boxed)]


def write_parquet(table: Any, folder: str, name: str) -> None:
    """Writes a table as NAME.parquet into a folder or URL, whole or not at all."""
    from pyarrow import parquet

    if "://" in folder:
        # an object appears when it is whole
        store, path = store_of(folder)
        parquet.write_table(table, f"{path}/{name}.parquet", filesystem=store)
        return
    with output.whole(Path(folder) / f"{name}.parquet") as partial:
        parquet.write_table(table, partial)
