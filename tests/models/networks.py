"""Small networks, what goes in, and how their layers hang together."""

import keras
import numpy as np

from keras_cpm import PoseSpec, build_cpm
from keras_cpm.models.forward import stages_of

SPEC = PoseSpec(box_size=64)


def build(stages=2, spec=SPEC, **options):
    keras.utils.set_random_seed(0)
    return build_cpm(stages, spec, **{"width": 8, **options})


def some_inputs(count=2, height=64, width=64):
    rng = np.random.default_rng(0)
    return {
        "image": rng.uniform(0, 255, (count, height, width, 3)).astype(np.float32),
        "center_map": rng.uniform(0, 1, (count, height, width, 1)).astype(np.float32),
    }


def input_names(model):
    return [tensor.name for tensor in model.inputs]


def run(model, inputs, **options):
    outputs = model([inputs[name] for name in input_names(model)], **options)
    return [np.asarray(beliefs) for beliefs in stages_of(outputs)]


def makers(layer):
    """Names of the layers whose outputs `layer` reads, in order."""
    tensors = layer.input if isinstance(layer.input, list) else [layer.input]
    return [tensor._keras_history.operation.name for tensor in tensors]


def layers_of(model, kind):
    return [layer for layer in model.layers if isinstance(layer, kind)]
