"""What a file takes is one box of its shape and type."""

import numpy as np
import pytest

from keras_cpm.export.box_input import as_box


@pytest.mark.parametrize("dtype", ["float32", np.uint8])
def test_the_type_is_the_files(dtype):
    box = as_box([[[[0, 128, 255]]]], [1, 1, 1, 3], dtype)
    assert box.dtype == dtype and box.tolist() == [[[[0, 128, 255]]]]


@pytest.mark.parametrize("shape", [(2, 4, 4, 3), (4, 4, 3), (1, 2, 2, 3), (1, 4, 4, 1)])
def test_another_shape(shape):
    with pytest.raises(ValueError, match=r"of shape \(1, 4, 4, 3\). Received: \("):
        as_box(np.zeros(shape), [1, 4, 4, 3], "float32")
