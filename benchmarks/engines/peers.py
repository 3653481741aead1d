"""The engines of `python -m benchmarks.engines`: functions from a `workload.Workload` to one
network that runs.

The packages of an engine are loaded within its function: the memory of a process is that of its
engine, and no peer is needed to measure the others. TensorFlow takes the number of threads from the
environment, see `process.environment`.
"""

from __future__ import annotations

import dataclasses
import importlib.util
from collections.abc import Callable
from importlib import metadata

import numpy as np

from .torch_network import torch_gradients, torch_network


@dataclasses.dataclass(frozen=True)
class Engine:
    """What is measured in a row of the table.

    Args:
        title: of the row; {} is the version of the last of its packages.
        make: function of a `Workload`. Predicting: returns a function of nothing that returns the
            list of all stages, arrays (1, h, w, C). Training: an object with `step()`, which
            returns the loss, and `gradients()`, a dict of the paths of Keras' weights.
        packages: what it needs besides this package's own, name to import -> name to install.
        precision: in which it computes.

    Example:
        >>> from benchmarks.engines.peers import INFERENCE
        >>> INFERENCE["tensorflow"].absent()
        []
    """

    title: str
    make: Callable
    packages: dict = dataclasses.field(default_factory=dict)
    precision: str = "float32"

    def absent(self):
        """What `pip install` must add."""
        packages = self.packages.items()
        return [pip for name, pip in packages if importlib.util.find_spec(name) is None]

    def full_title(self):
        """With the version."""
        return self.title.format(*map(_version, list(self.packages)[-1:]))


def _version(package):
    # what is imported as tensorflow may be installed as tensorflow-cpu
    distributions = metadata.packages_distributions()
    return metadata.version(distributions[package][0])


def _torch(work):
    import torch

    torch.set_num_threads(work.threads)
    return torch


# --- predicting -----------------------------------------------------------------------------------


def _predictor(convolution):
    def make(work):
        from keras_cpm.inference.runner import Inference

        model, inputs = work.model(convolution), work.inputs()
        inference = Inference(model)
        # the function keeps the model, which an Inference does not
        return lambda model=model: inference(inputs)

    return make


def _saved_model(work):
    import tensorflow as tf

    loaded = tf.saved_model.load(work.served_path())
    beliefs, names = loaded.signatures["beliefs"], work.facts()["outputs"]
    # the center map is a constant of the graph
    image = work.inputs()[0]

    def run(loaded=loaded):
        outputs = beliefs(image=tf.constant(image))
        return [outputs[name].numpy() for name in names]

    return run


def _plain(work):
    import tensorflow as tf

    from keras_cpm.models.forward import stages_of

    model, inputs = work.model(), work.inputs()
    function = tf.function(lambda *images: stages_of(model(list(images), training=False)))
    return lambda: [stage.numpy() for stage in function(*map(tf.constant, inputs))]


def _pytorch(work):
    torch = _torch(work)
    network, inputs = torch_network(work.table()).eval(), work.inputs()

    def run():
        with torch.inference_mode():
            return [stage.numpy() for stage in network(*map(torch.from_numpy, inputs))]

    return run


def _onnxruntime(work):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = work.threads
    providers = ["CPUExecutionProvider"]
    session = onnxruntime.InferenceSession(work.onnx_path(), options, providers=providers)
    names = [value.name for value in session.get_inputs()]
    feed = dict(zip(names, work.inputs(), strict=True))
    return lambda: session.run(None, feed)


