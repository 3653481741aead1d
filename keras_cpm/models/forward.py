"""Network boxes to the beliefs of every stage, from any model: with a center map or without, of
several stages or of one.
"""

import functools

import numpy as np

from ..pose import codec


def check_form(model):
    """Raises one sentence unless a model takes images, and maybe center maps, and gives maps.

    Raises:
        ValueError: a model that knows no inputs, that takes or returns a dict or lists of lists, or
            tensors of other shapes.

    Example:
        >>> import keras
        >>> from keras_cpm.models.forward import check_form
        >>> image = keras.Input((64, 64, 3))
        >>> check_form(keras.Model(image, keras.layers.Conv2D(15, 1)(image)))
    """
    if not getattr(model, "inputs", None) or not getattr(model, "outputs", None):
        raise ValueError(
            "`model` must be a functional keras.Model, which knows its inputs and outputs, as "
            "`keras.Model(inputs, outputs)` makes it of layers. "
            f"Received: {type(model).__name__}"
        )
    for side, verb, what in (("input", "take", "inputs"), ("output", "return", "stages")):
        if kind := _kind(model, side):
            raise ValueError(
                f"`model` must {verb} a plain list of its {what}, as "
                "`keras.Model([image], [stage1, stage2])` does; make such a model of its tensors. "
                f"Received: {kind}"
            )
    channels = [len(x.shape) == 4 and x.shape[-1] for x in model.inputs]
    if channels not in ([3], [3, 1]):
        raise ValueError(
            "`model` must take images (B, H, W, 3), then maybe center maps (B, H, W, 1). "
            f"Received: {[tuple(x.shape) for x in model.inputs]}"
        )
    # of other than four axes, the whole shape
    sizes = {tuple(x.shape[1:3] if len(x.shape) == 4 else x.shape) for x in model.outputs}
    if len(sizes) != 1 or len(model.outputs[0].shape) != 4:
        raise ValueError(
            "`model` must return belief maps (B, h, w, C), those of all stages of one size. "
            f"Received: {[tuple(x.shape) for x in model.outputs]}"
        )


def _kind(model, side):
    """In what the inputs or outputs of a model come, where it is not a plain list."""
    # a `Sequential` has none of the two attributes, and no dict
    structure = getattr(model, side, [])
    if isinstance(structure, dict):
        return "a dict"
    inner = structure if isinstance(structure, (list, tuple)) else []
    return "lists in a list" if any(isinstance(x, (dict, list, tuple)) for x in inner) else None


def at_box_size(model, spec):
    """The same layers and weights for network boxes alone, or `model` where it takes nothing else.

    Example:
        >>> from keras_cpm import PoseSpec, build_cpm
        >>> from keras_cpm.models.forward import at_box_size
        >>> spec = PoseSpec(box_size=64)
        >>> model = build_cpm(1, spec, width=8, input_size="any")
        >>> model.inputs[0].shape, at_box_size(model, spec).inputs[0].shape
        ((None, None, None, 3), (None, 64, 64, 3))
    """
    if all(None not in x.shape[1:] for x in model.inputs):
        return model
    import keras

    side = spec.box_size
    inputs = [keras.Input((side, side, x.shape[-1]), name=x.name) for x in model.inputs]
    plain = keras.Model(model.inputs, model.outputs, name=model.name)
    fixed = keras.models.clone_model(plain, input_tensors=inputs)
    fixed.set_weights(model.get_weights())
    return fixed


def takes_center_map(model):
    """Whether `model` has the second input."""
    return len(model.inputs) > 1


def centered_map(spec):
    """The center map of a person in the middle of the box.

    Returns:
        (1, H, W, 1) float32, an array.

    Example:
        >>> from keras_cpm import PoseSpec
        >>> from keras_cpm.models.forward import centered_map
        >>> centered_map(PoseSpec(box_size=64)).shape
        (1, 64, 64, 1)
    """
    return np.asarray(codec.encode_center([spec.center] * 2, spec))[None]


def stages_of(outputs):
    """What a model returns, as a list: Keras returns the only output of a model without one.

    Example:
        >>> from keras_cpm.models.forward import stages_of
        >>> stages_of("beliefs"), stages_of(["beliefs", "better"])
        (['beliefs'], ['beliefs', 'better'])
    """
    return list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]


class StageBeliefs:
    """A model as a function from network boxes to the beliefs of every stage.

    A model that takes a center map gets that of a person in the middle of the box, where a box has
    its person. It is computed once; in a graph of TensorFlow it is a constant.

    Args:
        model: `keras.Model` as `build_cpm` makes it.
        spec: `PoseSpec` of it.
        run: function of a list of inputs to what the model returns, such as
            `runner.inference_of(model)`; calls the model unless given.

    Example:
        >>> import numpy as np, keras_cpm
        >>> from keras_cpm.models.forward import StageBeliefs
        >>> spec = keras_cpm.PoseSpec(box_size=64)
        >>> beliefs_of = StageBeliefs(keras_cpm.build_cpm(2, spec, width=8), spec)
        >>> [tuple(stage.shape) for stage in beliefs_of(np.zeros((3, 64, 64, 3), "float32"))]
        [(3, 8, 8, 15), (3, 8, 8, 15)]
    """

    def __init__(self, model, spec, *, run=None):
        self._run = run or functools.partial(model, training=False)
        self._center_map = centered_map(spec) if takes_center_map(model) else None

    def __call__(self, boxes):
        """Predicts.

        Args:
            boxes: (B, H, W, 3) RGB 0..255, array or tensor.

        Returns:
            list of (B, h, w, C), one a stage, as `run` returns them.
        """
        if self._center_map is None:
            return stages_of(self._run([boxes]))
        return stages_of(self._run([boxes, self._repeated(boxes)]))

    def _repeated(self, boxes):
        """(B, H, W, 1), array or tensor as the boxes: Keras takes no mixture."""
        if isinstance(boxes, np.ndarray):
            return np.repeat(self._center_map, len(boxes), axis=0)
        from keras import ops

        return ops.broadcast_to(
            self._center_map, (ops.shape(boxes)[0], *self._center_map.shape[1:])
        )
