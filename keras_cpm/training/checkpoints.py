"""Checkpoints of a training: everything that the next step depends on, to the last bit.

A checkpoint is one .npz file, so that a kill leaves a whole one or none; its parts carry checksums,
so that damage is seen. The newest two are kept.
"""

import contextlib
import json
import warnings
import zipfile
import zlib
from pathlib import Path

import keras
import numpy as np

from ..images.one_writer import one_writer
from ..pose import output, schema

FOLDER, LOCK = "checkpoints", "training.lock"
_KEPT = 2
_STATE, _MODEL, _OPTIMIZER = "state", "model", "optimizer"
_FIELDS = {
    "epoch": schema.whole(1, 10**9),
    "best": schema.number(0, 1),
    "settings": schema.OBJECT,
}
# what NumPy meets in bytes that are no checkpoint
_DAMAGES = (
    *(OSError, ValueError, KeyError, TypeError, AttributeError, NotImplementedError, RuntimeError),
    *(EOFError, MemoryError, zipfile.BadZipFile, zlib.error),
)


def save(directory, model, state):
    """Writes the state of a training after an epoch.

    Args:
        directory: of the training.
        model: compiled `keras.Model`, its optimiser built: its variables, random generators and
            those of its optimiser.
        state: dict of JSON values: "epoch", the number of finished epochs, "best", a PCK of 0 to 1,
            and "settings", a dict.

    Raises:
        OSError: one sentence; the checkpoints before stay.

    Example:
        >>> import tempfile
        >>> from keras_cpm import PoseSpec, build_cpm, compile_cpm
        >>> from keras_cpm.training import checkpoints
        >>> spec, folder = PoseSpec(box_size=64), tempfile.mkdtemp()
        >>> model = build_cpm(2, spec, width=8)
        >>> compile_cpm(model, spec=spec, total_steps=10)
        >>> model.optimizer.build(model.trainable_variables)
        >>> checkpoints.save(folder, model, {"epoch": 1, "best": 0.5, "settings": {}})
        >>> state, arrays = checkpoints.load(folder)
        >>> checkpoints.restore_model(model, arrays)
        >>> checkpoints.restore_optimizer(model, arrays)
        >>> state
        {'epoch': 1, 'best': 0.5, 'settings': {}}
    """
    folder = Path(directory) / FOLDER
    # a training has its folder alone
    output.sweep(folder)
    try:
        path = folder / f"{state['epoch']:06d}.npz"
        with output.whole(path) as partial, open(partial, "wb") as file:
            np.savez(file, **{_STATE: np.array(json.dumps(state))}, **_arrays(model))
    except OSError as error:
        raise OSError(
            f"The checkpoint of epoch {state['epoch']} could not be written: {error} The same "
            "command again goes on from the one before."
        ) from error
    for old in _files(directory)[_KEPT:]:
        old.unlink(missing_ok=True)


def load(directory):
    """The newest checkpoint that is whole.

    Returns:
        state and arrays for `restore_model`, or `None` where there is no checkpoint. Damaged ones
        are passed over with a warning.

    Raises:
        ValueError: there are checkpoints, and all are damaged.
    """
    files = _files(directory)
    for path in files:
        try:
            with np.load(path, allow_pickle=False) as file:
                arrays = dict(file)
            return _checked_state(str(arrays.pop(_STATE)), arrays, path), arrays
        except _DAMAGES as error:
            # the machine failed, not the file
            if isinstance(error, MemoryError) or getattr(error, "errno", None) is not None:
                raise OSError(
                    f"{path} cannot be read now: {error or 'no memory'}. The training is as it "
                    "was; mend that, and call again."
                ) from error
            reason = (str(error) or repr(error)).splitlines()[0]
            warnings.warn(f"{path} is damaged and is passed over ({reason})", stacklevel=2)
    if files:
        raise ValueError(
            f"All checkpoints in {files[0].parent} are damaged; delete the folder to begin anew."
        )
    return None


def _checked_state(text, arrays, path):
    state = schema.check(schema.parse(text), _FIELDS, more=True)
    if state["epoch"] != int(path.stem):
        raise ValueError(f"it is of epoch {state['epoch']:.6g}, its name of {int(path.stem)}")
    for name, value in arrays.items():
        if value.dtype.kind not in "fiub":
            raise ValueError(f"its {name} must hold numbers, not {value.dtype}")
    return state


def restore_model(model, arrays):
    """Gives a model the weights and random generators of a checkpoint.

    Raises:
        ValueError: it is of another model.
    """
    _restore(_MODEL, model.variables, arrays)


def restore_optimizer(model, arrays):
    """Gives the optimiser of a compiled model the values of a checkpoint.

    Raises:
        ValueError: it is of another optimiser.
    """
    model.optimizer.build(model.trainable_variables)
    _restore(_OPTIMIZER, model.optimizer.variables, arrays)


def _restore(part, variables, arrays):
    saved = {name: value for name, value in arrays.items() if name.startswith(part)}
    named = _named(part, variables)
    if {n: v.shape for n, v in saved.items()} != {n: tuple(v.shape) for n, v in named.items()}:
        raise ValueError(
            f"The checkpoint is of another {part}; name another `directory`, or delete it. "
            f"Received: {len(named)} variables, in the checkpoint: {len(saved)}"
        )
    for name, variable in named.items():
        variable.assign(saved[name])


def lock(directory):
    """Only one training at a time in a folder, see `one_writer`."""
    return one_writer(directory, LOCK, what="training", argument="directory")


@contextlib.contextmanager
def averaged(model):
    """Within it, the model has the moving averages of its weights; afterwards its own, bit for bit.

    `keras.callbacks.SwapEMAWeights` adds and subtracts, which rounds.
    """
    averages = map(_copy, model.optimizer._model_variables_moving_average)
    own = list(map(_copy, model.trainable_variables))
    try:
        for variable, average in zip(model.trainable_variables, averages, strict=True):
            variable.assign(average)
        yield
    finally:
        for variable, value in zip(model.trainable_variables, own, strict=True):
            variable.assign(value)


def _copy(variable):
    # JAX would let two variables share an array, and delete it with the first
    return np.array(keras.ops.convert_to_numpy(variable))


def _files(directory):
    """The newest first."""
    return sorted((Path(directory) / FOLDER).glob("[0-9]*.npz"), reverse=True)


def _named(part, variables):
    """By number: Keras numbers the layers and optimisers of a process, so names change."""
    return {f"{part}{number}": variable for number, variable in enumerate(variables)}


def _arrays(model):
    """All state that lasts: weights, generators of dropout, and what the optimiser keeps."""
    named = _named(_MODEL, model.variables) | _named(_OPTIMIZER, model.optimizer.variables)
    return {name: keras.ops.convert_to_numpy(variable) for name, variable in named.items()}
