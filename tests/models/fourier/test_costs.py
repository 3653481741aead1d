"""Which layers of the released network take tiles, of which side, and what their spectra take."""

import keras_cpm
from keras_cpm.models.fourier.costs import best_tile, spectrum_bytes, training_seconds
from keras_cpm.models.fourier.layer import tiled_layers


def test_the_released_network_takes_tiles_where_they_win():
    tiles = tiled_layers(keras_cpm.build_cpm(6))
    names = {layer.name for layer in tiles}
    large = {f"conv{i}_stage{t}" for i in (2, 3) for t in (1, 2)} | {"conv5_stage1"}
    large |= {f"Mconv{i}_stage{t}" for i in (1, 2, 3) for t in range(2, 7)}
    assert names == large
    memory = sum(spectrum_bytes(tile, layer.kernel.shape[2:]) for layer, tile in tiles.items())
    assert 0.5e9 < memory < 1.2e9


def test_training_takes_larger_tiles():
    """A larger tile costs spectrum, once a step; every image of the batch gains."""
    for size, kernel in ((184, 9), (92, 9), (46, 11)):
        layer = (size, size), kernel, (128, 128)
        once, training = (best_tile(*layer, training=x) for x in (False, True))
        assert once < training <= 2 * once
        assert training == min(range(kernel + 1, 57), key=lambda t: training_seconds(*layer, t))
