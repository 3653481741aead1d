"""How to train, as data: `TrainSpec` with two complete recipes. Standard library only."""

from dataclasses import dataclass

SCHEMES = ("joint", "stagewise", "stagewise+joint", "unsupervised")


def _check_choice(field, value, choices):
    if value not in choices:
        raise ValueError(f"`{field}` must be one of {list(choices)}. Received: {field}={value!r}")


@dataclass(frozen=True)
class TrainSpec:
    """How to train. `MODERN` and `RELEASE` are complete; change fields with `dataclasses.replace`.

    Args:
        optimizer: "adamw" or "sgd".
        learning_rate: the highest; it belongs to the sum loss of Eq. 4, see `losses.belief_l2`.
        schedule: "cosine" to zero, "step", or "constant".
        warmup_steps: steps in which the rate grows from zero ("cosine").
        step_size: steps between two reductions ("step").
        step_factor: factor of a reduction ("step").
        weight_decay: for "adamw" decoupled, for "sgd" l2 in the gradient as in Caffe; on kernels.
        decay_biases: also on biases and normalisation.
        momentum: of "sgd".
        ema: momentum of the moving average of the weights that is validated and saved; 0 = none.
        scheme: of Figure 6b: "joint" trains all stages at once, each with its loss; "stagewise" one
            after the other, those before fixed; "stagewise+joint" first the one, then the other;
            "unsupervised" all at once by the loss of the last alone.
        stage_weights: factor of each stage's loss, the first stage's first, or `None` for 1 each
            (Eq. 5).
        stage1_multiplier: factor of the rate of stage 1 ("sgd").
        bias_multiplier: factor of the rate of biases ("sgd").
        missing: what a part without label teaches: "ignore" nothing, "zero" that it is not there.
        epochs: passes over the records.
        batch_size: samples a step.
        precision: "float32" or "mixed_bfloat16" while training; bundles are always float32.
        seed: of order and augmentation.
        deterministic: operations give the same bits every time, which costs speed on some devices.
        max_minutes: ends after the last epoch that fits; 0 = no limit.

    Example:
        >>> import dataclasses
        >>> from keras_cpm import MODERN, RELEASE
        >>> dataclasses.replace(MODERN, epochs=5).epochs, RELEASE.learning_rate
        (5, 8e-05)
    """

    optimizer: str = "adamw"
    learning_rate: float = 1e-3
    schedule: str = "cosine"
    warmup_steps: int = 500
    step_size: int = 0
    step_factor: float = 1.0
    weight_decay: float = 1e-4
    decay_biases: bool = False
    momentum: float = 0.0
    ema: float = 0.999
    scheme: str = "joint"
    stage_weights: tuple[float, ...] | None = None
    stage1_multiplier: float = 1.0
    bias_multiplier: float = 1.0
    missing: str = "ignore"
    epochs: int = 30
    batch_size: int = 16
    precision: str = "float32"
    seed: int = 0
    deterministic: bool = True
    max_minutes: float = 0.0

    def __post_init__(self):
        _check_choice("optimizer", self.optimizer, ("adamw", "sgd"))
        _check_choice("schedule", self.schedule, ("cosine", "step", "constant"))
        _check_choice("scheme", self.scheme, SCHEMES)
        _check_choice("missing", self.missing, ("ignore", "zero"))
        _check_choice("precision", self.precision, ("float32", "mixed_bfloat16"))
        for field in ("epochs", "batch_size", "learning_rate"):
            if not getattr(self, field) > 0:
                raise ValueError(
                    f"`{field}` must be positive. Received: {field}={getattr(self, field)!r}"
                )
        if not 0 <= self.ema < 1:
            raise ValueError(f"`ema` must be in [0, 1). Received: ema={self.ema!r}")
        if self.optimizer == "adamw" and (self.stage1_multiplier, self.bias_multiplier) != (1, 1):
            raise ValueError(
                '`stage1_multiplier` and `bias_multiplier` need optimizer="sgd": Adam undoes a '
                f"factor on the gradient. Received: {self.stage1_multiplier} and "
                f"{self.bias_multiplier}"
            )
        if self.schedule == "step" and self.step_size < 1:
            raise ValueError(
                f'schedule="step" needs a positive `step_size`. Received: {self.step_size!r}'
            )


MODERN = TrainSpec()

# genProto.py: solver, lr_mult and decay_mult. 136,106 steps of 16 are 84 epochs of MPII's 25,925
# people.
RELEASE = TrainSpec(
    optimizer="sgd",
    learning_rate=8e-5,
    schedule="step",
    warmup_steps=0,
    step_size=136_106,
    step_factor=0.333,
    weight_decay=5e-4,
    momentum=0.9,
    ema=0.0,
    stage1_multiplier=5.0,
    bias_multiplier=2.0,
    missing="zero",
    epochs=370,  # 600,000 steps
)

RECIPES = {"modern": MODERN, "release": RELEASE}
