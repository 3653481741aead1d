"""The training of a `PoseMachine`: stage by stage, each on what the stages before believe of people
whom they have not seen.
"""

import dataclasses
import time
from typing import NamedTuple

import numpy as np

from ..data import placement
from ..images import decode, sampling
from ..pose import codec, geometry, schema
from .forests import fit_forest
from .hand_features import seen_at
from .pose_machine import (
    COMPOSITES,
    MOST_LEVELS,
    MOST_STAGES,
    Look,
    PoseMachine,
    as_maps,
    stage_beliefs,
)

# cells within which a label makes a sample its part, beyond which it is background; and how much
# more for every level
_NEAR, _FAR = (1.0, 0.5), (2.5, 1.0)
# what every background cell has of a chance, beside the share of its belief in parts
_EVERYWHERE = 0.02
_NUMBERS = {
    "stages": schema.whole(1, MOST_STAGES),
    "folds": schema.whole(2, 100),
    "rounds": schema.whole(1, 1000),
    "trees": schema.whole(1, 1000),
    "depth": schema.whole(1, 16),
    "rate": schema.number(0.001, 1),
    "background": schema.whole(1, 10**6),
    "mirror": schema.FLAG,
    "seed": schema.whole(0, 10**6),
}


@dataclasses.dataclass(frozen=True)
class MachineSpec:
    """How a `PoseMachine` is trained.

    Args:
        stages: one at least.
        composites: levels after that of single parts, each a tuple of groups of part names; a group
            stands in the middle of its parts. Levels with a part that the skeleton does not have
            are left out.
        folds: the beliefs of a person that the next stage learns from come from forests that were
            trained on the other folds; two at least.
        rounds, trees, depth, rate: of a forest, see `fit_forest`.
        background: samples of it from every photograph.
        mirror: also trains on the mirrored people, in twice the time.
        seed: of all that is drawn.

    Raises:
        ValueError: a number that no machine could have, naming it and what it must be.

    Example:
        >>> from keras_cpm.paper.machine_training import MachineSpec
        >>> MachineSpec(folds=1)
        Traceback (most recent call last):
        ValueError: `folds` must be a whole number, 2 to 100. Received: folds=1
    """

    stages: int = 3
    composites: tuple[tuple[tuple[str, ...], ...], ...] = COMPOSITES
    folds: int = 2
    rounds: int = 4
    trees: int = 5
    depth: int = 10
    rate: float = 0.7
    background: int = 60
    mirror: bool = False
    seed: int = 0

    def __post_init__(self):
        schema.check({name: getattr(self, name) for name in _NUMBERS}, _NUMBERS)
        if len(self.composites) >= MOST_LEVELS:
            raise ValueError(
                f"`composites` must be fewer than {MOST_LEVELS} levels. "
                f"Received: {len(self.composites)}"
            )


class _Trainee(NamedTuple):
    """A person in the network box: cells are (x, y)."""

    look: Look
    cells: np.ndarray
    labelled: np.ndarray
    fold: int


def fit_pose_machine(records, spec, recipe=None, say=lambda line: None):
    """Trains a machine on the primary people of records.

    Args:
        records: list of `Record`; more than `recipe.folds`.
        spec: `PoseSpec`.
        recipe: `MachineSpec`; `None` for its defaults.
        say: called with a line after each stage.

    Returns:
        `PoseMachine`; equal for equal arguments on the same machine.

    Raises:
        ValueError: too few records, a spec without background.
        ImportError: the extra `forest` is not installed.

    Example:
        >>> import tempfile
        >>> from keras_cpm import PoseSpec, draw_records
        >>> from keras_cpm.paper.machine_training import MachineSpec, fit_pose_machine
        >>> spec = PoseSpec(box_size=64, stride=4)
        >>> recipe = MachineSpec(stages=1, rounds=1, trees=1, depth=2)
        >>> fit_pose_machine(draw_records(tempfile.mkdtemp(), 4), spec, recipe).output_names
        ['stage1']
    """
    recipe = recipe or MachineSpec()
    if len(records) < 2 * recipe.folds:
        raise ValueError(
            f"`records` must be {2 * recipe.folds} people or more, two a fold. "
            f"Received: {len(records)}"
        )
    if not spec.background:
        raise ValueError("`spec` must have a background channel. Received: background=False")
    levels = _levels(recipe, spec.skeleton)
    flips = (False, True) if recipe.mirror else (False,)
    trainees = [
        _trainee(record, spec, flip, number % recipe.folds)
        for number, record in enumerate(records)
        for flip in flips
    ]
    maps, stages = [None] * len(trainees), []
    for t in range(1, recipe.stages + 1):
        start, last = time.monotonic(), t == recipe.stages
        forests, copies = [], [[] for _ in range(recipe.folds)]
        for level, groups in enumerate(levels[:1] if last else levels):
            samples = _samples(trainees, maps, groups, level, recipe, _width(levels, level))
            settings = (level, len(groups) + 1, recipe, 100 * t + 10 * level)
            forests.append(_fit(samples, *settings))
            for fold, fitted in enumerate([] if last else copies):
                fitted.append(_fit(samples.without(fold), *settings))
        stages.append(forests)
        if not last:
            maps = [
                as_maps(stage_beliefs(trainee.look, copies[trainee.fold], map_before))
                for trainee, map_before in zip(trainees, maps, strict=True)
            ]
        say(
            f"stage {t} of the Pose Machine: {len(forests)} levels, {len(samples.classes)} samples "
            f"of {samples.features.shape[1]} bytes; {time.monotonic() - start:.0f} seconds"
        )
    return PoseMachine(stages, spec)


