"""The experiments of the paper's Section 4.1 on small networks: each leaves a picture, its numbers,
and a verdict.
"""

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np

from ..data import pipeline, placement
from ..data.augment import AugmentSpec
from ..data.records import skeleton_of_records
from ..data.synthetic.draw import draw_records
from ..data.synthetic.figures import PERSON, picture_name
from ..evaluation.evaluate import evaluate, predictor_for
from ..images import decode
from ..models import bundle
from ..models.receptive_field import receptive_field
from ..pose.spec import PoseSpec
from ..training.recipes import RELEASE, SCHEMES
from ..training.train import compile_cpm
from ..visualization import beliefs, canvas, plots
from . import gradients, verdicts
from .dilated import DILATIONS, build_dilated
from .plots import plot_gradients, plot_receptive_fields
from .trial import ALPHA, Trial, distances, last_stages, noise, totals

SPEC = PoseSpec(box_size=96, person_height=70.0, part_sigma=8.0, center_sigma=9.0)
# no mirror: drawn people tell left from right by shade, which a mirror does not swap
DRAWN = AugmentSpec(rotation_degrees=10.0, scale_range=(0.9, 1.1), flip_probability=0.0, shift=0.03)
PHOTOGRAPHED = AugmentSpec(rotation_degrees=25.0, scale_range=(0.8, 1.25), shift=0.05)
TESTED = 400

