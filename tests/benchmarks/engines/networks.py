"""Networks and layers with every setting that engines must know, and what Keras makes of them."""

import keras
import numpy as np
from keras import layers

NETWORKS = {
    "paper": {},
    "light": {"backbone": "light", "stage_block": "light"},
    "vgg19": {"backbone": "vgg19", "stage_block": "vgg"},
    "residual": {"stage_block": "residual", "share_context": True, "dropout": 0.5},
    "any size": {"backbone": "vgg19-person", "center_map": False, "input_size": "any"},
}

LAYERS = {
    "odd strides": layers.Conv2D(4, 5, strides=3, padding="same"),
    "even kernel": layers.Conv2D(4, (4, 2), padding="same", activation="relu"),
    "dilation": layers.Conv2D(4, 3, dilation_rate=(2, 3), padding="same", use_bias=False),
    "valid": layers.Conv2D(4, 3, strides=2, padding="valid"),
    "groups": layers.Conv2D(6, 3, groups=2, padding="same"),
    "grow": layers.Conv2DTranspose(5, 2, strides=2, use_bias=False),
    "grow unequally": layers.Conv2DTranspose(3, (2, 3), (2, 3), "same", activation="relu"),
    "max": layers.MaxPooling2D((3, 4), 2, padding="same"),
    "wide max": layers.MaxPooling2D(6, 2, padding="same"),
    "valid max": layers.MaxPooling2D(3, 2),
    "mean": layers.AveragePooling2D(5, 3, padding="same"),
    "wide mean": layers.AveragePooling2D((7, 4), 2, padding="same"),
    "plain norm": layers.BatchNormalization(scale=False, center=False),
    "rescaled channels": layers.Rescaling([1.0, 2.0, 3.0, 4.0], offset=[0.0, 1.0, 2.0, 3.0]),
    "relu": layers.Activation("relu"),
}


def model_of(layer, sides=(23, 18)):
    """A copy of the layer, as a model: layers are used once."""
    image = keras.Input((*sides, 4), name="image")
    return lively(keras.Model([image], [type(layer).from_config(layer.get_config())(image)]))


def assert_same(found, expected):
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-5 * np.abs(b).max())


def lively(model):
    """All weights drawn, those that begin at zero or one too."""
    draw = np.random.default_rng(0)
    for weight in model.weights:
        noise = draw.normal(0, 0.2, weight.shape)
        weight.assign(weight + np.abs(noise) if "variance" in weight.path else weight + noise)
    return model


def images_for(model, sides=(64, 64)):
    draw = np.random.default_rng(1)
    return [
        draw.uniform(0, 255 if x.shape[-1] == 3 else 1, (2, *sides, x.shape[-1])).astype("float32")
        for x in model.inputs
    ]


def outputs_of(model, images):
    outputs = model(images, training=False)
    return [np.asarray(x) for x in (outputs if isinstance(outputs, list) else [outputs])]
