"""What `python -m benchmarks.engines` gives every engine: one network in the forms they read, and
what goes in.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .layer_table import layer_table, read_table, write_table

# inputs and targets; facts; one network three times more
_ARRAYS, _FACTS = "arrays.npz", "facts.json"
_TABLE, _ONNX, _SERVED = "table.npz", "network.onnx", "served"


@dataclass(frozen=True)
class Workload:
    """A folder that `prepare` wrote. Reading tables, arrays and paths loads numpy only.

    Args:
        folder: path.
        threads: that an engine may use.

    Example:
        >>> import tempfile, keras_cpm
        >>> from benchmarks.engines.workload import Workload, prepare
        >>> spec, folder = keras_cpm.PoseSpec(box_size=64), tempfile.mkdtemp()
        >>> keras_cpm.save_bundle(folder, keras_cpm.build_cpm(2, spec, width=8), spec)
        >>> out = tempfile.mkdtemp()
        >>> prepare(out, folder, ["pytorch"])
        {}
        >>> work = Workload(out, threads=2)
        >>> [array.shape for array in work.inputs()], work.table()[0].name
        ([(1, 64, 64, 3), (1, 64, 64, 1)], 'image')
    """

    folder: Path
    threads: int

    def inputs(self):
        """Arrays (1, h, w, c), one an input: an image of noise, RGB 0..255, and the center map of a
        centred person.
        """
        with np.load(self._path(_ARRAYS)) as arrays:
            return [arrays["images"][:1], arrays["center"]][: self.facts()["inputs"]]

    def samples(self):
        """A training batch: inputs (n, h, w, c), and targets (n, h / 8, w / 8, C), one a stage."""
        with np.load(self._path(_ARRAYS)) as arrays:
            images, target = arrays["images"], arrays["target"]
        centers = [np.repeat(center, len(images), axis=0) for center in self.inputs()[1:]]
        return [images, *centers], [target] * len(self.facts()["outputs"])

    def facts(self):
        """dict: "inputs", how many; "outputs", their names; "parameters"; "box", pixels."""
        return json.loads(self._path(_FACTS).read_text("utf-8"))

    def table(self):
        """list of `layer_table.Row`."""
        return read_table(self._path(_TABLE))

    def onnx_path(self):
        return str(self._path(_ONNX))

    def served_path(self):
        return str(self._path(_SERVED) / "1")

    def model(self, convolution=None):
        """The Keras model; without `convolution` of Keras' own layers alone."""
        import keras

        from keras_cpm.models import bundle

        if convolution:
            return bundle.load(self.folder, convolution=convolution)[0]
        return keras.saving.load_model(self._path(bundle.MODEL_FILE), compile=False)

    def spec(self):
        from keras_cpm.models import bundle
        from keras_cpm.pose.spec import PoseSpec

        return PoseSpec.load(self._path(bundle.SPEC_FILE))

    def _path(self, name):
        return Path(self.folder) / name


def prepare(folder, name=None, engines=(), batch=1):
    """Writes the files of a `Workload`.

    Args:
        folder: an empty one.
        name: a bundle's folder or name; `None` for the paper's 6-stage network with random weights.
        engines: names of those that will run, see `peers.INFERENCE`.
        batch: images of a step of training.

    Returns:
        dict: engine -> one sentence, for those that cannot run this network.

    Raises:
        FileNotFoundError, ValueError: no such bundle, see `bundle.load`.
    """
    from keras_cpm.models import bundle

    folder = Path(folder)
    model, spec = bundle.load(name) if name else _lively_network()
    bundle.save_bundle(folder, model, spec)
    _write_arrays(folder / _ARRAYS, spec, batch)
    facts = {
        "inputs": len(model.inputs),
        "outputs": model.output_names,
        "parameters": model.count_params(),
        "box": spec.box_size,
    }
    (folder / _FACTS).write_text(json.dumps(facts), "utf-8")
    reasons = {}
    for engine in engines:
        try:
            _WRITERS.get(engine, _nothing)(folder, model, spec)
        except ValueError as error:
            reasons[engine] = str(error)
    return reasons


def _lively_network():
    """The network as it is built, but for biases, which would be zero, and the last layers of the
    stages, whose belief maps would be near zero: differences in them would mean nothing.
    """
    import keras

    from keras_cpm.models.cpm import build_cpm
    from keras_cpm.pose.spec import PoseSpec

    keras.utils.set_random_seed(0)
    spec = PoseSpec()
    model = build_cpm(spec=spec)
    draw = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D):
            layer.bias.assign(draw.normal(0, 0.1, layer.bias.shape))
            if layer.filters == spec.num_channels:
                shape = layer.kernel.shape
                layer.kernel.assign(draw.normal(0, shape[2] ** -0.5, shape))
    return model, spec


def _write_arrays(path, spec, batch):
    from keras_cpm.models.forward import centered_map

    draw, cells = np.random.default_rng(1), spec.box_size // spec.stride
    np.savez(
        path,
        images=draw.uniform(0, 255, (batch, spec.box_size, spec.box_size, 3)).astype("f4"),
        center=centered_map(spec),
        target=draw.uniform(0, 1, (batch, cells, cells, spec.num_channels)).astype("f4"),
    )


def _nothing(folder, model, spec):
    """For engines that read the bundle."""


def _write_table(folder, model, spec):
    write_table(folder / _TABLE, layer_table(model))


def _write_onnx(folder, model, spec):
    import tensorflow as tf

    from keras_cpm.export.onnx_file import converted
    from keras_cpm.models.forward import at_box_size, stages_of
    from keras_cpm.models.fourier.layer import plain_copy

    plain = at_box_size(plain_copy(model), spec)
    inputs = [tf.TensorSpec([1, *x.shape[1:]], x.dtype, name=x.name) for x in plain.inputs]

    def stages(*images):
        return stages_of(plain(list(images), training=False))

    (folder / _ONNX).write_bytes(converted(stages, inputs).SerializeToString())


def _write_served(folder, model, spec):
    from keras_cpm.export.saved_model import export_saved_model

    export_saved_model(model, spec, folder / _SERVED)


_WRITERS = {
    "savedmodel": _write_served,
    "pytorch": _write_table,
    "onnxruntime": _write_onnx,
    "openvino": _write_onnx,
}
