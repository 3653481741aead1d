"""A training in several processes or on several devices: each one's share, what process 0 alone
does, and what it tells the others.

Every process runs the same lines. Only these differ: a process decodes its share of each batch, and
process 0 alone locks, reads and writes the folder. Setting a variable takes all processes at once,
so whatever sets one is done by all.
"""

import contextlib
import io
import json
import os
import re

import keras
import numpy as np

# what JAX, Gloo and NCCL say where another process is gone
LOST = re.compile("Gloo|NCCL|nccl|coordination|distributed service|heartbeat|DEADLINE_EXCEEDED")
GO_ON = "the same command in all of them goes on from the last checkpoint."
# bytes of a message; two sizes, so that JAX compiles two functions
_SHORT, _LONG = 1 << 12, 1 << 24
_TOLD = "_told"
BY_JAX = (
    "several hosts train with JAX: KERAS_BACKEND=jax keras-cpm train ... --coordinator HOST:PORT "
    "--processes N --process I"
)


@contextlib.contextmanager
def naming_lost():
    """Within it, what JAX says where another process is gone becomes one sentence.

    Raises:
        RuntimeError: in place of JAX's.
    """
    try:
        yield
    except Exception as error:
        if _count() == 1 or not LOST.search(str(error)):
            raise
        raise RuntimeError(f"Another process was lost; {GO_ON}") from error


def _count():
    return _jax().process_count() if _distributed() else 1


def _distributed():
    return keras.backend.backend() == "jax" and keras.distribution.distribution() is not None


def _jax():
    import jax

    return jax


def is_first():
    """Whether this is process 0, which has the folder and speaks."""
    return share() is None or share()[0] == 0


def share():
    """The number of this process and of all, for `make_dataset`; `None` where one device computes.

    Example:
        >>> from keras_cpm.training import processes
        >>> processes.share()
    """
    if _distributed():
        return _jax().process_index(), _jax().process_count()
    return (0, 1) if _strategy() else None


def check_batch(batch_size):
    """Refuses batches that the devices cannot share evenly.

    Raises:
        ValueError: naming a size that they can.
    """
    devices = _jax().device_count() if _distributed() else 1
    if strategy := _strategy():
        devices = strategy.num_replicas_in_sync
    if batch_size % devices:
        raise ValueError(
            f"`batch_size` must be a multiple of the {devices} devices, which share it, such as "
            f"{-(-batch_size // devices) * devices}. Received: {batch_size}"
        )


def from_first(make):
    """What `make()` returns in process 0, in every process; what it raises, all raise.

    Args:
        make: called in process 0 alone; returns a JSON value and a dict of arrays, or `None`. Of
            its errors, ValueError and OSError are told to all.

    Example:
        >>> import numpy as np
        >>> from keras_cpm.training import processes
        >>> processes.from_first(lambda: ({"epoch": 1}, {"w": np.zeros(2)}))
        ({'epoch': 1}, {'w': array([0., 0.])})
    """
    if _count() == 1:
        return make()
    message = b""
    if is_first():
        try:
            (value, arrays), error = make(), None
        except (ValueError, OSError) as raised:
            value, arrays = None, None
            error = [isinstance(raised, OSError), str(raised)]
        text = json.dumps({"value": value, "arrays": arrays is not None, "error": error})
        file = io.BytesIO()
        np.savez(file, **{_TOLD: np.array(text)}, **(arrays or {}))
        message = file.getvalue()
    with np.load(io.BytesIO(_broadcast(message)), allow_pickle=False) as file:
        arrays = dict(file)
    told = json.loads(str(arrays.pop(_TOLD)))
    if told["error"]:
        of_system, sentence = told["error"]
        raise (OSError if of_system else ValueError)(sentence)
    return told["value"], arrays if told["arrays"] else None


def _broadcast(message):
    """The bytes that process 0 gives, in every process."""
    from jax.experimental.multihost_utils import broadcast_one_to_all

    # JAX has no int64
    longs, rest = broadcast_one_to_all(np.array(divmod(len(message), _LONG), np.int32))
    length = int(longs) * _LONG + int(rest)
    size = _SHORT if length <= _SHORT else _LONG
    pieces = []
    for start in range(0, length, size):
        piece = np.zeros(size, np.uint8)
        part = np.frombuffer(message[start : start + size], np.uint8)
        piece[: len(part)] = part
        pieces.append(np.asarray(broadcast_one_to_all(piece)).tobytes())
    return b"".join(pieces)[:length]


def agreed(value):
    """The JSON value that process 0 has."""
    return from_first(lambda: (value, None))[0]


@contextlib.contextmanager
def held_by_first(held):
    """Within it process 0 is within the context manager `held`; all raise what that raises."""
    with contextlib.ExitStack() as stack:
        from_first(lambda: (stack.enter_context(held), None))
        yield


def local(model):
    """A copy of `model` that computes in this process alone; `model` itself where it does."""
    if not _distributed():
        return model
    with alone():
        copy = keras.models.clone_model(model)
        copy.set_weights(model.get_weights())
    return copy


@contextlib.contextmanager
def alone():
    """Within it, what is built belongs to this process, and takes no other."""
    if not _distributed():
        yield
        return
    kept = keras.distribution.distribution()
    keras.distribution.set_distribution(None)
    try:
        yield
    finally:
        keras.distribution.set_distribution(kept)


def _strategy():
    """TensorFlow's way to several devices of one machine, as entered; `None` where one computes."""
    if keras.backend.backend() != "tensorflow":
        return None
    import tensorflow as tf

    workers = json.loads(os.environ.get("TF_CONFIG") or "{}").get("cluster", {}).get("worker", ())
    strategy = tf.distribute.get_strategy() if tf.distribute.has_strategy() else None
    if len(workers) > 1 or not isinstance(strategy, (tf.distribute.MirroredStrategy, type(None))):
        found = f"TF_CONFIG with {len(workers)} workers" if len(workers) > 1 else strategy
        raise ValueError(
            "With TensorFlow one machine trains, by `tf.distribute.MirroredStrategy`; "
            f"{BY_JAX}. Received: {found}"
        )
    return strategy


@contextlib.contextmanager
def replicated(model):
    """Within it, the model that learns: a copy on all GPUs of TensorFlow where there are several,
    else `model` itself.

    JAX has its devices from the start, see `joining`.
    """
    strategy = _strategy()
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        if strategy is None and len(tf.config.list_logical_devices("GPU")) > 1:
            strategy = tf.distribute.MirroredStrategy()
    if strategy is None:
        yield model
        return
    with strategy.scope():
        if any(isinstance(w.value, tf.distribute.DistributedValues) for w in model.weights):
            yield model
            return
        copy = keras.models.clone_model(model)
        copy.set_weights(model.get_weights())
        yield copy
