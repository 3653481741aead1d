"""What happens between the steps and epochs of a training: Keras callbacks."""

import contextlib
import time
import warnings

import keras
import tensorflow as tf

from ..data import pipeline
from ..evaluation.metrics import belief_response
from ..models import bundle
from ..models.forward import stages_of
from ..pose.codec import IGNORE
from . import checkpoints, processes


class ValidateAverages(keras.callbacks.Callback):
    """Validates the moving averages of the weights."""

    def on_test_begin(self, logs=None):
        self._within = contextlib.ExitStack()
        self._within.enter_context(checkpoints.averaged(self.model))

    def on_test_end(self, logs=None):
        self._within.close()


class SaveBest(keras.callbacks.Callback):
    """Keeps the bundle of the best validation PCK of the last stage.

    Without validation, or with one stage, whose target holds everybody, the bundle is the last
    epoch.
    """

    def __init__(self, directory, spec, network, state, *, averages):
        super().__init__()
        self.directory, self.spec, self.network = directory, spec, network
        self.state, self.averages = state, averages

    def on_epoch_end(self, epoch, logs=None):
        value = (logs or {}).get(f"val_{self.model.output_names[-1]}_pck")
        if value is not None and value < self.state["best"]:
            return
        self.state["best"] = float(value or 0.0)
        averaged = checkpoints.averaged if self.averages else contextlib.nullcontext
        first = processes.is_first()
        with averaged(self.model), computing_in(self.model, "float32"), processes.alone():
            if first:
                bundle.save_bundle(self.directory, self.model, self.spec, self.network)


class Checkpoint(keras.callbacks.Callback):
    """After every epoch all that the next one depends on; see `checkpoints`."""

    def __init__(self, directory, state):
        super().__init__()
        self.directory, self.state = directory, state

    def on_epoch_end(self, epoch, logs=None):
        self.state["epoch"] = epoch + 1
        if processes.is_first():
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
            f"The loss became {loss:.3g} at step {step + 1} (epoch {self.epoch + 1}, step "
            f"{batch + 1}); it began with {self.first:.3g}. Lower `learning_rate` "
            f"({self.recipe.learning_rate}), or look for damage in the files of this step and of "
            f"the one before, if any: {', '.join(files)}. The checkpoints before stay."
        )


class WatchBeliefs(keras.callbacks.Callback):
    """Warns of belief maps that are still flat after the first few hundred steps, and of the likely
    cause.

    Most cells of an ideal belief map are empty, so that an empty one has a small loss already.

    Args:
        dataset: batches as `make_dataset` makes them; the first is looked at.
        stage: 1..T, whose belief maps these are.
        recipe: `TrainSpec`.
        spec: `PoseSpec`.
        after: steps.
    """

    # Healthy trainings had a response of 0.04 or more after 300 steps, those that got nowhere 0.011
    # or less: networks of 16 to 128 filters, boxes of 64 to 192 pixels, drawn people and LSPET.
    _LEAST = 0.02
    _FEW_PARTS, _THIN_PEAK, _JUMP = 0.5, 0.5, 3.0

    def __init__(self, dataset, stage, recipe, spec, *, after=300):
        super().__init__()
        self.dataset, self.stage, self.recipe, self.spec = dataset, stage, recipe, spec
        self.after, self.losses = after, []

    def on_train_batch_end(self, batch, logs=None):
        self.losses.append(float(logs["loss"]))
        if len(self.losses) == self.after and processes.is_first():
            self._look()

    def _look(self):
        if keras.backend.backend() == "jax":
            self.model.jax_state_sync()
        inputs, targets = next(iter(self.dataset))
        inputs = {name: keras.ops.convert_to_numpy(value) for name, value in inputs.items()}
        model = processes.local(self.model)
        beliefs = stages_of(model(inputs, training=False))[self.stage - 1]
        # as Keras takes it, the target of a single stage has no name
        ideal = targets[f"stage{self.stage}"] if isinstance(targets, dict) else targets
        ideal, beliefs = (keras.ops.convert_to_numpy(maps) for maps in (ideal, beliefs))
        response = belief_response(ideal, beliefs, self.spec)
        if not response >= self._LEAST:
            warnings.warn(
                f"After {self.after} steps the belief maps of stage {self.stage} are still flat: "
                f"they show {response:.1%} of the ideal peaks, where a training that gets "
                f"somewhere shows more than {self._LEAST:.0%}. {self._cause(ideal)}",
                stacklevel=2,
            )

    def _cause(self, ideal):
        spec = self.spec
        if spec.part_sigma / spec.stride < self._THIN_PEAK:
            return (
                f"The likely cause: peaks of `part_sigma` {spec.part_sigma:.4g} pixels are lost "
                f"between the cells, which are {spec.stride} apart; take at least "
                f"{self._THIN_PEAK * spec.stride:.4g}."
            )
        parts = ideal[..., : spec.num_parts]
        labelled = parts.min((1, 2)) > IGNORE / 2
        in_box = parts.max((1, 2))[labelled] > self._FEW_PARTS
        if in_box.mean() < self._FEW_PARTS:
            return (
                f"The likely cause: of the labelled parts only {in_box.mean():.0%} lie in the box; "
                "look at `center` and `height` of the records (`keras-cpm check-data` draws them) "
                f"and at `person_height` ({spec.person_height:.4g})."
            )
        rate = f"`learning_rate` ({self.recipe.learning_rate:.4g})"
        if max(self.losses) > self._JUMP * self.losses[0]:
            return (
                f"The likely cause: the loss jumped to {max(self.losses):.4g} from "
                f"{self.losses[0]:.4g}, and rectifiers died; lower {rate}."
            )
        return (
            f"The likely cause: {rate} is small for this loss and this start; raise it, or be "
            "patient: the release's own recipe takes tens of thousands of steps."
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
        # clocks differ
        if processes.agreed(bool(self.seconds) and now - self.start + self.longest > self.seconds):
            self.model.stop_training = self.reached = True


@contextlib.contextmanager
def deterministic(wanted, seed):
    """Within it TensorFlow's operations give the same bits every time; others stay as they are.

    It refuses random operations without any seed, such as a callback of somebody's may have: they
    get `seed`, where the program has set none.
    """
    if not wanted or keras.backend.backend() != "tensorflow":
        yield
        return
    config, context = _determinism()
    on, seeded = config.is_op_determinism_enabled(), context.global_seed() is not None
    if not on:
        config.enable_op_determinism()
    if not seeded:
        tf.random.set_seed(seed)
    try:
        yield
    finally:
        # left on, it would refuse every later random operation without a seed
        if not on:
            config.disable_op_determinism()
        if not seeded:
            tf.random.set_seed(None)


def _determinism():
    # the public module has no way back, and does not tell the seed
    from tensorflow.python.eager import context
    from tensorflow.python.framework import config

    return config, context


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
