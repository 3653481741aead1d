"""`plan_training`: which network a training has, where it starts and how it learns."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from ..data.augment import AugmentSpec
from ..data.records import Record, skeleton_of_records
from ..models import bundle
from ..models.cpm import build_cpm, initialize_release
from ..models.person import PERSON1, PERSON_NETWORK, PERSON_SPEC
from ..models.transfer import transfer_weights
from ..pose.skeleton import Skeleton
from ..pose.spec import PoseSpec
from .recipes import RECIPES, TrainSpec
from .train import train

# of `build_cpm`, unless told otherwise: what a laptop can train
NETWORK = {"stages": 3, "backbone": "light", "stage_block": "light", "width": 64, "dropout": 0.0}
# and with the recipe of the release: Figure 2, six stages, dropout as in genProto.py
RELEASED = {
    "stages": 6,
    "backbone": "cpm",
    "stage_block": "classic",
    "width": 128,
    "dropout": 0.5,
}
_NETWORK_CHANGES = {*NETWORK, "center_map", "input_size", "share_context"}
# of a network that looks at whole photographs, whatever its features
_OF_PERSONS = {key: PERSON_NETWORK[key] for key in ("center_map", "input_size")}


@dataclass(frozen=True)
class TrainingPlan:
    """What `plan_training` decided; `build` and `train` do it.

    Args:
        spec: `PoseSpec` of the model.
        network: dict of the arguments of `build_cpm`; kept in the bundle as network.json.
        recipe: `TrainSpec`.
        augment: `AugmentSpec`.
        start: name or folder of the bundle whose weights the model starts with, `None` for none.
        initializer: how the weights of a model without `start` are drawn: "keras" as its layers
            say, "release" as `initialize_release` does.

    Example:
        >>> import tempfile, keras_cpm
        >>> records = keras_cpm.draw_records(tempfile.mkdtemp(), 8)
        >>> changes = {"epochs": 1, "batch_size": 4, "box_size": 64, "width": 8}
        >>> plan = keras_cpm.plan_training(records, **changes)
        >>> model = plan.build()
        >>> history = plan.train(model, records, directory=tempfile.mkdtemp(), verbose=0)
        >>> history.epoch
        [0]
    """

    spec: PoseSpec
    network: dict
    recipe: TrainSpec
    augment: AugmentSpec
    start: str | Path | None = None
    initializer: str = "keras"

    @property
    def notes(self) -> list[str]:
        """Sentences for whoever trains: what may surprise."""
        notes = []
        if self.augment.flip_probability and not self.spec.skeleton.flip_pairs:
            notes.append("No part has a mirror partner: mirrored samples keep their part names.")
        if self.spec.part_sigma < self.spec.stride:
            notes.append(
                f"`part_sigma` is {self.spec.part_sigma:g} pixels, less than a cell of the belief "
                f"maps ({self.spec.stride}): so narrow peaks are learnt late in short trainings; "
                f"try {self.spec.stride + 1}."
            )
        return notes

    def build(self, say: Callable[[str], object] = lambda line: None) -> keras.Model:
        """The model with the weights that it starts with.

        Sets the random seeds of Python, NumPy and Keras to that of the recipe.

        Args:
            say: called with a line about `start`: which layers got nothing from it.

        Returns:
            `keras.Model`, see `build_cpm`.

        Raises:
            ValueError, FileNotFoundError: a network that cannot be, or a start that does not fit.
        """
        source, trained = bundle.load(self.start) if self.start else (None, None)
        keras.utils.set_random_seed(self.recipe.seed)
        model = build_cpm(spec=self.spec, **self.network)
        if source is not None and trained is not None:
            # the shapes tell the one channel of a person network from any other
            same_parts = self.spec.skeleton.parts in (trained.skeleton.parts, PERSON1.parts)
            fresh = transfer_weights(source, model, same_parts=same_parts)
            say(f"Started from {self.start}; new layers: {', '.join(fresh) or 'none'}")
        elif self.initializer == "release":
            initialize_release(model, self.recipe.seed)
        return model

    def train(
        self,
        model: keras.Model,
        records: Sequence[Record],
        validation_records: Sequence[Record] = (),
        *,
        directory: Path | str,
        verbose: int | str = "auto",
        callbacks: Sequence[keras.callbacks.Callback] = (),
        tracker: str | None = None,
    ) -> keras.callbacks.History:
        """`keras_cpm.train` by this plan; the bundle also says what `network` is.

        Args:
            model: of `build`.
            records: list of `Record`, those of `plan_training`.
            validation_records: list of `Record` of other people.
            directory, verbose, callbacks, tracker: see `keras_cpm.train`.

        Returns:
            `keras.callbacks.History`, see `keras_cpm.train`.
        """
        return train(
            model,
            records,
            validation_records,
            self.recipe,
            self.spec,
            directory=directory,
            augment=self.augment,
            network=self.network,
            verbose=verbose,
            callbacks=callbacks,
            tracker=tracker,
        )


def plan_training(
    records: Sequence[Record],
    *,
    init: Path | str | None = None,
    recipe: str = "modern",
    skeleton: Skeleton | Path | str | None = None,
    **changes: Any,
) -> TrainingPlan:
    """Decides what a training of records has unless told otherwise, as `keras-cpm train` does it.

    The network has 3 light stages of width 64, or with the recipe "release" the paper's 6; with
    `init` it is that of the bundle, and so are box and peaks. Records whose only part is a person's
    center make a network that finds people, see `find_people`.

    Args:
        records: list of `Record` to train on.
        init: name or folder of a bundle to start from, also of another skeleton.
        recipe: "modern" or "release", see `TrainSpec`; the second is the paper's training whole:
            network, first weights, optimiser, steps, augmentation, and parts without a label.
        skeleton: `Skeleton`, name of a built-in one, or path of a .json file of one; `None` for
            that of the records.
        changes: fields of `PoseSpec`, `AugmentSpec` and `TrainSpec`, and arguments of `build_cpm`,
            by name.

    Returns:
        `TrainingPlan`.

    Raises:
        ValueError, FileNotFoundError: changes or records that do not fit; no such bundle.

    Example:
        >>> import tempfile, keras_cpm
        >>> records = keras_cpm.draw_records(tempfile.mkdtemp(), 2)
        >>> plan = keras_cpm.plan_training(records, init="cpm-light-lsp", epochs=5)
        >>> plan.network["width"], plan.spec.box_size, plan.recipe.epochs
        (128, 192, 5)
    """
    if recipe not in RECIPES:
        raise ValueError(f"`recipe` must be one of {list(RECIPES)}. Received: recipe={recipe!r}")
    of_spec, of_augment, of_recipe, of_network = _sorted_out(changes)
    finds_people = {record.parts for record in records} == {PERSON1.parts}
    base, network = _before_changes(init, finds_people, recipe)
    if not isinstance(skeleton, Skeleton):
        skeleton = skeleton_of_records(records, skeleton, base.skeleton)
    if finds_people:
        # nobody is where no center is
        of_recipe = {"missing": "zero"} | of_recipe
    return TrainingPlan(
        spec=base.replace(**of_spec, skeleton=skeleton),
        network=network | of_network,
        recipe=dataclasses.replace(RECIPES[recipe], **of_recipe),
        augment=AugmentSpec(**of_augment),
        start=init,
        initializer="release" if recipe == "release" else "keras",
    )


def _before_changes(init, finds_people, recipe):
    """Spec and network."""
    if not init:
        if finds_people:
            return PERSON_SPEC, PERSON_NETWORK
        return PoseSpec(), RELEASED if recipe == "release" else NETWORK
    trained, network = bundle.describe(init)
    network = network or NETWORK
    if finds_people and trained.skeleton.parts != PERSON1.parts:
        # the features of a network of poses, in one that looks at whole photographs
        return PERSON_SPEC, network | _OF_PERSONS
    return trained, network


def _sorted_out(changes):
    """The changes of spec, augmentation, recipe and network, in this order."""
    kinds = [{f.name for f in dataclasses.fields(k)} for k in (PoseSpec, AugmentSpec, TrainSpec)]
    kinds.append(_NETWORK_CHANGES)
    known = sorted(set().union(*kinds) - {"skeleton", "version"})
    for name, value in changes.items():
        if name not in known:
            raise ValueError(f"`changes` must be among {known}. Received: {name}={value!r}")
        if callable(value):
            raise ValueError(
                f"`{name}` must be a name, which network.json can keep; give a function to "
                f"`build_cpm`, and what it builds to `keras_cpm.train`. Received: {name}={value!r}"
            )
    return [{name: changes[name] for name in changes if name in names} for names in kinds]
