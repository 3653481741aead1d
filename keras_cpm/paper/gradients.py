"""Gradients of a model's layers on given people: what Figure 5 of the paper tracks."""

import keras
import numpy as np
import tensorflow as tf

from ..training import schemes


def layers_in_depth(model):
    """Names of the first, middle and last convolution of every stage, from the input to the output.

    They lie on the longest way, which leads through the beliefs of every stage; the tower of the
    later stages is a shortcut.

    Example:
        >>> from keras_cpm import build_cpm
        >>> from keras_cpm.paper.gradients import layers_in_depth
        >>> layers_in_depth(build_cpm(2, width=8))[2:5]
        ['conv7_stage1', 'Mconv1_stage2', 'Mconv3_stage2']
    """
    chosen = []
    for stage, names in enumerate(schemes.layers_of_stages(model), 1):
        way = [
            layer.name
            for layer in model.layers
            if layer.name in names
            and isinstance(layer, keras.layers.Conv2D)
            and (stage == 1 or layer.name.startswith("Mconv"))
        ]
        chosen += [way[0], way[len(way) // 2], way[-1]]
    return chosen


def kernel_gradients(model, dataset, layers):
    """Gradients of the loss with which the model is compiled, the mean over the batches.

    Args:
        model: compiled `keras.Model`.
        dataset: batches as `make_dataset` makes them; the same ones for values to be compared.
        layers: names of convolutions.

    Returns:
        {name of a layer: (n,) float32, one gradient a weight of its kernel}.

    Example:
        >>> import tempfile, keras_cpm
        >>> from keras_cpm.paper.gradients import kernel_gradients
        >>> spec = keras_cpm.PoseSpec(box_size=32)
        >>> model = keras_cpm.build_cpm(2, spec, backbone="light", stage_block="light", width=8)
        >>> keras_cpm.compile_cpm(model, spec=spec, total_steps=1)
        >>> records = keras_cpm.draw_records(tempfile.mkdtemp(), 2)
        >>> dataset = keras_cpm.make_dataset(records, spec, stages=2, batch_size=2)
        >>> kernel_gradients(model, dataset, ["conv1"])["conv1"].shape
        (216,)
    """
    kernels = [model.get_layer(name).kernel.value for name in layers]

    @tf.function(autograph=False)
    def gradients(inputs, targets):
        with tf.GradientTape() as tape:
            outputs = model(inputs, training=True)
            loss = model.compute_loss(inputs, targets, outputs, training=True)
        return tape.gradient(loss, kernels)

    batches = [gradients(inputs, targets) for inputs, targets in dataset]
    means = [
        np.mean([one.numpy() for one in found], axis=0) for found in zip(*batches, strict=True)
    ]
    return {name: mean.ravel() for name, mean in zip(layers, means, strict=True)}
