"""Where the served 6-stage network's time goes, by layer, beside what cannot be faster:

    python -m benchmarks.floors [--stages 6] [--box-size 368] [--rounds 7] [--json FILE]

Layers of one kind are measured once, alone, as they are served: Fourier tiles with the spectrum of
the kernel kept, or direct. Of tiles, the matrix products are measured alone, too; the rest are the
transforms. Two floors: the operations (of tiles those of the products) at the rate of a large
matrix product, and the bytes that a layer reads and writes at least once (input, spectra of kernel
and tiles or the kernel, products, output) at the rate of a copy; the larger is the layer's floor.
Last the whole network, beside the sum of its layers. Medians of rounds in turns, milliseconds.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections import Counter
from typing import NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

import keras_cpm
from keras_cpm.cli import allocator
from keras_cpm.inference.runner import inference_of
from keras_cpm.models.fourier.convolution import kernel_spectrum, tile_convolution
from keras_cpm.models.fourier.layer import tiled_layers

_FLOAT = 4


class Kind(NamedTuple):
    """What layers that take the same time have in common."""

    side: int
    kernel: int
    inputs: int
    outputs: int
    tile: int | None

    def __str__(self):
        how = f"tiles of {self.tile}" if self.tile else "direct"
        shape = f"{self.kernel}x{self.kernel}, {self.inputs} to {self.outputs}"
        return f"{self.side}x{self.side}, {shape}, {how}"

    @property
    def tiles(self):
        """How many cover the image."""
        return (-(-self.side // (self.tile - self.kernel + 1))) ** 2

    @property
    def bins(self):
        """Products for each tile: three for a frequency of half a spectrum."""
        return 3 * self.tile * (self.tile // 2 + 1)

    @property
    def operations(self):
        pairs = 2 * self.inputs * self.outputs
        if self.tile:
            return pairs * self.bins * self.tiles
        return pairs * self.side**2 * self.kernel**2

    @property
    def bytes(self):
        image = self.side**2 * (self.inputs + self.outputs)
        if not self.tile:
            return _FLOAT * (image + self.kernel**2 * self.inputs * self.outputs)
        # the spectra of the tiles and the products are written and read again
        spectra = 2 * self.tiles * (self.inputs + self.outputs) + self.inputs * self.outputs
        return _FLOAT * (image + self.bins * spectra)


def kinds_of(model):
    """How many convolutions there are of each `Kind`."""
    tiles = tiled_layers(model)
    found = Counter()
    for layer in model.layers:
        if getattr(layer, "kernel", None) is not None and layer.kernel.ndim == 4:
            (side, _), (k, _, inputs, outputs) = layer.input.shape[1:3], layer.kernel.shape
            found[Kind(side, k, inputs, outputs, tiles.get(layer))] += 1
    return found


def normal(*shape):
    return tf.random.normal(shape, seed=0)


def works_of(kind):
    """The layer as a function of nothing, and its matrix products alone or `None`."""
    image = normal(1, kind.side, kind.side, kind.inputs)
    kernel = normal(kind.kernel, kind.kernel, kind.inputs, kind.outputs)
    if not kind.tile:
        return _given(lambda x, k: tf.nn.conv2d(x, k, 1, "SAME"), image, kernel), None
    spectrum = kernel_spectrum(kernel, kind.tile)
    seen = normal(kind.bins, kind.tiles, kind.inputs)
    return (
        _given(lambda x, s: tile_convolution(x, kernel, kind.tile, s), image, spectrum),
        _given(tf.matmul, seen, spectrum),
    )


def _given(function, *values):
    """A traced function of nothing; what is handed over is not computed with while it is traced."""
    traced = tf.function(function, autograph=False)
    return lambda: traced(*values)


def rates(rounds):
    """Operations and bytes a second: a matrix product of 2048 rows, a copy of 256 MB."""
    a, b = normal(2048, 2048), normal(2048, 2048)
    many = normal(64, 1024, 1024)
    works = {"product": _given(tf.matmul, a, b), "copy": _given(lambda x: x + 1.0, many)}
    seconds = medians(works, rounds)
    return 2 * 2048**3 / seconds["product"], 2 * _FLOAT * 64 * 1024**2 / seconds["copy"]


def medians(works, rounds):
    """Seconds of functions of nothing, that take turns."""
    times = {name: [] for name in works}
    for number in range(rounds + 1):
        for name, work in works.items():
            begun = time.perf_counter()
            work()
            # the first warms up
            if number:
                times[name].append(time.perf_counter() - begun)
    return {name: statistics.median(found) for name, found in times.items()}


def rows_of(kinds, operations, bandwidth, rounds):
    """A row for each kind, milliseconds of all its layers; the slowest first."""
    works = {}
    for kind in kinds:
        works[kind], products = works_of(kind)
        if products:
            works[kind, "products"] = products
    seconds = medians(works, rounds)
    rows = []
    for kind, count in kinds.items():
        scale = 1e3 * count
        by_operations, by_bytes = kind.operations / operations, kind.bytes / bandwidth
        products = seconds.get((kind, "products"))
        rows.append(
            {
                "layers": f"{count} x {kind}",
                "ms": scale * seconds[kind],
                "products": products and scale * products,
                "by operations": scale * by_operations,
                "by bytes": scale * by_bytes,
                "of its floor": seconds[kind] / max(by_operations, by_bytes),
            }
        )
    return sorted(rows, key=lambda row: -row["ms"])


def print_rows(rows):
    print("| " + " | ".join(rows[0]) + " |\n|" + "---|" * len(rows[0]))
    for row in rows:
        cells = [f"{cell:.1f}" if isinstance(cell, float) else cell or "" for cell in row.values()]
        print("| " + " | ".join(cells) + " |")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--stages", type=int, default=6)
    parser.add_argument("--box-size", type=int, default=368)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", help="write the table there, too")
    args = parser.parse_args()
    allocator.apply()
    spec = keras_cpm.PoseSpec(box_size=args.box_size)
    model = keras_cpm.build_cpm(args.stages, spec)
    operations, bandwidth = rates(args.rounds)
    rows = rows_of(kinds_of(model), operations, bandwidth, args.rounds)
    inputs = [np.zeros((1, *tensor.shape[1:]), np.float32) for tensor in model.inputs]
    whole = 1e3 * medians({"whole": lambda: inference_of(model)(inputs)}, args.rounds)["whole"]
    print(f"{operations / 1e9:.0f} billion operations, {bandwidth / 1e9:.1f} GB a second\n")
    print_rows(rows)
    layers = sum(row["ms"] for row in rows)
    floor = sum(max(row["by operations"], row["by bytes"]) for row in rows)
    print(f"\nnetwork {whole:.0f} ms, its layers alone {layers:.0f}, their floors {floor:.0f}")
    if args.json:
        with open(args.json, "w", encoding="utf-8") as file:
            json.dump({"network": whole, "rows": rows}, file, indent=2)


if __name__ == "__main__":
    main()
