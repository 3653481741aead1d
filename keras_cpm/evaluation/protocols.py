"""How the three benchmarks of the paper are tested and scored. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass

# run_benchmark.m: 0.7:0.1:1.3 times the scale at which the protocol shows the person
RELEASE_SCALES = tuple(round(0.7 + 0.1 * i, 1) for i in range(7))

# what distances are divided by; see `metrics.normalizer_lengths`
NORMALIZERS = ("torso", "box", "head", "head-segment", "predicted-torso")


@dataclass(frozen=True)
class Protocol:
    """What a benchmark counts, and in which columns it is reported.

    Args:
        name: "lsp", "flic" or "mpii".
        metric: "pck" or "pckh".
        normalizer: one of `NORMALIZERS`.
        alphas: thresholds that are reported, shares of the normalizer.
        end: the curve, and the area under it, run over the thresholds 0, 0.01, ... `end`.
        columns: name of a column -> the parts whose mean it is.
        left_out: parts that do not count, though records have them.
        scales: zooms at which the network looks.

    Example:
        >>> from keras_cpm.evaluation.protocols import PROTOCOLS
        >>> PROTOCOLS["lsp"].columns["head"], PROTOCOLS["mpii"].alphas
        (('neck', 'head'), (0.5, 0.1))
    """

    name: str
    metric: str
    normalizer: str
    alphas: tuple[float, ...]
    end: float
    columns: dict
    left_out: tuple[str, ...] = ()
    scales: tuple[float, ...] = RELEASE_SCALES

    @property
    def thresholds(self) -> list[float]:
        """0, 0.01, ... `end`."""
        return [i / 100 for i in range(round(100 * self.end) + 1)]


def _both(*parts):
    return {part: (f"left_{part}", f"right_{part}") for part in parts}


_BODY = {"head": ("neck", "head")} | _both("shoulder", "elbow", "wrist", "hip", "knee", "ankle")

PROTOCOLS = {
    # all 14 parts of the 1000 test photographs; left shoulder to right hip (run_benchmark.m)
    "lsp": Protocol("lsp", "pck", "torso", (0.2, 0.1, 0.05), 0.2, _BODY),
    # the release's code takes the predicted torso, the paper's figures the annotated one
    "flic": Protocol(
        "flic",
        "pck",
        "torso",
        (0.2, 0.1, 0.05),
        0.2,
        _both("elbow", "wrist", "shoulder", "hip") | {"nose": ("nose",)},
    ),
    # 14 parts without pelvis and thorax; 0.6 of the head box's diagonal (evalMPII.m)
    "mpii": Protocol("mpii", "pckh", "head", (0.5, 0.1), 0.5, _BODY, left_out=("pelvis", "thorax")),
}


def protocol_named(name) -> Protocol:
    """The protocol called `name`."""
    if name not in PROTOCOLS:
        raise ValueError(
            f"`protocol` must be one of {list(PROTOCOLS)}. Received: protocol={name!r}"
        )
    return PROTOCOLS[name]
