"""Files that we write: each appears whole or not at all. Standard library only."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

_PARTIAL = re.compile(r"\.[0-9a-f]{16}\.partial(\.|$)")
# what the shell calls the ends of its pipes
_STREAMS = ("/dev", "/dev/fd", "/proc/self/fd")


@contextlib.contextmanager
def whole(path: str | Path) -> Iterator[Path]:
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
        >>> from keras_cpm.pose import output
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
        with naming(path, partial):
            yield partial
        with naming(path):
            replace(partial, path)
    finally:
        remove(partial)


@contextlib.contextmanager
def naming(path: str | Path, partial: str | Path | None = None) -> Iterator[None]:
    """An error of the machine within it becomes a sentence that names `path` and the remedy; one
    that names another file than `partial`, such as one that is read from, stays as it is.
    """
    try:
        yield
    except OSError as error:
        if partial and error.filename and not str(error.filename).startswith(str(partial)):
            raise
        reason = error.strerror or str(error)
        raise OSError(
            f"{path} cannot be written ({reason}); make room, or name another place."
        ) from error


def write_text(path: str | Path, text: str) -> None:
    """Writes text in UTF-8, whole or not at all."""
    with whole(path) as partial:
        partial.write_text(text, encoding="utf-8")


def write_bytes(path: str | Path, data: bytes) -> None:
    """Writes bytes, whole or not at all."""
    with whole(path) as partial:
        partial.write_bytes(data)


def beside(path: str | Path, *words: str) -> Path:
    """The path of a file that belongs to another one: words stand before its suffix.

    Example:
        >>> from keras_cpm.pose import output
        >>> output.beside("out/pose.png", "left/wrist", "stages").as_posix()
        'out/pose.left_wrist.stages.png'
    """
    path = Path(path)
    # a name of somebody's must not lead into another folder
    names = [re.sub(r"[/\\\0]", "_", word) for word in words]
    return path.with_name(".".join([path.stem, *names]) + path.suffix)


def is_partial(path: str | Path) -> bool:
    """Whether a path is one that `whole` has yielded: where a process was killed, it stays."""
    return bool(_PARTIAL.match(Path(path).name))


def sweep(folder: str | Path) -> None:
    """Removes what killed writers left in a folder in which nobody else writes."""
    for path in Path(folder).glob(".*"):
        if is_partial(path):
            remove(path)


def remove(path: str | Path) -> None:
    """Removes a file or a folder, if it is there and can be."""
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            os.unlink(path)


def hidden(path: Path) -> Path:
    """A new path beside `path`, of the same suffix, that no listing shows.

    Example:
        >>> from pathlib import Path
        >>> from keras_cpm.pose import output
        >>> path = output.hidden(Path("out/pose.png"))
        >>> path.parent.name, path.name[0], path.suffix, output.is_partial(path)
        ('out', '.', '.png', True)
    """
    # the suffix tells writers the format; the name may be too long for anything before it
    return path.with_name(f".{secrets.token_hex(8)}.partial{path.suffix}")


def is_stream(path: str | Path) -> bool:
    """Whether a path is a device or a pipe, whose content nobody keeps."""
    other = os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path)
    return other or os.path.dirname(path) in _STREAMS


def replace(partial: Path, path: Path) -> None:
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
    try:
        os.replace(partial, path)
    except OSError:
        with contextlib.suppress(FileNotFoundError):
            os.replace(old, path)
        raise
    remove(old)


def _sync(path: Path) -> None:
    # to write, for else Windows refuses
    with open(path, "r+b") as file:
        os.fsync(file.fileno())
