"""A bundle's network run by LiteRT, without TensorFlow."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np

from . import flatbuffer, graph

INSTALL = "LiteRT is not installed; pip install 'keras-cpm[mobile]', or leave out `engine`"
# sizes of photographs whose interpreters are kept; each holds the weights once more
_KEPT = 12
# side of a kernel, see `fourier.costs`
_LARGE = 7


class LiteRTNetwork:
    """The network in a model.keras file as a function from inputs to the beliefs of every stage.

    Where a `keras.Model` is asked for to predict, it does, too. Threads may share it and run one
    after the other; a copy, also by pickle, reads the file anew.

    Args:
        path: of the file.
        threads: CPU threads of a run; all unless given.

    Raises:
        ImportError: LiteRT is not installed.
        graph.Unsupported: the file has layers that only Keras computes.
        ValueError: the file is damaged, see `model_file.load`.

    Example:
        >>> import numpy as np
        >>> from keras_cpm.models import bundle
        >>> from keras_cpm.models.litert.network import LiteRTNetwork
        >>> path = bundle.bundle_directory("cpm-light-person") / bundle.MODEL_FILE
        >>> network = LiteRTNetwork(path)
        >>> [stage.shape for stage in network([np.zeros((1, 64, 96, 3), np.float32)])]
        [(1, 8, 12, 1), (1, 8, 12, 1)]
    """

    def __init__(self, path: Path | str, threads: int | None = None) -> None:
        self._path, self._threads = path, threads or _cores()
        self._interpreter = _interpreter()
        self._graph, self._lock = graph.read(path), threading.Lock()
        self._runs: OrderedDict[tuple[int, ...], object] = OrderedDict()
        self.inputs = [_Shaped((None, *shape)) for shape in self._graph.inputs.values()]
        self.outputs = list(map(_Shaped, self.compute_output_shape(self.inputs[0].shape)))
        self.output_names = list(self._graph.outputs)

    def __reduce__(self):
        return LiteRTNetwork, (self._path, self._threads)

    def __call__(self, inputs: list[np.ndarray]) -> list[np.ndarray]:
        """Predicts.

        Args:
            inputs: list of (B, H, W, 3 or 1) arrays, one an input of the model.

        Returns:
            list of (B, h, w, C) float32, one a stage.
        """
        arrays = [np.ascontiguousarray(one, np.float32) for one in inputs]
        with self._lock:
            run = self._run_of(arrays[0].shape[1:3])
            boxes = [self._one(run, box) for box in zip(*arrays, strict=True)]
            return [np.concatenate(stage) for stage in zip(*boxes, strict=True)]

    @property
    def has_large_kernels(self) -> bool:
        """Whether there are convolutions that Keras computes several times as fast, by tiles."""
        return any(
            node.kind == "Conv2D" and min(node.weights[0].shape[:2]) >= _LARGE
            for node in self._graph.nodes.values()
        )

    def compute_output_shape(self, shape: Any) -> list[tuple[int | None, ...]]:
        """Those of the outputs, of inputs of a shape, as `keras.Model` says them."""
        batch, *size = (shape[0] if isinstance(shape[0], tuple) else shape)[:3]
        if None in size:
            return [(batch, None, None, shapes[-1]) for shapes in self._shapes(8, 8)]
        return [(batch, *one) for one in self._shapes(*size)]

    def _shapes(self, height, width):
        shapes = self._graph.shapes(height, width)
        return [shapes[name] for name in self._graph.outputs.values()]

    def prepare(self, height: int, width: int) -> None:
        """Does now what the first run of a size would do."""
        with self._lock:
            self._run_of((height, width))

    def _run_of(self, size):
        if size not in self._runs:
            run = self._interpreter(
                model_content=flatbuffer.content(self._graph, *size), num_threads=self._threads
            )
            run.allocate_tensors()
            self._runs[size] = run
            while len(self._runs) > _KEPT:
                self._runs.popitem(last=False)
        self._runs.move_to_end(size)
        return self._runs[size]

    def _one(self, run, box):
        """One box after the other: a run of several would be no faster."""
        for detail, value in zip(run.get_input_details(), box, strict=True):
            run.set_tensor(detail["index"], value[None])
        run.invoke()
        return [run.get_tensor(detail["index"]) for detail in run.get_output_details()]


def _cores():
    """Those that this process may use: a thread more than there are cores costs much."""
    has_affinity = hasattr(os, "sched_getaffinity")
    return len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1


class _Shaped:
    """What is asked of the inputs of a `keras.Model`."""

    def __init__(self, shape):
        self.shape = shape


def _interpreter():
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        raise ImportError(f"{INSTALL}.") from None
    return Interpreter
