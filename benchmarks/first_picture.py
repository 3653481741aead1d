"""How long one `keras-cpm predict` of a photograph takes, from the key to the answer.

    python -m benchmarks.first_picture --before OTHER/.venv/bin/keras-cpm   # beside another version
    python -m benchmarks.first_picture                                      # beside --engine keras
    python -m benchmarks.first_picture --agree PHOTOGRAPHS                  # do the engines agree?

Programs take turns; medians, and the ratio of the medians: of the time that passes, and of that on
processors, which others on the machine change less. Agreement is the largest distance of any
keypoint between the engines, in pixels of the photograph: of the person who fills it, and of
everybody who is found in every fourth. Beside it stands the median time of a
photograph.
"""

import argparse
import functools
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import keras_cpm
from keras_cpm.images.formats import list_photographs
from keras_cpm.inference import engine
from keras_cpm.inference.people import find_poses
from keras_cpm.inference.person_finder import finder_of
from keras_cpm.models import bundle

JOBS = {
    "the person fills it": (),
    "--box": ("--box", "30", "10", "230", "250"),
    "--people auto": ("--people", "auto"),
}
EVERY = 4


def seconds(command):
    """That passed, and that processors took."""

    def now():
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return np.array([time.perf_counter(), used.ru_utime + used.ru_stime])

    begin = now()
    # where no package lies that would be taken for the program's own
    subprocess.run(command, check=True, capture_output=True, cwd=tempfile.gettempdir())
    return now() - begin


def compare(programs, photograph, rounds, jobs):
    """Prints two rows a job: the medians of each program, and the ratio."""
    print(f"{'':32s}" + "".join(f"{name:>10s}" for name in programs) + f"{'ratio':>10s}")
    for job in jobs:
        taken = {name: [] for name in programs}
        for number in range(rounds + 1):
            for name, program in programs.items():
                flags = [*JOBS[job], *program[1:]]
                one = seconds([program[0], "predict", str(photograph.resolve()), *flags])
                # the first reads from the disk
                taken[name] += [one] if number else []
        for number, clock in enumerate(("", ", on processors")):
            before, after = (np.median(times, axis=0)[number] for times in taken.values())
            cells = f"{before:8.2f} s{after:8.2f} s{after / before:10.3f}"
            print(f"{job + clock:32s}{cells}", flush=True)


def answers(name, asked, paths):
    """The pose in each photograph, and the people of every fourth; prints the median times."""
    taken = {kind: [] for kind in asked}

    def timed(kind, path):
        begin = time.perf_counter()
        found = asked[kind](path)
        taken[kind].append(time.perf_counter() - begin)
        return found

    rows = [
        (timed("alone", path), timed("people", path) if n % EVERY == 0 else [])
        for n, path in enumerate(paths)
    ]
    times = (f"{kind} {1000 * statistics.median(one):.0f} ms" for kind, one in taken.items())
    print(f"{name}: a photograph, {', '.join(times)}", flush=True)
    return rows


def agree(paths):
    """Prints the largest distance between the keypoints of the two engines."""
    names = [bundle.default_bundle(), bundle.default_person_bundle()]
    found = {}
    for one in ("litert", "keras"):
        networks = engine.load_by_litert(names, one)
        by_litert = networks is not None
        with engine.computing(by_litert):
            (model, spec), finder = networks or [bundle.load(name) for name in names]
            predictor = keras_cpm.Predictor(model, spec)
            people = functools.partial(find_poses, predictor=predictor, find=finder_of(*finder))
            found[one] = answers(one, {"alone": predictor, "people": people}, paths)
    moved, others, count = [], [], 0
    for (one, some), (other, more) in zip(*found.values(), strict=True):
        moved.append(np.abs(one.keypoints - other.keypoints).max())
        if len(some) != len(more):
            others.append((len(some), len(more)))
            continue
        count += len(some)
        pairs = zip(some, more, strict=True)
        moved += [np.abs(a.pose.keypoints - b.pose.keypoints).max() for a, b in pairs]
    print(
        f"{len(paths)} photographs, {count} people found in {len(paths[::EVERY])} of them: "
        f"largest distance {max(moved):.4f} px, median of the largest {np.median(moved):.5f} px; "
        f"another number of people in {len(others)}"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--before", help="the program keras-cpm of another version")
    parser.add_argument("--after", help="the program keras-cpm of this version")
    parser.add_argument("--photograph", type=Path, help="a drawn person unless given")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--job", action="append", choices=JOBS, help="all unless given")
    parser.add_argument("--agree", type=Path, metavar="FOLDER", help="of photographs")
    parser.add_argument("--most", type=int, default=100, help="with --agree: photographs")
    options = parser.parse_args()
    if options.agree:
        agree(list_photographs(options.agree)[0][-options.most :])
        return
    after = str(Path(options.after or Path(sys.executable).with_name("keras-cpm")).absolute())
    other = options.before and str(Path(options.before).absolute())
    before = [other] if other else [after, "--engine", "keras"]
    with tempfile.TemporaryDirectory() as folder:
        photograph = options.photograph or Path(keras_cpm.draw_records(folder, 1)[0].image)
        programs = {"before": before, "after": [after]}
        compare(programs, photograph, options.rounds, options.job or JOBS)


if __name__ == "__main__":
    main()
