"""Where a training step goes on this machine: its parts beside the convolutions alone.

    python -m benchmarks.training_step [--before CLONE] [--precision mixed_bfloat16]

prints medians, in milliseconds of all cores together: what a batch costs the input pipeline;
outputs and losses; these with gradients; the step that `train` takes, with optimiser, averages and
scores; and the floor: every convolution and its gradients, each called alone. With `--before` the
parts of another checkout take turns with these, in a process of its own, and there are ratios.
`TF_NUM_INTRAOP_THREADS=1` is the calmest, and `ONEDNN_MAX_CPU_ISA=avx2` shows what a processor
without newer units would do.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

ROOT = Path(__file__).parents[1]
MODEL = ROOT / "saved_models/cpm-light"
PRECISIONS = ("float32", "mixed_bfloat16")
STEP_CLOCK = "step, by the clock"
# calls that are timed together in a round
_CALLS = 2


def make_parts(bundle, precision, batch, folder):
    """The parts of a step, traced.

    Args:
        bundle: name or folder of one: whose network, and where its weights start.
        precision: as in `TrainSpec`.
        batch: samples a step.
        folder: an empty one for drawn people.

    Returns:
        dict of part -> functions of nothing that return when their work is done.
    """
    import tensorflow as tf

    import keras_cpm
    from keras_cpm.models.forward import stages_of
    from keras_cpm.training.callbacks import computing_in

    records = keras_cpm.draw_records(folder, 2 * batch)
    # of the shipped model's card
    augment = {"scale_range": (0.7, 1.35), "blur": 1.0, "cut_probability": 0.1}
    recipe = {"precision": precision, "batch_size": batch}
    plan = keras_cpm.plan_training(records, init=bundle, **augment, **recipe)
    model, stream = plan.build(), {"shuffle": True, "first_step": 0, "augment": plan.augment}
    batches = iter(
        keras_cpm.make_dataset(
            records, plan.spec, stages=len(model.outputs), batch_size=batch, **stream
        )
    )
    inputs, targets = next(batches)
    keras_cpm.compile_cpm(model, plan.recipe, plan.spec, total_steps=10_000)
    model.make_train_function()
    same = iter(tf.data.Dataset.from_tensors((inputs, targets)).repeat())
    variables = [variable.value for variable in model.trainable_variables]

    def losses():
        stages = stages_of(model(inputs, training=True))
        pairs = zip(targets.values(), stages, strict=True)
        return tf.add_n([tf.reduce_mean(keras_cpm.belief_l2(*pair)) for pair in pairs])

    def gradients():
        with tf.GradientTape() as tape:
            loss = losses()
        # what nobody reads would not be computed
        return loss, tf.add_n([tf.reduce_sum(g) for g in tape.gradient(loss, variables)])

    forward, back = tf.function(losses), tf.function(gradients)
    parts = {
        "input": lambda: (next(batches), _settle()),
        "losses": lambda: float(forward()),
        "gradients": lambda: float(back()[0]),
        "step": lambda: float(model.train_function(same)["loss"]),
        "convolutions": _convolutions(model, precision, batch),
    }
    with computing_in(model, precision):
        for part in parts.values():
            part()
    return parts


def _convolutions(model, precision, batch):
    """A function that calls every convolution and its gradients, one after the other."""
    import keras
    import tensorflow as tf

    kind = tf.bfloat16 if precision == "mixed_bfloat16" else tf.float32
    draw, calls = np.random.default_rng(0), []
    for layer in model.layers:
        if not isinstance(layer, keras.layers.Conv2D | keras.layers.Conv2DTranspose):
            continue
        sides = [(batch, *tensor.shape[1:]) for tensor in (layer.input, layer.output)]
        if isinstance(layer, keras.layers.Conv2DTranspose):
            # it is the gradient of a convolution that goes the other way
            sides.reverse()
        image, outputs = (tf.cast(draw.normal(size=side), kind) for side in sides)
        options = {"strides": [1, *layer.strides, 1], "padding": layer.padding.upper()}
        calls.append((image, tf.cast(layer.kernel, kind), outputs, options))

    def run():
        for image, kernel, outputs, options in calls:
            back = {"out_backprop": outputs, **options}
            tf.raw_ops.Conv2D(input=image, filter=kernel, **options)
            tf.raw_ops.Conv2DBackpropFilter(input=image, filter_sizes=kernel.shape, **back)
            # photographs get no gradient
            if image.shape[-1] > 3:
                tf.raw_ops.Conv2DBackpropInput(input_sizes=image.shape, filter=kernel, **back)

    return run


def serve(bundle, precision, batch):
    """Times the parts once for every line that comes in: lines of JSON go out, see `_time`."""
    channel = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever libraries print
    with tempfile.TemporaryDirectory() as folder:
        parts = make_parts(bundle, precision, batch, folder)
        print(flush=True, file=channel)
        for _ in sys.stdin:
            print(json.dumps(_time(parts)), file=channel, flush=True)


def _time(parts):
    """dict of part -> milliseconds of cores, and of `STEP_CLOCK`."""
    found = {}
    for name, part in parts.items():
        cores, clock = time.process_time(), time.perf_counter()
        for _ in range(_CALLS):
            part()
        found[name] = 1e3 * (time.process_time() - cores) / _CALLS
        if name == "step":
            found[STEP_CLOCK] = 1e3 * (time.perf_counter() - clock) / _CALLS
    return found


def _settle():
    """Waits until the threads that fill buffers have nothing to do."""
    while True:
        before = time.process_time()
        time.sleep(0.1)
        if time.process_time() - before < 0.002:
            return


def measure(checkouts, bundle, precision, batch, rounds):
    """Medians of the rounds, checkouts in turn.

    Returns:
        dict of checkout -> dict of part -> milliseconds of cores.
    """
    script = [sys.executable, "-P", __file__, "--serve", "--model", bundle]
    script += ["--precision", precision, "--batch", str(batch)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with contextlib.ExitStack() as stack:
        processes = {}
        for checkout in checkouts:
            settings = {**os.environ, "PYTHONPATH": str(checkout)}
            process = subprocess.Popen(script, env=settings, **pipes)
            processes[checkout] = stack.enter_context(process)
            process.stdout.readline()
        found = {checkout: [] for checkout in checkouts}
        for _ in range(rounds):
            for checkout, process in processes.items():
                print(file=process.stdin, flush=True)
                found[checkout].append(json.loads(process.stdout.readline()))
        for process in processes.values():
            process.stdin.close()
    return {
        checkout: {part: np.median([times[part] for times in rounds]) for part in rounds[0]}
        for checkout, rounds in found.items()
    }


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default=str(MODEL), help="name or folder of a bundle")
    parser.add_argument("--before", type=Path, help="another checkout, measured in turns")
    parser.add_argument("--precision", choices=PRECISIONS, help="both unless given")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        return serve(options.model, options.precision, options.batch)
    checkouts = [path.resolve() for path in (options.before, ROOT) if path]
    for precision in [options.precision] if options.precision else PRECISIONS:
        found = measure(checkouts, options.model, precision, options.batch, options.rounds)
        print(f"{precision}, batch {options.batch}: milliseconds of all cores together")
        for part in found[ROOT]:
            times = [found[checkout][part] for checkout in checkouts]
            line = " -> ".join(f"{time:7.1f}" for time in times)
            ratio = f", {times[0] / times[-1]:.2f} times as fast" if options.before else ""
            print(f"{part:18s} {line}{ratio}", flush=True)


if __name__ == "__main__":
    main()
