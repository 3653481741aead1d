"""NumPy computes what TensorFlow computes, and TensorFlow is not asked."""

import subprocess
import sys
import threading

import numpy as np
import pytest
import tensorflow as tf

from keras_cpm.pose import arithmetic, codec, geometry, multiscale, search
from keras_cpm.pose.spec import PoseSpec

SPEC, SIZE = PoseSpec(box_size=64), (60, 80)
BELIEFS = np.random.default_rng(0).uniform(0, 1, (5, 8, 8, 15)).astype(np.float32)
BOX = (10.0, 5.0, 40.0, 55.0)


def matrix():
    return geometry.network_from_box(BOX, SPEC)


def found(threshold=0.7):
    zooms = [
        search.places_in_zoom(BELIEFS[i, ..., i], SIZE, SPEC, zoom=zoom, threshold=threshold)
        for i, zoom in enumerate((0.5, 1.0, 2.0))
    ]
    return search.surest_places(zooms)


def look(centers, heights):
    """Poses that are surest where people are 20 pixels tall."""
    random = np.random.default_rng(1)
    points = random.normal(0, 0.2, (14, 2)).astype(np.float32)
    centers, heights = np.asarray(centers), np.asarray(heights)
    middles = centers[:, None, None] if heights.ndim == 2 else centers[:, None]
    keypoints = middles + heights[..., None, None] * points
    sure = np.exp(-np.square((heights[..., None] - 20) / 30))
    return keypoints, np.float32(sure * random.uniform(0.4, 0.9, 14))


QUESTIONS = {
    "a box": matrix,
    "a photograph": lambda: geometry.network_from_size(SIZE, SPEC),
    "a turned person": lambda: geometry.network_from_image((4, 5), 9, SPEC, rotation=1, flip=True),
    "back": lambda: geometry.apply(geometry.invert(matrix()), [[1.0, 2.0], [3.0, 4.0]]),
    "a whole photograph": lambda: geometry.network_from_whole_image(SIZE, SPEC, zoom=0.5),
    "EXIF": lambda: [geometry.upright_from_stored(turn, SIZE) for turn in range(10)],
    "a box around": lambda: geometry.box_around(BELIEFS[0, :, :4, :2], BELIEFS[0, :, :4, 0] > 0.1),
    **{
        f"peaks, {how}": lambda how=how: codec.decode(BELIEFS, SPEC, refine=how)
        for how in codec.REFINEMENTS
    },
    "a mirror": lambda: codec.mirror(BELIEFS, SPEC),
    "targets": lambda: codec.encode(np.full((1, 14, 2), 9.0), np.full((1, 14), 2), SPEC),
    "a center map": lambda: codec.encode_center([31.5, 20.0], SPEC),
    "zooms": lambda: multiscale.merge_zooms([BELIEFS, BELIEFS[::-1]], (0.85, 1.18), SPEC)[0],
    "zooms on a photograph": lambda: multiscale.decode_on_image(
        [BELIEFS, BELIEFS[::-1]], [matrix(), geometry.network_from_size(SIZE, SPEC)], SIZE, SPEC
    ),
    "places": found,
    "no places": lambda: found(threshold=2.0),
    "everybody": lambda: search.everybody(look, look, found(), SIZE, threshold=0.3, most=9),
    "nobody": lambda: search.everybody(look, look, found(), SIZE, threshold=2.0, most=9),
}


def flat(answer):
    if isinstance(answer, (list, tuple)):
        return [array for one in answer for array in flat(one)]
    return [answer]


@pytest.mark.parametrize("question", QUESTIONS)
def test_both_give_the_same(question):
    expected = flat(QUESTIONS[question]())
    with arithmetic.by_numpy():
        answers = flat(QUESTIONS[question]())
    for answer, one in zip(answers, expected, strict=True):
        assert isinstance(answer, np.ndarray | np.generic)
        assert answer.dtype == one.numpy().dtype
        np.testing.assert_allclose(answer, one, rtol=1e-5, atol=1e-4)


def test_tensorflow_computes_outside_and_in_other_threads():
    kinds = []
    with arithmetic.by_numpy():
        with arithmetic.by_tensorflow():
            kinds.append(type(matrix()))
        thread = threading.Thread(target=lambda: kinds.append(type(matrix())))
        thread.start()
        thread.join()
        assert isinstance(matrix(), np.ndarray)
    kinds.append(type(matrix()))
    assert all(issubclass(kind, tf.Tensor) for kind in kinds) and len(kinds) == 3


def test_errors_about_arguments_are_one_kind():
    with pytest.raises(arithmetic.tf.errors.InvalidArgumentError):
        tf.debugging.assert_equal(1, 2)
    with arithmetic.by_numpy(), pytest.raises(arithmetic.tf.errors.InvalidArgumentError) as found:
        arithmetic.tf.debugging.assert_equal(1, 2, message="no")
    assert found.value.message == "no"
    with arithmetic.by_numpy():
        kind = arithmetic.tf.errors.InvalidArgumentError
        with pytest.raises(kind, match="two"), arithmetic.by_tensorflow():
            tf.debugging.assert_equal(1, 2, message="two")


def test_a_function_is_traced_once_for_a_shape():
    traces = []

    @arithmetic.traced(reduce_retracing=True)
    def twice(x):
        traces.append(x)
        return 2 * x

    with arithmetic.by_numpy():
        assert twice(np.ones(3)).tolist() == [2, 2, 2]
    assert len(traces) == 1
    for _ in range(3):
        assert twice(tf.ones(3)).numpy().tolist() == [2, 2, 2]
    assert len(traces) == 2 and twice.__name__ == "twice"


def test_numpy_needs_no_tensorflow():
    code = """
import sys
from keras_cpm.pose import arithmetic, codec, geometry, multiscale, search
from keras_cpm.images import decode, sampling
with arithmetic.by_numpy():
    geometry.resize_matrix(2.0)
print({"tensorflow", "keras"} & set(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "set()", done.stderr
