"""How a process joins the others of a training, and ends with them."""

import atexit
import contextlib
import ctypes
import inspect
import os
import re
import signal
import sys
import tempfile

import keras

from .processes import BY_JAX, GO_ON, LOST, agreed, naming_lost

# functions of which C has only the address
_KEPT = []


@contextlib.contextmanager
def joined(coordinator=None, processes=None, process=None, heartbeat=None):
    """Within it this process trains with the others; call it before JAX computes anything.

    Without arguments it is the only process, and trains on all its devices. Whichever way one
    process ends early, the others end too, with one sentence.

    Args:
        coordinator: "HOST:PORT" of process 0, free there, or "auto": Slurm, Open MPI, Kubernetes
            or the TPU pod says it, and what else is not given.
        processes: how many there are.
        process: which this is, 0..processes - 1.
        heartbeat: seconds of silence after which a process counts as lost; those of JAX, 100,
            unless given.

    Raises:
        ValueError: another backend than JAX, or arguments that do not fit.
        RuntimeError: not all processes came, or one was lost.

    Example:
        >>> from keras_cpm.training import processes
        >>> from keras_cpm.training.joining import joined
        >>> with joined():
        ...     processes.is_first()
        True
    """
    if coordinator is processes is process is heartbeat is None:
        _spread()
        yield
        return
    _check_arguments(coordinator, processes, process)
    said = None if os.environ.get("KERAS_CPM_TRACEBACK") else _one_sentence_at_abort()
    try:
        _initialize(coordinator, processes, process, heartbeat)
        _spread()
        with naming_lost():
            # Gloo's first message must not be 30 s late; now all are here
            agreed(None)
            yield
    except BaseException:
        # JAX would wait for the others, who wait for this one
        atexit.register(_leave)
        raise
    finally:
        if said is not None:
            os.unlink(said)


def _check_arguments(coordinator, processes, process):
    if keras.backend.backend() != "jax":
        raise ValueError(
            f"`coordinator` and `processes` need Keras' backend jax; {BY_JAX}. Received: "
            f"KERAS_BACKEND={keras.backend.backend()}"
        )
    if coordinator is None or (coordinator != "auto" and not re.fullmatch(r".+:\d+", coordinator)):
        raise ValueError(
            '`coordinator` must be HOST:PORT of process 0, or "auto" where a cluster says it. '
            f"Received: {coordinator}"
        )
    numbers = (processes, process)
    if coordinator != "auto" and (None in numbers or not 0 <= process < processes):
        raise ValueError(
            "`processes` must be how many there are, and `process` which this is, 0 to one less. "
            f"Received: processes={processes}, process={process}"
        )


def _initialize(coordinator, processes, process, heartbeat):
    import jax

    options = {} if heartbeat is None else {"heartbeat_timeout_seconds": heartbeat}
    if options.keys() - inspect.signature(jax.distributed.initialize).parameters:
        raise ValueError(
            f"`heartbeat` needs a JAX that takes it: pip install -U jax. Received: "
            f"heartbeat={heartbeat} with JAX {jax.__version__}"
        )
    address = None if coordinator == "auto" else coordinator
    try:
        jax.distributed.initialize(address, processes, process, **options)
    except Exception as error:
        reason = str(error).partition("\n")[0]
        raise RuntimeError(
            f"Not all processes came to the `coordinator` {coordinator}; start each with the same "
            f"`coordinator` and `processes`, and 0, 1, ... as `process`: {reason}"
        ) from error


def _spread():
    """Lets the models that are built from now on compute on all devices of JAX."""
    if keras.backend.backend() != "jax":
        return
    import jax

    if jax.device_count() > 1:
        keras.distribution.set_distribution(
            keras.distribution.DataParallel(auto_shard_dataset=False)
        )


def _one_sentence_at_abort():
    """JAX says on pages that another process was lost, and aborts: keeps those in a file, whose
    path it returns, and says it in one sentence.
    """
    terminal = os.dup(2)
    file, path = tempfile.mkstemp(prefix="keras-cpm-process-", suffix=".log")
    sys.stderr.flush()
    os.dup2(file, 2)
    sys.stderr = os.fdopen(os.dup(terminal), "w", buffering=1, errors="backslashreplace")

    @ctypes.CFUNCTYPE(None, ctypes.c_int)
    def aborted(_):
        text = os.pread(file, 1 << 20, 0)
        if LOST.search(text.decode("utf-8", "replace")):
            text = f"Error: Another process was lost ({path} has more); {GO_ON}\n".encode()
        os.write(terminal, text)
        os._exit(1)

    _KEPT.append(aborted)
    ctypes.CDLL(None).signal(signal.SIGABRT, aborted)
    return path


def _leave():
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1)
