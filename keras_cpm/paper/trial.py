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

ALPHA = 0.2
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
        seed: of first weights, order and augmentation.
        model: bundle to look at instead of training, or `None`.
        say: called with a line now and then.

    Example:
        >>> from pathlib import Path
        >>> from keras_cpm import AugmentSpec, PoseSpec
        >>> from keras_cpm.paper.trial import Trial
        >>> trial = Trial("fig4", Path("out"), [], [], PoseSpec(), AugmentSpec(), 2, 0, None, print)
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
    model: str | None
    say: Callable

    def recipe(self, **changes):
        """`TrainSpec` of its trainings."""
        return dataclasses.replace(RECIPE, epochs=self.epochs, seed=self.seed, **changes)

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

    def path(self, extension):
        """Of the picture or the numbers."""
        return self.out / f"{self.figure}.{extension}"

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
