"""PCK and its relatives: by hand, against a slow loop, and read off belief maps."""

from dataclasses import replace

import keras
import numpy as np
import pytest

from keras_cpm import HAND21, BeliefPCK, PoseSpec, Skeleton, auc, pck, pckh, reference_length
from keras_cpm.evaluation.metrics import belief_response, normalizer_lengths
from keras_cpm.pose import codec

TRIO = Skeleton("trio", ("left", "middle", "right"), torso=("left", "right"))
LOOSE = Skeleton("loose", ("left", "middle", "right"))
SPEC = PoseSpec(TRIO, box_size=64)


def some_points(samples=40, parts=5, seed=0):
    rng = np.random.default_rng(seed)
    truth = rng.uniform(0, 100, (samples, parts, 2))
    predicted = truth + rng.normal(0, 8, truth.shape)
    labelled = rng.random((samples, parts)) < 0.8
    return predicted, truth, labelled, rng.uniform(20, 80, samples)


# pck ---------------------------------------------------------------------------------------------


def test_by_hand():
    truth = [[[0, 0], [0, 0]], [[0, 0], [0, 0]], [[0, 0], [0, 0]]]
    predicted = [[[3, 4], [0, 0]], [[3, 4.01], [6, 8]], [[0, 2], [0, 1]]]
    labelled = [[True, True], [True, True], [True, False]]
    # distances 5 0 | 5.01 10 | 2 -, thresholds 5 | 5 | 1.9
    per_part, total = pck(predicted, truth, labelled, [50, 50, 19], 0.1)
    np.testing.assert_allclose(per_part, [1 / 3, 1 / 2])
    # pooled over the five labels, not the mean of the parts
    assert isinstance(total, float)
    assert total == pytest.approx(2 / 5)


def test_agrees_with_a_slow_loop():
    predicted, truth, labelled, length = some_points()
    per_part, total = pck(predicted, truth, labelled, length, 0.2)
    hits = np.zeros((5, 2))
    for s, p in np.ndindex(labelled.shape):
        if labelled[s, p]:
            dx, dy = predicted[s, p] - truth[s, p]
            hits[p] += ((dx * dx + dy * dy) ** 0.5 <= 0.2 * length[s], 1)
    assert 0.3 < total < 0.9
    np.testing.assert_allclose(per_part, hits[:, 0] / hits[:, 1])
    assert total == pytest.approx(hits[:, 0].sum() / hits[:, 1].sum())


def test_grows_with_alpha_up_to_one():
    arguments = some_points()
    totals = [pck(*arguments, alpha)[1] for alpha in np.linspace(0, 3, 31)]
    assert totals[0] == 0 and totals[-1] == 1
    assert (np.diff(totals) >= 0).all()


def test_what_is_not_labelled_never_counts():
    predicted, truth, labelled, length = some_points()
    expected = pck(predicted, truth, labelled, length, 0.2)
    for junk in (1e6, np.nan):
        truth[~labelled] = junk
        found = pck(predicted, truth, labelled, length, 0.2)
        np.testing.assert_array_equal(found[0], expected[0])
        assert found[1] == expected[1]


def test_a_part_labelled_nowhere_is_nan():
    predicted, truth, labelled, length = some_points()
    labelled[:, 2] = False
    per_part, total = pck(predicted, truth, labelled, length, 0.2)
    assert np.isnan(per_part).tolist() == [False, False, True, False, False]
    assert 0 < total < 1
    assert np.isnan(pck(predicted, truth, np.zeros_like(labelled), length, 0.2)[1])


def test_a_prediction_that_is_nan_is_wrong():
    predicted, truth, labelled, length = some_points()
    predicted[...] = truth
    predicted[0] = np.nan
    labelled[...] = True
    per_part, total = pck(predicted, truth, labelled, length, 0.2)
    np.testing.assert_allclose(per_part, 39 / 40)
    assert total == pytest.approx(39 / 40)


def test_a_sample_without_normalizer_is_left_out():
    predicted, truth, labelled, length = some_points()
    expected = pck(predicted[1:], truth[1:], labelled[1:], length[1:], 0.2)
    length[0] = np.nan
    found = pck(predicted, truth, labelled, length, 0.2)
    np.testing.assert_array_equal(found[0], expected[0])
    assert found[1] == expected[1]


def test_pckh():
    # 0.5 of a head of 20 is 10
    predicted, truth = [[[10.0, 0], [10.1, 0]]], [[[0.0, 0], [0, 0]]]
    per_part, total = pckh(predicted, truth, [[True, True]], [20.0])
    assert per_part.tolist() == [1, 0] and total == 0.5
    assert pckh(predicted, truth, [[True, True]], [20.0], alpha=0.1)[1] == 0


