"""Fourier tiles: the outputs and gradients of the direct convolution."""

import numpy as np
import pytest
from keras import ops

from keras_cpm.models.fourier.convolution import kernel_spectrum, tile_convolution
from keras_cpm.models.fourier.costs import spectrum_bytes

CASES = [  # batch, height, width, kernel, channels in and out, tile
    *((2, 23, 17, kernel, 3, 4, kernel + 7) for kernel in range(3, 12)),
    (1, 46, 46, 11, 8, 4, 22),
    (3, 20, 31, 9, 2, 5, 31),
    (1, 5, 3, 9, 2, 3, 16),  # an image smaller than the kernel
    (1, 24, 24, 9, 4, 4, 10),  # two outputs a tile
    (2, 40, 12, 7, 1, 1, 54),
]


def draw(case, seed=0):
    n, height, width, kernel, ci, co, tile = case
    random = np.random.default_rng(seed)
    shapes = (n, height, width, ci), (kernel, kernel, ci, co), (n, height, width, co)
    return [random.normal(size=shape).astype("float32") for shape in shapes], tile


def with_gradients(function, image, kernel, upstream):
    import tensorflow as tf

    image, kernel = tf.constant(image), tf.constant(kernel)
    with tf.GradientTape() as tape:
        tape.watch([image, kernel])
        output = function(image, kernel)
        loss = tf.reduce_sum(output * upstream)
    return [output.numpy(), *(g.numpy() for g in tape.gradient(loss, [image, kernel]))]


def direct(image, kernel):
    return ops.conv(image, kernel, padding="same")


@pytest.mark.parametrize("case", CASES, ids=str)
def test_outputs_and_gradients_are_the_direct_ones(case):
    arrays, tile = draw(case)
    found = with_gradients(lambda x, k: tile_convolution(x, k, tile), *arrays)
    expected = with_gradients(direct, *arrays)
    for a, b in zip(found, expected, strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=0, atol=3e-6 * np.abs(b).max())


def test_shapes_that_are_known_only_later():
    import tensorflow as tf

    (image, kernel, _), tile = draw(CASES[0])
    function = tf.function(
        lambda x: tile_convolution(x, kernel, tile),
        input_signature=[tf.TensorSpec([None, None, None, 3])],
    )
    for cut in (image, image[:1, :9], image[:0], image[:, :, :16]):
        expected = direct(cut, kernel) if len(cut) else np.zeros((0, 23, 17, 4))
        np.testing.assert_allclose(function(cut), expected, atol=2e-5)


def test_a_spectrum_known_beforehand():
    (image, kernel, _), tile = draw(CASES[5])
    spectrum = kernel_spectrum(ops.convert_to_tensor(kernel), tile)
    assert spectrum_bytes(tile, (3, 4)) == 4 * np.size(spectrum)
    known = tile_convolution(image, np.zeros_like(kernel), tile, spectrum)
    np.testing.assert_allclose(known, direct(image, kernel), atol=2e-5)


def test_the_spectrum_is_that_of_numpy():
    (_, kernel, _), tile = draw(CASES[4])
    bins = np.fft.rfft2(kernel, s=(tile, tile), axes=(0, 1)).reshape(-1, 3, 4)
    real, difference, total = np.split(np.asarray(kernel_spectrum(kernel, tile)), 3)
    np.testing.assert_allclose(real, bins.real, atol=1e-4)
    np.testing.assert_allclose(difference, bins.imag - bins.real, atol=1e-4)
    np.testing.assert_allclose(total, bins.imag + bins.real, atol=1e-4)
