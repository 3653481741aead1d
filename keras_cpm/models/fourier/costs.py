"""When Fourier tiles are faster than the direct convolution, and with tiles of which side.

A cost model: seconds from the operations and bytes of each step. Its rates were fitted to the times
of `python -m benchmarks.tiles` on two cores of a server, of which it meets most within 15 %.
Choices hardly depend on them: large kernels win by several times.
"""

from __future__ import annotations

import functools

from .. import processor

# per second on two cores: operations in the transforms, bytes through memory
_TRANSFORMS, _BYTES = 250e9, 19e9
# the matrix products of the frequencies wait for memory, not for arithmetic
_PRODUCTS = 1100e9
_CALL = 0.4e-3
# operations of direct convolutions, at their best; bfloat16 with and without matrix units
_DIRECT = {"float32": 300e9, "bfloat16": 800e9, "float16": 300e9}
_DIRECT_WITH_MATRIX_UNITS = 3000e9

_LARGEST = 56
# what a layer without a fixed size is planned for
_TYPICAL_SIZE = (64, 64)
_TRAINING_BATCH = 2


@functools.cache
def best_tile(size, kernel, channels, *, dtype="float32", forced=False, held=False, training=False):
    """Side of the tile that takes the least time.

    Args:
        size: (height, width) of the images, `None` where it is not fixed.
        kernel: k, of k x k taps.
        channels: (in, out).
        dtype: in which the direct convolution would compute.
        forced: tiles, even if the direct convolution is faster.
        held: the spectrum of the kernel is there already; otherwise it is computed in each call.
        training: of outputs and gradients together, for a batch of a few images.

    Returns:
        int, or `None` if the direct convolution is faster.

    Example:
        >>> from keras_cpm.models.fourier.costs import best_tile
        >>> best_tile((46, 46), 11, (128, 128), held=True), best_tile((46, 46), 3, (128, 128))
        (18, None)
    """
    size = tuple(n or typical for n, typical in zip(size, _TYPICAL_SIZE, strict=True))
    # a tile must yield something: two outputs an axis at least
    sides = range(kernel + 1, max(kernel + 1, _LARGEST) + 1)
    if training:
        costs = {tile: training_seconds(size, kernel, channels, tile) for tile in sides}
    else:
        costs = {tile: seconds(size, kernel, channels, tile, held=held) for tile in sides}
    # of tiles about as fast the one whose spectrum takes the least memory; in training the tiles of
    # the images take most, and of them large ones take the least
    slack = 1.0 if training else 1.1
    best = min(tile for tile in costs if costs[tile] <= slack * min(costs.values()))
    direct = 2 * size[0] * size[1] * kernel**2 * channels[0] * channels[1]
    if training:
        direct *= 3 * _TRAINING_BATCH
    if not forced and costs[best] >= direct / _direct_rate(dtype):
        return None
    return best


def _direct_rate(dtype):
    if dtype == "bfloat16" and "amx_bf16" in processor.units():
        return _DIRECT_WITH_MATRIX_UNITS
    return _DIRECT.get(dtype, _DIRECT["float32"])


def spectrum_bytes(tile, channels):
    """Memory of a kernel's spectrum.

    Example:
        >>> from keras_cpm.models.fourier.costs import spectrum_bytes
        >>> spectrum_bytes(32, (128, 128)) / 1e6
        106.954752
    """
    return 4 * 3 * tile * (tile // 2 + 1) * channels[0] * channels[1]


def training_seconds(size, kernel, channels, tile):
    """Of the outputs and both gradients of a small batch; see `best_tile`."""
    options = {"size": size, "kernel": kernel, "tile": tile, "images": _TRAINING_BATCH}
    back = channels[::-1]
    outputs = seconds(channels=channels, held=False, **options)
    # the spectrum of a kernel's gradient goes the way back, which costs what making one does
    gradients = [seconds(channels=back, held=held, **options) for held in (True, False)]
    return outputs + sum(gradients)


def seconds(size, kernel, channels, tile, *, held, images=1):
    """Of the convolution of `images` images; see `best_tile`."""
    ci, co = channels
    step, bins = tile - kernel + 1, tile // 2 + 1
    down, across = (-(-side // step) for side in size)
    tall, tiles = (down - 1) * step + tile, down * across
    line, cell = tall * across * ci, bins * tiles
    transforms = (
        4 * bins * tile * line
        + 12 * tile**2 * cell * ci
        + 12 * step * tile * cell * co
        + 4 * bins * step**2 * tiles * co
    )
    moved = (
        2 * tile * line
        + 4 * bins * line
        + 10 * tile * cell * ci
        + (6 * tile + 4 * step) * cell * co
        + 3 * step**2 * tiles * co
    )
    spectrum = 3 * tile * bins * ci * co
    an_image = transforms / _TRANSFORMS + 2 * spectrum * tiles / _PRODUCTS + 4 * moved / _BYTES
    total = images * an_image + 4 * spectrum / _BYTES + _CALL
    if not held:
        total += (4 * bins * kernel**2 + 12 * tile * kernel * bins) * ci * co / _TRANSFORMS
        total += 4 * (spectrum + 6 * bins * kernel * ci * co) / _BYTES
    return total
