"""Forks a process for each training that it reads from stdin, so that TensorFlow is imported once.

A line is JSON: "folder", "epochs", "kill": seconds after the first step at which the process kills
itself as `kill -9` does, or null. The answer is a line with its exit code.
"""

import dataclasses
import json
import os
import signal
import sys
import threading
import traceback

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import tensorflow as tf

import keras_cpm
from keras_cpm.images import crop


class KillAfter(keras.callbacks.Callback):
    """SIGKILL, which nothing can catch, some time after the first step."""

    def __init__(self, seconds):
        super().__init__()
        self.seconds, self.begun = seconds, False

    def on_train_batch_end(self, batch, logs=None):
        if not self.begun:
            self.begun = True
            kill = lambda: os.kill(os.getpid(), signal.SIGKILL)  # noqa: E731
            threading.Timer(self.seconds, kill).start()


def small_model(spec):
    """As few layers as have all kinds of state; tracing them is most of the time."""
    keras.utils.set_random_seed(0)
    layers = keras.layers
    image = keras.Input((spec.box_size, spec.box_size, 3), name="image")
    x = layers.AveragePooling2D(8)(layers.Rescaling(1 / 256, offset=-0.5)(image))
    # a bias would have no gradient but what is left of rounding, which Adam makes steps of
    x = layers.Conv2D(8, 3, padding="same", use_bias=False)(x)
    x = layers.Dropout(0.5)(layers.BatchNormalization()(x))
    first = layers.Conv2D(spec.num_channels, 1, name="stage1")(x)
    both = layers.Concatenate()([x, first])
    return keras.Model(
        [image], [first, layers.Conv2D(spec.num_channels, 3, padding="same", name="stage2")(both)]
    )


def fill_box(data, network_from_image, spec):
    """In place of `crop.read_box`: a number that tells samples and their augmentation apart.

    To trace the decoders would take most of the time of a process, and they have no state.
    """
    number = tf.reduce_sum(network_from_image) + tf.cast(tf.strings.length(data), tf.float32)
    return tf.random.stateless_normal([spec.box_size, spec.box_size, 3], [1, 2]) * number % 256


def train(folder, epochs, kill, people):
    crop.read_box = fill_box
    spec = keras_cpm.PoseSpec(box_size=64)
    model = small_model(spec)
    recipe = dataclasses.replace(
        keras_cpm.MODERN, epochs=epochs, batch_size=4, warmup_steps=5, ema=0.9
    )
    records = keras_cpm.read_records(people)
    if kill is not None:
        fit = model.fit

        def watched(*args, callbacks, **kwargs):
            return fit(*args, callbacks=[KillAfter(kill), *callbacks], **kwargs)

        model.fit = watched
    keras_cpm.train(model, records, records[:4], recipe, spec, directory=folder, verbose=0)


def main():
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            try:
                train(**json.loads(line))
            except BaseException:
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
