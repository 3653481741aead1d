"""One process of a small training: `one_of_several.py JOB`, a line of JSON.

"folder", "people" (a .jsonl), "epochs", "validation": how many people, "join": arguments of
`joined`, "kill": epoch at whose second step the process kills itself like `kill -9`, or
null, "out": a file for losses, history and weights.
"""

import dataclasses
import json
import os
import signal
import sys

import keras
import numpy as np
from training_server import fill_box, small_model

import keras_cpm
from keras_cpm.images import crop
from keras_cpm.training.joining import joined


class Steps(keras.callbacks.Callback):
    def __init__(self, kill):
        super().__init__()
        self.kill, self.losses = kill, []

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        self.losses.append(float(logs["loss"]))
        if self.kill == self.epoch and batch == 1:
            os.kill(os.getpid(), signal.SIGKILL)


def main(folder, people, epochs, validation, join, kill, out, minutes=0.0):
    crop.read_box = fill_box
    with joined(**join):
        keras.utils.set_random_seed(0)
        spec = keras_cpm.PoseSpec(box_size=64)
        model = small_model(spec)
        records = keras_cpm.read_records(people)
        recipe = dataclasses.replace(
            keras_cpm.MODERN,
            **{"epochs": epochs, "batch_size": 4, "warmup_steps": 5, "ema": 0.9},
            max_minutes=minutes,
        )
        steps = Steps(kill)
        fit = model.fit

        def watched(*args, callbacks, **kwargs):
            return fit(*args, callbacks=[*callbacks, steps], **kwargs)

        model.fit = watched  # `callbacks` are those of process 0
        history = keras_cpm.train(
            *(model, records, records[:validation], recipe, spec), directory=folder, verbose=0
        )
        text = json.dumps({"losses": steps.losses, "history": history.history})
        np.savez(out, *model.get_weights(), text=np.array(text))


if __name__ == "__main__":
    try:
        main(**json.loads(sys.argv[1]))
    except (ValueError, RuntimeError, OSError) as error:
        sys.exit(f"Error: {error}")
