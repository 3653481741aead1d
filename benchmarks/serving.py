"""Photographs a second of a served model, beside its network alone: python -m benchmarks.serving

    python -m benchmarks.serving [BUNDLE] [--before DIR] [--photograph photo.jpg] [--threads N]

The bundle is exported, loaded, and asked by 1, 4 and 16 clients, each of which sends one photograph
and waits for the answer. TensorFlow Serving's program is not needed: threads stand in for it as it
is set up in examples/serving/batching.config, N of which, 3 unless given, take what waits, at most
as many rows as there, and call the signature `serving_default`. The limit is the signature
`beliefs`, the network alone, called by two threads on batches of that size. By part: CPU
milliseconds a photograph. All take turns; medians. `--before` names a checkout of another commit,
whose export takes turns, too.
"""

import argparse
import os
import queue
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

CLIENTS, BATCH = (1, 4, 16), 4
# of the server, and of what is measured alone: one a core
THREADS, CORES = 3, 2


class Server:
    """Batches of requests, called by threads."""

    def __init__(self, run, threads, batch=BATCH):
        self.run, self.batch, self.waiting = run, batch, queue.SimpleQueue()
        for _ in range(threads):
            threading.Thread(target=self._serve, daemon=True).start()

    def __call__(self, row):
        done = queue.SimpleQueue()
        self.waiting.put((row, done))
        return done.get()

    def _serve(self):
        while True:
            requests = [self.waiting.get()]
            try:
                while len(requests) < self.batch:
                    requests.append(self.waiting.get_nowait())
            except queue.Empty:
                pass
            answers = self.run([row for row, _ in requests])
            for (_, done), answer in zip(requests, answers, strict=True):
                done.put(answer)


def rate(work, clients, count):
    """How often a second `work` is done, by so many threads at once, and CPU seconds for each."""
    left = iter(range(count))
    lock = threading.Lock()

    def ask():
        while True:
            with lock:
                if next(left, None) is None:
                    return
            work()

    threads = [threading.Thread(target=ask) for _ in range(clients)]
    begun = time.perf_counter(), time.process_time()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds, cpu = time.perf_counter() - begun[0], time.process_time() - begun[1]
    return count / seconds, cpu / count


def photograph():
    """The bytes of 1280x720 pixels with a drawn person."""
    import tensorflow as tf

    from keras_cpm.data.synthetic.walking import walking_frames

    _, frame, _ = next(walking_frames(1, 1, (720, 1280), seed=7))
    return tf.io.encode_jpeg(frame, quality=90).numpy()


def jobs_of(folder, encoded, threads):
    """Name -> (function of nothing, clients, photographs a call) of a loaded export."""
    import numpy as np
    import tensorflow as tf

    signatures = tf.saved_model.load(str(Path(folder) / "1")).signatures
    whole, beliefs = signatures["serving_default"], signatures["beliefs"]
    side = beliefs.structured_input_signature[1]["image"].shape[1]
    boxes = tf.constant(np.random.default_rng(0).uniform(0, 255, (BATCH, side, side, 3)), "float32")

    def answer(rows):
        return list(whole(image=tf.constant(rows))["keypoints"].numpy())

    server = Server(answer, threads)
    jobs = {f"{n} clients": (lambda: server(encoded), n, 1) for n in CLIENTS}
    jobs["network"] = (lambda: [x.numpy() for x in beliefs(image=boxes).values()], CORES, BATCH)
    return jobs, answer([encoded])[0]


def parts_of(folder, encoded):
    """The same of opening a photograph: decoding it, and decoding and cropping it."""
    import tensorflow as tf

    import keras_cpm
    from keras_cpm.images import decode, sampling
    from keras_cpm.pose import geometry

    spec, data = keras_cpm.PoseSpec.load(Path(folder) / "spec.json"), tf.constant(encoded)

    @tf.function
    def cropped():
        pixels, upright_from_stored = decode.read_image(data)
        size = geometry.upright_size(tf.shape(pixels)[:2], upright_from_stored)
        matrix = geometry.network_from_size(size, spec)
        return sampling.crop(pixels, upright_from_stored, matrix, spec)

    jobs = {"decoding": lambda: decode.read_image(data), "and cropping": cropped}
    return {name: (job, CORES, 1) for name, job in jobs.items()}


def export(bundle, folder, checkout):
    """In a process of its own, because it is that checkout's package that writes it."""
    words = ["export", bundle, "--to", "savedmodel", "--out", folder]
    path = {"PYTHONPATH": str(Path(checkout).resolve())}
    command = [sys.executable, "-m", "keras_cpm", *words]
    subprocess.run(command, env=os.environ | path, cwd=checkout, check=True, capture_output=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", nargs="?", default="cpm-light")
    parser.add_argument("--before", help="a checkout of another commit")
    parser.add_argument("--photograph", help="1280x720 with a drawn person unless given")
    parser.add_argument(
        "--threads", type=int, default=THREADS, help="of the server, 3 unless given"
    )
    parser.add_argument("--count", type=int, default=96, help="photographs a round")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    if options.threads < 1:
        parser.error(f"--threads must be at least 1. Received: {options.threads}")
    here = Path(__file__).resolve().parents[1]
    checkouts = {"before": options.before, "now": here} if options.before else {"now": here}
    encoded = Path(options.photograph).read_bytes() if options.photograph else photograph()
    jobs, points = {}, []
    with tempfile.TemporaryDirectory() as work:
        for name, checkout in checkouts.items():
            export(options.bundle, f"{work}/{name}", checkout)
            found, keypoints = jobs_of(f"{work}/{name}", encoded, options.threads)
            jobs |= {(name, job): what for job, what in found.items()}
            points.append(keypoints)
        jobs |= {("now", job): what for job, what in parts_of(f"{work}/now", encoded).items()}
    taken = {job: [] for job in jobs}
    for number in range(options.rounds + 1):
        for job, (call, clients, rows) in jobs.items():
            speed, cpu = rate(call, clients, max(options.count // rows, 2))
            # the first round warms up
            if number:
                taken[job].append((speed * rows, 1000 * cpu / rows))
    rates, cpu = (
        {job: statistics.median(one[i] for one in found) for job, found in taken.items()}
        for i in (0, 1)
    )
    print("                     a second  of the network  CPU ms")
    for name, job in jobs:
        share = rates[name, job] / rates[name, "network"]
        label = f"{name}, {job}"
        print(f"{label:20} {rates[name, job]:8.1f}  {share:14.2f}  {cpu[name, job]:6.1f}")
    print(f"keypoints within {abs(points[0] - points[-1]).max():.1g} px")


if __name__ == "__main__":
    main()
