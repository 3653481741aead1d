"""How fast a training is: images a second, how much of the device's arithmetic that uses, and which
precision would be faster.
"""

import re
import sys
import time

import keras

from ..models import processor
from ..models.multiply_adds import multiply_adds

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

# what Linux calls the units of processors that compute bfloat16
_BFLOAT16 = {"avx512_bf16", "amx_bf16"}

# A step computes each layer forward, and backward to its inputs and to its weights.
_PASSES = 3


class Throughput(keras.callbacks.Callback):
    """Prints a line after each epoch: images a second, TFLOP/s, and the share of the device's peak.

    The first step of an epoch, in which the first epoch compiles, is left out, and so is
    validation. A step counts as three times `multiply_adds`, also where some stages do not learn;
    models with layers that `multiply_adds` does not know get the images only.

    Args:
        model: functional `keras.Model` that is trained.
        batch_size: images a step.
        device: name of the accelerator, see `PEAKS`; that on which Keras computes unless given.

    Example:
        >>> import keras_cpm
        >>> from keras_cpm.training.throughput import Throughput
        >>> model = keras_cpm.build_cpm(2, keras_cpm.PoseSpec(box_size=64), width=8)
        >>> Throughput(model, 4).describe(images=100, seconds=2.0).split(",")[0]
        '50.0 images/s'
    """

    def __init__(self, model, batch_size, *, device=None):
        super().__init__()
        self._batch_size, self._device = batch_size, device or device_name()
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


def advice(precision, *, device=None, units=None):
    """A line for who trains on a processor that would be faster in another precision.

    Args:
        precision: as in `TrainSpec`.
        device: as of `Throughput`.
        units: names of the processor's units, see `processor.units`; those of this one unless
            given.

    Returns:
        str, or `None` where there is nothing to say.

    Example:
        >>> from keras_cpm.training.throughput import advice
        >>> advice("float32", device="CPU", units={"avx512_bf16"})
        'This processor computes bfloat16: `precision` mixed_bfloat16 makes a step faster.'
    """
    units = processor.units() if units is None else units
    # with JAX, whose name for it is "cpu", it was not measured
    if precision == "float32" and _BFLOAT16 & units and (device or device_name()) == "CPU":
        return "This processor computes bfloat16: `precision` mixed_bfloat16 makes a step faster."
    return None
