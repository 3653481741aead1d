"""`Inference`: a model as a function for predictions, which keeps the spectra of large kernels."""

import functools
import hashlib
import threading
import weakref

import keras
import numpy as np
import tensorflow as tf

from ..models.forward import stages_of
from ..models.fourier.convolution import kernel_spectrum
from ..models.fourier.layer import held, kept_layers, spectra, tiled_layers

_OF_MODEL = weakref.WeakKeyDictionary()


def inference_of(model):
    """The `Inference` of a model, the same for all who ask."""
    return _OF_MODEL.setdefault(model, Inference(model))


class Inference:
    """Runs a model on arrays.

    Where layers take Fourier tiles (TensorFlow, CPU), the spectra of their kernels are computed
    once and again when any weight of a kernel has changed. Otherwise it is
    `model.predict_on_batch`. Threads may share it and run one after the other; a copy, also by
    pickle, is that of the copied model.

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
        self._lock = threading.Lock()
        self._function, self._tiles, self._spectra, self._kernels = None, {}, [], []

    def __reduce__(self):
        return inference_of, (self.model,)

    def __call__(self, inputs):
        """Predicts.

        Args:
            inputs: list of arrays, one an input.

        Returns:
            list of arrays, one an output.
        """
        # one after the other: a run takes all cores, and memory that is then taken once
        with self._lock:
            if keras.backend.backend() != "tensorflow" or not tiled_layers(self.model):
                return stages_of(self.model.predict_on_batch(inputs))
            self._refresh()
            outputs = self._function([tf.cast(x, tf.float32) for x in inputs], self._spectra)
            return [output.numpy() for output in outputs]

    @property
    def model(self):
        return self._model()

    def _refresh(self):
        """Traces, and computes spectra, where that has not been done for these weights."""
        tiles = tiled_layers(self.model)
        kernels = [tf.convert_to_tensor(layer.kernel) for layer in kept_layers(self.model)]
        if self._function is None or tiles != self._tiles:
            self._spectra = spectra(self.model)
            self._function, self._tiles = self._trace(), tiles
        elif not all(map(_same, kernels, self._kernels)):
            self._spectra = spectra(self.model)
        self._kernels = kernels

    def _trace(self):
        """A function of inputs and spectra."""
        given = []

        def run(inputs, spectra_now):
            given[:] = spectra_now
            return stages_of(self.model(list(inputs), training=False))

        inputs = [tf.TensorSpec(x.shape, tf.float32) for x in self.model.inputs]
        shapes = [tf.TensorSpec(x.shape, tf.float32) for x in self._spectra]
        reads = [functools.partial(given.__getitem__, i) for i in range(len(shapes))]
        with held(self.model, keepers(self.model, reads)):
            return tf.function(run, autograph=False).get_concrete_function(inputs, shapes)


def _same(kernel, seen):
    """Whether a kernel still is what was seen of it, all of it.

    TensorFlow never writes into memory that somebody else holds, and `seen` is held: the same
    memory is the same numbers, without reading them.
    """
    if "CPU" in kernel.device and np.may_share_memory(kernel, seen):
        return True
    return bool(tf.reduce_all(tf.equal(kernel, seen)))


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
