"""The paper's experiments on small networks: each leaves a picture, its numbers,
and a verdict.
"""

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path

import keras

from ..data import pipeline
from ..data.augment import AugmentSpec
from ..data.records import skeleton_of_records
from ..data.synthetic.draw import draw_records
from ..data.synthetic.figures import PERSON, picture_name
from ..models import bundle
from ..models.receptive_field import receptive_field
from ..pose.spec import PoseSpec
from ..training.recipes import RELEASE, SCHEMES
from ..training.train import compile_cpm
from . import ablations, gradients, showing, verdicts
from .dilated import DILATIONS, build_dilated
from .plots import plot_gradients, plot_receptive_fields
from .predecessor import compare, side_by_side, train_machine
from .trial import LIGHT, Trial, last_stages

SPEC = PoseSpec(box_size=96, person_height=70.0, part_sigma=8.0, center_sigma=9.0)
# no mirror: drawn people tell left from right by shade, which a mirror does not swap
DRAWN = AugmentSpec(rotation_degrees=10.0, scale_range=(0.9, 1.1), flip_probability=0.0, shift=0.03)
PHOTOGRAPHED = AugmentSpec(rotation_degrees=25.0, scale_range=(0.8, 1.25), shift=0.05)
TESTED = 400

# the paper's stages, without normalisation; its tower takes too long for minutes
_CLASSIC = {"backbone": "light", "stage_block": "classic", "width": 32}
# all of it as in the paper, and narrow
_PAPER = {"backbone": "cpm", "stage_block": "classic", "width": 16}
_TITLES = {
    "joint": "(i) joint",
    "stagewise": "(ii) stagewise",
    "stagewise+joint": "(iii) stagewise, then joint",
    "unsupervised": "(iv) no supervision between",
}
# people whose gradients are measured
_MEASURED = 64


def reproduce(
    figure,
    out,
    *,
    records=(),
    test_records=(),
    model=None,
    people=None,
    epochs=None,
    seed=0,
    seeds=1,
    say=lambda line: None,
):
    """Runs the experiment behind a figure of the paper; minutes on two cores with the defaults.

    Args:
        figure: one of `EXPERIMENTS`.
        out: folder; gets figure.png and figure.csv, and the drawn people.
        records: list of `Record` to train on; none for drawn people.
        test_records: list of `Record` of other people.
        model: bundle's folder or name whose beliefs "fig1" and "fig7" show. `None` for the default
            bundle where there are only `test_records`, else for a network trained here.
        people: how many to draw, or of `records` to take; `None` for the experiment's own, or all.
        epochs: of each training; `None` for the experiment's own.
        seed: of people, first weights and order.
        seeds: trainings of each network, with seeds from `seed` on, whose scores are averaged; what
            they differ by is noise.
        say: called with a line about the scale, and one after each training.

    Returns:
        The verdict, one line; "As in the paper: ...", "Not as in the paper: ..." or "Too small a
        run to judge: ...".

    Raises:
        ValueError: unknown figure, records without test records, settings that do not fit.

    Example:
        >>> from keras_cpm.paper.experiments import EXPERIMENTS, reproduce
        >>> sorted(EXPERIMENTS)[:3]
        ['center-map', 'context', 'fig1']
        >>> reproduce("fig7", "runs/reproduce")  # doctest: +SKIP
    """
    if figure not in EXPERIMENTS:
        raise ValueError(
            f"`figure` must be one of {sorted(EXPERIMENTS)}. Received: figure={figure!r}"
        )
    start, experiment = time.monotonic(), EXPERIMENTS[figure]
    if experiment.shows and test_records and not records:
        model = model or bundle.default_bundle()
    _check(figure, records, test_records, model, seeds)
    folder = Path(out) / "people"
    if model:
        records = ()
    elif records:
        records = records[:people]
    else:
        records = draw_records(folder, people or experiment.people, seed=2 * seed + 1)
    tests = test_records or draw_records(folder, TESTED, seed=2 * seed + 2)
    spec = SPEC.replace(box_size=experiment.box)
    spec = spec.replace(skeleton=skeleton_of_records([*records, *tests], None, spec.skeleton))
    trial = Trial(
        figure=figure,
        out=Path(out),
        people=records,
        tests=tests,
        spec=spec,
        augment=PHOTOGRAPHED if test_records else DRAWN,
        epochs=epochs or experiment.epochs,
        seed=seed,
        seeds=seeds,
        model=model,
        say=say,
    )
    if not model:
        say(
            f"{figure}: {experiment.network}, box of {spec.box_size} pixels, {len(records)} "
            f"people, {trial.epochs} epochs, {len(tests)} other people for the test, seed {seed}"
        )
    verdict = experiment.run(trial)
    seconds = time.monotonic() - start
    say(f"{trial.path('png')} and {trial.path('csv')} after {seconds:.0f} seconds")
    return verdict


