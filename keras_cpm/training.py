"""`compile_cpm` and `train`: `fit` with one loss per stage, checkpoints, a log and PCK."""

import contextlib
import dataclasses
import json
import os
import time
from pathlib import Path

import keras
import tensorflow as tf

from . import bundle
from .data import pipeline
from .losses import stage_losses
from .metrics import BeliefPCK
from .optimizers import make_optimizer
from .recipes import MODERN, AugmentSpec
from .spec import PoseSpec

STATE_FILE, WEIGHTS_FILE, LOG_FILE = "checkpoint.json", "checkpoint.weights.h5", "log.csv"


def compile_cpm(model, recipe=MODERN, spec=PoseSpec(), *, total_steps):  # noqa: B008 frozen
    """Compiles with stage losses, stage weights, the recipe's optimiser, and PCK on stages >= 2.

    Stage 1 gets no PCK: its target holds everybody's peaks.

    Args:
        model: `keras.Model` as `build_cpm` makes it.
        recipe: `TrainSpec`.
        spec: `PoseSpec` of the model.
        total_steps: of the whole training, for the schedule.

    Raises:
        ValueError: model and spec do not belong together, or as many `stage_weights` as stages are
            not there.

    Example:
        >>> from keras_cpm import PoseSpec, build_cpm, compile_cpm
        >>> spec = PoseSpec(box_size=64)
        >>> model = build_cpm(2, spec, width=8)
        >>> compile_cpm(model, spec=spec, total_steps=100)
        >>> type(model.optimizer).__name__
        'FusedAdamW'
    """
    bundle.check_model(model, spec)
    names = model.output_names
    weights = recipe.stage_weights or (1.0,) * len(names)
    if len(weights) != len(names):
        raise ValueError(
            f"`stage_weights` must have one factor for each of the {len(names)} stages. Received: {weights}"
        )
    model.compile(
        optimizer=make_optimizer(recipe, total_steps),
        loss=stage_losses(model),
        loss_weights=dict(zip(names, weights, strict=True)),
        metrics={name: [BeliefPCK(spec, name="pck")] for name in names[1:]},
    )


def train(
    model,
    records,
    validation_records=(),
    recipe=MODERN,
    spec=PoseSpec(),  # noqa: B008 frozen
    *,
    directory,
    augment=AugmentSpec(),  # noqa: B008 frozen
    verbose="auto",
):
    """Trains `model` on `records` and leaves a bundle in `directory`.

    After every epoch the folder holds a checkpoint; the same call again goes on from there. The
    bundle is the epoch with the best validation PCK of the last stage, or the last epoch where
    there are no validation records or only one stage; `model` ends with its weights.

    Args:
        model: `keras.Model` as `build_cpm` makes it.
        records: list of `Record`.
        validation_records: list of `Record` of other people.
        recipe: `TrainSpec`; `MODERN`, `RELEASE`, or one made with `dataclasses.replace`.
        spec: `PoseSpec` of the model.
        directory: gets model.keras, spec.json, log.csv and the checkpoint.
        augment: `AugmentSpec`.
        verbose: as in `fit`.

    Returns:
        `keras.callbacks.History` of this call; empty where the folder's training has finished already.

    Raises:
        ValueError: settings or records that do not fit; an image that cannot be decoded, by name.

    Example:
        >>> import dataclasses, tempfile, keras_cpm
        >>> spec = keras_cpm.PoseSpec(box_size=64)
        >>> model = keras_cpm.build_cpm(2, spec, backbone="light", stage_block="light", width=8)
        >>> records = keras_cpm.draw_records(tempfile.mkdtemp(), 8)
        >>> recipe = dataclasses.replace(keras_cpm.MODERN, epochs=1, batch_size=4)
        >>> folder = tempfile.mkdtemp()
        >>> history = keras_cpm.train(
        ...     model, records, recipe=recipe, spec=spec, directory=folder, verbose=0)
        >>> sorted(history.history)
        ['loss', 'stage1_loss', 'stage2_loss', 'stage2_pck']
    """
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    steps = pipeline.num_steps(len(records), recipe.batch_size, shuffle=True)
    compile_cpm(model, recipe, spec, total_steps=steps * recipe.epochs)
    state = _resume(model, directory, _settings(recipe, augment, spec, records), steps)
    if state["epoch"] >= recipe.epochs:
        _take_bundle_weights(model, directory)
        history = keras.callbacks.History()
        history.on_train_begin()
        return history
    shared = {
        "stages": len(model.outputs),
        "batch_size": recipe.batch_size,
        "center_map": bundle.takes_center_map(model),
        "missing": recipe.missing,
    }
    dataset = pipeline.make_dataset(
        records,
        spec,
        augment=augment,
        shuffle=True,
        seed=recipe.seed,
        first_step=state["epoch"] * steps,
        **shared,
    )
    validation = (
        pipeline.make_dataset(validation_records, spec, **shared) if validation_records else None
    )
    with _precision(model, recipe.precision), _naming_unreadable([*records, *validation_records]):
        history = model.fit(
            dataset,
            steps_per_epoch=steps,
            initial_epoch=state["epoch"],
            epochs=recipe.epochs,
            validation_data=validation,
            callbacks=_callbacks(model, spec, recipe, directory, state),
            verbose=verbose,
            shuffle=False,  # the dataset is shuffled already
        )
    _take_bundle_weights(model, directory)
    return history


