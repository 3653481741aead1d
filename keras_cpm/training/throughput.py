"""How fast a training is: images a second, and how much of the device's arithmetic that uses."""

import math
import re
import sys
import time

import keras

# Dense bfloat16 products summed in float32, TFLOP/s, by the device's name, from the vendors' data
# sheets; these often give twice as much, "with sparsity". The first that matches counts.
PEAKS = {
    r"H[12]00 NVL": 835,  # NVIDIA H100 NVL and H200 NVL data sheets: 1,671 with sparsity
    r"H100 PCIe": 756,  # NVIDIA H100 data sheet: 1,513 with sparsity
    r"H[12]00": 989,  # NVIDIA H100 and H200 data sheets, SXM: 1,979 with sparsity
    r"A100": 312,  # NVIDIA A100 data sheet
    r"L40S": 362,  # NVIDIA L40S data sheet
    r"L4": 121,  # NVIDIA L4 data sheet: 242 with sparsity
    r"T4": 65,  # NVIDIA T4 data sheet, float16: it has no bfloat16
    r"RTX 4090$": 165,  # NVIDIA Ada architecture white paper, appendix A
    r"TPU v4": 275,  # Google Cloud TPU documentation, a chip, as all that follow
    r"TPU v5 lite": 197,  # v5e
    r"TPU v5": 459,  # v5p
    r"TPU v6 lite": 918,  # v6e
}

# A step computes each layer forward, and backward to its inputs and to its weights.
_PASSES = 3


class Throughput(keras.callbacks.Callback):
    """Prints a line after each epoch: images a second, TFLOP/s, and the share of the device's peak.

    The first step of an epoch, in which the first epoch compiles, is left out, and so is validation.
    A step counts as three times `multiply_adds`, also where some stages do not learn; models with
    layers that `multiply_adds` does not know get the images only.

    Args:
        model: functional `keras.Model` that is trained.
        batch_size: images a step.

    Example:
        >>> import keras_cpm
        >>> from keras_cpm.training.throughput import Throughput
        >>> model = keras_cpm.build_cpm(2, keras_cpm.PoseSpec(box_size=64), width=8)
        >>> Throughput(model, 4).describe(images=100, seconds=2.0).split(",")[0]
        '50.0 images/s'
    """

    def __init__(self, model, batch_size):
        super().__init__()
        self._batch_size, self._device = batch_size, device_name()
        try:
            self._flop = 2 * _PASSES * multiply_adds(model)
        except ValueError:
            self._flop = None  # a layer of one's own: the images are counted all the same

    def on_epoch_begin(self, epoch, logs=None):
        self._steps = -1

    def on_train_batch_end(self, batch, logs=None):
        self._steps, self._end = self._steps + 1, time.perf_counter()
        if not self._steps:
            self._start = self._end

    def on_epoch_end(self, epoch, logs=None):
        if self._steps > 0:
            line = self.describe(self._steps * self._batch_size, self._end - self._start)
            # in a terminal a bar stands in the last line
            start = "\n" if sys.stdout.isatty() else ""
            print(f"{start}Epoch {epoch + 1}: {line}", flush=True)

    def describe(self, images, seconds):
        """The line for so many images in so many seconds."""
        speed = images / seconds
        if self._flop is None:
            return f"{speed:.1f} images/s"
        teraflops = speed * self._flop / 1e12
        peak = peak_of(self._device)
        share = f", {teraflops / peak:.1%} of the peak of {self._device}" if peak else ""
        return f"{speed:.1f} images/s, {teraflops:.3g} TFLOP/s{share}"


def device_name():
    """The name of the accelerator that Keras computes on; "CPU" where there is none."""
    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        return jax.devices()[0].device_kind
    if backend == "tensorflow":
        import tensorflow as tf

        for device in tf.config.list_physical_devices("GPU"):
            return tf.config.experimental.get_device_details(device).get("device_name", "GPU")
    return "CPU"


def peak_of(device):
    """TFLOP/s of `PEAKS` for the name of a device, or `None` where it is not known.

    Example:
        >>> from keras_cpm.training.throughput import peak_of
        >>> peak_of("NVIDIA H100 80GB HBM3"), peak_of("NVIDIA L40"), peak_of("TPU v5 lite")
        (989, None, 197)
    """
    for pattern, peak in PEAKS.items():
        if re.search(rf"\b(?:{pattern})(?!\w)", device):
            return peak
    return None


def multiply_adds(model, size=None):
    """Multiplications, each with an addition, that one image takes on its way through a network.

    Those of convolutions and dense layers by their definition: zeros around an image count, biases,
    norms and pools do not, and Fourier tiles take fewer.

    Args:
        model: functional `keras.Model`.
        size: (height, width) of the image; that of the model unless given.

    Returns:
        int; in FLOP, twice that.

    Raises:
        ValueError: the model takes images of any size, and `size` is not given; a layer with kernels
            that is not known here.

    Example:
        >>> from keras_cpm import build_cpm
        >>> from keras_cpm.training.throughput import multiply_adds
        >>> round(multiply_adds(build_cpm(stages=6)) / 1e9, 3)
        175.438
    """
    total = 0

    def counting(layer):
        def call(*args, **kwargs):
            nonlocal total
            if hasattr(layer, "_run_through_graph"):
                return layer._run_through_graph(args, operation_fn=counting)
            outputs = layer.compute_output_spec(*args, **kwargs)
            total += _of_layer(layer, args, outputs)
            return outputs

        return call

    inputs = []
    for one in model.inputs:
        shape = (1, *(size or one.shape[1:3]), one.shape[-1])
        if None in shape:
            raise ValueError(
                "`size` must be (height, width) for a model that takes images of any size. "
                f"Received: size={size!r}"
            )
        inputs.append(keras.KerasTensor(shape, one.dtype))
    model._run_through_graph(inputs, operation_fn=counting)
    return total


def _of_layer(layer, inputs, outputs):
    layers = keras.layers
    if isinstance(layer, layers.SeparableConv2D):
        kernels = math.prod(layer.depthwise_kernel.shape) + math.prod(layer.pointwise_kernel.shape)
        return kernels * _cells(layer, outputs)
    if isinstance(layer, (layers.Conv2D, layers.DepthwiseConv2D)):
        return math.prod(layer.kernel.shape) * _cells(layer, outputs)
    if isinstance(layer, layers.Conv2DTranspose):
        # each cell of the input is spread by the kernel
        return math.prod(layer.kernel.shape) * _cells(layer, inputs[0])
    if isinstance(layer, layers.Dense):
        return math.prod(layer.kernel.shape) * math.prod(outputs.shape[1:-1])
    if any(len(weight.shape) > 1 for weight in getattr(layer, "weights", ())):
        raise ValueError(
            "Only convolutions and dense layers are counted. "
            f"Received: layer {layer.name!r} of type {type(layer).__name__}"
        )
    return 0


def _cells(layer, tensor):
    channels_last = layer.data_format == "channels_last"
    return math.prod(tensor.shape[1:-1] if channels_last else tensor.shape[2:])