def files(figure, out, *, people=None, seed=0):
    """Paths of all that `reproduce` may write."""
    drawn = {2 * seed + 1: people or EXPERIMENTS[figure].people, 2 * seed + 2: TESTED}
    names = [picture_name(PERSON, of, i) for of, count in drawn.items() for i in range(count)]
    pictures = [Path(out) / "people" / name for name in names]
    extensions = ("png", "csv", *(["zip"] if figure == "fig6a" else []))
    return [*(Path(out) / f"{figure}.{extension}" for extension in extensions), *pictures]


def _check(figure, records, test_records, model, seeds):
    if seeds != 1 and not EXPERIMENTS[figure].repeats:
        raise ValueError(f"{figure} is not repeated; leave `seeds` out. Received: seeds={seeds}")
    if model and not EXPERIMENTS[figure].shows:
        raise ValueError(
            f"{figure} trains its own networks; leave `model` out. Received: {model!r}"
        )
    if not model and bool(records) != bool(test_records):
        raise ValueError(
            "`records` and `test_records` must be given together. "
            f"Received: {len(records)} and {len(test_records)}"
        )


def _fig4(trial):
    parameters = {}

    def run(trial):
        results = {}
        for dilations in DILATIONS:
            keras.utils.set_random_seed(trial.seed)
            model = build_dilated(dilations, trial.spec)
            field = receptive_field(model, "stage2", "image")
            results[field] = trial.train(model, f"receptive field of {field} pixels")
            parameters[field] = model.count_params()
        return last_stages(results)

    _, curve, noise = trial.repeat(run)
    table = [(field, parameters[field], score) for field, score in curve.items()]
    trial.write_csv(("receptive_field_pixels", "parameters", "pck@0.2"), table)
    plot_receptive_fields(curve, trial.path("png"))
    return verdicts.of_receptive_fields(curve, noise)


def _fig5(trial):
    supervised, alone = (_track_gradients(trial, scheme) for scheme in ("joint", "unsupervised"))
    deviations = {
        epoch: {
            name: (float(values.std()), float(alone[epoch][name].std()))
            for name, values in layers.items()
        }
        for epoch, layers in supervised.items()
    }
    table = [
        (epoch, name, *pair)
        for epoch, layers in deviations.items()
        for name, pair in layers.items()
    ]
    trial.write_csv(("epoch", "layer", "std_with", "std_without"), table)
    plot_gradients(supervised, alone, trial.path("png"))
    return verdicts.of_gradients({epoch: deviations[epoch] for epoch in deviations if epoch})


