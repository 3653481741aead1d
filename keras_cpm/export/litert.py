"""Runs an exported LiteRT file. Needs numpy and the runtime, not TensorFlow."""

from __future__ import annotations

import threading
import warnings
from pathlib import Path

import numpy as np

from ..pose.spec import Array
from .box_input import as_box


class LiteRTModel:
    """A .tflite file as `export_tflite` writes it.

    Threads may share it. It is one interpreter, which has one place for its input and its outputs,
    so calls run one after the other; `threads` makes each of them faster, and an interpreter for
    each thread would need the model's memory as often. A copy, also by pickle, reads the file anew.

    Args:
        path: of the file.
        threads: CPU threads of one call.

    Raises:
        FileNotFoundError: no such file.
        ImportError: no runtime is installed.

    Example:
        >>> import tempfile, keras_cpm
        >>> import numpy as np
        >>> spec, folder = keras_cpm.PoseSpec(box_size=64), tempfile.mkdtemp()
        >>> model = keras_cpm.build_cpm(1, spec, width=8)
        >>> keras_cpm.export_tflite(model, spec, f"{folder}/cpm.tflite")
        >>> run = keras_cpm.LiteRTModel(f"{folder}/cpm.tflite")
        >>> run(np.zeros((1, 64, 64, 3)))["keypoints"].shape
        (1, 14, 2)
    """

    def __init__(self, path: Path | str, threads: int = 1) -> None:
        path = Path(path)
        self._arguments, self._lock = (path, threads), threading.Lock()
        if not path.is_file():
            raise FileNotFoundError(
                f"There is no LiteRT file at {path}; `keras-cpm export --to tflite` makes one."
            )
        with warnings.catch_warnings():
            # TensorFlow's says that it is deprecated
            warnings.simplefilter("ignore", UserWarning)
            interpreter = _interpreter()(model_path=str(path), num_threads=threads)
        self._run = interpreter.get_signature_runner()
        box = self._run.get_input_details()["image"]
        self._shape, self._type = tuple(map(int, box["shape"])), box["dtype"]

    def __reduce__(self):
        return LiteRTModel, self._arguments

    def signature(self) -> dict[str, dict[str, list]]:
        """{"inputs": ..., "outputs": ...}, each a dict of name -> [shape, type]."""
        with self._lock:
            inputs, outputs = self._run.get_input_details(), self._run.get_output_details()
        return {
            side: {
                name: [list(map(int, detail["shape"])), np.dtype(detail["dtype"]).name]
                for name, detail in sorted(details.items())
            }
            for side, details in (("inputs", inputs), ("outputs", outputs))
        }

    def __call__(self, image: Array) -> dict[str, np.ndarray]:
        """One network box (1, H, W, 3) RGB 0..255 -> dict of arrays.

        Returns:
            "keypoints" (1, P, 2) network frame, pixels; "scores" (1, P); "beliefs" (1, h, w, C) of
            the last stage.

        Raises:
            ValueError: `image` is of another shape than the file's.
        """
        box = as_box(image, self._shape, self._type)
        with self._lock:
            return self._run(image=box)


def _interpreter():
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        try:
            import tensorflow as tf
        except ImportError:
            raise ImportError(
                "Running a .tflite file needs a runtime: pip install ai-edge-litert"
            ) from None
        # deprecated there, and what is at hand
        return tf.lite.Interpreter
    return Interpreter
