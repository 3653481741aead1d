"""Which engine runs the networks of bundles: Keras, or LiteRT, which is ready at once and computes
the same.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ..models import bundle
from ..models.forward import StageBeliefs
from ..models.litert.graph import Unsupported
from ..models.litert.network import LiteRTNetwork
from ..pose import arithmetic
from ..pose.spec import PoseSpec

ENGINES = ("auto", "keras", "litert")


def load_by_litert(
    names: Sequence[str | Path], engine: str = "auto", *, many: bool = False
) -> list[tuple[LiteRTNetwork, PoseSpec]] | None:
    """Loads bundles to predict with by LiteRT.

    Args:
        names: of bundles, or their folders.
        engine: "keras", "litert", or "auto": LiteRT where it is installed and knows all layers.
        many: whether there is so much to look at that the start does not matter; "auto" then leaves
            networks of large kernels to Keras.

    Returns:
        list of `LiteRTNetwork` and `PoseSpec`, for `Predictor` and `find_people`; `None` where
        Keras is to answer, by what `bundle.load` gives.

    Raises:
        ValueError: unknown `engine`; "litert" and a layer that only Keras computes; a damaged
            bundle, see `bundle.load`.
        ImportError: "litert", and it is not installed.
        FileNotFoundError: see `bundle.load`.

    Example:
        >>> import numpy as np
        >>> from keras_cpm import Predictor
        >>> from keras_cpm.inference import engine
        >>> [loaded] = engine.load_by_litert(["cpm-light"])
        >>> with engine.computing(by_litert=True):
        ...     pose = Predictor(*loaded)(np.zeros((60, 80, 3)))
        >>> pose.keypoints.shape
        (14, 2)
    """
    if engine not in ENGINES:
        raise ValueError(f"`engine` must be one of {list(ENGINES)}. Received: engine={engine!r}")
    if engine == "keras":
        return None
    try:
        # side by side: half of the time is spent outside of Python
        with ThreadPoolExecutor(max(1, len(names))) as threads:
            found = list(threads.map(_by_litert, names))
    except (ImportError, Unsupported):
        if engine == "litert":
            raise
        return None
    slow = many and any(network.has_large_kernels for network, _ in found)
    return None if slow and engine == "auto" else found


def computing(
    by_litert: bool, load_tensorflow: Callable[[], object] | None = None
) -> contextlib.AbstractContextManager[None]:
    """Within it NumPy computes where LiteRT runs the networks, so that TensorFlow is not imported.

    Args:
        by_litert: whether LiteRT runs them.
        load_tensorflow: called before TensorFlow is imported all the same, for a photograph that
            only it decodes.
    """
    if not by_litert:
        return contextlib.nullcontext()
    return arithmetic.by_numpy(*([load_tensorflow] if load_tensorflow else []))


def stage_beliefs(model: Any, spec: PoseSpec) -> StageBeliefs:
    """A model as a function from network boxes to the beliefs of every stage, as fast as its engine
    can.

    Args:
        model: `keras.Model`, or `LiteRTNetwork`.
        spec: `PoseSpec` of it.
    """
    if isinstance(model, LiteRTNetwork):
        return StageBeliefs(model, spec, run=model)
    from .runner import inference_of

    return StageBeliefs(model, spec, run=inference_of(model))


def _by_litert(name):
    folder, spec = bundle.opened(name)
    network = LiteRTNetwork(folder / bundle.MODEL_FILE)
    try:
        bundle.check_model(network, spec)
    except ValueError as error:
        raise ValueError(f"{folder}: {error}") from None
    if None not in network.inputs[0].shape[1:]:
        network.prepare(spec.box_size, spec.box_size)
    return network, spec