def _track_gradients(trial, scheme):
    """{epoch: {layer: gradients}} with the losses of a scheme; epoch 0 is before the training."""
    start = time.monotonic()
    model = trial.build(3, _PAPER)
    layers = gradients.layers_in_depth(model)
    # the release's optimiser: Adam would undo that gradients are small
    recipe = dataclasses.replace(RELEASE, scheme=scheme, schedule="constant")
    compile_cpm(model, recipe, trial.spec, total_steps=1)
    shared = {"stages": 3, "batch_size": trial.recipe().batch_size}
    measured = pipeline.make_dataset(trial.people[:_MEASURED], trial.spec, **shared).cache()
    shared |= {"augment": trial.augment, "shuffle": True, "seed": trial.seed}
    dataset = pipeline.make_dataset(trial.people, trial.spec, **shared)
    found, losses = {0: gradients.kernel_gradients(model, measured, layers)}, []
    for epoch in range(1, trial.epochs + 1):
        losses += model.fit(dataset, verbose=0, shuffle=False).history["loss"]
        found[epoch] = gradients.kernel_gradients(model, measured, layers)
    trial.say(
        f"{scheme}: {model.count_params():,} parameters, loss of the epochs "
        f"{', '.join(f'{loss:.2f}' for loss in losses)}; {time.monotonic() - start:.0f} seconds"
    )
    return found


def _fig6a(trial):
    machine = train_machine(trial)
    network = trial.train(trial.build(3, LIGHT), "CPM")
    result = side_by_side(machine, network)
    trial.write_curves(result, {row: row.replace("_", " ") for row in result.predicted})
    return compare(machine, network)


def _fig6b(trial):
    def run(trial):
        results = {}
        for scheme in SCHEMES:
            model, changes = trial.build(3, _CLASSIC), {"learning_rate": 1e-3}
            if scheme == "stagewise+joint":
                # "effectively longer": the joint half is as long as the joint training
                changes["epochs"] = 2 * trial.epochs
            results[scheme] = trial.train(model, scheme, scheme=scheme, **changes)
        return last_stages(results)

    first, scores, noise = trial.repeat(run, against="joint")
    trial.write_curves(first, _TITLES)
    return verdicts.of_schemes(scores, noise)


def _fig6c(trial):
    first, scores, noise = trial.repeat(lambda one: one.train(one.build(6, LIGHT), "joint"))
    trial.write_curves(first, {name: f"stage {t}" for t, name in enumerate(scores, 1)})
    return verdicts.of_stages(list(scores.values()), noise)


@dataclasses.dataclass(frozen=True)
class _Experiment:
    """How an experiment runs unless told otherwise; `shows` those that look at a given model,
    `repeats` those that several seeds can train."""

    run: Callable
    network: str
    people: int
    epochs: int
    box: int = 96
    shows: bool = False
    repeats: bool = False


_THREE = "3 light stages of width 32"
EXPERIMENTS = {
    "fig1": _Experiment(showing.fig1, _THREE, 1600, 6, shows=True),
    "fig4": _Experiment(
        _fig4, "2 stages of equal size and another receptive field", 1200, 6, repeats=True
    ),
    "fig5": _Experiment(_fig5, "the paper's network of 3 stages, width 16", 400, 3, box=64),
    "fig6a": _Experiment(_fig6a, "boosted forests; 3 light stages of width 32", 300, 30, box=144),
    "fig6b": _Experiment(
        _fig6b, "light tower, 3 of the paper's stages, width 32", 1200, 6, repeats=True
    ),
    "fig6c": _Experiment(_fig6c, "6 light stages of width 32", 1600, 6, repeats=True),
    "center-map": _Experiment(ablations.center_map, _THREE, 1600, 6, repeats=True),
    "targets": _Experiment(ablations.targets, _THREE, 1600, 6, repeats=True),
    "stride": _Experiment(ablations.stride, _THREE, 1600, 6, repeats=True),
    "scales": _Experiment(ablations.scales, _THREE, 1600, 6, shows=True),
    "context": _Experiment(ablations.context, _THREE, 1600, 6, shows=True),
    "fig7": _Experiment(showing.fig7, _THREE, 1600, 6, shows=True),
}
