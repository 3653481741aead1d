"""MATLAB files: struct arrays row by row, and what a field leaves empty as `None`.

The annotations of MPII and FLIC are struct arrays, in which a field may be absent, empty, a number
or the same number as text. SciPy turns every value into an array of at least two axes.
"""

import contextlib
import gc
import io
import itertools
import os
import pickle
import subprocess
import sys

import numpy as np

from ...pose import output

# what the first bytes of a .mat file may say, free text
_HEADER = b"MATLAB 5.0 MAT-file, written by keras_cpm".ljust(116)
# What a file may take: bytes of memory and seconds of a core, and more for each byte of it; that
# of MPII has 13 MB. A computer that is busy gets ten times the seconds.
_LARGEST = 2 << 30
_MEMORY, _MEMORY_A_BYTE, _MOST_MEMORY = 1 << 30, 300, 32 << 30
_SECONDS, _SECONDS_A_BYTE, _PATIENCE = 20, 2e-5, 10
# arrays in arrays; that of MPII has 7
_DEEPEST = 500
# where the numbers of an array begin, a multiple of these bytes
_ALIGNMENT = 16


def read_mat(path) -> dict:
    """Reads the variables of a .mat file, by name.

    SciPy's reader may crash, or allocate without end, on a file that is damaged or made to do so:
    it runs in a process of its own, whose time and, where the system can, memory are bounded by the
    size of the file. Only arrays of numbers, texts and arrays come back.

    Raises:
        ValueError: SciPy cannot read the file: it is damaged, of version 7.3 with more in it than
            arrays of numbers, larger than 2 GB, or takes more than is granted.

    Example:
        >>> import tempfile
        >>> from keras_cpm.data.formats.matlab import read_mat, write_mat
        >>> path = tempfile.mkdtemp() + "/a.mat"
        >>> write_mat(path, {"x": [[1, 2]]})
        >>> read_mat(path)["x"].tolist()
        [[1, 2]]
    """
    size = os.path.getsize(path)
    if size > _LARGEST:
        raise ValueError(f"{path} has {size} bytes; .mat files are read up to {_LARGEST}.")
    seconds = int(_SECONDS + _SECONDS_A_BYTE * size)
    memory = min(_MEMORY + _MEMORY_A_BYTE * size, _MOST_MEMORY)
    command = [
        sys.executable,
        "-P",
        "-m",
        __name__,
        os.path.abspath(path),
        str(seconds),
        str(memory),
    ]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_PATIENCE * seconds,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"},
        )
        content = _content(done.stdout) if done.returncode == 0 else "its reader crashed"
    except subprocess.TimeoutExpired:
        content = "it takes too long"
    except (pickle.UnpicklingError, EOFError, RecursionError, ValueError) as error:
        content = str(error) or "its reader was cut off"
    if isinstance(content, str):
        raise ValueError(
            content.format(path=path)
            if content.startswith("{path}")
            else f"{path} is no MATLAB file, or a damaged one ({content}); extract or write it "
            "again."
        )
    return content


def _serve(path, seconds, memory):
    """In the other process: writes the variables to stdout, or a sentence of what is wrong."""
    from scipy.io import loadmat

    # a large file is 10^6 small arrays, and all of them stay
    gc.disable()
    with contextlib.suppress(ImportError, ValueError, OSError):  # systems without such limits
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    try:
        try:
            content = loadmat(path, appendmat=False)
        except NotImplementedError:
            content = _numbers_of_version_73(path)
        content = {name: value for name, value in content.items() if not name.startswith("__")}
        answer = pickle.dumps(_flat(content), protocol=5)
    except NotImplementedError:
        answer = "{path} is a MATLAB file of version 7.3; save it again in MATLAB with `-v7`."
    except MemoryError:
        answer = f"it takes more than {memory} bytes of memory"
    except RecursionError:
        answer = "it is nested too deep"
    except BaseException as error:  # a damaged file raises anything
        answer = f"{error}"[:500]
    sys.stdout.buffer.write(answer if isinstance(answer, bytes) else pickle.dumps(answer))
    sys.stdout.buffer.flush()
    # without clearing up: what is nested deep crashes there
    os._exit(0)


def _numbers_of_version_73(path):
    """The variables of a file of HDF5, all of which must be arrays of numbers.

    What HDF5 can fetch from other files is refused with everything else.
    """
    import h5py

    try:
        with h5py.File(path) as file:
            own = all(isinstance(file.get(n, getlink=True), h5py.HardLink) for n in file)
            if not own or not all(_holds_numbers(file[name]) for name in file):
                raise NotImplementedError
            # MATLAB goes through the first axis first, and HDF5 through the last one
            return {name: file[name][()].T for name in file}
    except (OSError, RuntimeError, KeyError):  # it is damaged
        raise NotImplementedError from None


