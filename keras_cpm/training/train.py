"""`compile_cpm` and `train`: `fit` with one loss per stage, checkpoints, a log and PCK."""

from __future__ import annotations

import contextlib
from collections.abc import Container, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from ..data import photographs, pipeline
from ..data.augment import AugmentSpec
from ..data.records import Record
from ..evaluation.metrics import BeliefPCK
from ..models import bundle
from ..models.forward import takes_center_map
from ..pose.spec import PoseSpec
from . import checkpoints, processes, resume, schemes, trackers
from .callbacks import (
    Checkpoint,
    SaveBest,
    StopOnBadLoss,
    TimeLimit,
    ValidateAverages,
    WatchBeliefs,
    computing_in,
    deterministic,
)
from .losses import stage_losses
from .optimizers import check_rates, make_optimizer
from .recipes import MODERN, TrainSpec
from .throughput import Throughput

LOG_FILE = resume.LOG_FILE


def compile_cpm(
    model: keras.Model,
    recipe: TrainSpec = MODERN,
    spec: PoseSpec = PoseSpec(),  # noqa: B008 frozen
    *,
    total_steps: int,
    losses: Container[int] | None = None,
) -> None:
    """Compiles with stage losses, stage weights, the recipe's optimiser, and PCK on stages >= 2.

    Stage 1 gets no PCK: its target holds everybody's peaks.

    Args:
        model: `keras.Model` as `build_cpm` makes it.
        recipe: `TrainSpec`.
        spec: `PoseSpec` of the model.
        total_steps: of the whole training, for the schedule.
        losses: stages whose losses count, from 1; `None` for those with which the recipe's scheme
            ends.

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
    weights: Sequence[float] = recipe.stage_weights or (1.0,) * len(names)
    if len(weights) != len(names):
        raise ValueError(
            f"`stage_weights` must have one factor for each of the {len(names)} stages. "
            f"Received: {weights}"
        )
    if losses is None:
        losses = schemes.phases(recipe.scheme, len(names), 2 * len(names))[-1].losses
    weights = [w if t in losses else 0.0 for t, w in enumerate(weights, 1)]
    model.compile(
        optimizer=make_optimizer(recipe, total_steps),
        loss=stage_losses(model),
        loss_weights=dict(zip(names, weights, strict=True)),
        # one part has no size to measure its distance with
        weighted_metrics={
            name: [BeliefPCK(spec, name="pck")] for name in names[1:] if spec.num_parts > 1
        },
    )


def train(
    model: keras.Model,
    records: Sequence[Record],
    validation_records: Sequence[Record] = (),
    recipe: TrainSpec = MODERN,
    spec: PoseSpec = PoseSpec(),  # noqa: B008 frozen
    *,
    directory: Path | str,
    augment: AugmentSpec = AugmentSpec(),  # noqa: B008 frozen
    network: dict[str, Any] | None = None,
    verbose: int | str = "auto",
    callbacks: Sequence[keras.callbacks.Callback] = (),
    tracker: str | None = None,
) -> keras.callbacks.History:
    """Trains `model` on `records` and leaves a bundle in `directory`.

    After every epoch the folder holds a checkpoint; the same call again goes on from there, and
    ends with the same weights, bit for bit, as a call that was never interrupted (same machine,
    same versions). The bundle is the epoch with the best validation PCK of the last stage, or the
    last epoch where there are no validation records or only one stage; `model` ends with its
    weights. `plan_training` says what to give here for records unless one knows better.

    It trains on all GPUs of the machine that TensorFlow sees, and on those of JAX that
    `keras.distribution` has, also in several processes, which then all call this alike; process 0
    has the folder.

    Args:
        model: `keras.Model` as `build_cpm` makes it.
        records: list of `Record`.
        validation_records: list of `Record` of other people.
        recipe: `TrainSpec`; `MODERN`, `RELEASE`, or one made with `dataclasses.replace`.
        spec: `PoseSpec` of the model.
        directory: gets model.keras, spec.json, log.csv and the checkpoints.
        augment: `AugmentSpec`.
        network: dict of the arguments of `build_cpm` that made the model, kept in the bundle, see
            `save_bundle`; `TrainingPlan.train` gives them.
        verbose: as in `fit`.
        callbacks: of `fit`, besides those that this needs.
        tracker: "tensorboard", "wandb" or "mlflow" is given the settings, losses and PCK of every
            stage after each epoch, and pictures of the belief maps of three people held out. A
            training that goes on does so in the same run; where the tracker fails, the training
            goes on without it, with a warning.

    Returns:
        `keras.callbacks.History` of this call; empty where the folder's training has finished
        already.

    Raises:
        ValueError: settings or records that do not fit, or are not those that the training in
            `directory` began with; an image that cannot be decoded, by name; another training runs
            in `directory`; a layer that no bundle can hold; a callback and a schedule that both set
            the rate; a `batch_size` that the devices cannot share.
        RuntimeError: another process was lost.
        ImportError: the library of `tracker` is not installed.
        OSError: a checkpoint cannot be written; those before stay.

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
    trackers.check(tracker)
    check_rates(callbacks, recipe)
    bundle.check_model(model, spec)
    bundle.check_layers(model)
    folder = Path(directory)
    with processes.naming_lost(), processes.held_by_first(checkpoints.lock(directory)):
        with processes.replicated(model) as learner:
            processes.check_batch(recipe.batch_size)
            people = records, validation_records
            job = _Job(learner, *people, recipe, spec, augment, folder, network)
            with trackers.tracked(tracker, job) as tracking:
                history = _train(job, verbose, tracking, callbacks)
        _take_bundle_weights(model, folder)
    return history


