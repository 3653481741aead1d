"""Places on the lattice: near, few, and the same ones of a photograph in any resolution."""

import numpy as np
import pytest

from keras_cpm.pose import lattice

SIZE = (480, 640)
RANDOM = np.random.default_rng(0)
CENTERS = np.float32(RANDOM.uniform(0, 480, (50, 2)))
HEIGHTS = np.float32(RANDOM.uniform(40, 900, 50))


def test_they_are_near():
    centers, heights = map(np.asarray, lattice.nearest(CENTERS, HEIGHTS, SIZE))
    assert np.abs(np.log(heights / HEIGHTS)).max() <= np.log(lattice.STEP) / 2 + 1e-5
    apart = np.abs(centers - CENTERS) / heights[:, None]
    assert apart.max() - 1e-5 <= lattice.CELL / 2 and apart.max() > lattice.CELL / 3


def test_they_are_few_and_their_own_nearest():
    centers, heights = lattice.nearest(CENTERS, HEIGHTS, SIZE)
    again = lattice.nearest(centers, heights, SIZE)
    np.testing.assert_allclose(again[0], centers, atol=1e-3)
    np.testing.assert_allclose(again[1], heights, rtol=1e-5)
    assert len(np.unique(np.round(heights, 2))) <= 10


@pytest.mark.parametrize("factor", [0.5, 3.0])
def test_in_another_resolution_they_are_the_same_places(factor):
    """Pixel edges, not middles, keep their share of the photograph."""
    centers, heights = lattice.nearest(CENTERS, HEIGHTS, SIZE)
    size = [factor * side for side in SIZE]
    found = lattice.nearest((CENTERS + 0.5) * factor - 0.5, HEIGHTS * factor, size)
    np.testing.assert_allclose((found[0] + 0.5) / factor - 0.5, centers, atol=1e-2)
    np.testing.assert_allclose(found[1] / factor, heights, rtol=1e-5)
