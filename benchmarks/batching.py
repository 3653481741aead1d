"""What batches gain on this machine: python -m benchmarks.batching SERVED [--image photo.jpg]

SERVED is a SavedModel of `keras-cpm export`, which is a program; no other is run. Rows of one
request, milliseconds a request and an image, the median of ten; examples/serving/batching.config
holds what follows from it.
"""

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf

import keras_cpm
from keras_cpm.export import operations

ROWS, ROUNDS = (1, 2, 4, 8, 16), 10


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("served")
    parser.add_argument("--image", help="a drawn person unless given")
    options = parser.parse_args()
    image = options.image or keras_cpm.draw_records(tempfile.mkdtemp(), 1)[0].image
    encoded = Path(image).read_bytes()
    operations.check(Path(options.served) / "1")
    run = tf.saved_model.load(str(Path(options.served) / "1")).signatures["serving_default"]
    times = {rows: [] for rows in ROWS}
    for number in range(ROUNDS + 1):
        for rows in ROWS:
            batch = tf.constant([encoded] * rows)
            start = time.perf_counter()
            run(image=batch)["keypoints"].numpy()
            if number:
                times[rows].append(1000 * (time.perf_counter() - start))
    print("rows  ms a request  ms an image")
    for rows, taken in times.items():
        middle = statistics.median(taken)
        print(f"{rows:4}  {middle:12.1f}  {middle / rows:11.1f}")


if __name__ == "__main__":
    main()