def test_auc_by_hand():
    # distances 1 and 3 of a normalizer of 10: wrong, wrong | right, wrong | right, right
    predicted, truth = [[[1.0, 0], [3.0, 0]]], [[[0.0, 0], [0, 0]]]
    arguments = predicted, truth, [[True, True]], [10.0]
    per_part, total = auc(*arguments, [0.0, 0.2, 0.4])
    np.testing.assert_allclose(per_part, [(0.5 + 1) / 2, 0.5 / 2])
    assert total == pytest.approx((0.25 + 0.75) / 2)
    # steps of different widths: trapezoids of 0.1 * 0.5 and 0.3 * 1 over 0.4
    per_part, _ = auc(*arguments, [0.0, 0.1, 0.4])
    np.testing.assert_allclose(per_part, [0.35 / 0.4, 0.15 / 0.4])


def test_auc_of_perfect_predictions_is_one():
    _, truth, labelled, length = some_points()
    per_part, total = auc(truth, truth, labelled, length, np.linspace(0, 0.2, 21))
    np.testing.assert_allclose(per_part, 1)
    assert total == pytest.approx(1)


# reference_length --------------------------------------------------------------------------------

POINTS = np.array([[[0, 0], [50, 70], [30, 40]], [[5, 5], [9, 80], [5, 5]]], float)


def test_length_of_a_torso():
    length = reference_length(POINTS, np.ones((2, 3), bool), TRIO)
    np.testing.assert_array_equal(length, [50, np.nan])  # a torso of no length is none
    labelled = [[True, False, True], [True, True, False]]
    np.testing.assert_array_equal(reference_length(POINTS, labelled, TRIO), [50, np.nan])
    assert np.isnan(reference_length(POINTS, [[False, True, True]] * 2, TRIO)).all()


@pytest.mark.parametrize("skeleton", [LOOSE, HAND21], ids=["loose", "hand"])
def test_length_without_a_torso(skeleton):
    points = np.full((4, skeleton.num_parts, 2), -999.0)
    points[:, :3] = [[10, 20], [50, 30], [12, 90]]
    labelled = np.zeros(points.shape[:2], bool)
    labelled[0, :3] = True  # 40 wide, 70 high
    labelled[1, :2] = True  # 40 wide, 10 high
    labelled[2, :1] = True
    expected = [70, 40, np.nan, np.nan]
    np.testing.assert_array_equal(reference_length(points, labelled, skeleton), expected)


# BeliefPCK ---------------------------------------------------------------------------------------


def beliefs_of(points, visible=None, spec=SPEC, **options):
    visible = np.full(points.shape[:2], 2) if visible is None else visible
    return np.asarray(codec.encode(points[:, None], visible[:, None], spec, **options))


def some_people(spec, samples=30, seed=0):
    rng = np.random.default_rng(seed)
    truth = rng.uniform(12, 52, (samples, spec.num_parts, 2))
    return truth, np.clip(truth + rng.normal(0, 6, truth.shape), 12, 52)


@pytest.mark.parametrize("skeleton", [TRIO, LOOSE], ids=["torso", "box"])
@pytest.mark.parametrize("background", [True, False])
def test_belief_pck_equals_pck_on_points(skeleton, background):
    spec = PoseSpec(skeleton, box_size=64, background=background)
    truth, predicted = some_people(spec)
    labelled = np.ones(truth.shape[:2], bool)
    length = reference_length(truth, labelled, skeleton)
    expected = pck(predicted, truth, labelled, length, 0.2)[1]
    assert 0.2 < expected < 0.9
    metric = BeliefPCK(spec)
    for start in range(0, 30, 10):  # it adds up over batches
        batch = slice(start, start + 10)
        metric.update_state(
            beliefs_of(truth[batch], spec=spec), beliefs_of(predicted[batch], spec=spec)
        )
    assert float(metric.result()) == pytest.approx(expected)
    metric.reset_state()
    metric.update_state(beliefs_of(truth, spec=spec), beliefs_of(truth, spec=spec))
    assert float(metric.result()) == 1


def test_belief_pck_takes_alpha():
    truth, predicted = some_people(SPEC)
    found = []
    for alpha in (0.05, 0.2, 1.0):
        metric = BeliefPCK(SPEC, alpha=alpha)
        metric.update_state(beliefs_of(truth), beliefs_of(predicted))
        length = reference_length(truth, np.ones((30, 3), bool), TRIO)
        found.append(float(metric.result()))
        expected = pck(predicted, truth, np.ones((30, 3), bool), length, alpha)[1]
        assert found[-1] == pytest.approx(expected)
    assert found[0] < found[1] < found[2]


@pytest.mark.parametrize("missing", ["ignore", "zero"])
def test_belief_pck_leaves_out_parts_without_label(missing):
    truth, predicted = some_people(SPEC)
    visible = np.full((30, 3), 2)
    visible[:10, 1] = 0
    visible[10:15, 0] = 0  # no torso: the sample does not count
    metric = BeliefPCK(SPEC)
    metric.update_state(beliefs_of(truth, visible, missing=missing), beliefs_of(predicted))
    length = reference_length(truth, visible > 0, TRIO)
    expected = pck(predicted, truth, visible > 0, length, 0.2)[1]
    assert float(metric.result()) == pytest.approx(expected)
    assert float(metric.counted) == 30 * 3 - 10 - 5 * 3


