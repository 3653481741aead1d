"""Poses by the million: python -m benchmarks.bulk kills|rates|plan --help

`kills` runs `keras-cpm predict-many` on copies of photographs, some of them bad, kills workers and
the command on the way, and looks whether every photograph is there once and as the predictor has
it. `rates` runs it whole with several numbers of workers. `plan` gives it a long table and workers
that look at nothing. Processes are found in /proc.
"""

import argparse
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from unittest import mock

import numpy as np

import keras_cpm
from keras_cpm.inference import bulk
from keras_cpm.inference.blocks import blocks_of

# who dies, one after the other, at equal distances of the work
DEATHS = ("worker", "worker", "command", "worker", "command")


def copies(photographs, folder, count, bad):
    """Links `count` photographs into a folder, `bad` of them cut off: a dict of name to source,
    `None` of what is cut off.
    """
    folder.mkdir(parents=True)
    sources = {}
    for number in range(count):
        source = photographs[number % len(photographs)]
        path = folder / f"{number:06d}{source.suffix}"
        if bad and number % (count // bad) == 3:
            path.write_bytes(source.read_bytes()[:300])
            sources[str(path)] = None
        else:
            os.link(source, path) if _same_disk(source, folder) else path.symlink_to(source)
            sources[str(path)] = str(source)
    return sources


def _same_disk(one, other):
    return one.stat().st_dev == other.stat().st_dev


def start(folder, out, model, workers):
    words = ["predict-many", folder, "--out", out, "--model", model, "--workers", workers]
    return subprocess.Popen([sys.executable, "-m", "keras_cpm", *map(str, words)])


def workers_of(pid):
    """The processes below one that look at photographs."""
    parents, found = {}, []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(path.name)] = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            if b"MapWorker" in (path / "cmdline").read_bytes():
                found.append(int(path.name))
        except OSError:
            continue

    def below(one):
        return one == pid or (one in parents and below(parents[one]))

    return [one for one in found if below(one)]


def megabytes(pid):
    """What a process holds in memory."""
    words = Path(f"/proc/{pid}/status").read_text().split()
    return round(int(words[words.index("VmRSS:") + 1]) / 1024)


def files(out):
    return sorted(Path(out).glob("*.parquet"), key=lambda path: path.stat().st_mtime)


def kills(folder, out, model, *, workers=1, deaths=DEATHS):
    """Runs the command to the end whoever dies: memory of the command at each death and the end."""
    blocks, held = sum(1 for _ in blocks_of([folder])), []
    command = start(folder, out, model, workers)
    for number, who in enumerate((*deaths, "nobody"), 1):
        wanted = blocks * number // (len(deaths) + 1)
        while command.poll() is None and len(files(out)) < wanted:
            time.sleep(0.02)
        if who == "nobody":
            break
        assert command.poll() is None, "it ended before everybody was killed"
        held.append(megabytes(command.pid))
        if who == "command":
            command.kill()
            command.wait()
            command = start(folder, out, model, workers)
        else:
            # one that was killed before may still be on its way back
            while not (alive := workers_of(command.pid)):
                time.sleep(0.1)
            os.kill(alive[0], signal.SIGKILL)
    while command.poll() is None:
        held[len(deaths) :] = [megabytes(command.pid)]
        time.sleep(0.2)
    assert command.returncode == 0
    return held


def compare(out, sources, model):
    """Counts of what is in `out`, and how far keypoints are from the predictor's, in pixels."""
    from pyarrow import dataset

    rows = dataset.dataset(str(out)).to_table().to_pylist()
    times = Counter(row["path"] for row in rows)
    predictor = keras_cpm.Predictor(*keras_cpm.load(model))
    poses = {one: predictor(one).keypoints for one in {*sources.values()} - {None}}
    good = [row for row in rows if sources[row["path"]]]
    return {
        "photographs": len(sources),
        "rows": len(rows),
        "missing": len(sources.keys() - times.keys()),
        "double": sum(count > 1 for count in times.values()),
        "bad": len(rows) - len(good),
        "bad without a reason": sum(not r["error"] for r in rows if not sources[r["path"]]),
        "good with an error": sum(bool(row["error"]) for row in good),
        "pixels": max(
            float(np.abs(np.subtract(row["keypoints"], poses[sources[row["path"]]])).max())
            for row in good
        ),
    }


def rates(folder, out, model, workers):
    """Seconds to the first block, and photographs a second from there to the last."""
    begun = time.time()
    assert start(folder, out, model, workers).wait() == 0
    from pyarrow import parquet

    first, *others = files(out)
    count = sum(parquet.read_metadata(path).num_rows for path in others)
    seconds = others[-1].stat().st_mtime - first.stat().st_mtime
    return {
        "workers": workers,
        "seconds to the first block": round(first.stat().st_mtime - begun, 1),
        "photographs a second": round(count / seconds, 1),
    }


class Constant:
    """A worker that looks at nothing."""

    def __init__(self, **settings):
        pass

    def __call__(self, blocks):
        import pyarrow as pa

        counts = [{"photographs": len(json.loads(b)["paths"])} for b in blocks["block"].to_pylist()]
        return pa.Table.from_pylist(
            [{**count, "people": 0, "errors": 0, "refusal": ""} for count in counts]
        )


def plan(count):
    """A table of `count` rows: seconds to the first and the last answer, and memory."""
    import pyarrow as pa
    import ray.data  # noqa: F401
    from pyarrow import parquet

    told, held = [], []
    with tempfile.TemporaryDirectory() as folder:
        names = [f"/photographs/of/somebody/{number % 100:03d}.jpg" for number in range(count)]
        parquet.write_table(pa.table({"path": names}), f"{folder}/people.parquet")
        del names
        before = megabytes(os.getpid())

        def tell(done, total, bad):
            told.append(time.monotonic())
            held.append(megabytes(os.getpid()))

        begun = time.monotonic()
        with mock.patch.object(bulk, "Looker", Constant):
            bulk.predict_many(f"{folder}/people.parquet", f"{folder}/out", workers=1, tell=tell)
    return {
        "rows": count,
        "blocks": len(told),
        "seconds to the first": round(told[0] - begun, 1),
        "to the last": round(told[-1] - begun, 1),
        "megabytes before": before,
        "at the first": held[0],
        "at the last": held[-1],
        "at most": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["kills", "rates", "plan"])
    parser.add_argument("--photographs", type=Path, help="a folder of good ones; 40 are taken")
    parser.add_argument("--work", type=Path, help="a new folder")
    parser.add_argument("--model", default="cpm-light")
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--workers", type=int, nargs="+", default=[1])
    given = parser.parse_args()
    if given.what == "plan":
        print(json.dumps(plan(given.count)))
        return
    photographs = sorted(given.photographs.glob("*.jpg"))[:40]
    folder = given.work / "photographs"
    sources = copies(photographs, folder, given.count, given.count // 100)
    if given.what == "rates":
        for workers in given.workers:
            print(json.dumps(rates(folder, given.work / f"poses{workers}", given.model, workers)))
        return
    out = given.work / "poses"
    held = kills(folder, out, given.model, workers=given.workers[0])
    print(json.dumps({"megabytes of the command": held, **compare(out, sources, given.model)}))


if __name__ == "__main__":
    main()
