"""Runs the notebooks and stores them with their outputs.

    python notebooks/build.py [--smoke] [--store]

The texts (.py) are what is edited; the .ipynb beside them are what GitHub and Colab show.
"""

import argparse
import base64
import os
import re
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import cv2
import jupytext
import numpy as np
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

FOLDER = Path(__file__).parent
# setup.py is the one place that knows where the project lives
REPOSITORY = re.search(r'^ *url="(.+?)"', (FOLDER.parent / "setup.py").read_text("utf-8"), re.M)[1]
SWITCH, CELL_SECONDS = "KERAS_CPM_SMOKE", 600
_LONGEST_CELL = 10


def notebooks():
    """Paths of the texts, in order."""
    return sorted(FOLDER.glob("[0-9][0-9]_*.py"))


def read(path):
    """The notebook of a text, for Colab's kernel, and checked.

    Raises:
        ValueError: no install cell first, no switch for small runs, or a cell that belongs into the
            package.
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
                f"{path.name} has a cell of {len(lines)} lines; move it into the package: "
                f"{lines[0]}"
            )
    code[0].source = code[0].source.replace("REPOSITORY", REPOSITORY)
    return book


def run(book, folder):
    """Executes all cells but the installation in `folder`."""
    install = next(cell for cell in book.cells if "install" in cell.metadata.get("tags", []))
    source, install.source = install.source, ""
    try:
        NotebookClient(
            book,
            timeout=CELL_SECONDS,
            kernel_name="python3",
            resources={"metadata": {"path": str(folder)}},
            coalesce_streams=True,
            record_timing=False,
        ).execute()
    finally:
        install.source = source


def lighten(book):
    """Makes what is stored small and the same on every machine.

    JPEG for PNG, no warnings, ids that stay.
    """
    for number, cell in enumerate(book.cells, 1):
        cell["id"] = f"cell-{number}"
        if cell.cell_type != "code":
            continue
        cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
        for output in cell.outputs:
            data = output.get("data", {})
            if "image/png" in data:
                data["image/jpeg"] = _jpeg_from_png(data.pop("image/png"))
            if "text" in output:
                # of a line that was written over and over, the last
                lines = output.text.rstrip("\n").split("\n")
                output.text = "\n".join(line.rstrip("\r").split("\r")[-1] for line in lines) + "\n"


def _jpeg_from_png(base64_png):
    pixels = cv2.imdecode(np.frombuffer(base64.b64decode(base64_png), np.uint8), cv2.IMREAD_COLOR)
    jpeg = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 85])[1]
    return base64.b64encode(jpeg.tobytes()).decode()


def build(path, store):
    """Runs a text and stores it; (name, error or `None`, seconds)."""
    start, book, error = time.monotonic(), read(path), None
    with tempfile.TemporaryDirectory() as folder:
        try:
            run(book, folder)
        except (CellExecutionError, CellTimeoutError, DeadKernelError) as raised:
            error = str(raised)
    if store and not error:
        lighten(book)
        jupytext.write(book, path.with_suffix(".ipynb"), fmt="ipynb")
    return path.name, error, time.monotonic() - start


def main():
    """Runs all, or those that are named, two at a time; exits with 1 where a cell fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="such as 01; all unless given")
    parser.add_argument("--smoke", action="store_true", help="small runs")
    parser.add_argument("--store", action="store_true", help="write the .ipynb files")
    options = parser.parse_args()
    paths = [path for path in notebooks() if path.name.startswith(tuple(options.names) or "")]
    if not paths:
        parser.error(f"no notebook is named {' or '.join(options.names)}")
    if options.smoke and options.store:
        parser.error("small runs are not stored; leave out --smoke or --store")
    os.environ.pop(SWITCH, None)
    if options.smoke:
        os.environ[SWITCH] = "1"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    failed = False
    with ProcessPoolExecutor(2) as pool:
        for name, error, seconds in pool.map(build, paths, [options.store] * len(paths)):
            failed = failed or bool(error)
            said = f"FAILED\n{error}" if error else "ok"
            print(f"{name}: {said}, {seconds:.0f} s", flush=True)
    sys.exit(failed)


if __name__ == "__main__":
    main()
