"""The SavedModel decodes as the predictor does: every format of its own, and its bounds by row."""

import cv2
import numpy as np
import pytest
import tensorflow as tf

from keras_cpm.export.signatures import UNREADABLE
from keras_cpm.images import decode, limits

from ..images import test_formats, test_gif, test_jpeg


def png(pixels):
    return cv2.imencode(".png", pixels[..., ::-1])[1].tobytes()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP"])
def test_files_are_answered_as_their_upright_pixels(signatures, kind):
    cases = [case for case in test_formats.CASES if case[0] == kind]
    files = [test_formats.written(*case, seed) for seed, case in enumerate(cases)]
    files = [found[0] for found in files if found][:64]
    pixels = [png(decode.upright_array(data)) for data in files]
    found, expected = (signatures["serving_default"](image=tf.constant(x)) for x in (files, pixels))
    assert not any(found["error"].numpy())
    # turning joins the one resample: its sums are added in another order
    np.testing.assert_allclose(found["keypoints"], expected["keypoints"], atol=0.02)
    np.testing.assert_allclose(found["scores"], expected["scores"], atol=1e-4)


def test_other_formats_and_what_is_beyond_a_bound_cost_their_own_row(signatures):
    good = png(np.asarray(test_formats.picture(0)))
    bad = [test_formats.written(kind, "RGB", {}, 1, 0)[0] for kind in ("WEBP", "TIFF")]
    bad += [
        test_gif.gif(10, 10, test_gif.bomb(20_000, 20_000)),
        test_jpeg.progressive(16, limits.MAX_SCANS),
        test_jpeg.declared(test_jpeg.progressive(16, 100), 8000),
    ]
    many = test_gif.gif(4, 4, test_gif.frame(4, 4), *[test_gif.bomb(4000, 4000)] * 2500)
    answer = signatures["serving_default"](image=tf.constant([good, *bad, many, good]))
    assert answer["error"].numpy().tolist() == [b"", *[UNREADABLE.encode()] * len(bad), b"", b""]
    assert np.isnan(answer["keypoints"][1:-2]).all() and np.isfinite(answer["keypoints"][-2:]).all()
    np.testing.assert_array_equal(answer["keypoints"][0], answer["keypoints"][-1])
