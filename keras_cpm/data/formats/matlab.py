"""MATLAB files: struct arrays row by row, and what a field leaves empty as `None`.

The annotations of MPII and FLIC are struct arrays, in which a field may be absent, empty, a number
or the same number as text. SciPy turns every value into an array of at least two axes.
"""

import os
from pathlib import Path

import numpy as np


def read_mat(path) -> dict:
    """Reads the variables of a .mat file, by name.

    Raises:
        ValueError: SciPy cannot read the file: it is damaged, or of version 7.3.

    Example:
        >>> import tempfile
        >>> from keras_cpm.data.formats.matlab import read_mat, write_mat
        >>> path = tempfile.mkdtemp() + "/a.mat"
        >>> write_mat(path, {"x": [[1, 2]]})
        >>> read_mat(path)["x"].tolist()
        [[1, 2]]
    """
    from scipy.io import loadmat

    try:
        content = loadmat(path)
    except NotImplementedError:
        raise ValueError(
            f"{path} is a MATLAB file of version 7.3; save it again in MATLAB with `-v7`."
        ) from None
    except Exception as error:  # a damaged file raises anything
        raise ValueError(
            f"{path} is no MATLAB file, or a damaged one ({error}); extract or write it again."
        ) from None
    return {name: value for name, value in content.items() if not name.startswith("__")}


def write_mat(path, variables):
    """Writes variables by name; the file appears whole or not at all."""
    from scipy.io import savemat

    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    savemat(partial, variables, appendmat=False, do_compression=True)
    os.replace(partial, path)


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
