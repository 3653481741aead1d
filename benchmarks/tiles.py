"""Direct convolution against Fourier tiles, layer by layer: the times behind the cost model
keras_cpm/models/fourier/costs.py.

    python -m benchmarks.tiles

prints for the layers of the 6-stage network the median of the direct convolution, that of several
tiles with the spectrum of the kernel kept, the largest difference, and what the cost model says.
"""

import argparse
import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

from keras_cpm.models.fourier import costs
from keras_cpm.models.fourier.convolution import kernel_spectrum, tile_convolution

# side of the image, kernel, channels in and out, tiles
LAYERS = [
    (368, 9, 3, 128, (24,)),
    (184, 9, 128, 128, (16, 20, 25, 32, 54)),
    (92, 9, 128, 128, (16, 20, 24, 31)),
    (46, 9, 32, 512, (16, 20, 24)),
    (46, 11, 48, 128, (16, 20, 22)),
    (46, 11, 128, 128, (16, 20, 22, 33)),
    (46, 7, 128, 128, (14, 16, 18, 30)),
    (46, 5, 128, 32, (12, 16)),
]


def median_milliseconds(function, image, runs=9):
    """The median after two runs to warm up, and the last output."""
    function(image), function(image)
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        output = function(image)
        times.append(1e3 * (time.perf_counter() - start))
    return sorted(times)[runs // 2], output


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.parse_args()
    random = np.random.default_rng(0)
    for side, k, ci, co, tiles in LAYERS:
        image = tf.constant(random.normal(size=(1, side, side, ci)).astype("float32"))
        kernel = random.normal(size=(k, k, ci, co)) / np.sqrt(k * k * ci)
        kernel = tf.constant(kernel.astype("float32"))
        direct = tf.function(lambda x, w=kernel: tf.nn.conv2d(x, w, 1, "SAME"))
        milliseconds, expected = median_milliseconds(direct, image, 5)
        chosen = costs.best_tile((side, side), k, (ci, co), held=True)
        print(f"{side}x{side} {k}x{k} {ci}->{co}: direct {milliseconds:.1f} ms, chosen: {chosen}")
        for tile in tiles:
            spectrum = kernel_spectrum(kernel, tile)
            run = tf.function(lambda x, w=kernel, t=tile, s=spectrum: tile_convolution(x, w, t, s))
            found, output = median_milliseconds(run, image)
            model = 1e3 * costs.seconds((side, side), k, (ci, co), tile, held=True)
            error = float(tf.reduce_max(abs(output - expected)))
            print(
                f"    tile {tile}: {found:.1f} ms, {milliseconds / found:.1f} x; "
                f"model {model:.1f} ms; error {error:.0e}",
                flush=True,
            )


if __name__ == "__main__":
    main()
