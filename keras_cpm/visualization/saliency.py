"""What one part at one stage looks at, with tf-keras-vis: `pip install 'keras-cpm[vis]'`.

A belief map is not a class: its mean says nothing. What is explained is one number of a part's map:
    "peak"      its highest cell
    (x, y)      the belief at a point of the network box, in a Gaussian window of `spec.part_sigma`
"""

from __future__ import annotations

import contextlib
import io

import keras
import numpy as np
from keras import ops

from ..models.forward import StageBeliefs
from ..pose import codec, geometry
from ..pose.spec import Array, PoseSpec

METHODS = ("saliency", "smoothgrad", "gradcam++", "scorecam")
_SMOOTH_SAMPLES, _SMOOTH_NOISE = 16, 0.1
# Beliefs are about 1 where the regularizers of the library expect logits.
_STEEP = 1000.0


def explain(
    model: keras.Model,
    spec: PoseSpec,
    box: Array,
    part: str,
    *,
    stage: int | None = None,
    method: str = "saliency",
    at: str | Array = "peak",
) -> np.ndarray:
    """How much each pixel of a network box matters to one part at one stage.

    Args:
        model: `keras.Model` as `build_cpm` makes it.
        spec: `PoseSpec` of it.
        box: (H, W, 3) network box, RGB 0..255, such as `data.crop.network_box` cuts.
        part: its name, or "background".
        stage: 1..T as in the paper; `None` is the last.
        method: "saliency" (gradients), "smoothgrad" (their mean under noise, the same each time),
            "gradcam++" or "scorecam" (features of the stage before its belief convolution).
        at: "peak", or a point (x, y) of the box, pixels.

    Returns:
        (H, W) float32, 0..1.

    Raises:
        ValueError: unknown part, stage, method, a box of another size, a point outside, or a stage
            that does not end in a convolution.
        ImportError: without tf-keras-vis.
        RuntimeError: under another backend of Keras than TensorFlow.

    Example:
        >>> import numpy as np, keras_cpm
        >>> spec = keras_cpm.PoseSpec(box_size=64)
        >>> model = keras_cpm.build_cpm(2, spec, width=8)
        >>> keras_cpm.explain(model, spec, np.zeros((64, 64, 3)), "neck", stage=1).shape
        (64, 64)
    """
    if method not in METHODS:
        raise ValueError(f"`method` must be one of {METHODS}. Received: {method!r}")
    seed = _checked(box, spec)
    maps = _run(scored_model(model, spec, part, stage=stage, at=at), seed, method)
    heat = np.asarray(maps)[0].astype(np.float32)
    return heat / max(float(heat.max()), 1e-12)


def scored_model(model, spec, part, *, stage=None, at="peak"):
    """A model of the image whose output (B, 1) is the number that is explained.

    The center map of a centred person is inside, so that methods that change inputs leave it alone.
    Its layer "features" gives what the stage's belief convolution reads.
    """
    if keras.config.backend() != "tensorflow":
        raise RuntimeError(
            "To look inside takes the TensorFlow backend; start Python with "
            f"KERAS_BACKEND=tensorflow. Received: {keras.config.backend()}"
        )
    stages = model.output_names
    if stage is not None and stage not in range(1, len(stages) + 1):
        raise ValueError(
            f"`stage` must be in 1..{len(stages)}, or None for the last. Received: stage={stage!r}"
        )
    convolution = _belief_convolution(model.outputs[(stage or len(stages)) - 1])
    image = keras.Input(model.inputs[0].shape[1:], name="image")
    below = StageBeliefs(keras.Model(model.inputs, convolution.input), spec)
    features = keras.layers.Lambda(
        lambda boxes: below(boxes)[0], output_shape=convolution.input.shape[1:], name="features"
    )
    belief = convolution(features(image))
    channel = spec.channel(part)
    score = keras.layers.Lambda(
        lambda maps: _score(maps[..., channel], at, spec), output_shape=(1,)
    )
    return keras.Model([image], score(belief))


def maximize(model, spec, part, *, stage=None, steps=100, seed=0):
    """The network box that a part at a stage likes best, by climbing its gradient.

    Args:
        model, spec, part, stage: as in `explain`; the score is the belief in the middle of the box.
        steps: of the climb.
        seed: of the noise where it starts; also sets Keras' seeds, for the climb is jittered.

    Returns:
        (H, W, 3) uint8.

    Raises:
        As `explain`.
    """
    vis = _library()
    keras.utils.set_random_seed(seed)
    scored = scored_model(model, spec, part, stage=stage, at=(spec.center, spec.center))
    grey = np.random.default_rng(seed).uniform(100, 156, (spec.box_size, spec.box_size, 3))
    climb = vis.activation_maximization.ActivationMaximization(scored, clone=False)
    found = climb(
        lambda belief: _STEEP * belief[:, 0],
        seed_input=_checked(grey, spec),
        input_range=(0, 255),
        steps=steps,
    )
    return np.clip(np.rint(np.asarray(found)[0]), 0, 255).astype(np.uint8)


