"""One writer a folder: two would leave what neither of them wrote."""

import contextlib
from pathlib import Path

from filelock import FileLock, Timeout


@contextlib.contextmanager
def one_writer(folder, name, *, what, argument):
    """Only one process at a time within it; the lock ends with the process, however that ends.

    Args:
        folder: made if it is not there.
        name: of the file in it that is locked.
        what: what is written, for the sentence of an error, such as "training".
        argument: what names the folder.

    Raises:
        ValueError: another one writes there.
        OSError: the folder cannot be written to, or its file system knows no locks.

    Example:
        >>> import tempfile
        >>> from keras_cpm.images.one_writer import one_writer
        >>> folder = tempfile.mkdtemp()
        >>> with one_writer(folder, "pack.lock", what="pack", argument="folder"):
        ...     pass
    """
    folder = Path(folder)
    held = FileLock(folder / name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        held.acquire(timeout=0)
    except Timeout:
        raise ValueError(
            f"Another {what} runs in {folder}; wait for its end, or name another `{argument}`."
        ) from None
    except (NotImplementedError, OSError) as error:
        raise OSError(
            f"{folder / name} cannot be locked ({error}); a {what} needs a folder that it can "
            f"write to, on a file system with locks: name another `{argument}`."
        ) from error
    try:
        yield
    finally:
        held.release()
