"""`Trial`: the people, settings and outputs of one experiment, and what its networks find."""

import csv
import dataclasses
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np

from ..data.augment import AugmentSpec
from ..evaluation.evaluate import evaluate
from ..models.cpm import build_cpm
from ..pose import output
from ..pose.spec import PoseSpec
from ..training.recipes import MODERN
from ..training.train import train
from ..visualization import plots

ALPHA = 0.2
_ALPHAS = np.linspace(0, ALPHA, 21)
LIGHT = {"backbone": "light", "stage_block": "light", "width": 32}
RECIPE = dataclasses.replace(MODERN, learning_rate=3e-3, warmup_steps=50, batch_size=8, ema=0.99)


@dataclasses.dataclass(frozen=True, eq=False)
class Trial:
    """What one experiment works with.

    Args:
        figure: name of the experiment and of its files, such as "fig6b".
        out: folder of these files.
        people: list of `Record` to train on.
        tests: list of `Record` of other people.
        spec: `PoseSpec` of all its networks.
        augment: `AugmentSpec`.
        epochs: of each training.
        seed: of first weights, order and augmentation, the first of
        seeds: so many trainings of each network, whose scores are averaged.
        model: bundle to look at instead of training, or `None`.
        say: called with a line now and then.

    Example:
        >>> from pathlib import Path
        >>> from keras_cpm import AugmentSpec, PoseSpec
        >>> from keras_cpm.paper.trial import Trial
        >>> specs = PoseSpec(), AugmentSpec()
        >>> trial = Trial("fig4", Path("out"), [], [], *specs, 2, 0, 1, None, print)
        >>> trial.path("png").name, trial.recipe().epochs
        ('fig4.png', 2)
    """

    figure: str
    out: Path
    people: list
    tests: list
    spec: PoseSpec
    augment: AugmentSpec
    epochs: int
    seed: int
    seeds: int
    model: str | None
    say: Callable

    def recipe(self, **changes):
        """`TrainSpec` of its trainings."""
        return dataclasses.replace(RECIPE, **{"epochs": self.epochs, "seed": self.seed, **changes})

    def build(self, stages, network):
        """`build_cpm(stages, **network)`, with the same first weights for all that are compared."""
        keras.utils.set_random_seed(self.seed)
        return build_cpm(stages, self.spec, **network)

    def train(self, model, title, **changes):
        """Trains `model`, and returns the `Evaluation` of what it finds in `tests`."""
        start = time.monotonic()
        recipe, silent = self.recipe(**changes), {"augment": self.augment, "verbose": 0}
        with tempfile.TemporaryDirectory() as folder:
            train(model, self.people, (), recipe, self.spec, directory=folder, **silent)
        result = evaluate(model, self.tests, self.spec)
        scores = ", ".join(f"{score:.1f}" for score in totals(result).values())
        self.say(
            f"{title}: {model.count_params():,} parameters, PCK@{ALPHA:g} of its stages {scores}; "
            f"{time.monotonic() - start:.0f} seconds"
        )
        return result

    def repeat(self, run, against=None):
        """Runs the same with one seed after the other.

        Args:
            run: function of a `Trial` of one seed to an `Evaluation` of rows to compare.
            against: see `noise`.

        Returns:
            The `Evaluation` of the first seed; {row: mean PCK@0.2 in percent}; the noise, over
            people or over seeds, whichever is larger.
        """
        every = [
            run(dataclasses.replace(self, seed=self.seed + i, seeds=1)) for i in range(self.seeds)
        ]
        scores = [list(totals(result).values()) for result in every]
        mean = dict(zip(totals(every[0]), np.mean(scores, axis=0).tolist(), strict=True))
        row = list(mean).index(against) if against else None
        worst = max(noise(result, against) for result in every)
        return every[0], mean, max(worst, noise_of_seeds(scores, row))

    def path(self, extension):
        """Of the picture or the numbers."""
        return self.out / f"{self.figure}.{extension}"

    def write_curves(self, result, titles):
        """PCK over thresholds, a curve a row of an `Evaluation`, and the numbers behind it.

        Args:
            result: `Evaluation`.
            titles: {row: what the picture calls it}.
        """
        curves = {name: columns["total"] for name, columns in result.curves(_ALPHAS).items()}
        points = zip(_ALPHAS.round(4).tolist(), *curves.values(), strict=True)
        self.write_csv(("threshold", *curves), points)
        shown = {titles[name]: {"PCK, all parts": curve} for name, curve in curves.items()}
        plots.plot_curves(shown, _ALPHAS, self.path("png"))

    def write_csv(self, header, rows):
        """The numbers behind the picture."""
        path = self.path("csv")
        with output.whole(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([header, *rows])


def totals(result):
    """PCK@0.2 in percent by row of an `Evaluation`."""
    return {row: table["pck@0.2"]["total"] for row, table in result.scores(ALPHA).items()}


def last_stages(results):
    """One `Evaluation` whose rows are the last stages of several, by name.

    Args:
        results: {name: `Evaluation`}, of the same people.
    """
    one = next(iter(results.values()))
    rows = {name: list(result.predicted.values())[-1] for name, result in results.items()}
    return dataclasses.replace(one, predicted=rows)


def distances(result, row):
    """How far off a row is, in shares of the normalizer.

    Returns:
        (S, P); NaN where the part or the normalizer is not known.
    """
    off = np.linalg.norm(result.predicted[row] - result.truth, axis=-1)
    return np.where(result.labelled, off, np.nan) / result.normalizer[:, None]


def noise(result, against=None):
    """Two standard errors of the difference of two rows' PCK@0.2, the largest there is.

    From the differences person by person, so that who is hard for all does not count as noise.

    Args:
        result: `Evaluation` of two rows or more.
        against: the row that the others are compared with; `None` for each with the one before.

    Returns:
        Percentage points.

    Example:
        >>> import numpy as np
        >>> from keras_cpm import Evaluation, Skeleton
        >>> from keras_cpm.paper.trial import noise
        >>> truth, labelled = np.zeros((4, 2, 2)), np.ones((4, 2), bool)
        >>> rows = {"stage1": truth + np.array([[[9]], [[0]], [[9]], [[0]]]), "stage2": truth}
        >>> pair = Skeleton("pair", ("a", "b"))
        >>> noise(Evaluation(rows, truth, labelled, np.ones(4), "pck", pair))
        50.0
    """
    rows, shares = list(result.predicted), []
    for row in rows:
        off = distances(result, row)
        known = np.isfinite(off)
        found = (known & (off <= ALPHA)).sum(axis=1)
        shares.append(found / np.maximum(known.sum(axis=1), 1))
    steps = np.diff(shares, axis=0)
    if against:
        steps = np.delete(shares - shares[rows.index(against)], rows.index(against), axis=0)
    return float(200 * steps.std(axis=1).max() / np.sqrt(steps.shape[1]))


def noise_of_seeds(scores, against=None):
    """Two standard errors of the mean difference of two rows' PCK, the largest there is.

    Args:
        scores: PCK in percent, a row of numbers for each seed; one seed knows of no noise.
        against: number of the row that the others are compared with; `None` for each with the one
            before.

    Returns:
        Percentage points.

    Example:
        >>> from keras_cpm.paper.trial import noise_of_seeds
        >>> noise_of_seeds([[70.0, 80.0], [70.0, 84.0]]), noise_of_seeds([[70.0, 80.0]])
        (4.0, 0.0)
    """
    scores = np.asarray(scores)
    if len(scores) < 2:
        return 0.0
    steps = np.diff(scores, axis=1)
    if against is not None:
        steps = np.delete(scores - scores[:, [against]], against, axis=1)
    return float(2 * steps.std(axis=0, ddof=1).max() / np.sqrt(len(scores)))