class _Job(NamedTuple):
    """What `train` is asked for; see there."""

    model: keras.Model
    records: Sequence[Record]
    validation_records: Sequence[Record]
    recipe: TrainSpec
    spec: PoseSpec
    augment: AugmentSpec
    directory: Path
    network: dict | None

    @property
    def steps(self):
        """Of an epoch."""
        return pipeline.num_steps(len(self.records), self.recipe.batch_size, shuffle=True)


def _train(job, verbose, tracking, extra):
    model, recipe, spec, steps = job.model, job.recipe, job.spec, job.steps
    state, arrays = resume.found(job)
    if arrays is not None:
        checkpoints.restore_model(model, arrays)
    shared = {
        "stages": len(model.outputs),
        "batch_size": recipe.batch_size,
        "center_map": takes_center_map(model),
        "missing": recipe.missing,
        "share": processes.share(),
    }
    validation = None
    if job.validation_records:
        validation = pipeline.make_dataset(job.validation_records, spec, **shared)
    shared |= {"augment": job.augment, "shuffle": True, "seed": recipe.seed}
    history, limit = keras.callbacks.History(), TimeLimit(recipe.max_minutes)
    history.on_train_begin()
    for phase in schemes.phases(recipe.scheme, len(model.outputs), recipe.epochs):
        if state["epoch"] >= phase.last or limit.reached:
            continue
        with (
            schemes.learning(model, phase),
            computing_in(model, recipe.precision),
            deterministic(recipe.deterministic, recipe.seed),
            _naming_unreadable([*job.records, *job.validation_records]),
        ):
            total = steps * (phase.last - phase.first)
            compile_cpm(model, recipe, spec, total_steps=total, losses=phase.losses)
            if arrays is not None and state["epoch"] > phase.first:
                checkpoints.restore_optimizer(model, arrays)
            arrays, first_step = None, state["epoch"] * steps
            dataset = pipeline.make_dataset(job.records, spec, first_step=first_step, **shared)
            _build_variables(model, dataset)
            callbacks = _callbacks(job, state, tracking)
            if verbose and processes.is_first():
                callbacks.append(Throughput(model, recipe.batch_size))
            if state["epoch"] == phase.first:
                callbacks.append(WatchBeliefs(dataset, phase.losses[-1], recipe, spec))
            more = model.fit(
                dataset,
                steps_per_epoch=steps,
                initial_epoch=state["epoch"],
                epochs=phase.last,
                validation_data=validation,
                callbacks=[*callbacks, limit, *extra],
                verbose=verbose if processes.is_first() else 0,
                shuffle=False,  # the dataset is shuffled already
            )
            _extend(history, more)
    return history


def _build_variables(model, dataset):
    """Those of optimiser, losses and metrics: TensorFlow traces a step that makes any twice."""
    if keras.backend.backend() != "tensorflow" or tf.distribute.has_strategy():
        return
    model.optimizer.build(model.trainable_variables)
    _, beliefs, *weights = tf.nest.map_structure(
        lambda of: tf.zeros([side or 1 for side in of.shape], of.dtype), dataset.element_spec
    )
    model.compute_loss(None, beliefs, beliefs, *weights)
    model.compute_metrics(None, beliefs, beliefs, *weights)
    model.reset_metrics()


def _extend(history, more):
    history.epoch += more.epoch
    for name, values in more.history.items():
        history.history.setdefault(name, []).extend(values)


def _take_bundle_weights(model, directory):
    """The best epoch's weights, and the moving average instead of the raw ones."""

    def read():
        best = processes.local(model)
        # a model without optimiser, as the bundle is
        keras.Model(best.inputs, best.outputs).load_weights(directory / bundle.MODEL_FILE)
        return None, {str(number): value for number, value in enumerate(best.get_weights())}

    _, weights = processes.from_first(read)
    model.set_weights([weights[str(number)] for number in range(len(weights))])


def _callbacks(job, state, tracking):
    averages = job.recipe.ema > 0
    # the order matters: a checkpoint says that all the rest of its epoch is done
    return [
        StopOnBadLoss(job.records, job.recipe, job.steps),
        *([ValidateAverages()] if averages else []),
        *([_log(job, state)] if processes.is_first() else []),
        *tracking,
        SaveBest(job.directory, job.spec, job.network, state, averages=averages),
        Checkpoint(job.directory, state),
    ]


def _log(job, state):
    return keras.callbacks.CSVLogger(job.directory / LOG_FILE, append=state["epoch"] > 0)


@contextlib.contextmanager
def _naming_unreadable(records):
    """TensorFlow does not say which file it could not decode: look for it."""
    try:
        yield
    except (tf.errors.InvalidArgumentError, tf.errors.NotFoundError) as error:
        reason = photographs.find_unreadable(records)
        if reason is None:
            raise
        raise ValueError(reason) from error
