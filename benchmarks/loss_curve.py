"""The same training computed in two ways: the losses step by step.

    python -m benchmarks.loss_curve [--steps 100] [--box 184] [--batch 2]
    python -m benchmarks.loss_curve cpm-light --steps 50 --batch 16

The paper's network with six stages, Fourier tiles beside direct convolutions; or that of a bundle,
whose boxes it takes, mixed_bfloat16 beside float32. New weights, synthetic people, the modern
recipe; the same samples in the same order. Takes minutes on two cores. Rounding differs from the
first step on and training multiplies differences, so the third column repeats the first from
weights that differ in the last bit or so (1e-7): differences of that size are noise.
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

from keras_cpm import MODERN, PoseSpec, build_cpm, compile_cpm, draw_records, load, make_dataset
from keras_cpm.training.callbacks import computing_in


def losses(name, batches, spec, model, precision="float32", noise=0.0):
    random = np.random.default_rng(0)
    model.set_weights(
        [w * (1 + noise * random.standard_normal(w.shape)) for w in model.get_weights()]
    )
    recipe = dataclasses.replace(MODERN, warmup_steps=len(batches) // 10)
    compile_cpm(model, recipe, spec, total_steps=len(batches))
    found, start = [], time.perf_counter()
    with computing_in(model, precision):
        for number, batch in enumerate(batches, 1):
            model.reset_metrics()
            found.append(float(model.train_on_batch(*batch, return_dict=True)["loss"]))
            print(f"\r{name}: step {number} of {len(batches)}", end="", flush=True)
    print(f", {(time.perf_counter() - start) / len(batches):.2f} s a step")
    return np.array(found)


def runs_of(bundle, box):
    """(spec, stages, function of a convolution that makes the network, runs).

    A run is (name, convolution, precision, noise); the first is what the others are compared with.
    """
    if not bundle:
        spec = PoseSpec(box_size=box)
        runs = [("direct", "direct"), ("tiles", "auto"), ("direct, last bits", "direct")]
        runs = [(*run, "float32", 1e-7 * ("last" in run[0])) for run in runs]
        return spec, 6, lambda convolution: build_cpm(6, spec, convolution=convolution), runs
    model, spec = load(bundle)
    runs = [("float32", 0.0), ("mixed_bfloat16", 0.0), ("float32, last bits", 1e-7)]
    runs = [(name, None, name.partition(",")[0], noise) for name, noise in runs]
    return spec, len(model.outputs), lambda _: keras.models.clone_model(model), runs


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundle", nargs="?", metavar="MODEL", help="name or folder of a bundle")
    for name, default, what in (
        ("steps", 100, "how many"),
        ("box", 184, "pixels of a side, without MODEL"),
        ("batch", 2, "samples a step"),
    ):
        parser.add_argument(f"--{name}", type=int, default=default, help=what)
    options = parser.parse_args()
    spec, stages, build, runs = runs_of(options.bundle, options.box)
    with tempfile.TemporaryDirectory() as folder:
        records = draw_records(folder, options.steps * options.batch)
        dataset = make_dataset(records, spec, stages=stages, batch_size=options.batch)
        batches = list(dataset.take(options.steps).as_numpy_iterator())
    found = {}
    for name, convolution, *how in runs:
        keras.utils.set_random_seed(0)
        found[name] = losses(name, batches, spec, build(convolution), *how)
    report(found)


def report(found):
    """Prints the losses of dict of name -> losses, and how far they are from the first."""
    (_, first), *others = found.items()
    print("step" + "".join(f"{name:>20}" for name in found))
    for step in sorted({1, 2, 5, 10, 20, 50, len(first)}):
        if step <= len(first):
            print(f"{step:4d}" + "".join(f"{run[step - 1]:20.4f}" for run in found.values()))
    for name, run in others:
        relative = np.abs(run - first) / first
        print(f"{name}: mean difference {relative.mean():.1e}, largest {relative.max():.1e}")


if __name__ == "__main__":
    main()
