"""Runs the notebooks and stores them with their outputs: python notebooks/build.py [--smoke] [--store].

The texts (.py) are what is edited; the .ipynb beside them are what GitHub and Colab show.
"""

import argparse
import os
import re
import sys
import tempfile
import time
from pathlib import Path

import jupytext
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

# The one place of the project that knows where it lives; whoever forks it changes this line.
REPOSITORY = "https://github.com/OWNER/keras_cpm"
FOLDER = Path(__file__).parent
SWITCH, CELL_SECONDS = "KERAS_CPM_SMOKE", 600
_LONGEST_CELL = 10


def notebooks():
    """Paths of the texts, in order."""
    return sorted(FOLDER.glob("[0-9][0-9]_*.py"))


def read(path):
    """The notebook of a text, for Colab's kernel, and checked.

    Raises:
        ValueError: no install cell first, no switch for small runs, or a cell that belongs into the package.
    """
    book = jupytext.reads(path.read_text("utf-8"), fmt="py:percent")
    book.metadata["kernelspec"] = {
        "name": "python3",
        "display_name": "Python 3",
        "language": "python",
    }
    code = [cell for cell in book.cells if cell.cell_type == "code"]
    if "install" not in code[0].metadata.get("tags", []) or "%pip install" not in code[0].source:
        raise ValueError(f"{path.name} must open with one install cell.")
    if not any(re.search(rf"SMOKE = .*{SWITCH}", cell.source) for cell in code):
        raise ValueError(f"{path.name} must read {SWITCH}, so that tests can run it small.")
    for cell in code[1:]:
        lines = [
            line
            for line in cell.source.splitlines()
            if line and not line.startswith(("import", "from"))
        ]
        if len(lines) > _LONGEST_CELL:
            raise ValueError(
                f"{path.name} has a cell of {len(lines)} lines; move it into the package: {lines[0]}"
            )
    code[0].source = code[0].source.replace("REPOSITORY", REPOSITORY)
    return book


def run(book, folder):
    """Executes all cells but the installation in `folder`."""
    install = next(cell for cell in book.cells if "install" in cell.metadata.get("tags", []))
    source, install.source = install.source, ""
    try:
        resources = {"metadata": {"path": str(folder)}}
        NotebookClient(
            book, timeout=CELL_SECONDS, kernel_name="python3", resources=resources
        ).execute()
    finally:
        install.source = source


def main():
    """Runs all, or those that are named; exits with 1 where a cell fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="such as 01; all unless given")
    parser.add_argument("--smoke", action="store_true", help="small runs")
    parser.add_argument("--store", action="store_true", help="write the .ipynb files")
    options = parser.parse_args()
    os.environ.pop(SWITCH, None)
    if options.smoke:
        os.environ[SWITCH] = "1"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    failed = []
    for path in notebooks():
        if options.names and not path.name.startswith(tuple(options.names)):
            continue
        start, book = time.monotonic(), read(path)
        with tempfile.TemporaryDirectory() as folder:
            try:
                run(book, folder)
                said = "ok"
            except CellExecutionError as error:
                said = f"FAILED\n{error}"
                failed.append(path.name)
        print(f"{path.name}: {said}, {time.monotonic() - start:.0f} s", flush=True)
        if options.store and not failed:
            jupytext.write(book, path.with_suffix(".ipynb"), fmt="ipynb")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
