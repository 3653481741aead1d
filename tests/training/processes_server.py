"""Forks the processes of small trainings, so that Keras is imported once.

A line of stdin is JSON, a list with a dict for each process: "folder"; "people", a .jsonl;
"epochs"; "validation", how many people; "join", arguments of `joined`; "kill", the step
of all at whose end the process kills itself as `kill -9` does, or null; "minutes", `max_minutes`;
"devices", on how many CPUs TensorFlow is to mirror the model; "out", a file for losses, history and
weights; "said", one for what it says. The answer is a line: exit code and time of each end.
"""

import contextlib
import dataclasses
import json
import os
import signal
import sys
import time

import keras
import numpy as np
import tensorflow as tf
from training_server import fill_box, small_model

from keras_cpm import MODERN, PoseSpec, read_records, train
from keras_cpm.images import crop
from keras_cpm.training.joining import joined


class Steps(keras.callbacks.Callback):
    """The loss of every step, and the kill."""

    def __init__(self, kill):
        super().__init__()
        self.kill, self.losses = kill, []

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        self.losses.append(float(logs["loss"]))
        if self.kill == self.epoch * self.params["steps"] + batch:
            os.kill(os.getpid(), signal.SIGKILL)


def mirrored(devices):
    """Within it TensorFlow's CPUs stand for the GPUs of a machine; before it, TensorFlow rests."""
    if devices == 1:
        return contextlib.nullcontext()
    cpu = tf.config.list_physical_devices("CPU")[0]
    one = tf.config.LogicalDeviceConfiguration()
    tf.config.set_logical_device_configuration(cpu, [one] * devices)
    names = [f"CPU:{number}" for number in range(devices)]
    reduce = tf.distribute.ReductionToOneDevice()
    return tf.distribute.MirroredStrategy(names, cross_device_ops=reduce).scope()


def run(folder, people, epochs, validation, join, kill, minutes, devices, out):
    crop.read_box = fill_box
    spec, steps = PoseSpec(box_size=64), Steps(kill)
    several = mirrored(devices)
    with joined(**join):
        model = small_model(spec)
        records = read_records(people)
        recipe = dataclasses.replace(
            MODERN,
            **{"epochs": epochs, "batch_size": 4, "warmup_steps": 5, "ema": 0.9},
            max_minutes=minutes,
        )
        people = records, records[:validation]
        with several:
            history = train(
                *(model, *people, recipe, spec),
                **{"directory": folder, "verbose": 0, "callbacks": [steps]},
            )
        text = json.dumps({"losses": steps.losses, "history": history.history})
        np.savez(out, *model.get_weights(), text=np.array(text))


def one_process(said, **job):
    file = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    # Gloo speaks on stdout
    os.dup2(file, 1)
    os.dup2(file, 2)
    try:
        run(**job)
    except (ValueError, RuntimeError, OSError) as error:
        sys.exit(f"Error: {error}")
    sys.exit()


def main():
    # rewriting the graphs would take longer than running them
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    for line in sys.stdin:
        children = []
        for job in json.loads(line):
            children.append(os.fork())
            if not children[-1]:
                one_process(**job)
        ends = {}
        for _ in children:
            pid, status = os.wait()
            ends[pid] = os.waitstatus_to_exitcode(status), time.monotonic()
        print(json.dumps([ends[pid] for pid in children]), flush=True)


if __name__ == "__main__":
    main()
