"""Checkpoints of a training: everything that the next step depends on, to the last bit.

A checkpoint is one .npz file, so that a kill leaves a whole one or none; its parts carry checksums,
so that damage is seen. The newest two are kept.
"""

import contextlib
import json
import os
import warnings
import zipfile
import zlib
from pathlib import Path

import keras
import numpy as np
from filelock import FileLock, Timeout

FOLDER, LOCK = "checkpoints", "training.lock"
_KEPT = 2
_STATE, _MODEL, _OPTIMIZER = "state", "model", "optimizer"


def save(directory, model, state):
    """Writes the state of a training after an epoch.

    Args:
        directory: of the training.
        model: compiled `keras.Model`, its optimiser built: its variables, random generators and
            those of its optimiser.
        state: dict of JSON values, with "epoch", the number of finished epochs.

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
        >>> checkpoints.save(folder, model, {"epoch": 1})
        >>> state, arrays = checkpoints.load(folder)
        >>> checkpoints.restore_model(model, arrays)
        >>> checkpoints.restore_optimizer(model, arrays)
        >>> state
        {'epoch': 1}
    """
    folder = Path(directory) / FOLDER
    partial = folder / "partial.npz"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with open(partial, "wb") as file:
            np.savez(file, **{_STATE: np.array(json.dumps(state))}, **_arrays(model))
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, folder / f"{state['epoch']:06d}.npz")
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise OSError(
            f"The checkpoint of epoch {state['epoch']} could not be written to {folder} "
            f"({error.strerror or error}); make room and run the same command again, which goes on "
            "from the one before."
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
            return json.loads(str(arrays.pop(_STATE))), arrays
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            reason = (str(error) or repr(error)).splitlines()[0]
            warnings.warn(f"{path} is damaged and is passed over ({reason})", stacklevel=2)
    if files:
        raise ValueError(
            f"All checkpoints in {files[0].parent} are damaged; delete the folder to begin anew."
        )
    return None


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


@contextlib.contextmanager
def lock(directory):
    """Only one training at a time in a folder; the lock ends with the process, however that ends.

    Raises:
        ValueError: another training runs there.
    """
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(directory / LOCK, timeout=0):
            yield
    except Timeout:
        raise ValueError(
            f"Another training runs in {directory}; wait for its end, or name another `directory`."
        ) from None


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
