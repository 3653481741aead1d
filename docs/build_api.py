"""Writes the API reference, build/api/index.html, from the docstrings: python docs/build_api.py [FOLDER]."""

import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import pdoc

import keras_cpm


def build(folder):
    """The page of the package, all public names on it; returns its path."""
    # public names are loaded when first used, and pdoc lists what is there
    for name in keras_cpm.__all__:
        setattr(keras_cpm, name, getattr(keras_cpm, name))
    pdoc.render.configure(docformat="google", show_source=False)
    pdoc.pdoc("keras_cpm", output_directory=Path(folder))
    return Path(folder) / "keras_cpm.html"


if __name__ == "__main__":
    print(build(sys.argv[1] if len(sys.argv) > 1 else "build/api"))
