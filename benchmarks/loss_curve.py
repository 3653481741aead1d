"""The same training with Fourier tiles and with direct convolutions: the losses step by step.

    python -m benchmarks.loss_curve [--steps 100] [--box 184] [--batch 2]

The paper's network with six stages on synthetic people, float32, the modern recipe; same weights,
same samples in the same order. Takes minutes on two cores. Rounding differs from the first step
on and training multiplies differences, so the third column repeats the direct training from weights
that differ in the last bit or so (1e-7): differences of that size are noise.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import tempfile
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

from keras_cpm import MODERN, PoseSpec, build_cpm, compile_cpm, draw_records, make_dataset


def losses(name, batches, spec, convolution, noise=0.0):
    keras.utils.set_random_seed(0)
    model = build_cpm(6, spec, convolution=convolution)
    random = np.random.default_rng(0)
    model.set_weights(
        [w * (1 + noise * random.standard_normal(w.shape)) for w in model.get_weights()]
    )
    recipe = dataclasses.replace(MODERN, warmup_steps=len(batches) // 10)
    compile_cpm(model, recipe, spec, total_steps=len(batches))
    found, start = [], time.perf_counter()
    for number, batch in enumerate(batches, 1):
        model.reset_metrics()
        found.append(float(model.train_on_batch(*batch, return_dict=True)["loss"]))
        print(f"\r{name}: step {number} of {len(batches)}", end="", flush=True)
    print(f", {(time.perf_counter() - start) / len(batches):.2f} s a step")
    return np.array(found)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("steps", 100), ("box", 184), ("batch", 2)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    spec = PoseSpec(box_size=options.box)
    with tempfile.TemporaryDirectory() as folder:
        records = draw_records(folder, options.steps * options.batch)
        dataset = make_dataset(records, spec, stages=6, batch_size=options.batch)
        batches = list(dataset.take(options.steps).as_numpy_iterator())
    runs = {
        "direct": losses("direct", batches, spec, "direct"),
        "tiles": losses("tiles", batches, spec, "auto"),
        "direct, last bits": losses("direct, last bits", batches, spec, "direct", 1e-7),
    }
    print("step     direct      tiles   direct, last bits")
    for step in sorted({1, 2, 5, 10, 20, 50, options.steps}):
        if step <= len(batches):
            print(f"{step:4d}" + "".join(f"{run[step - 1]:11.4f}" for run in runs.values()))
    for name in ("tiles", "direct, last bits"):
        relative = np.abs(runs[name] - runs["direct"]) / runs["direct"]
        print(f"{name}: mean difference {relative.mean():.1e}, largest {relative.max():.1e}")


if __name__ == "__main__":
    main()
