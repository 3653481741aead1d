"""Boosted forests, and their files."""

import numpy as np
import pytest

from keras_cpm.paper.forests import (
    NODE,
    fit_forest,
    load_forest,
    nodes_of,
    num_classes,
    predict_forest,
)

SETTINGS = {"rounds": 3, "trees": 4, "depth": 4, "rate": 0.7}


@pytest.fixture(scope="module")
def samples():
    """Three classes that one of twenty features tells; a fourth has nobody."""
    features = np.random.default_rng(0).integers(0, 256, (600, 20), np.uint8)
    return features, features[:, 7] // 86


def fit(samples, seed=0, **changes):
    settings = {**SETTINGS, **changes}
    return fit_forest(*samples, 4, seed=seed, **settings)


def test_it_learns_and_a_class_may_have_no_samples(samples):
    found = predict_forest(fit(samples), samples[0])
    assert found.shape == (600, 4) and found.dtype == np.float32
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)
    assert (found.argmax(axis=1) == samples[1]).mean() > 0.95
    assert found[:, 3].max() < 0.2


def test_a_round_is_a_forest(samples):
    assert fit(samples).num_boosted_rounds() == 3
    # of each round four trees a class
    assert len(fit(samples).get_dump()) == 3 * 4 * 4


def asked(forest):
    """The features that any of its nodes asks for."""
    nodes = np.frombuffer(nodes_of(forest), NODE)
    return set(nodes["feature"][nodes["left"] >= 0].tolist())


def test_it_asks_for_what_it_may_see(samples):
    assert 7 in asked(fit(samples))
    seen = np.arange(20) != 7
    assert asked(fit(samples, seen=seen)) <= set(np.flatnonzero(seen))


def test_the_seed_decides(samples):
    one, same, other = (predict_forest(fit(samples, seed), samples[0]) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


def test_there_and_back(samples):
    forest = fit(samples)
    again = load_forest(nodes_of(forest), 20)
    np.testing.assert_array_equal(
        predict_forest(again, samples[0]), predict_forest(forest, samples[0])
    )
    assert num_classes(again) == num_classes(forest) == 4 and again.num_features() == 20
    assert nodes_of(again) == nodes_of(forest)


def first_split(nodes):
    return int(np.flatnonzero(nodes["left"] >= 0)[0])


@pytest.mark.parametrize(
    "field, value",
    [
        *[("left", value) for value in (0, -1, -2, 10**6)],
        *[("right", value) for value in (0, -1, 10**6)],
        *[("feature", value) for value in (20, -1)],
        *[("value", value) for value in (np.nan, np.inf)],
        *[("tree", value) for value in (7, -1)],
        *[("group", value) for value in (9, -1)],
    ],
)
def test_damaged_nodes(samples, field, value):
    nodes = np.frombuffer(nodes_of(fit(samples)), NODE).copy()
    nodes[field][first_split(nodes)] = value
    with pytest.raises(ValueError, match="no forest over 20 features"):
        load_forest(nodes.tobytes(), 20)


@pytest.mark.parametrize("keep", [0, 1, 7, 1000])
def test_cut_off(samples, keep):
    with pytest.raises(ValueError, match="no forest over 20 features"):
        load_forest(nodes_of(fit(samples))[:keep], 20)
