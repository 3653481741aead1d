"""What a network input and a belief map mean: the one object data, model, predictor and exports
share.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import Any, TypeAlias

from . import output, schema
from .skeleton import CPM14, Skeleton

# A tensor, an array, or numbers that become one. TensorFlow and Keras tell a type checker nothing
# about theirs, so docstrings say shape, frame and unit.
Array: TypeAlias = Any

# What shows how far a loop is: wraps what it goes through, as `tqdm.tqdm` does.
Progress: TypeAlias = Callable[[Any], Iterable[Any]]

SPEC_VERSION = 1

# 200 * 41/35 of 368 pixels: genProto.py, run_benchmark.m. A person of MPII `scale` s is 200 s tall.
_PERSON_SHARE = 200 * (41 / 35) / 368

# No network has a larger box, no peak or person is larger than many boxes: what is, was damaged.
_LARGEST_BOX, _MOST_BOXES = 8192, 100
# less, and its square is none for float32
_LEAST_PIXELS = 0.001


@dataclass(frozen=True)
class PoseSpec:
    """What a network input and a belief map mean, for training, prediction, serving and mobile.

    Saved as spec.json beside every model and every export.

    Args:
        skeleton: `Skeleton`; its parts are the first P belief channels.
        box_size: height and width of the network input in pixels (Sec. 4.2); a multiple of 8.
        stride: network pixels per belief cell (Sec. 3.2.2).
        person_height: how tall the person stands in the network box, in network pixels. `None`: the
            release's share of the box, 234.3 of 368.
        background: adds a last channel, 1 - max over the parts. The person network of the release
            has none.
        part_sigma: of a belief peak, in network pixels (not cells); 7 in the release.
        center_sigma: of the center map, in network pixels; 21 in the release.
        pad_value: grey level outside the photograph; 128 becomes exactly 0 after normalisation.
        version: of the file format.

    Raises:
        ValueError: a value no network could have, naming the field and the value.

    Example:
        >>> from keras_cpm import PoseSpec
        >>> spec = PoseSpec()
        >>> spec.grid_size, spec.num_channels, spec.center
        (46, 15, 183.5)
        >>> PoseSpec.from_json(spec.to_json()) == spec
        True
    """

    skeleton: Skeleton = CPM14
    box_size: int = 368
    stride: int = 8
    person_height: float = None  # type: ignore[assignment]  # a number from `__post_init__` on
    background: bool = True
    part_sigma: float = 7.0
    center_sigma: float = 21.0
    pad_value: int = 128
    version: int = SPEC_VERSION

    def __post_init__(self) -> None:
        # numbers of NumPy, which JSON does not know, as Python's
        for name in (field.name for field in dataclasses.fields(self)):
            value = getattr(self, name)
            if hasattr(value, "item") and getattr(value, "ndim", None) == 0:
                object.__setattr__(self, name, value.item())
        if self.person_height is None:
            object.__setattr__(self, "person_height", self.box_size * _PERSON_SHARE)
        if self.version != SPEC_VERSION:
            raise ValueError(
                f"This keras_cpm reads specs of version {SPEC_VERSION}; install the one that wrote "
                f"this file. Received: version={self.version!r}"
            )
        if not isinstance(self.skeleton, Skeleton):
            raise ValueError(f"`skeleton` must be a Skeleton. Received: {self.skeleton!r:.100}")
        # Caffe pools round up; Keras "same" pools agree only where every pool sees an even size.
        sound = _is_whole(self.box_size) and 8 <= self.box_size <= _LARGEST_BOX
        if not sound or self.box_size % 8:
            near = 8 * round(self.box_size / 8) if sound else 368
            raise ValueError(
                f"`box_size` must be a multiple of 8, 8 to {_LARGEST_BOX}, for example {near}. "
                f"Received: box_size={self.box_size!r:.60}"
            )
        if not _is_whole(self.stride) or self.stride < 1 or self.box_size % self.stride:
            raise ValueError(
                f"`stride` must be a whole number that divides box_size={self.box_size}. "
                f"Received: stride={self.stride!r}"
            )
        if not isinstance(self.background, bool):
            raise ValueError(
                f"`background` must be True or False. Received: background={self.background!r}"
            )
        most = _MOST_BOXES * self.box_size
        for field in ("person_height", "part_sigma", "center_sigma"):
            value = getattr(self, field)
            if not _is_number(value) or not _LEAST_PIXELS <= value <= most:
                raise ValueError(
                    f"`{field}` must be a number of pixels, {_LEAST_PIXELS:g} to {most} for "
                    f"box_size={self.box_size}. Received: {field}={value!r:.60}"
                )
        if not _is_number(self.pad_value) or not 0 <= self.pad_value <= 255:
            raise ValueError(
                "`pad_value` must be a grey level 0..255. "
                f"Received: pad_value={self.pad_value!r:.60}"
            )

    @property
    def grid_size(self) -> int:
        """Belief cells along one side of the box: 46."""
        return self.box_size // self.stride

    @property
    def num_parts(self) -> int:
        return self.skeleton.num_parts

    @property
    def num_channels(self) -> int:
        """P + 1 with a background channel, P without."""
        return self.num_parts + int(self.background)

    def channel(self, part: str) -> int:
        """Which belief channel is the part's; "background" is the last where there is one."""
        if part == "background" and self.background:
            return self.num_parts
        return self.skeleton.index(part)

    @property
    def center(self) -> float:
        """Middle of the box in the network frame, the same in x and y: 183.5."""
        return (self.box_size - 1) / 2

    def replace(self, **changes: Any) -> PoseSpec:
        """A copy with some fields changed. A new `box_size` keeps the person's share of the box."""
        if "box_size" in changes and "person_height" not in changes:
            changes["person_height"] = self.person_height * changes["box_size"] / self.box_size
        return dataclasses.replace(self, **changes)

    def to_json(self) -> str:
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        fields["skeleton"] = self.skeleton.to_dict()
        return json.dumps(fields, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> PoseSpec:
        """Reads what `to_json` wrote.

        Raises:
            ValueError: not JSON, an unknown version, unknown fields, or values of another type.
        """
        try:
            fields = schema.parse(text)
        except ValueError as error:
            raise ValueError(
                f"A spec must be JSON as `PoseSpec.to_json` writes it. {error}"
            ) from None
        known = {f.name for f in dataclasses.fields(cls)}
        if not isinstance(fields, dict) or fields.get("version") != SPEC_VERSION:
            version = fields.get("version") if isinstance(fields, dict) else None
            raise ValueError(
                f"This keras_cpm reads specs of version {SPEC_VERSION}; install the one that wrote "
                f"this file. Received: version={version!r:.60}"
            )
        try:
            # a number that cannot be is refused in words of its own
            kinds = dict.fromkeys(known, schema.ANYTHING) | {"skeleton": schema.OBJECT}
            schema.check(fields, kinds, optional=known - {"skeleton"})
            return cls(**{**fields, "skeleton": Skeleton(**fields["skeleton"])})
        except TypeError as error:
            raise ValueError(f"A spec must hold what `PoseSpec.to_json` writes. {error}") from None

    def save(self, path: str | Path) -> None:
        output.write_text(path, self.to_json())

    @classmethod
    def load(cls, path: str | Path) -> PoseSpec:
        """Reads a spec.json; errors name the file."""
        path = Path(path)
        if not path.is_file():
            raise FileNotFoundError(f"There is no spec at {path}.")
        try:
            return cls.from_json(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(f"{path}: {error!s:.1000}") from None


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)