def _levels(recipe, skeleton):
    """Groups of part numbers by level, single parts first."""
    levels = [[[number] for number in range(skeleton.num_parts)]]
    for groups in recipe.composites:
        if all(part in skeleton.parts for group in groups for part in group):
            levels.append([[skeleton.index(part) for part in group] for group in groups])
    return levels


def _width(levels, level):
    """Where the background of a level is among the maps of all."""
    return sum(len(groups) + 1 for groups in levels[: level + 1]) - 1


def _trainee(record, spec, flip, fold):
    person = record.people[0]
    center, height = placement.where_is(record)
    network_from_image = geometry.network_from_image(center, height, spec, flip=flip)
    box = sampling.crop(*decode.open_image(record.image), network_from_image, spec).numpy()
    keypoints, visible = placement.keypoints_of(person, record.parts, spec.skeleton)
    points = geometry.apply(network_from_image, keypoints)
    cells, labelled = geometry.cells_from_network(points, spec).numpy(), visible > 0
    if flip:
        cells, labelled = (
            np.asarray(codec.swap_left_right(values, spec.skeleton, axis=0))
            for values in (cells, labelled)
        )
    return _Trainee(Look(box, spec), cells, labelled, fold)


class _Samples(NamedTuple):
    features: np.ndarray
    classes: np.ndarray
    folds: np.ndarray

    def without(self, fold):
        chosen = self.folds != fold
        return _Samples(*(values[chosen] for values in self))


def _samples(trainees, maps, groups, level, recipe, background):
    features, classes, folds = [], [], []
    for number, (trainee, before) in enumerate(zip(trainees, maps, strict=True)):
        random = np.random.default_rng([recipe.seed, level, number])
        # stage 1 has no belief of what is hard
        hard = None if before is None else 1 - np.square(before[..., background] / 255.0)
        rows, columns, found = _chosen(trainee, groups, level, hard, recipe.background, random)
        features.append(trainee.look.at(rows, columns, before))
        classes.append(found)
        folds.append(np.full(len(found), trainee.fold, np.int8))
    return _Samples(*(np.concatenate(values) for values in (features, classes, folds)))


def _chosen(trainee, groups, level, hard, count, random):
    """Cells and their classes: those at labels, and some of the background."""
    side = trainee.look.covered.shape[0]
    middles = np.stack([trainee.cells[group].mean(axis=0) for group in groups])
    known = np.array([trainee.labelled[group].all() for group in groups])
    grid = np.arange(side)
    distance = np.hypot(grid[None, :, None] - middles[:, 0], grid[:, None, None] - middles[:, 1])
    distance[..., ~known] = np.inf
    nearest, least = distance.argmin(axis=-1), distance.min(axis=-1)
    near, far = (at + level * more for at, more in (_NEAR, _FAR))
    rows, columns = np.nonzero((least <= near) & trainee.look.covered)
    others = np.stack(np.nonzero((least > far) & trainee.look.covered))
    weights = np.ones(others.shape[1]) if hard is None else _EVERYWHERE + hard[tuple(others)]
    # the largest of these keys are a draw by weight
    keys = random.random(len(weights)) ** (1 / weights)
    drawn = others[:, np.sort(np.argsort(-keys, kind="stable")[:count])]
    classes = np.concatenate([nearest[rows, columns], np.full(drawn.shape[1], len(groups))])
    return np.append(rows, drawn[0]), np.append(columns, drawn[1]), classes


def _fit(samples, level, count, recipe, seed):
    settings = {name: getattr(recipe, name) for name in ("rounds", "trees", "depth", "rate")}
    seed += 1000 * recipe.seed
    seen = seen_at(level, samples.features.shape[1])
    return fit_forest(samples.features, samples.classes, count, seed=seed, seen=seen, **settings)
