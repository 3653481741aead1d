"""Two hundred requests that no honest client sends: each gets an error or a marked row."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from keras_cpm.export.signatures import UNREADABLE, UNSOUND_BOX

STATUS = Path("/proc/self/status")
GOOD_BOX = [1.0, 1.0, 40.0, 50.0]


def encoded():
    picture = np.random.default_rng(0).integers(0, 255, (40, 60, 3), np.uint8)
    return {
        "jpeg": tf.io.encode_jpeg(picture).numpy(),
        "png": tf.io.encode_png(picture).numpy(),
    }


def hostile_bytes():
    """Names -> bytes that are no whole image."""
    found = {"empty": b"", "zeros": bytes(1000), "text": b"<html>", "gzip": b"\x1f\x8b\x08\0" * 9}
    found |= {f"noise {i}": np.random.default_rng(i).bytes(10 * 4**i) for i in range(8)}
    for kind, data in encoded().items():
        found |= {f"{kind} cut at {p} %": data[: len(data) * p // 100] for p in range(1, 97, 3)}
        found |= {f"{kind} start": data[:4], f"{kind} of zeros": data[:30] + bytes(500)}
    png, size = encoded()["png"], (2**31 - 1).to_bytes(4, "big")
    for name, sides in (
        ("giant", (60_000).to_bytes(4, "big") * 2),
        ("largest", size * 2),
        ("no width", bytes(4) + size),
        ("no sides", bytes(8)),
        ("2^32", b"\xff" * 8),
    ):
        found[f"png {name}"] = png[:16] + sides + png[24:]
    for name, sides in (("giant", b"\xff\xff\xff\xff"), ("no sides", bytes(4))):
        jpeg = encoded()["jpeg"]
        at = jpeg.index(b"\xff\xc0") + 5
        found[f"jpeg {name}"] = jpeg[:at] + sides + jpeg[at + 4 :]
        found[f"gif {name}"] = b"GIF89a" + sides + b"\x80\0\0" + bytes(60)
    found["bmp giant"] = b"BM" + bytes(16) + b"\xff\xff\xff\x7f" * 2 + bytes(100)
    return found


def hostile_boxes():
    values = [np.nan, np.inf, -np.inf, 3.4e38, -3.4e38]
    for position, value in itertools.product(range(4), values):
        box = list(GOOD_BOX)
        box[position] = value
        # far away on the right side of it is a box, which shows nothing but grey
        if not (np.isfinite(value) and (position >= 2) == (value > 0)):
            yield box
    yield from ([5, 5, 5, 5], [5, 5, 5, 9], [5, 5, 9, 5], [9, 9, 5, 5], [0, 0, 0, 0], [np.nan] * 4)
    yield from ([0, 0, 1e-45, 1e-45], [-3.4e38, -3.4e38, 3.4e38, 3.4e38])


BYTES, BOXES = hostile_bytes(), list(hostile_boxes())


def answers(serve, **inputs):
    return {name: value.numpy() for name, value in serve(**inputs).items()}


def is_marked(answer, row=0):
    nowhere = np.isnan(answer["keypoints"][row]).all() and not answer["scores"][row].any()
    return nowhere and answer["error"][row] in (
        UNREADABLE.encode(),
        UNSOUND_BOX.encode(),
    )


@pytest.mark.parametrize("name", BYTES)
def test_bytes(signatures, name):
    data = tf.constant([BYTES[name]])
    assert is_marked(answers(signatures["serving_default"], image=data))
    assert is_marked(answers(signatures["boxes"], image=data, box=tf.constant([GOOD_BOX])))


@pytest.mark.parametrize("box", BOXES, ids=str)
def test_boxes(signatures, box):
    data = tf.constant([encoded()["png"]])
    answer = answers(signatures["boxes"], image=data, box=tf.constant([box], tf.float32))
    assert is_marked(answer)


@pytest.mark.parametrize(
    "box", [[1, 1, 40, 1e30], [-1e20, 1, 40, 50], [1e6, 1e6, 1e7, 1e7]], ids=str
)
def test_boxes_far_away_show_grey(signatures, box):
    """They are boxes; what is in them is the padding, or the photograph as a speck."""
    data = tf.constant([encoded()["png"]])
    answer = answers(signatures["boxes"], image=data, box=tf.constant([box], tf.float32))
    assert answer["error"][0] == b"" or is_marked(answer)


WRONG = {
    "a scalar": ("serving_default", {"image": tf.constant(b"")}),
    "a matrix": ("serving_default", {"image": tf.constant([[b""]])}),
    "numbers for bytes": ("serving_default", {"image": tf.zeros([1])}),
    "no rows": ("serving_default", {"image": tf.constant([], tf.string)}),
    "too many rows": ("serving_default", {"image": tf.fill([5000], b"")}),
    "no image": ("serving_default", {}),
    "another name": ("serving_default", {"picture": tf.constant([b""])}),
    "no box": ("boxes", {"image": tf.constant([b""])}),
    "more boxes": ("boxes", {"image": tf.constant([b""]), "box": tf.ones([2, 4])}),
    "fewer boxes": ("boxes", {"image": tf.constant([b"", b""]), "box": tf.ones([1, 4])}),
    "boxes of five": ("boxes", {"image": tf.constant([b""]), "box": tf.ones([1, 5])}),
    "boxes of words": ("boxes", {"image": tf.constant([b""]), "box": tf.fill([1, 4], "a")}),
    "crops of another size": ("crops", {"image": tf.zeros([1, 32, 32, 3])}),
    "grey crops": ("crops", {"image": tf.zeros([1, 64, 64, 1])}),
    "no crops": ("crops", {"image": tf.zeros([0, 64, 64, 3])}),
    "many crops": ("beliefs", {"image": tf.zeros([65, 64, 64, 3])}),
    "crops of words": ("crops", {"image": tf.fill([1, 64, 64, 3], "a")}),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_inputs_are_errors(signatures, name):
    signature, inputs = WRONG[name]
    with pytest.raises((tf.errors.InvalidArgumentError, TypeError, ValueError)):
        signatures[signature](**inputs)


def test_all_at_once(signatures):
    """Good rows among the bad ones are as good as alone."""
    good = encoded()["jpeg"]
    alone = answers(signatures["serving_default"], image=tf.constant([good]))
    rows = list(BYTES.values())
    for start in range(0, len(rows), 31):
        chunk = rows[start : start + 31]
        mixed = tf.constant([one for bad in chunk for one in (bad, good)])
        answer = answers(signatures["serving_default"], image=mixed)
        for i in range(len(chunk)):
            assert is_marked(answer, 2 * i) and answer["error"][2 * i + 1] == b""
            np.testing.assert_allclose(
                answer["keypoints"][2 * i + 1], alone["keypoints"][0], atol=1e-3
            )


@pytest.mark.slow
@pytest.mark.skipif(not STATUS.is_file(), reason="the kernel tells no memory here")
def test_memory_does_not_grow(signatures):
    """2,000 requests, of which nine of ten are hostile."""
    rows = [*BYTES.values(), *[encoded()["jpeg"]] * (len(BYTES) // 9)]
    resident = []
    for number in range(2600):
        data = tf.constant([rows[number * 7 % len(rows)]])
        answers(signatures["serving_default"], image=data)
        if number in (599, 2599):
            (line,) = [one for one in STATUS.read_text().splitlines() if one.startswith("VmRSS")]
            resident.append(int(line.split()[1]) / 1024)
    assert resident[1] - resident[0] < 16


def test_there_are_two_hundred():
    assert 2 * len(BYTES) + len(BOXES) + 3 + len(WRONG) >= 200
