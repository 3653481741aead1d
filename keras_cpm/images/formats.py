"""Which format a file has, by its first bytes, what to say of those that are not read, and which
files of a folder are photographs.
"""

import contextlib
from pathlib import Path

DAMAGED = "the file is cut off or damaged; copy or download it again"
READ_KINDS = ("JPEG", "PNG", "GIF", "BMP", "WebP", "TIFF")
READ = "JPEG, PNG, GIF, BMP, WebP or TIFF"
_FIRST_BYTES = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
    b"BM": "BMP",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "BigTIFF",
    b"MM\0+": "BigTIFF",
    b"\0\0\0\x0cjP  ": "JPEG 2000",
    b"\0\0\0\x0cJXL ": "JPEG XL",
    b"\xff\x0a": "JPEG XL",
    b"8BPS": "PSD",
    b"%PDF": "PDF",
}
_BRANDS = {b"avif": "AVIF", b"avis": "AVIF", b"crx ": "CR3"} | dict.fromkeys(
    (b"heic", b"heix", b"hevc", b"heim", b"heis", b"hevx", b"mif1", b"msf1"), "HEIC"
)

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


def kind_of(data):
    """The format of a file by its first bytes; of camera files only those that are not TIFF.

    Args:
        data: bytes, at least the first 16 of the file.

    Returns:
        "JPEG", "PNG", "GIF", "BMP", "WebP" or "TIFF", which are read; the name of another format,
        which is not; or `None`.

    Example:
        >>> from keras_cpm.images import formats
        >>> formats.kind_of(b"GIF89a" + bytes(10)), formats.kind_of(b"a text")
        ('GIF', None)
    """
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WebP"
    if data[4:8] == b"ftyp":
        return _BRANDS.get(data[8:12])
    return next((kind for first, kind in _FIRST_BYTES.items() if data.startswith(first)), None)


def refusal(kind):
    """What to say of a file that is of no format that is read, after "it is".

    Args:
        kind: as `kind_of` says it.
    """
    if kind == "HEIC":
        return (
            "a HEIC file, as iPhones write them; convert it to JPEG, or choose Settings > Camera > "
            "Formats > Most Compatible on the phone"
        )
    name = f"a {kind} file, which is not a" if kind else "not a"
    return f"{name} {READ} file; convert it to JPEG or PNG"


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
        >>> from keras_cpm.images.formats import list_photographs
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
                return kind_of(file.read(16)) in READ_KINDS
    return False
