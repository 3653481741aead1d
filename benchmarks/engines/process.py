"""Jobs in processes of their own: `in_new_process` starts one, and this file is its program."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from keras_cpm.cli.allocator import SETTINGS

from .peers import INFERENCE, TRAINING
from .workload import Workload, prepare

# of this process; Linux has it
_STATUS = Path("/proc/self/status")
# calls before the memory is looked at
_CALLS = 3


def in_new_process(job, settings, say):
    """Does one job in a new process.

    Args:
        job: see `work_on`.
        settings: dict, those of the memory allocator; the process has them and no others.
        say: called with one line now and then.

    Returns:
        what `work_on` returns.

    Raises:
        ValueError: what the job raises of ValueError, ImportError or OSError.
        RuntimeError: the process ended early.

    Example:
        >>> from benchmarks.engines.process import in_new_process
        >>> job = {"do": "time", "folder": "", "train": False, "engines": []}
        >>> in_new_process({**job, "rounds": 1, "threads": 1}, {}, print)
        round 1 of 1
        {}
    """
    command = [sys.executable, "-P", "-m", "benchmarks.engines.process", json.dumps(job)]
    with tempfile.TemporaryFile("w+", errors="replace") as said:
        pipes = {"stdout": subprocess.PIPE, "stderr": said, "text": True}
        surroundings = environment(settings, job["threads"])
        with subprocess.Popen(command, env=surroundings, **pipes) as process:
            try:
                message = {}
                for line in process.stdout:
                    message = json.loads(line)
                    if "say" in message:
                        say(message["say"])
            except BaseException:
                process.kill()
                raise
        if "result" in message:
            return message["result"]
        if "error" in message:
            raise ValueError(message["error"])
        said.seek(0)
        *_, last = ["none", *filter(None, map(str.strip, said))]
    raise RuntimeError(
        f"The process of {', '.join(job['engines'])} ended early; name others with --engines, or "
        f"make room in memory if it was killed (-9). Received: code {process.returncode}, last "
        f"words: {last}"
    )


def environment(settings, threads):
    """This process' environment with these settings of the allocator alone, and without GPU.

    Example:
        >>> from benchmarks.engines.process import environment
        >>> environment({}, threads=2)["TF_NUM_INTRAOP_THREADS"]
        '2'
    """
    kept = {name: value for name, value in os.environ.items() if name not in SETTINGS}
    path = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
    threads_of = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
    return {
        **kept,
        **settings,
        **dict.fromkeys(threads_of, str(threads)),
        "PYTHONPATH": os.pathsep.join(filter(None, path)),
        "KERAS_BACKEND": "tensorflow",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "CUDA_VISIBLE_DEVICES": "-1",
    }


def main():
    """Takes a job as JSON; lines of JSON go out: what it says, then the result or an error."""
    # whatever libraries print goes to stderr
    channel = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def tell(**message):
        print(json.dumps(message), file=channel, flush=True)

    try:
        tell(result=work_on(json.loads(sys.argv[1]), lambda line: tell(say=line)))
    except (ValueError, ImportError, OSError) as error:
        tell(error=str(error))


def work_on(job, say):
    """Does one job.

    Args:
        job: dict of "do" ("prepare", "time", "memory"), "folder", "threads", "engines", "train",
            and "model", "batch" or "rounds" where they matter.
        say: called with lines.

    Returns:
        JSON values.
    """
    return {"prepare": _prepare, "time": _time, "memory": _memory}[job["do"]](job, say)


def _prepare(job, say):
    reasons = prepare(job["folder"], job["model"], job["engines"], job["batch"])
    facts = Workload(job["folder"], job["threads"]).facts()
    return {
        "reasons": reasons,
        "facts": {
            "box": facts["box"],
            "stages": len(facts["outputs"]),
            "parameters": facts["parameters"],
        },
    }


def _make(job, name):
    known = TRAINING if job["train"] else INFERENCE
    made = known[name].make(Workload(job["folder"], job["threads"]))
    return known[name], made


def _time(job, say):
    calls, values = {}, {}
    # PyTorch first: its first gradients end the process if TensorFlow was loaded before (builds
    # with CUDA; both register the options of an LLVM)
    for name in sorted(job["engines"], key=lambda name: not name.startswith("pytorch")):
        engine, made = _make(job, name)
        calls[name] = made.step if job["train"] else made
        if not job["train"]:
            values[name] = dict(enumerate(made()))
        elif engine.precision == "float32":
            # before a step changes the weights
            values[name] = made.gradients()
        calls[name]()
        say(f"{name} is ready")
    medians = take_turns(calls, job["rounds"], say)
    return {
        name: {
            "milliseconds": medians[name] / job["batch"],
            "difference": difference(values.get(name), values.get("tensorflow")),
        }
        for name in job["engines"]
    }


def take_turns(calls, rounds, say=lambda line: None):
    """Times functions in turn.

    Args:
        calls: dict of functions of nothing.
        rounds: how often each is called.
        say: called with one line a round.

    Returns:
        dict of medians, milliseconds.

    Example:
        >>> from benchmarks.engines.process import take_turns
        >>> list(take_turns({"nothing": lambda: None}, 3))
        ['nothing']
    """
    times = {name: [] for name in calls}
    for number in range(rounds):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            times[name].append(1e3 * (time.perf_counter() - start))
        say(f"round {number + 1} of {rounds}")
    return {name: float(np.median(values)) for name, values in times.items()}


def difference(found, truth):
    """The largest of all arrays, relative to the largest value of the true one.

    Args:
        found, truth: dicts of arrays of the same names, or `None`.

    Returns:
        float, or `None` where one is missing.

    Example:
        >>> import numpy as np
        >>> from benchmarks.engines.process import difference
        >>> difference({"a": np.array([1.0, 4.5])}, {"a": np.array([1.0, 5.0])})
        0.1
    """
    if found is None or truth is None:
        return None
    shares = [0.0]
    for name, array in truth.items():
        # a weight that nothing depends on has no gradient anywhere
        size = np.abs(array).max() or 1.0
        shares.append(float(np.abs(found[name] - array).max() / size))
    return max(shares)


def _memory(job, say):
    if not _STATUS.is_file():
        return {"peak_gb": None}
    (name,) = job["engines"]
    _, made = _make(job, name)
    for _ in range(_CALLS):
        made.step() if job["train"] else made()
    # not getrusage, which counts what the parent had when it forked
    peak = _STATUS.read_text("utf-8").split("VmHWM:")[1].split()[0]
    return {"peak_gb": int(peak) * 1024 / 1e9}


if __name__ == "__main__":
    main()
