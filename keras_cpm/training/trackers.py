"""A training in a tracker of experiments: settings, losses and PCK of every stage, belief maps.

TensorBoard by Keras' own callback. Those of W&B and MLflow are not taken: the one ends a training
under JAX, the other writes every validation to step 0, and refuses settings where a run goes on.
"""

import contextlib
import dataclasses
import importlib.util
import json
import warnings
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from ..data.crop import network_box
from ..models.forward import StageBeliefs
from ..pose import output
from ..pose.pose import Pose
from ..visualization.beliefs import draw_stages
from . import processes

TRACKERS = ("tensorboard", "wandb", "mlflow")
_DRAWN, _EVERY = 3, 5


def check(tracker):
    """Refuses a tracker that is none, or whose library is not there.

    Args:
        tracker: one of `TRACKERS`; `None` is fine.

    Raises:
        ValueError: no such tracker.
        ImportError: its extra is not installed.

    Example:
        >>> from keras_cpm.training import trackers
        >>> trackers.check(None)
    """
    if tracker is None:
        return
    if tracker not in TRACKERS:
        raise ValueError(f"`tracker` must be one of {list(TRACKERS)}. Received: {tracker!r}")
    if importlib.util.find_spec(tracker) is None:
        raise ImportError(f"To log to {tracker} takes it: pip install 'keras-cpm[{tracker}]'")


@contextlib.contextmanager
def tracked(tracker, job):
    """Within it, the callbacks that hand a training to a tracker; process 0 has them.

    Where to, and with which name and key, is what the environment variables of W&B and MLflow say.
    A run that is active already is taken, and not ended. The id of any other is kept in the folder
    of the training, which goes on in the same run.

    Args:
        tracker: one of `TRACKERS`, see `check`, or `None` for none.
        job: what `train` is asked for.
    """
    if tracker is None or not processes.is_first():
        yield []
        return
    people = [*(job.validation_records or job.records)][:_DRAWN]
    if tracker == "tensorboard":
        folder = job.directory / tracker
        _write_settings(folder, _settings(job))
        yield tensorboard_callbacks(folder, people, job.spec)
        return
    pictures = BeliefPictures(people, job.spec)
    tracking, failed = _Tracking(tracker, job, pictures), True
    try:
        yield [tracking]
        failed = False
    finally:
        tracking.close(failed)


def _settings(job):
    """All that a user may choose, by name, and what it was for."""
    spec = json.loads(job.spec.to_json())
    return {
        **dataclasses.asdict(job.recipe),
        **(dataclasses.asdict(job.augment) if job.augment else {}),
        **spec,
        "skeleton": job.spec.skeleton.name,
        **(job.network or {}),
        "stages": len(job.model.outputs),
        "parameters": job.model.count_params(),
        "people": len(job.records),
        "people_held_out": len(job.validation_records),
    }


class _Tracking(keras.callbacks.Callback):
    """Hands every epoch to a run. What fails there is said once, and the training goes on."""

    def __init__(self, tracker, job, pictures):
        super().__init__()
        self._tracker, self._job, self._pictures = tracker, job, pictures
        self._begun, self._run = False, None

    def on_train_begin(self, logs=None):
        # a training of several phases begins several times
        if not self._begun:
            self._begun = True
            self._try(self._begin)

    def on_epoch_end(self, epoch, logs=None):
        if self._run is not None:
            pictures = {} if epoch % _EVERY else self._pictures.draw(self.model)
            self._try(self._run.log, epoch, logs or {}, pictures)

    def close(self, failed):
        if self._run is not None:
            self._try(self._run.close, failed)

    @property
    def _path(self):
        return self._job.directory / f"{self._tracker}.id"

    def _begin(self):
        known = self._path.read_text("utf-8").strip() if self._path.is_file() else None
        kind = {"wandb": _WandbRun, "mlflow": _MlflowRun}[self._tracker]
        self._run = kind(self._job.directory.resolve(), known, _settings(self._job))
        if self._run.id != known:
            output.write_text(self._path, f"{self._run.id}\n")

    def _try(self, action, *arguments):
        try:
            action(*arguments)
        except Exception as error:
            run, self._run = self._run, None
            again = f"goes on in the run that {self._path} names"
            warnings.warn(
                f"{self._tracker} failed, and the training goes on without it; log.csv has every "
                f"epoch, and the same command again {again if self._path.is_file() else 'tries'}. "
                f"It said: {_first_line(error)}",
                stacklevel=2,
            )
            if run is not None:
                with contextlib.suppress(Exception):
                    run.close(True)


def _first_line(error):
    return (str(error).strip() or repr(error)).splitlines()[0]


