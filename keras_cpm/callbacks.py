"""What happens between the steps and epochs of a training: Keras callbacks."""

import contextlib
import time

import keras

from . import bundle, checkpoints
from .data import pipeline


class ValidateAverages(keras.callbacks.Callback):
    """Validates the moving averages of the weights."""

    def on_test_begin(self, logs=None):
        self._within = contextlib.ExitStack()
        self._within.enter_context(checkpoints.averaged(self.model))

    def on_test_end(self, logs=None):
        self._within.close()


class SaveBest(keras.callbacks.Callback):
    """Keeps the bundle of the best validation PCK of the last stage.

    Without validation, or with one stage, whose target holds everybody, the bundle is the last epoch.
    """

    def __init__(self, directory, spec, state, *, averages):
        super().__init__()
        self.directory, self.spec, self.state = directory, spec, state
        self.averages = averages

    def on_epoch_end(self, epoch, logs=None):
        value = (logs or {}).get(f"val_{self.model.output_names[-1]}_pck")
        if value is not None and value < self.state["best"]:
            return
        self.state["best"] = float(value or 0.0)
        averaged = checkpoints.averaged if self.averages else contextlib.nullcontext
        with averaged(self.model), computing_in(self.model, "float32"):
            bundle.save_bundle(self.directory, self.model, self.spec)


class Checkpoint(keras.callbacks.Callback):
    """After every epoch all that the next one depends on; see `checkpoints`."""

    def __init__(self, directory, state):
        super().__init__()
        self.directory, self.state = directory, state

    def on_epoch_end(self, epoch, logs=None):
        self.state["epoch"] = epoch + 1
        checkpoints.save(self.directory, self.model, self.state)


class StopOnBadLoss(keras.callbacks.Callback):
    """Ends a training whose loss is no number, or many times the first, and names the files.

    Raises:
        ValueError: at the end of the step.
    """

    # a loss begins with that of empty belief maps; a rate that is too high leaves it far behind
    _MOST = 1e3

    def __init__(self, records, recipe, steps):
        super().__init__()
        self.records, self.recipe, self.steps, self.first = records, recipe, steps, None

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        loss = float(logs["loss"])
        self.first = loss if self.first is None else self.first
        # people without labels can begin with nothing
        if loss <= self._MOST * max(self.first, 1.0):
            return
        step, files = self.epoch * self.steps + batch, []
        # bad gradients of one step show in the loss of the next
        for one in (step, step - 1) if step else (step,):
            files += pipeline.files_of_step(
                self.records, self.recipe.batch_size, self.recipe.seed, one
            )
        raise ValueError(
            f"The loss became {loss:.3g} at step {step + 1} (epoch {self.epoch + 1}, step {batch + 1}); "
            f"it began with {self.first:.3g}. Lower `learning_rate` ({self.recipe.learning_rate}), or look "
            f"for damage in the files of this step and of the one before, if any: {', '.join(files)}. The "
            "checkpoints before stay."
        )


class TimeLimit(keras.callbacks.Callback):
    """Ends the training after the last epoch that fits into `max_minutes`; 0 = no limit."""

    def __init__(self, max_minutes):
        super().__init__()
        self.seconds, self.longest, self.reached = 60 * max_minutes, 0.0, False
        self.start = self.epoch_start = time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        now = time.monotonic()
        self.longest = max(self.longest, now - self.epoch_start)
        self.epoch_start = now
        if self.seconds and now - self.start + self.longest > self.seconds:
            self.model.stop_training = self.reached = True


@contextlib.contextmanager
def deterministic(wanted):
    """Within it TensorFlow's operations give the same bits every time. Other backends are as they are."""
    config = _determinism() if keras.backend.backend() == "tensorflow" else None
    if not wanted or config is None or config.is_op_determinism_enabled():
        yield
        return
    config.enable_op_determinism()
    try:
        yield
    finally:
        # left on, it would refuse every later random operation without a seed
        config.disable_op_determinism()


def _determinism():
    # the public module has no way back
    from tensorflow.python.framework import config

    return config


@contextlib.contextmanager
def computing_in(model, name):
    """Lets the layers of `model` compute in `name`; their weights stay float32. The outputs stay
    float32.
    """
    inner = [layer for layer in model.layers if layer.name not in model.output_names]
    before = [layer.dtype_policy for layer in inner]
    for layer in inner:
        layer.dtype_policy = keras.DTypePolicy(name)
    try:
        yield
    finally:
        for layer, policy in zip(inner, before, strict=True):
            layer.dtype_policy = policy
