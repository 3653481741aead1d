"""Which files of a folder are photographs; standard library only."""

import contextlib
from pathlib import Path

from . import formats

# what can be decoded
PHOTOGRAPHS = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".dib", ".gif"),
    *(".webp", ".tif", ".tiff"),
)
# Photographs all the same: to be refused by name, with the remedy, and not passed over.
FOREIGN = (
    *(".heic", ".heif", ".hif", ".avif", ".jxl", ".jp2", ".dng"),
    *(".cr2", ".cr3", ".nef", ".arw", ".raf", ".orf", ".rw2"),
)


def list_photographs(folder):
    """The photographs of a folder, sorted, and everything else that lies there.

    A photograph is what has the name of one, whatever is in it, or begins like one, whatever its
    name. Hidden files are neither.

    Args:
        folder: path.

    Returns:
        photographs, `FOREIGN` ones among them, and others: lists of `Path`.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from keras_cpm.images.suffixes import list_photographs
        >>> folder = Path(tempfile.mkdtemp())
        >>> for name in ("b.JPG", "a.webp", "c.heic", "notes.txt"): (folder / name).touch()
        >>> [[path.name for path in paths] for paths in list_photographs(folder)]
        [['a.webp', 'b.JPG', 'c.heic'], ['notes.txt']]
    """
    photographs, others = [], []
    for path in sorted(Path(folder).iterdir()):
        if not path.name.startswith("."):
            (photographs if _is_photograph(path) else others).append(path)
    return photographs, others


def _is_photograph(path):
    if path.is_dir():
        return False
    if path.suffix.lower() in (*PHOTOGRAPHS, *FOREIGN):
        return True
    # nothing is read from a pipe
    with contextlib.suppress(OSError):
        if path.is_file():
            with path.open("rb") as file:
                return formats.kind_of(file.read(16)) in formats.READ_KINDS
    return False