class _WandbRun:
    def __init__(self, folder, known, settings):
        import wandb

        self._wandb, self._own = wandb, wandb.run is None
        self._run = wandb.run or self._open(folder, known)
        self.id = self._run.id
        self._run.config.update(settings, allow_val_change=True)

    def _open(self, folder, known):
        """A run of the server, or where it cannot be reached one of files."""
        options = {"dir": folder, "name": folder.name, "id": known, "resume": "allow"}
        try:
            return self._wandb.init(**options)
        except self._wandb.Error as error:
            warnings.warn(
                f"W&B did not take the run, which is kept in {folder / 'wandb'}; `wandb sync` "
                f"sends it. It said: {_first_line(error)}",
                stacklevel=2,
            )
        return self._wandb.init(**options, mode="offline")

    def log(self, epoch, values, pictures):
        images = {name: self._wandb.Image(picture) for name, picture in pictures.items()}
        # an epoch that is repeated after a kill is there once; a run of others has its own steps
        step = epoch if self._own else None
        self._run.log({"epoch": epoch, **values, **images}, step=step)

    def close(self, failed):
        if self._own:
            self._run.finish(exit_code=int(failed))


class _MlflowRun:
    def __init__(self, folder, known, settings):
        import mlflow

        self._mlflow, self._own = mlflow, mlflow.active_run() is None
        name = None if known else folder.name
        run = mlflow.active_run() or mlflow.start_run(run_id=known, run_name=name)
        self.id = run.info.run_id
        # those of a run stay as they were first
        fresh = {key: settings[key] for key in settings if key not in run.data.params}
        mlflow.log_params(fresh, run_id=self.id)

    def log(self, epoch, values, pictures):
        self._mlflow.log_metrics(values, step=epoch, run_id=self.id)
        client = self._mlflow.MlflowClient()
        for name, picture in pictures.items():
            client.log_image(self.id, picture, key=name, step=epoch)

    def close(self, failed):
        if self._own:
            self._mlflow.end_run("FAILED" if failed else "FINISHED")


def tensorboard_callbacks(directory, records, spec, *, parts=None, every=_EVERY):
    """A training in TensorBoard: losses and PCK of every stage, and pictures of belief maps.

    Callbacks for `train` or `fit`, where `tracker` of `train` is not enough. They need the extra
    `tensorboard`, which TensorFlow does not bring from 2.21 on.

    Args:
        directory: of the logs; `tensorboard --logdir` shows them.
        records: list of `Record` whose first three are drawn; people held out, best.
        spec: `PoseSpec` of the model.
        parts: names of the parts to draw; the last three of the skeleton unless given.
        every: epochs between two pictures.

    Raises:
        ImportError: without tensorboard.
        ValueError: no records, `every` below 1, or a part that is none.

    Example:
        >>> import tempfile, keras_cpm
        >>> from keras_cpm.training.trackers import tensorboard_callbacks
        >>> people = keras_cpm.draw_records(tempfile.mkdtemp(), 3)
        >>> len(tensorboard_callbacks(tempfile.mkdtemp(), people, keras_cpm.PoseSpec()))
        2
    """
    check("tensorboard")
    if every < 1:
        raise ValueError(f"`every` must be at least 1. Received: every={every}")
    if not records:
        raise ValueError("`records` must hold at least one person to draw. Received: none")
    pictures = BeliefPictures(records[:_DRAWN], spec, parts)
    return [
        keras.callbacks.TensorBoard(directory, write_graph=False),
        _PicturesInTensorBoard(Path(directory) / "beliefs", pictures, every),
    ]


class _PicturesInTensorBoard(keras.callbacks.Callback):
    def __init__(self, folder, pictures, every):
        super().__init__()
        self._pictures, self._every = pictures, every
        self._writer = tf.summary.create_file_writer(str(folder))

    def on_epoch_end(self, epoch, logs=None):
        if epoch % self._every:
            return
        with self._writer.as_default(step=epoch):
            for name, picture in self._pictures.draw(self.model).items():
                tf.summary.image(name, picture[None])
        self._writer.flush()


def _write_settings(folder, settings):
    lines = [f"| {name} | {value} |" for name, value in settings.items()]
    writer = tf.summary.create_file_writer(str(folder / "settings"))
    with writer.as_default(step=0):
        tf.summary.text("settings", "\n".join(["| setting | value |", "|---|---|", *lines]))
    writer.close()


class BeliefPictures:
    """Draws the beliefs of some parts at all stages, of the same people again and again.

    Args:
        records: list of `Record`.
        spec: `PoseSpec`.
        parts: names of parts; the last three of the skeleton unless given.

    Raises:
        ValueError: a part that is none.
    """

    def __init__(self, records, spec, parts=None):
        self.spec, self.parts = spec, list(parts or spec.skeleton.parts[-3:])
        for part in self.parts:
            spec.channel(part)
        self._boxes = [network_box(record, spec)[0] for record in records]

    def draw(self, model):
        """{"person 1": (h, w, 3) uint8}."""
        beliefs_of = StageBeliefs(processes.local(model), self.spec)
        return {
            f"person {number}": self._draw(beliefs_of, box)
            for number, box in enumerate(self._boxes, 1)
        }

    def _draw(self, beliefs_of, box):
        stages = beliefs_of(box[None].astype(np.float32))
        beliefs = [np.asarray(keras.ops.convert_to_numpy(stage), np.float32)[0] for stage in stages]
        names = self.spec.skeleton.parts
        points = np.zeros((len(names), 2), np.float32)
        pose = Pose(points, points[:, 0], names, None, None, beliefs, np.eye(3), self.spec)
        return draw_stages(box, pose, self.parts)
