"""`Inference`: a model as a function for predictions, which keeps the spectra of large kernels."""

import hashlib
import weakref

import keras
import numpy as np
import tensorflow as tf

from ..models.fourier.convolution import kernel_spectrum
from ..models.fourier.layer import held, kept_layers, spectra, tiled_layers
from ..models.stage_beliefs import stages_of

# numbers of a kernel that are looked at to notice new weights; a step of training changes all
_LOOKED_AT = 64


_OF_MODEL = weakref.WeakKeyDictionary()


def inference_of(model):
    """The `Inference` of a model, the same for all who ask."""
    return _OF_MODEL.setdefault(model, Inference(model))


class Inference:
    """Runs a model on arrays.

    Where layers take Fourier tiles (TensorFlow, CPU), the spectra of their kernels are computed
    once and again when the weights have changed. Otherwise it is `model.predict_on_batch`.

    Args:
        model: `keras.Model`.

    Example:
        >>> import numpy as np, keras_cpm
        >>> from keras_cpm.inference.runner import Inference
        >>> spec = keras_cpm.PoseSpec(box_size=64)
        >>> model = keras_cpm.build_cpm(2, spec, width=8, center_map=False)
        >>> inference = Inference(model)
        >>> [stage.shape for stage in inference([np.zeros((1, 64, 64, 3), "float32")])]
        [(1, 8, 8, 15), (1, 8, 8, 15)]
    """

    def __init__(self, model):
        # its users keep the model; without this, nobody would ever let go of either
        self._model = weakref.ref(model)
        self._tiles, self._spectra, self._function, self._seen = {}, [], None, None

    def __call__(self, inputs):
        """Predicts.

        Args:
            inputs: list of arrays, one an input.

        Returns:
            list of arrays, one an output.
        """
        if keras.backend.backend() != "tensorflow" or not tiled_layers(self.model):
            return stages_of(self.model.predict_on_batch(inputs))
        self._refresh()
        outputs = self._function(*(tf.cast(x, tf.float32) for x in inputs))
        return [output.numpy() for output in outputs]

    @property
    def model(self):
        return self._model()

    def _refresh(self):
        """Traces, and computes spectra, where that has not been done for these weights."""
        tiles = tiled_layers(self.model)
        seen = self._sample(kept_layers(self.model))
        if tiles != self._tiles:
            self._tiles = tiles
            self._spectra = [tf.Variable(s, trainable=False) for s in spectra(self.model)]
            self._function = self._trace()
        elif any(map(np.any, map(np.not_equal, seen, self._seen))):
            for variable, spectrum in zip(self._spectra, spectra(self.model), strict=True):
                variable.assign(spectrum)
        self._seen = seen

    def _sample(self, layers):
        flat = [tf.reshape(layer.kernel, [-1]) for layer in layers]
        return [k[:: max(1, k.shape[0] // _LOOKED_AT)].numpy() for k in flat]

    def _trace(self):
        specs = [tf.TensorSpec(x.shape, tf.float32) for x in self.model.inputs]

        def run(*inputs):
            return stages_of(self.model(list(inputs), training=False))

        with held(self.model, keepers(self.model, [v.read_value for v in self._spectra])):
            return tf.function(run, input_signature=specs).get_concrete_function()


def keepers(model, reads):
    """What `held` takes.

    Args:
        model: `keras.Model`.
        reads: for each of `kept_layers` a function of nothing that gives its spectrum.

    Returns:
        list of an object for each of `tiled_layers`.
    """
    kept = dict(zip(kept_layers(model), reads, strict=True))
    last = []
    return [
        _Kept(kept[layer]) if layer in kept else _InTurn(layer, tile, last)
        for layer, tile in tiled_layers(model).items()
    ]


class _Kept:
    """A spectrum that is there already."""

    def __init__(self, read):
        self._read = read

    def begin(self, inputs):
        return inputs, self._read()

    def end(self, outputs):
        pass


class _InTurn:
    """A spectrum computed when the layer's turn has come, after the last layer's, and forgotten.

    Left to itself TensorFlow computes all spectra first and both towers at once.
    """

    def __init__(self, layer, tile, last):
        self._layer, self._tile, self._last = layer, tile, last

    def begin(self, inputs):
        # endpoints of one SavedModel are graphs of their own
        before = [tensor for tensor in self._last if tensor.graph is inputs.graph]
        with tf.control_dependencies([inputs, *before]):
            kernel = tf.cast(tf.identity(self._layer.kernel.value), tf.float32)
            return tf.identity(inputs), kernel_spectrum(kernel, self._tile)

    def end(self, outputs):
        self._last[:] = [outputs]


class StoredSpectrum(tf.saved_model.experimental.TrackableResource):
    """The spectrum of a kernel in a SavedModel: not in its files, but computed when it is loaded.

    Args:
        layer: `FastConv2D`.
        tile: side of its tile.
    """

    def __init__(self, layer, tile):
        super().__init__()
        kernel = layer.kernel
        self._kernel, self._tile = kernel.value, tile
        # files of different weights must not share a resource in the process that loads them
        digest = hashlib.sha1(kernel.numpy().tobytes()).hexdigest()
        self._name = f"spectrum_{layer.name}_{tile}_{digest}"
        self._shape = (3 * tile * (tile // 2 + 1), *kernel.shape[2:])
        # made now, not within the first function that reads it
        _ = self.resource_handle
        self._initialize()

    def _create_resource(self):
        return tf.raw_ops.VarHandleOp(
            dtype=tf.float32, shape=self._shape, shared_name=self._name, container="keras_cpm"
        )

    def _initialize(self):
        spectrum = kernel_spectrum(tf.cast(self._kernel, tf.float32), self._tile)
        tf.raw_ops.AssignVariableOp(resource=self.resource_handle, value=spectrum)

    def read(self):
        """(3 t b, ci, co), see `models/fourier/convolution.py`."""
        value = tf.raw_ops.ReadVariableOp(resource=self.resource_handle, dtype=tf.float32)
        return tf.ensure_shape(value, self._shape)
