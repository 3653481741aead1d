"""A drawn person walks past for ten seconds, and is followed: python -m benchmarks.walk BUNDLE

How many frames were followed, jitter with smoothing as a share of that without, and the lag of
smoothing in frames. Drawn people need a bundle that knows them, such as that of `keras-cpm demo`.
"""

import argparse
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

import keras_cpm
from keras_cpm.data.synthetic.walking import walking_frames
from keras_cpm.inference.smoothing import OneEuro
from keras_cpm.inference.tracking import Follower

SECONDS, RATE = 10, 25


def jitter(points, truth):
    """Mean second difference of what is not the person's own motion, pixels a frame squared."""
    return np.abs(np.diff(points - truth, 2, axis=0)).mean()


def lag(smooth, raw):
    """Frames by which `raw` must be late to be nearest to `smooth`."""
    late = np.arange(0, 4.01, 0.25)
    frames = np.arange(8, len(raw))

    def shifted(by):
        before, share = np.floor(frames - by).astype(int), ((frames - by) % 1)[:, None, None]
        return raw[before] * (1 - share) + raw[np.minimum(before + 1, len(raw) - 1)] * share

    return late[np.argmin([np.abs(smooth[frames] - shifted(by)).mean() for by in late])]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle")
    options = parser.parse_args()
    model, spec = keras_cpm.load(options.bundle)
    raw, smooth, truth, followed, places = [], [], [], [], []
    # a detector that is right: it is asked in the first frame and when the person is lost
    follow = Follower(
        keras_cpm.Predictor(model, spec), find=lambda _: places[-1:], smooth=OneEuro()
    )
    for seconds, frame, person in walking_frames(SECONDS, RATE):
        places.append({"center": person.center, "person_height": person.height})
        sighting = follow(frame, seconds)
        raw.append(sighting.raw)
        smooth.append(sighting.pose.keypoints)
        truth.append(person.keypoints)
        followed.append(sighting.followed)
    raw, smooth, truth = map(np.asarray, (raw, smooth, truth))
    print(f"followed {sum(followed)} of {len(followed) - 1} frames after the first")
    print(f"median error {np.median(np.linalg.norm(raw - truth, axis=2)):.1f} px")
    print(f"jitter {jitter(smooth, truth) / jitter(raw, truth):.2f} of that without smoothing")
    print(f"lag {lag(smooth, raw):.2f} frames")


if __name__ == "__main__":
    main()