_LIGHT = {"backbone": "light", "stage_block": "light", "width": 32}
# the paper's stages, without normalisation; its tower takes too long for minutes
_CLASSIC = {"backbone": "light", "stage_block": "classic", "width": 32}
# all of it as in the paper, and narrow
_PAPER = {"backbone": "cpm", "stage_block": "classic", "width": 16}
_ALPHAS = np.linspace(0, ALPHA, 21)
_TITLES = {
    "joint": "(i) joint",
    "stagewise": "(ii) stagewise",
    "stagewise+joint": "(iii) stagewise, then joint",
    "unsupervised": "(iv) no supervision between",
}
# people whose gradients are measured, and whose beliefs are looked at before some are shown
_MEASURED, _LOOKED_AT = 64, 20


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
        say: called with a line about the scale, and one after each training.

    Returns:
        The verdict, one line; "As in the paper: ..." or "Not as in the paper: ...".

    Raises:
        ValueError: unknown figure, records without test records, settings that do not fit.

    Example:
        >>> from keras_cpm.paper.experiments import EXPERIMENTS, reproduce
        >>> sorted(EXPERIMENTS)
        ['fig1', 'fig4', 'fig5', 'fig6b', 'fig6c', 'fig7']
        >>> reproduce("fig7", "runs/reproduce")  # doctest: +SKIP
    """
    if figure not in EXPERIMENTS:
        raise ValueError(
            f"`figure` must be one of {sorted(EXPERIMENTS)}. Received: figure={figure!r}"
        )
    start, experiment = time.monotonic(), EXPERIMENTS[figure]
    if experiment.shows and test_records and not records:
        model = model or bundle.default_bundle()
    _check(figure, records, test_records, model)
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
    return [Path(out) / f"{figure}.png", Path(out) / f"{figure}.csv", *pictures]


def _check(figure, records, test_records, model):
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
    rows, results = [], {}
    for dilations in DILATIONS:
        keras.utils.set_random_seed(trial.seed)
        model = build_dilated(dilations, trial.spec)
        field = receptive_field(model, "stage2", "image")
        results[field] = trial.train(model, f"receptive field of {field} pixels")
        rows.append((field, model.count_params()))
    merged = last_stages(results)
    curve = totals(merged)
    table = [(*row, score) for row, score in zip(rows, curve.values(), strict=True)]
    trial.write_csv(("receptive_field_pixels", "parameters", "pck@0.2"), table)
    plot_receptive_fields(curve, trial.path("png"))
    return verdicts.of_receptive_fields(curve, noise(merged))


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
    return verdicts.of_gradients(deviations[1], epoch=1)


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


def _fig6b(trial):
    results = {
        scheme: trial.train(trial.build(3, _CLASSIC), scheme, scheme=scheme, learning_rate=1e-3)
        for scheme in SCHEMES
    }
    merged = last_stages(results)
    _write_curves(trial, merged, _TITLES)
    return verdicts.of_schemes(totals(merged), noise(merged, against="joint"))


def _fig6c(trial):
    result = trial.train(trial.build(5, _LIGHT), "joint")
    _write_curves(trial, result, {name: f"stage {t}" for t, name in enumerate(result.predicted, 1)})
    return verdicts.of_stages(list(totals(result).values()), noise(result))


def _write_curves(trial, result, titles):
    curves = {name: columns["total"] for name, columns in result.curves(_ALPHAS).items()}
    points = zip(_ALPHAS.round(4).tolist(), *curves.values(), strict=True)
    trial.write_csv(("threshold", *curves), points)
    shown = {titles[name]: {"PCK, all parts": curve} for name, curve in curves.items()}
    plots.plot_curves(shown, _ALPHAS, trial.path("png"))


def _fig1(trial):
    return _show_beliefs(trial, ("right_elbow",), people=1)


def _fig7(trial):
    return _show_beliefs(
        trial, ("right_elbow", "left_elbow", "right_wrist", "left_wrist"), people=2
    )


def _show_beliefs(trial, wanted, people):
    """The beliefs of all stages for the people and parts whose first guess was mended most.

    Of people alone in their pictures, if any: that stage 1 finds a neighbour is what it learnt.
    """
    model, spec = _model_to_show(trial)
    tests = [record for record in trial.tests if len(record.people) == 1] or trial.tests
    result = evaluate(model, tests, spec)
    names = [name for name in wanted if name in spec.skeleton.parts] or list(spec.skeleton.parts)
    columns = [spec.skeleton.index(name) for name in names]
    off = np.stack([distances(result, row)[:, columns] for row in result.predicted])
    first, last = np.nan_to_num(off[0], nan=0.0), np.nan_to_num(off[-1], nan=np.inf)
    mended = np.where(last < ALPHA / 2, first, 0.0)
    poses, predictor = {}, predictor_for(model, spec)
    for number in np.argsort(-mended.sum(axis=1), kind="stable")[:_LOOKED_AT]:
        center, height = placement.where_is(tests[number])
        pose = predictor(tests[number].image, center=center, person_height=height)
        poses[number] = pose
        # a right place that the last stage hardly believes in is no good picture
        mended[number] *= np.clip(pose.stage_scores[-1, columns], 0.0, 1.0)
    numbers = sorted(poses, key=lambda number: -mended[number].sum())[:people]
    best = int(mended[numbers[0]].argmax())
    sheets, rows = [], []
    for number in numbers:
        shown = [names[p] for p in np.argsort(-mended[number], kind="stable")[:2]]
        image, pose = tests[number].image, poses[number]
        sheets.append([beliefs.draw_stages(decode.upright_array(image), pose, shown)])
        rows += [
            (
                image,
                name,
                stage,
                float(off[stage - 1, number, names.index(name)]),
                float(score),
            )
            for name in shown
            for stage, score in enumerate(pose.stage_scores[:, spec.skeleton.index(name)], 1)
        ]
    trial.write_csv(("image", "part", "stage", "distance_in_normalizers", "belief"), rows)
    canvas.save_image(trial.path("png"), canvas.grid(sheets))
    found = np.stack([off[0] <= ALPHA, off[-1] <= ALPHA])
    counts = [int((found[a] & ~found[b] & np.isfinite(off[0])).sum()) for a, b in ((1, 0), (0, 1))]
    return verdicts.of_beliefs(names, *counts, (names[best], off[:, numbers[0], best].tolist()))


def _model_to_show(trial):
    if trial.model:
        trial.say(f"{trial.figure}: the beliefs of {trial.model} on {len(trial.tests)} people")
        return bundle.load(trial.model)
    model = trial.build(3, _LIGHT)
    trial.train(model, "joint")
    return model, trial.spec


@dataclasses.dataclass(frozen=True)
class _Experiment:
    """How an experiment runs unless told otherwise; `shows` those that look at a given model."""

    run: Callable
    network: str
    people: int
    epochs: int
    box: int = 96
    shows: bool = False


EXPERIMENTS = {
    "fig1": _Experiment(_fig1, "3 light stages of width 32", 1600, 6, shows=True),
    "fig4": _Experiment(_fig4, "2 stages of equal size and another receptive field", 1200, 6),
    "fig5": _Experiment(_fig5, "the paper's network of 3 stages, width 16", 400, 3, box=64),
    "fig6b": _Experiment(_fig6b, "light tower, 3 of the paper's stages, width 32", 1200, 6),
    "fig6c": _Experiment(_fig6c, "5 light stages of width 32", 1600, 6),
    "fig7": _Experiment(_fig7, "3 light stages of width 32", 1600, 6, shows=True),
}
