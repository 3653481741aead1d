"""The optimisers that recipes name."""

import re

import keras


def make_optimizer(recipe, total_steps):
    """The Keras optimiser of a recipe.

    Args:
        recipe: `TrainSpec`.
        total_steps: of the whole training; the cosine ends there.

    Returns:
        `keras.optimizers.Optimizer`.
    """
    # in a short training a slow average would still hold the untrained weights
    momentum = min(recipe.ema, 1 - 1 / max(1.0, 0.1 * total_steps))
    ema = {"use_ema": True, "ema_momentum": momentum} if recipe.ema else {}
    rate = _schedule(recipe, total_steps)
    if recipe.optimizer == "sgd":
        return ReleaseSGD(
            rate,
            momentum=recipe.momentum,
            kernel_decay=recipe.weight_decay,
            decay_biases=recipe.decay_biases,
            stage1_multiplier=recipe.stage1_multiplier,
            bias_multiplier=recipe.bias_multiplier,
            **ema,
        )
    on_tensorflow = keras.backend.backend() == "tensorflow"
    adamw = FusedAdamW if on_tensorflow else keras.optimizers.AdamW
    optimizer = adamw(rate, weight_decay=recipe.weight_decay, **ema)
    if not recipe.decay_biases:
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer


def _schedule(recipe, total_steps):
    rate = recipe.learning_rate
    if recipe.schedule == "cosine":
        warmup = min(recipe.warmup_steps, total_steps // 2)
        return keras.optimizers.schedules.CosineDecay(
            0.0 if warmup else rate,
            max(1, total_steps - warmup),
            warmup_target=rate if warmup else None,
            warmup_steps=warmup,
        )
    if recipe.schedule == "step":
        return keras.optimizers.schedules.ExponentialDecay(
            rate, recipe.step_size, recipe.step_factor, staircase=True
        )
    return rate


def check_rates(callbacks, recipe):
    """Refuses callbacks that set the rate, where a schedule does, before hours are spent.

    Raises:
        ValueError: naming the callback.

    Example:
        >>> import keras, keras_cpm
        >>> from keras_cpm.training.optimizers import check_rates
        >>> watch = keras.callbacks.ReduceLROnPlateau()
        >>> check_rates([watch], keras_cpm.MODERN)  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ValueError: `callbacks` must not set ... Received: ReduceLROnPlateau and schedule='cosine'
    """
    setting = (keras.callbacks.ReduceLROnPlateau, keras.callbacks.LearningRateScheduler)
    for callback in callbacks:
        if isinstance(callback, setting) and recipe.schedule != "constant":
            raise ValueError(
                "`callbacks` must not set the learning rate where the recipe's schedule does; take "
                'a recipe with schedule="constant", or leave the callback out. Received: '
                f"{type(callback).__name__} and schedule={recipe.schedule!r}"
            )


@keras.saving.register_keras_serializable(package="keras_cpm")
class ReleaseSGD(keras.optimizers.SGD):
    """SGD as the release's Caffe runs it: rates by layer, and l2 decay in the gradient.

    A factor on the gradient is a factor on the rate for SGD with momentum. Keras' own
    `weight_decay` is decoupled from the gradient, Caffe's is not.

    Args:
        learning_rate, momentum: see `keras.optimizers.SGD`.
        kernel_decay: l2 factor on kernels (5e-4).
        decay_biases: l2 also on biases and normalisation; not in the release.
        stage1_multiplier: factor of the rate of everything before stage 2 (5).
        bias_multiplier: factor of the rate of biases (2).
    """

    def __init__(
        self,
        learning_rate=8e-5,
        momentum=0.9,
        kernel_decay=5e-4,
        decay_biases=False,
        stage1_multiplier=5.0,
        bias_multiplier=2.0,
        **kwargs,
    ):
        super().__init__(learning_rate, momentum=momentum, **kwargs)
        self.kernel_decay, self.decay_biases = kernel_decay, decay_biases
        self.stage1_multiplier, self.bias_multiplier = stage1_multiplier, bias_multiplier

    def apply(self, grads, trainable_variables=None):
        # `update_step` gets variables without a path inside `fit`; here they still have one
        variables = (
            self._trainable_variables if trainable_variables is None else list(trainable_variables)
        )
        grads = [self._caffe_gradient(g, v) for g, v in zip(grads, variables, strict=True)]
        super().apply(grads, trainable_variables)

    def _caffe_gradient(self, gradient, variable):
        if gradient is None:
            return None
        if self.decay_biases or variable.path.endswith("kernel"):
            gradient = gradient + self.kernel_decay * keras.ops.convert_to_tensor(variable)
        return self.multiplier(variable.path) * gradient

    def multiplier(self, path):
        """Factor of the rate of the variable at `path`, such as "conv1_stage1/kernel"."""
        later_stage = re.search(r"_stage([2-9]|\d\d)", path)
        factor = 1.0 if later_stage else self.stage1_multiplier
        return factor * (self.bias_multiplier if path.endswith("bias") else 1.0)

    def get_config(self):
        names = ("kernel_decay", "decay_biases", "stage1_multiplier", "bias_multiplier")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


@keras.saving.register_keras_serializable(package="keras_cpm")
class FusedAdamW(keras.optimizers.AdamW):
    """`keras.optimizers.AdamW` for TensorFlow, its arithmetic in one operation instead of a dozen.

    With decay and moving average it takes 70 ms instead of 139 for the 31 million weights of the
    6-stage network on two cores, where a mixed_bfloat16 step of two images takes 1.2 s.

    Example:
        >>> from keras_cpm.training.optimizers import FusedAdamW
        >>> FusedAdamW(1e-3, weight_decay=0.5).weight_decay
        0.5
    """

    def update_step(self, gradient, variable, learning_rate):
        import tensorflow as tf

        if tf.distribute.has_strategy() or isinstance(gradient, tf.IndexedSlices) or self.amsgrad:
            return super().update_step(gradient, variable, learning_rate)
        index = self._get_variable_index(variable)
        step = tf.cast(self.iterations + 1, variable.dtype)
        return tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].value.handle,
            v=self._velocities[index].value.handle,
            beta1_power=self.beta_1**step,
            beta2_power=self.beta_2**step,
            lr=tf.cast(learning_rate, variable.dtype),
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon,
            grad=tf.cast(gradient, variable.dtype),
        )
