"""Runs an exported ONNX file. Needs numpy and ONNX Runtime, not TensorFlow."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..pose.spec import Array
from .box_input import as_box

# of ONNX Runtime: names of its types, and its level of messages from "error" on
_TYPES = {"tensor(float)": "float32", "tensor(uint8)": "uint8"}
_ERRORS = 3


class ONNXModel:
    """An .onnx file as `export_onnx` writes it, on the CPU.

    Threads may share it. A copy, also by pickle, reads the file anew.

    Args:
        path: of the file.
        threads: CPU threads of one call.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a damaged file, or one of something else.
        ImportError: ONNX Runtime is not installed.

    Example:
        >>> import importlib.util, tempfile, keras_cpm
        >>> import numpy as np
        >>> spec, folder = keras_cpm.PoseSpec(box_size=64), tempfile.mkdtemp()
        >>> model = keras_cpm.build_cpm(1, spec, width=8)
        >>> if importlib.util.find_spec("tf2onnx"):
        ...     keras_cpm.export_onnx(model, spec, f"{folder}/cpm.onnx")
        ...     run = keras_cpm.ONNXModel(f"{folder}/cpm.onnx")
        ...     assert run(np.zeros((1, 64, 64, 3)))["keypoints"].shape == (1, 14, 2)
    """

    def __init__(self, path: Path | str, threads: int = 1) -> None:
        path = Path(path)
        self._arguments = path, threads
        if not path.is_file():
            raise FileNotFoundError(
                f"There is no ONNX file at {path}; `keras-cpm export --to onnx` makes one."
            )
        runtime = _runtime()
        options = runtime.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = threads, _ERRORS
        # sums of 8-bit products would run over on processors of Intel and AMD without VNNI
        options.add_session_config_entry("session.x64quantprecision", "1")
        try:
            self._session = runtime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
            ((shape, kind),) = self.signature()["inputs"].values()
        # its errors have no class in common; other inputs are another file's
        except Exception as error:
            says = " ".join(str(error).split())
            raise ValueError(
                f"{path} is damaged, or no file of `keras-cpm export --to onnx`; copy it again. "
                f"It says: {says}"
            ) from None
        self._shape, self._type = tuple(shape), kind
        self._names = [one.name for one in self._session.get_outputs()]

    def __reduce__(self):
        return ONNXModel, self._arguments

    def signature(self) -> dict[str, dict[str, list]]:
        """{"inputs": ..., "outputs": ...}, each a dict of name -> [shape, type]."""
        session = self._session
        return {
            side: {
                one.name: [one.shape, _TYPES[one.type]]
                for one in sorted(ends, key=lambda one: one.name)
            }
            for side, ends in (("inputs", session.get_inputs()), ("outputs", session.get_outputs()))
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
        found = self._session.run(self._names, {"image": box})
        return dict(zip(self._names, found, strict=True))


def _runtime():
    try:
        import onnxruntime
    except ImportError:
        raise ImportError(
            "Running an .onnx file needs a runtime: pip install onnxruntime"
        ) from None
    return onnxruntime
