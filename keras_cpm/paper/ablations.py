"""What the paper claims of its design in words: each beside what it is said to be better than."""

import dataclasses

import keras
import numpy as np

from ..data import pipeline, placement
from ..evaluation.evaluate import evaluate
from ..evaluation.protocols import RELEASE_SCALES
from . import verdicts
from .plots import plot_bars
from .showing import model_to_show
from .trial import LIGHT, last_stages, noise, totals

# the given scale is wrong by these, as far as the augmentation of Section 4.2 goes
WRONG = (0.7, 0.85, 1.15, 1.3)
# Figure 3: what is hard to find, and people in whom the maps of other parts are hidden
HARD, LOOKED_AT = ("right_elbow", "left_elbow"), 100


def center_map(trial):
    """Section 4.2: the center map tells who is meant, where others are near."""

    def run(one):
        networks = {"with the center map": LIGHT, "without": {**LIGHT, "center_map": False}}
        return last_stages(
            {name: one.train(one.build(3, network), name) for name, network in networks.items()}
        )

    return _compared(_in_company(trial), run, verdicts.of_better)


def targets(trial):
    """Section 4.2: stage 1 learns everybody in sight, later stages the person who is meant."""
    trial = _in_company(trial)
    alone = [dataclasses.replace(record, people=record.people[:1]) for record in trial.people]

    def run(one):
        sets = {"two sets of targets": one.people, "one": alone}
        return last_stages(
            {
                name: dataclasses.replace(one, people=people).train(one.build(3, LIGHT), name)
                for name, people in sets.items()
            }
        )

    return _compared(trial, run, verdicts.of_better)


def stride(trial):
    """Section 3.2.2: a network of stride 8 performs as well as one of stride 4."""

    def run(one):
        results = {}
        for pixels in (8, 4):
            same, name = dataclasses.replace(one, spec=one.spec.replace(stride=pixels)), f"{pixels}"
            results[f"stride {name}"] = same.train(same.build(3, LIGHT), f"stride {name}")
        return last_stages(results)

    return _compared(trial, run, verdicts.of_as_good)


def scales(trial):
    """Section 4.2: looks at several scales make up for a given scale that is wrong."""
    model, spec = model_to_show(trial)
    ways = {"seven scales": RELEASE_SCALES, "one scale": (1.0,)}
    found = {name: [] for name in ways}
    for factor in WRONG:
        people = [_given_as(record, factor) for record in trial.tests]
        for name, zooms in ways.items():
            result = evaluate(model, people, spec, scales=zooms)
            found[name].append(last_stages({name: result}))
        said = ", ".join(f"{name} {totals(of[-1])[name]:.1f}" for name, of in found.items())
        trial.say(f"height given as {factor:g} of what it is: PCK@0.2 {said}")
    merged = _together(found)
    trial.write_curves(merged, {name: name for name in ways})
    # the same people at four scales are no more people
    return verdicts.of_better(totals(merged), noise(merged) * len(WRONG) ** 0.5)


def context(trial):
    """Figure 3: maps of parts that are easier to find help the next stage to find an elbow.

    The map of one part after stage 1 is hidden, and the belief of stage 2 in the elbow's true place
    falls or rises.
    """
    model, spec = model_to_show(trial)
    parts = spec.skeleton.parts
    hard = [spec.skeleton.index(name) for name in HARD if name in parts] or [len(parts) - 1]
    people = trial.tests[:LOOKED_AT]
    dataset = pipeline.make_dataset(people, spec, stages=2, batch_size=len(people))
    inputs, truth = next(iter(dataset))
    first, second = _two_stages(model)
    given = [inputs[one.name] for one in model.inputs]
    maps, peaks = np.asarray(first(given)), np.maximum(truth["stage2"], 0)[..., hard]

    def belief_without(hidden):
        shown = maps.copy()
        shown[..., hidden] = 0
        return _belief_in(second([keras.ops.convert_to_tensor(shown), *given]), peaks, hard)

    seen, nothing = belief_without([]), belief_without(slice(None))
    trial.say(f"belief {np.nanmean(seen):.3f}, without any map {np.nanmean(nothing):.3f}")
    rows = []
    for part, name in enumerate(parts):
        lost = seen - belief_without(part)
        lost = lost[np.isfinite(lost)]
        rows.append((name, float(lost.mean()), float(2 * lost.std() / len(lost) ** 0.5)))
    trial.write_csv(("hidden", "belief_lost", "noise"), rows)
    plot_bars({name: lost for name, lost, _ in rows}, "belief lost in the elbow", trial.path("png"))
    return verdicts.of_context([parts[part] for part in hard], rows)


def _compared(trial, run, verdict):
    first, scores, noise_ = trial.repeat(run)
    trial.write_curves(first, {name: name for name in scores})
    return verdict(scores, noise_)


def _in_company(trial):
    """The trial, tested on people who have somebody beside them."""
    tests = [record for record in trial.tests if len(record.people) > 1]
    if not tests:
        raise ValueError(
            "`test_records` must hold people with others beside them. Received: "
            f"{len(trial.tests)} people, each alone"
        )
    trial.say(f"{len(tests)} of the people in the test have somebody beside them")
    return dataclasses.replace(trial, tests=tests)


def _given_as(record, factor):
    """The record with a person's height that is wrong by a factor."""
    first, *others = record.people
    center, height = placement.where_is(record)
    first = dataclasses.replace(first, center=center, height=factor * height)
    return dataclasses.replace(record, people=(first, *others))


def _together(found):
    """One `Evaluation` of several of the same rows, whose people are put one after the other."""
    firsts = next(iter(found.values()))
    merged = {
        name: np.concatenate([result.predicted[name] for result in results])
        for name, results in found.items()
    }
    whole = {
        field: np.concatenate([getattr(result, field) for result in firsts])
        for field in ("truth", "labelled", "normalizer")
    }
    return dataclasses.replace(firsts[0], predicted=merged, **whole)


def _two_stages(model):
    """Stage 1, and stage 2 as a function of the maps that it is given and of the inputs."""
    maps = model.get_layer("stage1").input
    return keras.Model(model.inputs, maps), keras.Model([maps, *model.inputs], model.outputs[1])


def _belief_in(beliefs, peaks, parts):
    """(S, n) the mean belief under the peaks (S, h, w, n) of parts; NaN where there is none."""
    beliefs = np.asarray(beliefs)[..., parts]
    with np.errstate(invalid="ignore"):
        return (peaks * beliefs).sum(axis=(1, 2)) / peaks.sum(axis=(1, 2))
