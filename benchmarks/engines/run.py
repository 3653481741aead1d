"""`run_bench`: one network in several engines on this machine: time, memory, differences.

Engines take turns in one process, so that a noisy machine is noisy for all, and medians count. Peak
memory is that of a process of its own for each engine, imports included. Processes begin with the
settings of the memory allocator, or without; see keras_cpm/cli/allocator.py.
"""

from __future__ import annotations

import os
import tempfile

from keras_cpm.cli.allocator import SETTINGS, is_glibc

from . import process
from .peers import INFERENCE, TRAINING

MALLOC = ("both", "with", "without")


def run_bench(
    model=None,
    *,
    train=False,
    batch=2,
    engines=None,
    rounds=7,
    threads=None,
    malloc="both",
    say=lambda line: None,
):
    """Measures; minutes, most of them for the engines that are slow.

    Inference is of one image, training a step: outputs, losses, gradients and AdamW; that of
    "keras_cpm" also scores, as `compile_cpm` has it. Every engine has the same weights, inputs and
    threads, and none the GPU.

    Gradients of a network with pools and ReLUs jump where rounding turns a decision: outputs that
    differ by 5e-6 go with gradients that differ by some 5e-4, whoever computes them.

    Args:
        model: a bundle's folder or name; `None` for the paper's 6-stage network, random weights.
        train: steps of training instead of inference.
        batch: images of such a step.
        engines: names of `peers.INFERENCE` or `TRAINING`; `None` for all that are installed and can
            run the network.
        rounds: how often each engine is timed.
        threads: `None` for all cores that this process may use.
        malloc: "with" the settings of keras_cpm/cli/allocator.py, "without", or "both", one after
            the other.
        say: called with one line now and then.

    Returns:
        dict: "task", "network", "box" (pixels), "stages", "parameters", "batch", "threads",
        "rounds", and "tables", a dict of "with" and "without", each a dict of engine -> dict of
            title, precision: texts.
            milliseconds: an image, median.
            speed: times that of "tensorflow" in the same precision; `None` without it.
            difference: largest of all stages, or in training of the gradients of all weights,
                relative to the largest value of "tensorflow"; `None` without it, and in
                training for other precisions than float32.
            peak_gb: 1e9 bytes; `None` where the system does not say (/proc).

    Raises:
        ValueError: an unknown engine, one that is not installed or cannot run the network, no such
            model.
        RuntimeError: an engine ends its process.

    Example:
        >>> from benchmarks.engines.run import run_bench
        >>> run_bench("cpm-light-lsp", engines=["tensorflow"], rounds=0)
        Traceback (most recent call last):
        ValueError: `rounds` must be at least 1. Received: rounds=0
    """
    for name, value in (("rounds", rounds), ("batch", batch)):
        if value < 1:
            raise ValueError(f"`{name}` must be at least 1. Received: {name}={value}")
    choices = _choices(malloc, say)
    names = _choose(TRAINING if train else INFERENCE, engines, say)
    batch = batch if train else 1
    job = {"train": train, "batch": batch, "rounds": rounds, "threads": threads or cores()}
    with tempfile.TemporaryDirectory() as folder:
        job["folder"] = folder
        say("writing the network for every engine")
        model = None if model is None else str(model)
        found = process.in_new_process(
            {**job, "do": "prepare", "model": model, "engines": names}, {}, say
        )
        names = [name for name in names if name not in found["reasons"]]
        for name, reason in found["reasons"].items():
            if engines or not names:
                raise ValueError(f"{name} cannot run this network. {reason}")
            say(f"{name} does not take part. {reason}")
        tables = {choice: _measure({**job, "engines": names}, choice, say) for choice in choices}
    return {
        "task": "training" if train else "inference",
        "network": model or "6 stages, random weights",
        **found["facts"],
        "batch": batch,
        "threads": job["threads"],
        "rounds": rounds,
        "tables": tables,
    }


def cores():
    """How many this process may use.

    Example:
        >>> from benchmarks.engines.run import cores
        >>> cores() >= 1
        True
    """
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _choose(known, engines, say):
    """Names of those that are here; others are mentioned, or refused where they were asked for."""
    unknown = [name for name in engines or () if name not in known]
    if unknown:
        raise ValueError(f"`engines` must be of {list(known)}. Received: {', '.join(unknown)}")
    chosen = []
    for name in dict.fromkeys(engines or known):
        packages = " ".join(known[name].absent())
        if packages and engines:
            raise ValueError(f"{name} is not installed; pip install {packages}")
        if packages:
            say(f"{name} does not take part; pip install {packages} adds it")
        else:
            chosen.append(name)
    return chosen


def _choices(malloc, say):
    if malloc not in MALLOC:
        raise ValueError(f"`malloc` must be one of {list(MALLOC)}. Received: malloc={malloc!r}")
    if malloc != "without" and not is_glibc():
        say("the allocator of this system does not know the settings: without them")
        return ["without"]
    return ["without", "with"] if malloc == "both" else [malloc]


def _measure(job, choice, say):
    """The table of one choice: one process times all engines, then each has one for its memory."""
    known = TRAINING if job["train"] else INFERENCE
    settings = SETTINGS if choice == "with" else {}
    say(f"{choice} settings of the allocator")
    timed = process.in_new_process({**job, "do": "time"}, settings, say)
    direct = {
        known[name].precision: entry["milliseconds"]
        for name, entry in timed.items()
        if name.startswith("tensorflow")
    }
    table = {}
    for name, entry in timed.items():
        reference = direct.get(known[name].precision)
        table[name] = {
            "title": known[name].full_title(),
            "precision": known[name].precision,
            "milliseconds": entry["milliseconds"],
            "speed": reference and reference / entry["milliseconds"],
            "difference": entry["difference"],
            "peak_gb": _peak({**job, "engines": [name]}, settings, say),
        }
    return table


def _peak(job, settings, say):
    say(f"memory of {job['engines'][0]}")
    return process.in_new_process({**job, "do": "memory"}, settings, lambda line: None)["peak_gb"]
