"""The training schemes of Figure 6b: which stages learn when, and whose losses count."""

import contextlib
from typing import NamedTuple

import keras


class Phase(NamedTuple):
    """A part of a training.

    Args:
        first: epoch it begins with, counted from 0.
        last: epoch before which it ends.
        learns: the stage whose layers learn, counted from 1, or `None` for all.
        losses: stages whose losses count.
    """

    first: int
    last: int
    learns: int | None
    losses: tuple[int, ...]


def phases(scheme, stages, epochs):
    """The phases of a scheme (Sec. 4.1, "Comparison on training schemes").

    "joint" is scheme (i) of the paper, "stagewise" (ii), "stagewise+joint" (iii), "unsupervised"
    (iv). The stages of (ii) share the epochs evenly; (iii) is (ii) for the first half and (i) for
    the rest.

    Args:
        scheme: one of `recipes.SCHEMES`.
        stages: T.
        epochs: of the whole training.

    Returns:
        list of `Phase`.

    Raises:
        ValueError: fewer epochs than phases.

    Example:
        >>> from keras_cpm.training.schemes import phases
        >>> [tuple(phase) for phase in phases("stagewise", 2, 5)]
        [(0, 2, 1, (1,)), (2, 5, 2, (2,))]
    """
    every = tuple(range(1, stages + 1))
    if scheme == "joint":
        return [Phase(0, epochs, None, every)]
    if scheme == "unsupervised":
        return [Phase(0, epochs, None, every[-1:])]
    alone = epochs if scheme == "stagewise" else epochs // 2
    bounds = [alone * t // stages for t in range(stages + 1)]
    found = [Phase(bounds[t - 1], bounds[t], t, (t,)) for t in every]
    if alone < epochs:
        found.append(Phase(alone, epochs, None, every))
    if any(phase.first == phase.last for phase in found):
        least = stages * (1 if scheme == "stagewise" else 2)
        raise ValueError(
            f'scheme="{scheme}" with {stages} stages needs `epochs` of at least {least}. Received: '
            f"epochs={epochs}"
        )
    return found


@contextlib.contextmanager
def learning(model, phase):
    """Within it only the layers of the phase's stage are trainable, as far as they were.

    Compile inside: Keras asks layers then.
    """
    before = [layer.trainable for layer in model.layers]
    try:
        if phase.learns:
            own = set(layers_of_stages(model)[phase.learns - 1])
            for layer in model.layers:
                layer.trainable = layer.trainable and layer.name in own
        yield
    finally:
        for layer, trainable in zip(model.layers, before, strict=True):
            layer.trainable = trainable


def layers_of_stages(model):
    """Names of the layers that each stage adds: on the way to its output, and to none before.

    Example:
        >>> from keras_cpm import build_cpm
        >>> from keras_cpm.training.schemes import layers_of_stages
        >>> "conv1_stage2" in layers_of_stages(build_cpm(3, width=8))[1]
        True
    """
    seen, found = set(), []
    for output in model.outputs:
        waiting, names = [output], []
        while waiting:
            layer, node, _ = waiting.pop()._keras_history
            if layer.name not in seen:
                seen.add(layer.name)
                names.append(layer.name)
                if not isinstance(layer, keras.layers.InputLayer):
                    waiting += layer._inbound_nodes[node].input_tensors
        found.append(names)
    return found