def _holds_numbers(item):
    numbers = getattr(item, "dtype", np.dtype(object)).kind in "iuf"
    return numbers and not (item.external or item.is_virtual or "MATLAB_empty" in item.attrs)


def _flat(content):
    """Variables as a few long lists; pickle would take ten times as long for 10^6 arrays.

    Returns:
        the names; the kinds of arrays, (names of fields or dtype, shape); for each array the number
        of its kind and where its content begins: among the arrays, which stand after it, or in the
        bytes; the bytes.
    """
    arrays, kinds, numbers, starts, data = list(content.values()), {}, [], [], bytearray()
    depth, end = 0, len(arrays)
    for i, array in enumerate(arrays):  # which gets longer
        if i == end:
            depth, end = depth + 1, len(arrays)
        if depth > _DEEPEST:
            raise RecursionError
        # what SciPy cannot read is a text that says so; objects of MATLAB hold bytes
        array = np.array(array) if isinstance(array, str | bytes) else array
        if not isinstance(array, np.ndarray):
            raise ValueError(f"it holds a {type(array).__name__}")
        names, nests = array.dtype.names, array.dtype.hasobject
        numbers.append(kinds.setdefault((names or array.dtype.str, array.shape), len(kinds)))
        starts.append(len(arrays) if nests else len(data))
        if nests:
            elements = array.ravel().tolist()
            arrays += itertools.chain.from_iterable(elements) if names else elements
        else:
            data += array.tobytes()
            data += bytes(-len(data) % _ALIGNMENT)
    return list(content), list(kinds), numbers, starts, data


class _Plain(pickle.Unpickler):
    """Reads lists of numbers, texts and bytes: nothing that runs code."""

    def find_class(self, module, name):
        raise pickle.UnpicklingError(f"it holds a {module}.{name}")


def _content(answer):
    """The variables, or the sentence, that `_serve` wrote."""
    answer = _Plain(io.BytesIO(answer)).load()
    if isinstance(answer, str):
        return answer
    variables, kinds, numbers, starts, data = answer
    dtypes = [
        np.dtype([(name, object) for name in kind] if isinstance(kind, tuple) else kind)
        for kind, _ in kinds
    ]
    arrays = [None] * len(numbers)
    for i in range(len(numbers) - 1, -1, -1):  # what an array holds stands after it
        dtype, shape, start = dtypes[numbers[i]], kinds[numbers[i]][1], starts[i]
        if not dtype.hasobject:
            arrays[i] = np.ndarray(shape, dtype, data, start)
            continue
        arrays[i] = np.empty(shape, dtype)
        elements, width = arrays[i].reshape(-1), len(dtype.names or ())
        for j in range(len(elements)):
            at = start + j * (width or 1)
            elements[j] = tuple(arrays[at : at + width]) if width else arrays[at]
    return dict(zip(variables, arrays, strict=False))


@contextlib.contextmanager
def laid_out(path):
    """What the reader of a file stumbles over becomes a sentence that names it; see `read_mat`."""
    try:
        yield
    except (AttributeError, IndexError, KeyError, TypeError, OverflowError) as error:
        raise ValueError(
            f"{path} is not laid out as its data set says ({type(error).__name__}: {error}); "
            "extract or write it again."
        ) from None


def write_mat(path, variables):
    """Writes variables by name; the file appears whole or not at all."""
    from scipy.io import savemat

    with output.whole(path) as partial, open(partial, "wb") as file:
        savemat(file, variables, do_compression=True)
        file.seek(0)
        file.write(_HEADER)


def rows(value) -> list:
    """The elements of a struct array, in order; none where `value` is no struct array.

    Example:
        >>> import numpy as np
        >>> from keras_cpm.data.formats.matlab import number, rows
        >>> points = np.array([[(7, "1"), (8, [])]], [("x", object), ("seen", object)])
        >>> [(number(point, "x"), number(point, "seen")) for point in rows(points)]
        [(7.0, 1.0), (8.0, None)]
    """
    return list(value.ravel()) if getattr(value, "dtype", np.dtype(float)).names else []


def field(row, name):
    """The array in one field of a struct; `None` where the field is absent or empty."""
    if row is None or name not in row.dtype.names or np.size(row[name]) == 0:
        return None
    return np.asarray(row[name])


def number(row, name) -> float | None:
    """The number in one field of a struct, also where it is text; `None` as in `field`."""
    value = field(row, name)
    return None if value is None else float(value.ravel()[0])


def text(row, name) -> str | None:
    """The text in one field of a struct; `None` as in `field`."""
    value = field(row, name)
    return None if value is None else str(value.ravel()[0])


if __name__ == "__main__":
    _serve(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