def test_belief_pck_leaves_out_parts_outside_the_box():
    truth, predicted = some_people(SPEC)
    truth[:, 1] = (80.0, 30.0)  # 16.5 pixels outside, its tail is in the map
    target = beliefs_of(truth)
    assert target[..., 1].max() > 0
    metric = BeliefPCK(SPEC)
    metric.update_state(target, beliefs_of(predicted))
    assert float(metric.counted) == 30 * 2


def test_belief_pck_takes_sample_weights():
    truth, predicted = some_people(SPEC)
    weighted, rest = BeliefPCK(SPEC), BeliefPCK(SPEC)
    weight = np.repeat([1.0, 0.0], 15)
    weighted.update_state(beliefs_of(truth), beliefs_of(predicted), sample_weight=weight)
    rest.update_state(beliefs_of(truth[:15]), beliefs_of(predicted[:15]))
    assert float(weighted.result()) == pytest.approx(float(rest.result()))


def test_belief_pck_of_nothing_is_zero():
    assert float(BeliefPCK(SPEC).result()) == 0


def test_belief_pck_is_saved_with_its_spec():
    metric = BeliefPCK(SPEC, alpha=0.4, name="mine")
    config = keras.saving.serialize_keras_object(metric)
    again = keras.saving.deserialize_keras_object(config)
    assert isinstance(again, BeliefPCK)
    assert (again.spec, again.alpha, again.name) == (SPEC, 0.4, "mine")
    by_hand = BeliefPCK.from_config(metric.get_config())
    assert by_hand.spec == SPEC and by_hand.alpha == 0.4


# how much of the peaks belief maps show ----------------------------------------------------------


def test_belief_response_of_flat_scaled_and_mixed_maps():
    spec, rng = PoseSpec(box_size=64), np.random.default_rng(0)
    ideal = rng.random((3, 8, 8, 15))
    noise = rng.random((3, 8, 8, 15))
    levels = rng.random(15)  # each map flat, but at a level of its own
    assert belief_response(ideal, np.zeros_like(ideal) + levels, spec) == pytest.approx(
        0, abs=1e-12
    )
    assert belief_response(ideal, 0.3 * ideal + levels, spec) == pytest.approx(0.3)
    assert abs(belief_response(ideal, noise, spec)) < 0.1
    background = 0.3 * ideal
    background[..., -1] = 100 * noise[..., -1]
    assert belief_response(ideal, background, spec) == pytest.approx(0.3)


def test_belief_response_skips_what_is_not_labelled():
    spec, rng = PoseSpec(box_size=64), np.random.default_rng(0)
    ideal = rng.random((3, 8, 8, 15))
    belief = 0.3 * ideal
    for part, sample in ((0, slice(None)), (1, 0)):
        ideal[sample, ..., part], belief[sample, ..., part] = codec.IGNORE, 7.0
    assert belief_response(ideal, belief, spec) == pytest.approx(0.3)
    assert np.isnan(belief_response(np.full_like(ideal, codec.IGNORE), belief, spec))


def test_named_normalizers():
    truth, labelled = [[[0, 0], [30, 40], [0, 90]]], [[True, True, True]]
    fish = Skeleton("fish", ("a", "b", "c"), torso=("a", "b"))
    lengths = {
        name: normalizer_lengths(
            name, truth, labelled, fish, predicted=[[[0, 0], [6, 8], [0, 0]]], head_sizes=[7]
        ).tolist()
        for name in (None, "torso", "box", "head", "predicted-torso")
    }
    assert lengths == {
        None: [50.0],
        "torso": [50.0],
        "box": [90.0],
        "head": [7.0],
        "predicted-torso": [10.0],
    }
    snake = replace(fish, torso=None)
    with pytest.raises(ValueError, match='needs a skeleton with a `torso`; take "box"'):
        normalizer_lengths("torso", truth, labelled, snake)
    with pytest.raises(ValueError, match="`normalizer` must be one of"):
        normalizer_lengths("height", truth, labelled, fish)
    with pytest.raises(ValueError, match="needs records with `head_size`"):
        normalizer_lengths("head", truth, labelled, fish, head_sizes=[None])


def test_the_head_segment_as_normalizer():
    """From the labelled head and neck, whatever the torso is; NaN where one is not labelled."""
    truth = [[[0, 0], [3, 4], [0, 90]]] * 2
    labelled = [[True, True, False], [True, False, True]]
    parts = ("neck", "head", "tail")
    for torso in (None, ("neck", "tail")):
        lengths = normalizer_lengths(
            "head-segment", truth, labelled, Skeleton("snake", parts, torso=torso)
        )
        np.testing.assert_array_equal(lengths, [5.0, np.nan])
    headless = Skeleton("snake", ("neck", "belly", "tail"))
    with pytest.raises(ValueError, match='the parts "head" and "neck"; take "box"'):
        normalizer_lengths("head-segment", truth, labelled, headless)
