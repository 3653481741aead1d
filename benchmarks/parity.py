"""Parity with Caffe: the released networks in OpenCV's Caffe importer and in Keras, same weights.

    python -m benchmarks.parity [--networks mpii,flic] [--json FILE]

Both sides read the same .caffemodel file of random weights; OpenCV builds its network from a deploy
prototxt that is written from the release's tables (caffe_files.py). The table says, for each stage,
the maximum difference of the belief maps relative to their largest value.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import cv2
import numpy as np

from . import caffe_files

LIMIT = 1e-4
# network, (height, width) of the image; 376 x 656 is what the release's person network takes
CASES = [(name, (368, 368)) for name in caffe_files.NETWORKS] + [("person", (376, 656))]


def photograph(size, seed):
    """A random image, as smooth and as sharp as a photograph: uint8 (height, width, 3), RGB."""
    rng = np.random.default_rng(seed)
    height, width = size
    image = np.zeros((height, width, 3), np.float32)
    for cells in (3, 9, 27, 81):  # coarse structures are the strongest, as in photographs
        noise = rng.standard_normal((cells, cells, 3), np.float32)
        image += cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC) / cells**0.5
    for _ in range(8):
        top, left = rng.integers(0, height), rng.integers(0, width)
        image[top : top + height // 4, left : left + width // 4] += rng.standard_normal(3)
    low, high = image.min(), image.max()
    return np.round((image - low) / (high - low) * 255).astype(np.uint8)


def opencv_beliefs(prototxt, caffemodel, names, image, center):
    """Beliefs of every stage by OpenCV: list of (height, width, channels).

    Args:
        prototxt, caffemodel: paths.
        names: of the layers that end a stage.
        image: (H, W, 3), RGB 0..255.
        center: (H, W) center map, or `None` for the network that takes none.
    """
    net = cv2.dnn.readNetFromCaffe(str(prototxt), str(caffemodel))
    # the release feeds BGR / 256 - 0.5 and the center map as a fourth channel
    channels = [image[:, :, i] / np.float32(256) - np.float32(0.5) for i in (2, 1, 0)]
    net.setInput(np.stack(channels + ([] if center is None else [center]))[None])
    return [beliefs[0].transpose(1, 2, 0) for beliefs in net.forward(names)]


def keras_beliefs(name, width, caffemodel, image, center):
    """Beliefs of every stage by our network, from the same file."""
    from keras_cpm.models.caffe.weights import load_caffe_weights
    from keras_cpm.models.released import build_released

    model = build_released(name, width=width, input_size="any")
    load_caffe_weights(model, caffemodel)
    inputs = [image[None].astype(np.float32)]
    if center is not None:
        inputs.append(center[None, :, :, None])
    return [np.asarray(beliefs)[0] for beliefs in model(inputs)]


def compare(name, size, *, width=128, seed=0):
    """Maximum difference of each stage's beliefs, relative to the largest value OpenCV has.

    The center map is noise over the whole image, so that also the windows of its 9/8 average pool
    that reach past the right and the lower border count. There OpenCV divides by the pixels inside
    the image, as Caffe's CPU code does (pooling_layer.cpp), and so does Keras.

    Returns:
        list of floats, one per stage.
    """
    rows = caffe_files.network_rows(name, width)
    image = photograph(size, seed)
    center = None
    if name != "person":
        center = np.random.default_rng(seed + 1).random(size, np.float32)
    with tempfile.TemporaryDirectory() as folder:
        prototxt, weights = Path(folder, "deploy.prototxt"), Path(folder, "random.caffemodel")
        prototxt.write_text(caffe_files.deploy_prototxt(name, width, size), "utf-8")
        layers = caffe_files.trained_layers(rows, caffe_files.random_caffemodel(rows, seed))
        caffe_files.write_caffemodel(weights, layers)
        ends = caffe_files.belief_layers(rows)
        expected = opencv_beliefs(prototxt, weights, ends, image, center)
        found = keras_beliefs(name, width, weights, image, center)
    return [
        float(np.abs(ours - theirs).max() / np.abs(theirs).max())
        for ours, theirs in zip(found, expected, strict=True)
    ]


def main(arguments=None):
    """Prints the table; the exit status is 1 where a difference exceeds the limit."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    known = ",".join(caffe_files.NETWORKS)
    parser.add_argument(
        "--networks", default=known, help=f"names with commas; {known} unless given"
    )
    parser.add_argument("--json", type=Path, help="write the table here, too")
    options = parser.parse_args(arguments)
    chosen = options.networks.split(",")
    if unknown := set(chosen) - set(caffe_files.NETWORKS):
        parser.error(f"--networks must be of {known}. Received: {', '.join(sorted(unknown))}")

    print(f"{'network':<9} {'size':>9}  maximum difference / largest value, stage 1..T")
    table = []
    for name, size in CASES:
        if name in chosen:
            differences = compare(name, size)
            table.append({"network": name, "size": size, "stages": differences})
            figures = "  ".join(f"{difference:.1e}" for difference in differences)
            print(f"{name:<9} {size[0]:>4}x{size[1]:<4}  {figures}", flush=True)
    worst = max(max(row["stages"]) for row in table)
    print(f"largest: {worst:.1e}, limit: {LIMIT:.0e}; OpenCV {cv2.__version__}")
    if options.json:
        record = {"limit": LIMIT, "opencv": cv2.__version__, "table": table}
        options.json.write_text(json.dumps(record, indent=1) + "\n", "utf-8")
    return int(worst > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
