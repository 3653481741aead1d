"""A 720p clip from decoding to drawing, beside its parts: python -m benchmarks.video [--before DIR]

People are drawn who walk, one and then four; `keras-cpm predict clip.mp4 --people auto --draw
out.mp4` is what runs, by LiteRT, in a process that has done it once. Each part is also done alone:
decoding, following (of which searching the frame, and looking where people should be), drawing,
encoding. The whole cannot take less than its slowest part, nor than the CPU time of all parts over
the cores; the ratio is to the larger of the two. Milliseconds a frame, medians. `--before` names a
checkout of another commit, which takes turns with this one.
"""

import argparse
import contextlib
import functools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

SIZE, RATE = (720, 1280), 25
# whom the shipped model knows well
SEEDS = {"one": (7,), "four": (7, 8, 6, 2)}
PARTS = ("decode", "search", "look", "follow", "draw", "encode")
# what a thread does for one frame after the other
STEPS = ("decode", "follow", "draw", "encode")


def write_clip(path, seeds, seconds):
    """People side by side, each walking through a strip of the picture."""
    import numpy as np

    from keras_cpm.data.synthetic.walking import walking_frames
    from keras_cpm.inference.frames import Writer

    size = (SIZE[0], SIZE[1] // len(seeds))
    strips = [walking_frames(seconds, RATE, size, seed=seed) for seed in seeds]
    with Writer(path, RATE) as write:
        for frames in zip(*strips, strict=True):
            write(np.hstack([frame for _, frame, _ in frames]))


class Clock:
    """Seconds of wall and of CPU time by part."""

    def __init__(self):
        self.seconds = defaultdict(lambda: [0.0, 0.0])

    def timed(self, part, function):
        def run(*arguments):
            begun = time.perf_counter(), time.process_time()
            try:
                return function(*arguments)
            finally:
                taken = time.perf_counter() - begun[0], time.process_time() - begun[1]
                self.seconds[part] = [a + b for a, b in zip(self.seconds[part], taken, strict=True)]

        return run


class Work:
    """The command's own work on a clip, and its parts one after the other."""

    def __init__(self):
        from keras_cpm import Predictor, load
        from keras_cpm.inference import person_finder

        networks, self.computing = None, contextlib.nullcontext
        # a checkout from before there were two engines has one
        with contextlib.suppress(ImportError):
            from keras_cpm.inference import engine

            networks = engine.load_by_litert(["cpm-light", "cpm-light-person"], many=True)
        if networks:
            self.computing = functools.partial(engine.computing, by_litert=True)
            self.find = person_finder.finder_of(*networks[1])
        else:
            self.find = person_finder.load_finder()
        self.predictor = Predictor(*(networks[0] if networks else load("cpm-light")))

    def whole(self, clip, out):
        from keras_cpm import follow_poses

        begun = time.perf_counter()
        entries = follow_poses(clip, self.predictor, self.find, draw=out)
        seconds = time.perf_counter() - begun
        people = [[one.raw.tolist() for one in people] for _, people in entries]
        return {"frames": len(entries), "whole": seconds, "people": people}

    def parts(self, clip, out):
        from keras_cpm import find_poses
        from keras_cpm.inference import crowd, frames, people, smoothing

        clock, predictor = Clock(), self.predictor
        read = frames.read_frames(clip)
        decoded = list(iter(clock.timed("decode", lambda: next(read, None)), None))
        follower = crowd.CrowdFollower(
            clock.timed("look", lambda frame, places: people.poses_at(frame, predictor, places)),
            clock.timed("search", lambda frame: find_poses(frame, predictor, self.find)),
            smooth=smoothing.OneEuro,
        )
        follow = clock.timed("follow", follower)
        seen = [follow(frame, seconds) for seconds, frame in decoded]
        draw = clock.timed("draw", self._draw)
        drawn = [draw(frame, who) for (_, frame), who in zip(decoded, seen, strict=True)]
        with frames.Writer(out, RATE) as writer:
            write = clock.timed("encode", writer)
            for frame in drawn:
                write(frame)
        return {"frames": len(decoded), "parts": clock.seconds}

    def _draw(self, frame, people):
        from keras_cpm.visualization.pose import draw_pose, write_ids

        for one in people:
            frame = draw_pose(frame, one.pose, self.predictor.spec.skeleton)
        return write_ids(frame, [one.id for one in people], [one.box for one in people])


def serve():
    """Answers lines of [what, clip, out] with lines of JSON."""
    from keras_cpm.cli import allocator

    allocator.apply()
    work = Work()
    for line in sys.stdin:
        what, clip, out = json.loads(line)
        with work.computing():
            answer = getattr(work, what)(clip, out)
        print("=" + json.dumps(answer), flush=True)


class Process:
    """A checkout of the package at work in a process of its own."""

    def __init__(self, checkout):
        command = [sys.executable, str(Path(__file__).resolve()), "--serve"]
        path = {"PYTHONPATH": str(Path(checkout).resolve())}
        self.pipes = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=os.environ | path, text=True
        )

    def __call__(self, *words):
        self.pipes.stdin.write(json.dumps(words) + "\n")
        self.pipes.stdin.flush()
        return json.loads(next(line for line in self.pipes.stdout if line.startswith("="))[1:])


