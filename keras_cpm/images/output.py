"""Files that we write: each appears whole or not at all, and is known as ours afterwards.

Standard library only. A file of ours carries a mark where its format has room for one that nobody
sees: a chunk of a picture or a video, the header of a .mat file, white space at the end of JSON,
which an editor strips from what was changed by hand; tables are known by their first line.
"""

import contextlib
import os
import re
import secrets
import shutil
import struct
import zlib
from pathlib import Path

MARK = b"keras_cpm"
# of JSON, before its last line break
WHITE = " \t \t"
# first lines of the tables that we write: of videos, of curves
TABLES = (("frame", "seconds", "part", "x", "y", "score"), ("row", "column"))
# what stands at the two ends of a file tells whose it is
_HEAD, _TAIL = 128, 64
_PARTIAL = re.compile(r"\.[0-9a-f]{16}\.partial(\.|$)")
# what the shell calls the ends of its pipes
_STREAMS = ("/dev", "/dev/fd", "/proc/self/fd")


@contextlib.contextmanager
def whole(path):
    """Yields a hidden path beside `path`; what is written there takes the place of `path`.

    If the block fails, `path` stays what it was and nothing else is left. A link is replaced, not
    followed; a folder takes the place of a folder; devices and pipes are written to as they are.

    Args:
        path: of the file or folder; its own folder is made if it is not there.

    Raises:
        OSError: it cannot be written; one sentence with the path and the remedy.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from keras_cpm.images import output
        >>> folder = Path(tempfile.mkdtemp())
        >>> with output.whole(folder / "a.txt") as partial:
        ...     size = partial.write_text("all")
        >>> [path.name for path in folder.iterdir()], size
        (['a.txt'], 3)
    """
    path = Path(path)
    if is_stream(path):
        with naming(path):
            yield path
        return
    partial = hidden(path)
    try:
        with naming(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield partial
            replace(partial, path)
    finally:
        remove(partial)


@contextlib.contextmanager
def naming(path):
    """An error of the machine within it becomes a sentence that names `path` and the remedy."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise OSError(
            f"{path} cannot be written ({reason}); make room, or name another place."
        ) from error


def write_text(path, text):
    """Writes text in UTF-8, whole or not at all."""
    with whole(path) as partial:
        partial.write_text(text, encoding="utf-8")


def write_bytes(path, data):
    """Writes bytes, whole or not at all."""
    with whole(path) as partial:
        partial.write_bytes(data)


def beside(path, *words):
    """The path of a file that belongs to another one: words stand before its suffix.

    Example:
        >>> from keras_cpm.images import output
        >>> output.beside("out/pose.png", "left/wrist", "stages").as_posix()
        'out/pose.left_wrist.stages.png'
    """
    path = Path(path)
    # a name of somebody's must not lead into another folder
    words = [re.sub(r"[/\\\0]", "_", word) for word in words]
    return path.with_name(".".join([path.stem, *words]) + path.suffix)


def is_partial(path):
    """Whether a path is one that `whole` has yielded: where a process was killed, it stays."""
    return bool(_PARTIAL.match(Path(path).name))


def sweep(folder):
    """Removes what killed writers left in a folder in which nobody else writes."""
    for path in Path(folder).glob(".*"):
        if is_partial(path):
            remove(path)


def remove(path):
    """Removes a file or a folder, if it is there and can be."""
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            os.unlink(path)


def marked(data, suffix):
    """The bytes of a picture or a video with the mark in them, where its format has room.

    Args:
        data: bytes of the whole file.
        suffix: of its name, such as ".png".
    """
    suffix = suffix.lower()
    if suffix == ".png":
        chunk = b"tEXtSoftware\0" + MARK
        length, check = struct.pack(">I", len(chunk) - 4), struct.pack(">I", zlib.crc32(chunk))
        # before the last chunk, which is empty
        return data[:-12] + length + chunk + check + data[-12:]
    if suffix == ".bmp":
        # what stands there is the program's own
        return data[:6] + MARK[:4] + data[10:]
    if suffix in (".jpg", ".jpeg"):
        return data[:-2] + b"\xff\xfe" + struct.pack(">H", len(MARK) + 2) + MARK + data[-2:]
    return data + tail(suffix)


def tail(suffix):
    """What may follow a file of this kind: a chunk that readers pass over, with the mark."""
    if suffix.lower() in (".mp4", ".mov", ".m4v"):
        return struct.pack(">I", len(MARK) + 8) + b"free" + MARK
    if suffix.lower() in (".avi", ".webp"):
        return b"JUNK" + struct.pack("<I", len(MARK) + 1) + MARK + b"\0"
    if suffix.lower() == ".mkv":
        return b"\xec" + bytes([0x80 | len(MARK)]) + MARK
    return MARK


def is_ours(path):
    """Whether we wrote a file, by its mark.

    Example:
        >>> import tempfile
        >>> from keras_cpm import draw_records, write_records
        >>> from keras_cpm.images import output
        >>> folder = tempfile.mkdtemp()
        >>> write_records(draw_records(folder, 1), f"{folder}/people.jsonl")
        >>> output.is_ours(f"{folder}/people.jsonl")
        True
    """
    with open(path, "rb") as file:
        head = file.read(_HEAD)
        file.seek(max(0, os.path.getsize(path) - _TAIL))
        end = file.read()
    suffix = Path(path).suffix.lower()
    if suffix == ".bmp":
        return head[6:10] == MARK[:4]
    if suffix in (".json", ".jsonl"):
        return end.endswith(f"{WHITE}\n".encode())
    if suffix == ".csv":
        return head.startswith(tuple(",".join(names).encode() for names in TABLES))
    return MARK in (head if suffix == ".mat" else end)


def hidden(path):
    """A new path beside `path`, of the same suffix, that no listing shows.

    Example:
        >>> from pathlib import Path
        >>> from keras_cpm.images import output
        >>> path = output.hidden(Path("out/pose.png"))
        >>> path.parent.name, path.name[0], path.suffix, output.is_partial(path)
        ('out', '.', '.png', True)
    """
    # the suffix tells writers the format; the name may be too long for anything before it
    return path.with_name(f".{secrets.token_hex(8)}.partial{path.suffix}")


def is_stream(path):
    """Whether a path is a device or a pipe, whose content nobody keeps."""
    other = os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path)
    return other or os.path.dirname(path) in _STREAMS


def replace(partial, path):
    """Moves a file or a folder to `path`, once its bytes are on the disk; what was there goes."""
    if not partial.is_dir():
        _sync(partial)
        os.replace(partial, path)
        return
    for file in partial.rglob("*"):
        if file.is_file():
            _sync(file)
    old = hidden(path)
    with contextlib.suppress(FileNotFoundError):
        os.replace(path, old)
    os.replace(partial, path)
    remove(old)


def _sync(path):
    with open(path, "rb") as file:
        os.fsync(file.fileno())
