"""Convolution with large kernels by Fourier tiles: the outputs of `Conv2D`, several times faster.

An image is cut into overlapping square tiles (overlap-save). A tile and a kernel become spectra,
one matrix product a frequency replaces the convolution, and the way back keeps the part of the tile
that did not wrap around. A 32 x 32 tile of an 11 x 11 convolution needs 27 times fewer
multiplications.

Tiles are small, so a Fourier transform is a product with a small matrix, and everything here is
`keras.ops`: it runs in a SavedModel, under any backend, and needs no compiler. Complex numbers are
kept as three real arrays, because one complex product is three real ones (Gauss):

    (x + iy)(u + iv):   a = (x + y) u   b = x (v - u)   c = y (u + v)   is   (a - c) + i (a + b)

Sums and signs cost nothing: they are folded into the Fourier matrices.

Letters: t the side of a tile, b = t // 2 + 1 frequencies of a real transform, s = t - k + 1 outputs
a tile and axis; n batch, i, j number of tiles down and across; ci, co channels. A spectrum is
(3 t b, rows, channels), the frequencies of the other axis innermost.
"""

from __future__ import annotations

import functools

import numpy as np
from keras import ops


@functools.cache
def _frequencies(tile):
    """Cosine and sine (t, t) of the transform along columns, (b, t) of the one along rows."""
    n = np.arange(tile)
    down = 2 * np.pi * np.outer(n, n) / tile
    across = down[: tile // 2 + 1]
    return np.cos(down), np.sin(down), np.cos(across), np.sin(across)


def _float32(matrix):
    return np.ascontiguousarray(matrix, np.float32)


@functools.cache
def _across(tile, taps):
    """(2 b, taps): real and imaginary part of a transform of `taps` values and zeros along rows."""
    _, _, cos, sin = _frequencies(tile)
    return _float32(np.concatenate([cos, -sin])[:, :taps])


# the three numbers that stand for x + iy (see above): on the side of the image, the same of its
# conjugate, and on the side of the kernel
_STACKS = {
    "image": [(1, 1), (1, 0), (0, 1)],
    "conjugate": [(1, -1), (1, 0), (0, -1)],
    "kernel": [(1, 0), (-1, 1), (1, 1)],
}


@functools.cache
def _down(tile, taps, stack):
    """(3 t, 2 taps): transform along columns of a complex input, as three numbers a frequency."""
    cos, sin, _, _ = _frequencies(tile)
    cos, sin = cos[:, :taps], sin[:, :taps]
    real = np.concatenate([cos, sin], 1)
    imaginary = np.concatenate([-sin, cos], 1)
    return _float32(np.concatenate([x * real + y * imaginary for x, y in _STACKS[stack]]))


@functools.cache
def _back_down(tile, first, count, conjugate):
    """(2 count, 3 t): from a, b, c to real and imaginary parts of `count` rows from `first` on."""
    cos, sin, _, _ = _frequencies(tile)
    cos, sin = cos[first : first + count] / tile, sin[first : first + count] / tile
    sign = -1 if conjugate else 1
    # real = a - c, imaginary = sign (a + b), both turned back
    real = np.concatenate([cos - sign * sin, -sign * sin, -cos], 1)
    imaginary = np.concatenate([sin + sign * cos, sign * cos, -sin], 1)
    return _float32(np.stack([real, imaginary], 1).reshape(2 * count, 3 * tile))


@functools.cache
def _back_across(tile, first, count):
    """(count, 2 b): from the half spectrum of a real row to `count` of its values."""
    _, _, cos, sin = _frequencies(tile)
    twice = np.full((tile // 2 + 1, 1), 2.0)
    twice[0] = 1
    if tile % 2 == 0:
        twice[-1] = 1
    cos, sin = (twice * cos)[:, first : first + count], (twice * sin)[:, first : first + count]
    return _float32(np.concatenate([cos, -sin]).T / tile)


def kernel_spectrum(kernel, tile):
    """(k, k, ci, co) -> (3 t b, ci, co)."""
    height, width, ci, co = kernel.shape
    bins = tile // 2 + 1
    rows = ops.reshape(ops.transpose(kernel, (1, 0, 2, 3)), (width, height * ci * co))
    rows = ops.reshape(ops.matmul(_across(tile, width), rows), (2, bins, height, ci * co))
    columns = ops.reshape(ops.transpose(rows, (0, 2, 1, 3)), (2 * height, bins * ci * co))
    return ops.reshape(ops.matmul(_down(tile, height, "kernel"), columns), (-1, ci, co))


def _analyse(image, tile, taps, step, counts, stack):
    """Spectra of the tiles of an image.

    Args:
        image: (n, (i - 1) step + taps, (j - 1) step + taps, c), padded.
        taps: side of a tile in the image; zeros follow up to `tile`.
        counts: (n, i, j), the number of images, tiles down and across.

    Returns:
        (3 t b, n i j, c).
    """
    n, down, across = counts
    tall, wide = (down - 1) * step + taps, (across - 1) * step + taps
    channels, bins = image.shape[-1], tile // 2 + 1
    # (taps, n tall, across): the columns of every tile, innermost the channels
    starts = ops.arange(across, dtype="int32") * step
    pixels = (
        _axis(ops.arange(n * tall, dtype="int32") * wide, 3, 1)
        + _axis(np.arange(taps, dtype=np.int32), 3, 0)
        + _axis(starts, 3, 2)
    )
    columns = ops.take(ops.reshape(image, (-1, channels)), ops.reshape(pixels, (-1,)), axis=0)
    columns = ops.matmul(_across(tile, taps), ops.reshape(columns, (taps, -1)))
    # ((2, taps), b, n, down): the rows of every tile, innermost tiles across and channels
    part = np.arange(2 * taps, dtype=np.int32)
    lines = (_axis((part // taps) * bins, 4, 0) + _axis(np.arange(bins, dtype=np.int32), 4, 1)) * (
        n * tall
    ) + (
        _axis(part % taps, 4, 0)
        + _axis(ops.arange(n, dtype="int32") * tall, 4, 2)
        + _axis(ops.arange(down, dtype="int32") * step, 4, 3)
    )
    rows = ops.reshape(columns, (-1, across * channels))
    rows = ops.take(rows, ops.reshape(lines, (-1,)), axis=0)
    spectra = ops.matmul(_down(tile, taps, stack), ops.reshape(rows, (2 * taps, -1)))
    return ops.reshape(spectra, (3 * tile * bins, -1, channels))


def _axis(values, rank, axis):
    return ops.reshape(values, [-1 if i == axis else 1 for i in range(rank)])


def _synthesise(products, tile, first, step, counts, size, conjugate):
    """(3 t b, n i j, c) a, b, c of every frequency -> (n, *size, c) image."""
    n, down, across = counts
    channels, bins = products.shape[-1], tile // 2 + 1
    back = _back_down(tile, first, step, conjugate)
    rows = ops.matmul(back, ops.reshape(products, (3 * tile, -1)))
    rows = ops.reshape(rows, (step, 2 * bins, -1))
    image = ops.matmul(_back_across(tile, first, step), rows)
    image = ops.reshape(image, (step, step, n, down, across, channels))
    image = ops.transpose(image, (2, 3, 0, 4, 1, 5))
    image = ops.reshape(image, (n, down * step, across * step, channels))
    return image[:, : size[0], : size[1]]


def tile_convolution(image, kernel, tile, spectrum=None):
    """Convolution of stride 1 with "same" padding, as `keras.ops.conv` computes it.

    Args:
        image: (n, h, w, ci) float32, of any size.
        kernel: (k, k, ci, co) float32.
        tile: side of a tile, larger than k.
        spectrum: `kernel_spectrum(kernel, tile)` where it is known already; of `kernel` only the
            shape counts then.

    Returns:
        (n, h, w, co). Differentiable in image and kernel: the gradients are tile convolutions too.

    Example:
        >>> import numpy as np
        >>> from keras_cpm.models.fourier.convolution import tile_convolution
        >>> one = np.zeros((3, 3, 1, 1), "float32")
        >>> one[1, 1] = 1
        >>> image = np.arange(20, dtype="float32").reshape(1, 4, 5, 1)
        >>> bool(np.allclose(tile_convolution(image, one, 6), image, atol=1e-5))
        True
    """
    tiling = _Tiling(ops.shape(image), kernel.shape, tile)
    if spectrum is not None:
        return tiling.synthesise(ops.matmul(tiling.analyse(image), spectrum))

    @ops.custom_gradient
    def convolve(image, kernel):
        kernel_bins = kernel_spectrum(kernel, tile)
        image_bins = tiling.analyse(image)
        output = tiling.synthesise(ops.matmul(image_bins, kernel_bins))

        def gradient(*arguments, upstream=None):
            upstream = arguments[0] if upstream is None else upstream
            return (
                tiling.gradient_of_image(upstream, kernel_bins),
                tiling.gradient_of_kernel(upstream, image_bins),
            )

        return output, gradient

    return convolve(image, kernel)


class _Tiling:
    """How an image of one size is cut for a kernel of one size."""

    def __init__(self, image_shape, kernel_shape, tile):
        self.kernel_shape, self.tile, self.taps = kernel_shape, tile, kernel_shape[0]
        self.step = tile - self.taps + 1
        self.size = image_shape[1:3]
        self.counts = (image_shape[0], *(-(-side // self.step) for side in self.size))
        # TensorFlow's "same": of an even kernel's odd padding the larger half comes last
        self.before = (self.taps - 1) // 2

    def analyse(self, image):
        padded = self._pad(image, self.before, self.tile)
        return _analyse(padded, self.tile, self.tile, self.step, self.counts, "conjugate")

    def synthesise(self, products):
        shape = (self.tile, 0, self.step, self.counts, self.size)
        return _synthesise(products, *shape, conjugate=True)

    def gradient_of_image(self, upstream, kernel_bins):
        """Convolution with the kernel turned around, its channels exchanged."""
        padded = self._pad(upstream, self.taps - 1 - self.before, self.tile)
        bins = _analyse(padded, self.tile, self.tile, self.step, self.counts, "image")
        products = ops.matmul(bins, ops.transpose(kernel_bins, (0, 2, 1)))
        shape = (self.tile, self.taps - 1, self.step, self.counts, self.size)
        return _synthesise(products, *shape, conjugate=False)

    def gradient_of_kernel(self, upstream, image_bins):
        """Correlation of the tiles of the image with those of the gradient, all tiles added up."""
        padded = self._pad(upstream, 0, self.step)
        bins = _analyse(padded, self.tile, self.step, self.step, self.counts, "kernel")
        products = ops.matmul(ops.transpose(image_bins, (0, 2, 1)), bins)
        back = _back_down(self.tile, 0, self.taps, True)
        rows = ops.matmul(back, ops.reshape(products, (3 * self.tile, -1)))
        rows = ops.reshape(rows, (self.taps, 2 * (self.tile // 2 + 1), -1))
        kernel = ops.matmul(_back_across(self.tile, 0, self.taps), rows)
        return ops.reshape(kernel, self.kernel_shape)

    def _pad(self, image, before, taps):
        """Zeros around, so that whole tiles of `taps` pixels cover what the image shows."""
        edges = [
            [before, (count - 1) * self.step + taps - side - before]
            for count, side in zip(self.counts[1:], self.size, strict=True)
        ]
        return ops.pad(image, [[0, 0], *edges, [0, 0]])