def measure(checkouts, clip, out, rounds):
    """By checkout what `report` takes: a list of answers to each of "whole" and "parts"."""
    found = {name: {"whole": [], "parts": []} for name in checkouts}
    for number in range(rounds + 1):
        for name, process in checkouts.items():
            for what, answers in found[name].items():
                answer = process(what, clip, out)
                # the first round warms up
                if number:
                    answers.append(answer)
    return found


def report(found, cores):
    """Lines of one checkout, and its milliseconds a frame."""
    whole = statistics.median(1000 * one["whole"] / one["frames"] for one in found["whole"])
    wall, cpu = (
        {
            part: statistics.median(
                1000 * one["parts"].get(part, (0, 0))[column] / one["frames"]
                for one in found["parts"]
            )
            for part in PARTS
        }
        for column in (0, 1)
    )
    slowest, shared = max(wall[step] for step in STEPS), sum(cpu[step] for step in STEPS) / cores
    for part in PARTS:
        print(f"  {part:8} {wall[part]:7.1f} ms, {cpu[part]:7.1f} ms of CPU")
    print(f"  whole    {whole:7.1f} ms, {1000 / whole:.1f} frames a second")
    print(f"  parts    {sum(wall[step] for step in STEPS):7.1f} ms one after the other")
    print(f"  limit    {slowest:7.1f} ms the slowest, {shared:.1f} ms of CPU over {cores} cores")
    print(f"  ratio    {whole / max(slowest, shared):7.2f}", flush=True)
    return whole


def apart(found):
    """How far keypoints of two checkouts are apart at most, pixels; infinite with other people."""
    import numpy as np

    first, other = ([np.array(who) for who in one["whole"][0]["people"]] for one in found)
    if any(a.shape != b.shape for a, b in zip(first, other, strict=True)):
        return float("inf")
    return max(np.abs(a - b).max(initial=0.0) for a, b in zip(first, other, strict=True))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--before", help="a checkout of another commit")
    parser.add_argument("--people", choices=[*SEEDS, "both"], default="both")
    parser.add_argument("--seconds", type=float, default=2.0, help="of the clip")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve()
        return
    here = Path(__file__).resolve().parents[1]
    folders = {"before": options.before, "now": here} if options.before else {"now": here}
    checkouts = {name: Process(folder) for name, folder in folders.items()}
    with tempfile.TemporaryDirectory() as folder:
        for name in SEEDS if options.people == "both" else [options.people]:
            clip, out = f"{folder}/{name}.mp4", f"{folder}/out.mp4"
            write_clip(clip, SEEDS[name], options.seconds)
            found = measure(checkouts, clip, out, options.rounds)
            times = []
            for checkout, answers in found.items():
                print(f"{name}, {checkout}")
                times.append(report(answers, len(os.sched_getaffinity(0))))
            if options.before:
                print(f"{times[1] / times[0]:.2f} of the time before; keypoints within ", end="")
                print(f"{apart(list(found.values())):.1g} px", flush=True)


if __name__ == "__main__":
    main()