def _openvino(work):
    import openvino

    settings = {"INFERENCE_NUM_THREADS": work.threads, "INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.Core().compile_model(work.onnx_path(), "CPU", settings)
    inputs = work.inputs()
    return lambda: [np.array(stage) for stage in compiled(inputs).values()]


# --- training -------------------------------------------------------------------------------------


# about that of the first steps of the recipe's schedule
_RATE = 1e-6


class _KerasTraining:
    """`train_on_batch` with the losses of the package: compiled as `keras-cpm train` does, or,
    without `convolution`, with Keras' own layers and optimiser.

    Without moving average, which PyTorch's optimiser has not, and without dropout, which would make
    gradients differ.
    """

    def __init__(self, work, convolution, precision):
        import keras

        from keras_cpm.training.losses import stage_losses
        from keras_cpm.training.recipes import MODERN
        from keras_cpm.training.train import compile_cpm

        self._model = work.model(convolution)
        self._inputs, self._targets = work.samples()
        for layer in self._model.layers:
            if isinstance(layer, keras.layers.Dropout):
                layer.rate = 0.0
            if layer.name not in self._model.output_names:
                layer.dtype_policy = keras.DTypePolicy(precision)
        if convolution:
            recipe = dataclasses.replace(MODERN, ema=0.0)
            compile_cpm(self._model, recipe, work.spec(), total_steps=10_000)
        else:
            own = keras.optimizers.AdamW(_RATE, weight_decay=MODERN.weight_decay)
            self._model.compile(own, stage_losses(self._model))

    def step(self):
        logs = self._model.train_on_batch(self._inputs, self._targets, return_dict=True)
        return float(logs["loss"])

    def gradients(self):
        import tensorflow as tf

        from keras_cpm.models.forward import stages_of
        from keras_cpm.training.losses import belief_l2

        variables = self._model.trainable_variables

        @tf.function
        def compute(inputs, targets):
            with tf.GradientTape() as tape:
                stages = stages_of(self._model(inputs, training=True))
                losses = [belief_l2(a, b) for a, b in zip(targets, stages, strict=True)]
                loss = tf.reduce_mean(sum(losses))
            return tape.gradient(loss, [variable.value for variable in variables])

        arrays = (list(map(tf.constant, some)) for some in (self._inputs, self._targets))
        found = zip(variables, compute(*arrays), strict=True)
        return {variable.path: gradient.numpy() for variable, gradient in found}


class _TorchTraining:
    """The same sum of losses, and PyTorch's AdamW."""

    def __init__(self, work, compiled=False):
        torch = _torch(work)
        self._network = torch_network(work.table()).train()
        self._outputs = torch.compile(self._network) if compiled else self._network
        self._inputs, self._targets = (list(map(torch.from_numpy, some)) for some in work.samples())
        self._optimizer = torch.optim.AdamW(self._network.parameters(), lr=_RATE, weight_decay=1e-4)

    def step(self):
        loss = self._backward()
        self._optimizer.step()
        return float(loss)

    def gradients(self):
        self._backward()
        return torch_gradients(self._network)

    def _backward(self):
        self._optimizer.zero_grad()
        pairs = zip(self._outputs(*self._inputs), self._targets, strict=True)
        loss = sum(0.5 * (a - b).square().sum() for a, b in pairs) / len(self._targets[0])
        loss.backward()
        return loss.detach()


def _keras(convolution=None, precision="float32"):
    return lambda work: _KerasTraining(work, convolution, precision)


# --- their names: what others are compared with is "tensorflow" of the same precision -------------

_OWN = {"tensorflow": "tensorflow"}
_TORCH = {"torch": "torch"}
_CONVERTED = {"tf2onnx": "tf2onnx", "onnxruntime": "onnxruntime"}

INFERENCE = {
    "keras_cpm": Engine("keras_cpm", _predictor("auto")),
    "savedmodel": Engine("keras_cpm, SavedModel", _saved_model),
    "small-tiles": Engine("keras_cpm, small-tiles", _predictor("small-tiles")),
    "tensorflow": Engine("TensorFlow {}, direct", _plain, _OWN),
    "pytorch": Engine("PyTorch {}, channels last", _pytorch, _TORCH),
    "onnxruntime": Engine("ONNX Runtime {}", _onnxruntime, _CONVERTED),
    "openvino": Engine("OpenVINO {}", _openvino, {**_CONVERTED, "openvino": "openvino"}),
}

_BFLOAT16 = "mixed_bfloat16"
TRAINING = {
    "keras_cpm": Engine("keras_cpm", _keras("auto")),
    "tensorflow": Engine("TensorFlow {}, direct", _keras(), _OWN),
    "pytorch": Engine("PyTorch {}, channels last", _TorchTraining, _TORCH),
    "pytorch-compiled": Engine(
        "PyTorch {}, channels last, compiled", lambda work: _TorchTraining(work, True), _TORCH
    ),
    "keras_cpm-bfloat16": Engine("keras_cpm", _keras("auto", _BFLOAT16), {}, _BFLOAT16),
    "tensorflow-bfloat16": Engine(
        "TensorFlow {}, direct", _keras(None, _BFLOAT16), _OWN, _BFLOAT16
    ),
}
