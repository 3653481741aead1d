"""A training in TensorBoard: losses and PCK of every stage, and pictures of belief maps.

Needs `pip install tensorboard`, which TensorFlow does not bring from 2.21 on.
"""

import importlib.util
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from ..export import golden
from ..models import bundle
from ..pose import codec
from ..pose.pose import Pose
from ..visualization.beliefs import draw_stages


def tensorboard_callbacks(directory, records, spec, *, parts=None, every=5):
    """Callbacks for `train` or `fit`.

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
        >>> from keras_cpm.training.tensorboard import tensorboard_callbacks
        >>> people = keras_cpm.draw_records(tempfile.mkdtemp(), 3)
        >>> len(tensorboard_callbacks(tempfile.mkdtemp(), people, keras_cpm.PoseSpec()))
        2
    """
    if importlib.util.find_spec("tensorboard") is None:
        raise ImportError("To log for TensorBoard takes it: pip install tensorboard")
    if every < 1:
        raise ValueError(f"`every` must be at least 1. Received: every={every}")
    if not records:
        raise ValueError("`records` must hold at least one person to draw. Received: none")
    parts = list(parts or spec.skeleton.parts[-3:])
    for part in parts:
        spec.channel(part)
    return [
        keras.callbacks.TensorBoard(directory, write_graph=False),
        BeliefPictures(directory, records[:3], spec, parts, every),
    ]


class BeliefPictures(keras.callbacks.Callback):
    """Draws the beliefs of some parts at all stages every few epochs."""

    def __init__(self, directory, records, spec, parts, every):
        super().__init__()
        self.spec, self.parts, self.every = spec, parts, every
        self._boxes = [golden.network_box(record, spec)[0] for record in records]
        self._writer = tf.summary.create_file_writer(str(Path(directory) / "beliefs"))

    def on_epoch_end(self, epoch, logs=None):
        if epoch % self.every:
            return
        with self._writer.as_default(step=epoch):
            for number, box in enumerate(self._boxes, 1):
                tf.summary.image(f"person {number}", self._draw(box)[None])
        self._writer.flush()

    def on_train_end(self, logs=None):
        self._writer.close()

    def _draw(self, box):
        inputs = [box[None].astype(np.float32)]
        if bundle.takes_center_map(self.model):
            inputs.append(codec.encode_center([self.spec.center] * 2, self.spec).numpy()[None])
        stages = self.model(inputs, training=False)
        stages = stages if isinstance(stages, (list, tuple)) else [stages]
        beliefs = [np.asarray(keras.ops.convert_to_numpy(stage), np.float32)[0] for stage in stages]
        names = self.spec.skeleton.parts
        points = np.zeros((len(names), 2), np.float32)
        pose = Pose(points, points[:, 0], names, None, None, beliefs, np.eye(3), self.spec)
        return draw_stages(box, pose, self.parts)