def _take_bundle_weights(model, directory):
    """The best epoch's weights, and the moving average instead of the raw ones."""
    keras.Model(model.inputs, model.outputs).load_weights(directory / bundle.MODEL_FILE)


def _callbacks(model, spec, recipe, directory, state):
    # the order matters: the checkpoint takes the raw weights, the bundle their moving average
    swap = [keras.callbacks.SwapEMAWeights(swap_on_epoch=True)] if recipe.ema else []
    return [
        keras.callbacks.CSVLogger(directory / LOG_FILE, append=state["epoch"] > 0),
        Checkpoint(directory),
        *swap,
        SaveBest(directory, spec, state),
        TimeLimit(recipe.max_minutes),
    ]


class Checkpoint(keras.callbacks.Callback):
    """After every epoch: weights and optimiser. A new file replaces the old one whole."""

    def __init__(self, directory):
        super().__init__()
        self.directory = Path(directory)

    def on_epoch_end(self, epoch, logs=None):
        partial = self.directory / f"partial.{WEIGHTS_FILE}"
        self.model.save_weights(partial)
        os.replace(partial, self.directory / WEIGHTS_FILE)


class SaveBest(keras.callbacks.Callback):
    """Keeps the bundle of the best validation PCK of the last stage, and how far the training is.

    Without validation, or with one stage, whose target holds everybody, the bundle is the last epoch.
    """

    def __init__(self, directory, spec, state):
        super().__init__()
        self.directory, self.spec, self.state = Path(directory), spec, state

    def on_epoch_end(self, epoch, logs=None):
        value = (logs or {}).get(f"val_{self.model.output_names[-1]}_pck")
        if value is None or value >= self.state["best"]:
            self.state["best"] = float(value or 0.0)
            with _precision(self.model, "float32"):
                bundle.save_bundle(self.directory, self.model, self.spec)
        self.state["epoch"] = epoch + 1
        _write_state(self.directory, self.state)


class TimeLimit(keras.callbacks.Callback):
    """Ends the training after the last epoch that fits into `max_minutes`; 0 = no limit."""

    def __init__(self, max_minutes):
        super().__init__()
        self.seconds, self.longest = 60 * max_minutes, 0.0

    def on_train_begin(self, logs=None):
        self.start = self.epoch_start = time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        now = time.monotonic()
        self.longest = max(self.longest, now - self.epoch_start)
        self.epoch_start = now
        if self.seconds and now - self.start + self.longest > self.seconds:
            self.model.stop_training = True


def _settings(recipe, augment, spec, records):
    """What must not change between the parts of one training."""
    fields = dataclasses.asdict(recipe)
    # more epochs or another time limit are what a resumed training is for
    del fields["epochs"], fields["max_minutes"]
    return {
        **fields,
        **(dataclasses.asdict(augment) if augment else {"augment": None}),
        **json.loads(spec.to_json()),
        "number of records": len(records),
    }


def _resume(model, directory, settings, steps):
    """The state of a training in `directory`, its weights loaded; a fresh one where there is none."""
    path = directory / STATE_FILE
    if not path.is_file():
        return {"epoch": 0, "best": 0.0, "settings": settings}
    state = json.loads(path.read_text(encoding="utf-8"))
    for name, value in json.loads(json.dumps(settings)).items():
        if state["settings"].get(name) != value:
            raise ValueError(
                f"The training in {directory} began with another `{name}`; go on with the same, or "
                f"name another `directory`. Received: {value!r}, began with: "
                f"{state['settings'].get(name)!r}"
            )
    model.optimizer.build(model.trainable_variables)
    try:
        model.load_weights(directory / WEIGHTS_FILE)
    except (ValueError, OSError, KeyError) as error:
        raise ValueError(
            f"The checkpoint in {directory} is of another model; name another `directory`, or "
            f"delete it. ({(str(error) or repr(error)).splitlines()[0]})"
        ) from error
    # the weights are written before the state: a kill between the two leaves them ahead
    state["epoch"] = int(model.optimizer.iterations) // steps
    return state


def _write_state(directory, state):
    partial = directory / f"partial.{STATE_FILE}"
    partial.write_text(json.dumps(state), encoding="utf-8")
    os.replace(partial, directory / STATE_FILE)


@contextlib.contextmanager
def _precision(model, name):
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


@contextlib.contextmanager
def _naming_unreadable(records):
    """TensorFlow does not say which file it could not decode: look for it."""
    try:
        yield
    except (tf.errors.InvalidArgumentError, tf.errors.NotFoundError) as error:
        reason = pipeline.find_unreadable(records)
        if reason is None:
            raise
        raise ValueError(reason) from error