def effective_receptive_field(
    model: keras.Model, spec: PoseSpec, part: str, boxes: Array, *, stage: int | None = None
) -> np.ndarray:
    """Where the pixels are that move the belief of the cell in the middle: gradient energy, summed
    over boxes.

    Luo et al., "Understanding the Effective Receptive Field", NIPS 2016. The theoretical one of
    Sec. 3.2.1 is `models.receptive_field.receptive_field`; this one is smaller, and bell-shaped.

    Args:
        boxes: (N, H, W, 3) network boxes, RGB 0..255.
        model, spec, part, stage: as in `explain`.

    Returns:
        (H, W) float32 that sums to 1.

    Example:
        >>> import numpy as np, keras_cpm
        >>> model, spec = keras_cpm.load("cpm-light-lsp")
        >>> noise = np.random.default_rng(0).uniform(0, 255, (2, *[spec.box_size] * 2, 3))
        >>> field = keras_cpm.effective_receptive_field(model, spec, "neck", noise, stage=1)
        >>> bool(field.shape == noise.shape[1:3] and 0.99 < field.sum() < 1.01)
        True
    """
    import tensorflow as tf

    middle = float(geometry.belief_axis(spec)[spec.grid_size // 2])
    # a window so narrow that it holds one cell
    one_cell = spec.replace(part_sigma=0.5)
    scored = scored_model(model, one_cell, part, stage=stage, at=(middle, middle))
    energy = np.zeros((spec.box_size,) * 2)
    for box in boxes:
        image = tf.constant(_checked(box, spec))
        with tf.GradientTape() as tape:
            tape.watch(image)
            score = scored([image], training=False)
        energy += np.square(tape.gradient(score, image)[0].numpy()).sum(-1)
    # gradients of an untrained network can be tiny
    return (energy / (energy.sum() or 1.0)).astype(np.float32)


def concentration(heat, point, radius):
    """How many times more of `heat` lies near a point than if it lay everywhere alike.

    Args:
        heat: (H, W), not negative.
        point: (x, y), pixels.
        radius: pixels.

    Returns:
        float; 1 where `heat` knows nothing of the point.

    Example:
        >>> import numpy as np
        >>> from keras_cpm.visualization.saliency import concentration
        >>> concentration(np.ones((50, 50)), (20, 30), 8)
        1.0
    """
    heat, point = np.asarray(heat, np.float64), np.asarray(point)
    rows, columns = np.indices(heat.shape)
    near = (columns - point[0]) ** 2 + (rows - point[1]) ** 2 <= radius**2
    return float((heat[near].sum() / max(heat.sum(), 1e-30)) / max(near.mean(), 1e-30))


def _run(scored, seed, method):
    """(1, H, W), as tf-keras-vis gives it."""
    vis = _library()
    layer = {"penultimate_layer": "features", "seek_penultimate_conv_layer": False}
    if method == "saliency":
        return vis.saliency.Saliency(scored, clone=False)(_first, seed, normalize_map=False)
    if method == "smoothgrad":
        noise = {"smooth_samples": _SMOOTH_SAMPLES, "smooth_noise": _SMOOTH_NOISE}
        look = vis.saliency.Saliency(scored, clone=False)
        with _same_noise():
            return look(_first, seed, normalize_map=False, **noise)
    if method == "gradcam++":
        look = vis.gradcam_plus_plus.GradcamPlusPlus(scored, clone=False)
        return look(_first, seed, normalize_cam=False, **layer)
    look = vis.scorecam.Scorecam(_as_logits(scored), clone=False)
    # Keras' progress bars are on stdout
    with contextlib.redirect_stdout(io.StringIO()):
        return look(_first, seed, normalize_cam=False, **layer)


@contextlib.contextmanager
def _same_noise():
    """The library draws from NumPy's global generator."""
    before = np.random.get_state()
    np.random.seed(0)
    try:
        yield
    finally:
        np.random.set_state(before)


def _library():
    try:
        import tf_keras_vis.activation_maximization
        import tf_keras_vis.gradcam_plus_plus
        import tf_keras_vis.saliency
        import tf_keras_vis.scorecam
    except ImportError:
        raise ImportError("To look inside takes a library: pip install 'keras-cpm[vis]'") from None
    return tf_keras_vis


def _as_logits(scored):
    """ScoreCAM takes the softmax of what a model gives; of these two it is the score itself."""

    def logits(score):
        belief = ops.clip(score, 1e-4, 1 - 1e-4)
        return ops.log(ops.concatenate([belief, 1 - belief], axis=-1))

    layer = keras.layers.Lambda(logits, output_shape=(2,), name="logits")
    return keras.Model(scored.inputs, layer(scored.output))


def _first(output):
    return output[:, 0]


def _checked(box, spec):
    """(1, H, W, 3) float32."""
    box = np.asarray(box, np.float32)
    if box.shape != (spec.box_size, spec.box_size, 3):
        raise ValueError(
            f"`box` must be the network box, {(spec.box_size, spec.box_size, 3)}; "
            f"`data.crop.network_box` cuts it. Received: {box.shape}"
        )
    return box[None]


def _score(belief, at, spec):
    """(B, h, w) -> (B, 1)."""
    if isinstance(at, str):
        if at != "peak":
            raise ValueError(f'`at` must be "peak" or a point (x, y). Received: {at!r}')
        return ops.max(belief, axis=(1, 2))[:, None]
    if not geometry.inside_box(np.float32(at), spec):
        raise ValueError(
            f"`at` must be a point of the network box, 0..{spec.box_size - 1}; `geometry.apply` "
            f"takes points of the image there. Received: {at!r}"
        )
    return ops.sum(belief * codec.window(at, spec), axis=(1, 2))[:, None]


def _belief_convolution(beliefs):
    """The last convolution before a stage's output."""
    layer = beliefs._keras_history.operation
    while not isinstance(layer, keras.layers.Conv2D):
        if isinstance(layer.input, (list, tuple)):
            raise ValueError(
                "`model` must make the beliefs of a stage with one convolution, whose features are "
                f"looked at. Received: a stage that ends in {layer.name!r}, which joins several"
            )
        layer = layer.input._keras_history.operation
    return layer
