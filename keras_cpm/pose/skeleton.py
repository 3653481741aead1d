"""Which parts a figure has and how they relate: data, not code. Standard library only."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import output

# What makes a name the right one of a pair, see `mirror_pairs`, and what is there in its left twin.
_RIGHT = re.compile("[Rr]ight|RIGHT|(?<![A-Za-z0-9])[Rr](?![a-z])|(?<=[a-z])R(?![A-Za-z])")
_LEFT = {"right": "left", "Right": "Left", "RIGHT": "LEFT", "R": "L", "r": "l"}


@dataclass(frozen=True)
class Skeleton:
    """Names of the parts and how they relate. The order of `parts` is the order of belief channels.

    Anything with named parts is a skeleton: a person, a hand, an animal.

    Args:
        name: what to call it in messages and files.
        parts: P unique part names.
        limbs: pairs of part names, drawn as lines.
        flip_pairs: pairs of part names that change places in a mirror; every other part maps to
            itself.
        torso: two part names whose distance normalises PCK. `None`: PCK is normalised by the
            longest side of the box around the labelled parts.

    Raises:
        ValueError: a name is repeated, or a pair names a part that does not exist.

    Example:
        >>> from keras_cpm import CPM14
        >>> CPM14.index("right_elbow"), CPM14.flip_permutation[3]
        (3, 6)
    """

    name: str
    parts: tuple[str, ...]
    limbs: tuple[tuple[str, str], ...] = ()
    flip_pairs: tuple[tuple[str, str], ...] = ()
    torso: tuple[str, str] | None = None

    def __post_init__(self) -> None:
        _names("name", [self.name])
        object.__setattr__(self, "parts", _names("parts", self.parts))
        for field in ("limbs", "flip_pairs"):
            pairs = tuple(_names(field, pair) for pair in _listed(field, getattr(self, field)))
            object.__setattr__(self, field, pairs)
        if self.torso is not None:
            object.__setattr__(self, "torso", _names("torso", self.torso))
        self._check_parts()
        self._check_pairs("limbs", self.limbs)
        self._check_pairs("flip_pairs", self.flip_pairs)
        self._check_pairs("torso", () if self.torso is None else (self.torso,))
        repeated = _repeated(part for pair in self.flip_pairs for part in pair)
        if repeated:
            raise ValueError(
                f"Each part may stand in one pair of `flip_pairs` only. Received twice: {repeated}"
            )

    def _check_parts(self) -> None:
        if not self.parts:
            raise ValueError("`parts` must name at least one part. Received: ()")
        repeated = _repeated(self.parts)
        if repeated:
            raise ValueError(f"`parts` must be unique. Received more than once: {repeated}")

    def _check_pairs(self, field: str, pairs: Iterable[tuple[str, str]]) -> None:
        known = set(self.parts)
        for pair in pairs:
            if len(pair) != 2 or not known.issuperset(pair):
                raise ValueError(
                    f"`{field}` must hold pairs of names from `parts` {list(self.parts)}. "
                    f"Received: {pair}"
                )

    @property
    def num_parts(self) -> int:
        return len(self.parts)

    @property
    def flip_permutation(self) -> tuple[int, ...]:
        """(P,) for each part the index of its mirror image; applied twice it is the identity."""
        partner = {a: b for pair in self.flip_pairs for a, b in (pair, pair[::-1])}
        numbers = self._numbers()
        return tuple(numbers[partner.get(part, part)] for part in self.parts)

    @property
    def limb_indices(self) -> tuple[tuple[int, int], ...]:
        numbers = self._numbers()
        return tuple((numbers[a], numbers[b]) for a, b in self.limbs)

    def _numbers(self) -> dict[str, int]:
        return {part: number for number, part in enumerate(self.parts)}

    def index(self, part: str) -> int:
        """Channel of `part`."""
        if part not in self.parts:
            raise ValueError(f"`part` must be one of {list(self.parts)}. Received: part={part!r}")
        return self.parts.index(part)

    def subset(self, parts: Iterable[str]) -> Skeleton:
        """The same skeleton with fewer parts, in the order given; broken limbs and pairs go.

        Example:
            >>> from keras_cpm import CPM14
            >>> CPM14.subset(("neck", "left_elbow", "left_wrist")).limbs
            (('left_elbow', 'left_wrist'),)
        """
        numbers = self._numbers()
        parts = tuple(part if part in numbers else self.parts[self.index(part)] for part in parts)
        keep = set(parts).issuperset
        return Skeleton(
            name=f"{self.name}-{len(parts)}",
            parts=parts,
            limbs=tuple(limb for limb in self.limbs if keep(limb)),
            flip_pairs=tuple(pair for pair in self.flip_pairs if keep(pair)),
            torso=self.torso if self.torso and keep(self.torso) else None,
        )

    def save(self, path: str | Path) -> None:
        """Writes the skeleton as JSON, for `keras-cpm train --skeleton FILE.json`."""
        output.write_text(path, json.dumps(self.to_dict(), indent=2) + "\n")

    @classmethod
    def load(cls, path: str | Path) -> Skeleton:
        """Reads what `save` wrote.

        Example:
            >>> import tempfile
            >>> from keras_cpm import CPM14, Skeleton
            >>> path = tempfile.mkdtemp() + "/skeleton.json"
            >>> CPM14.save(path)
            >>> Skeleton.load(path) == CPM14
            True
        """
        if not Path(path).is_file():
            raise FileNotFoundError(f"There is no skeleton at {path}.")
        try:
            return cls(**json.loads(Path(path).read_text(encoding="utf-8")))
        except (ValueError, TypeError, RecursionError) as error:
            raise ValueError(
                f"{path} must hold a skeleton as `Skeleton.save` writes it. {error!s:.1000}"
            ) from None

    def to_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "parts": list(self.parts),
            "limbs": [list(limb) for limb in self.limbs],
            "flip_pairs": [list(pair) for pair in self.flip_pairs],
            "torso": list(self.torso) if self.torso else None,
        }


def _names(field: str, names: Any) -> tuple[str, ...]:
    names = _listed(field, names)
    if not all(isinstance(name, str) for name in names):
        raise ValueError(f"`{field}` must hold names, which are texts. Received: {list(names)}")
    return names


def _listed(field: str, values: Any) -> tuple[Any, ...]:
    # Python would take the letters of a text
    if isinstance(values, str | dict) or not isinstance(values, Iterable):
        raise ValueError(f"`{field}` must be a list. Received: {values!r}")
    return tuple(values)


def _repeated(names: Iterable[str]) -> list[str]:
    return sorted(name for name, count in Counter(names).items() if count > 1)


def _pairs(*names: str) -> tuple[tuple[str, str], ...]:
    return tuple((f"right_{name}", f"left_{name}") for name in names)


_LIMBS = (
    ("head", "neck"),
    ("right_shoulder", "right_elbow"),
    ("right_elbow", "right_wrist"),
    ("left_shoulder", "left_elbow"),
    ("left_elbow", "left_wrist"),
    ("right_hip", "right_knee"),
    ("right_knee", "right_ankle"),
    ("left_hip", "left_knee"),
    ("left_knee", "left_ankle"),
)
_BODY = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
_TORSO = ("left_shoulder", "right_hip")  # run_benchmark.m, util_get_bodysize_size

# Order of the released MPII and LSP networks; limbs of config.m.
CPM14 = Skeleton(
    "cpm14",
    ("head", "neck")
    + ("right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow", "left_wrist")
    + ("right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle"),
    limbs=_LIMBS,
    flip_pairs=_pairs(*_BODY),
    torso=_TORSO,
)

# Order of joints.mat of Leeds Sports Pose; "head" is the top of the head.
LSP14 = Skeleton(
    "lsp14",
    ("right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle")
    + ("right_wrist", "right_elbow", "right_shoulder")
    + ("left_shoulder", "left_elbow", "left_wrist", "neck", "head"),
    limbs=_LIMBS,
    flip_pairs=_pairs(*_BODY),
    torso=_TORSO,
)

# Point ids 0..15 of the MPII annotation; "neck" is its "upper neck", "head" its "head top".
MPII16 = Skeleton(
    "mpii16",
    ("right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle")
    + ("pelvis", "thorax", "neck", "head", "right_wrist", "right_elbow", "right_shoulder")
    + ("left_shoulder", "left_elbow", "left_wrist"),
    limbs=_LIMBS + (("neck", "thorax"), ("thorax", "pelvis")),
    flip_pairs=_pairs(*_BODY),
    torso=_TORSO,
)

# Order of the released FLIC network; its ninth part, called head there, is the nose.
FLIC9 = Skeleton(
    "flic9",
    ("left_shoulder", "left_elbow", "left_wrist", "right_shoulder", "right_elbow", "right_wrist")
    + ("left_hip", "right_hip", "nose"),
    limbs=tuple(limb for limb in _LIMBS if limb[1].endswith(("elbow", "wrist"))),
    flip_pairs=_pairs("shoulder", "elbow", "wrist", "hip"),
    torso=_TORSO,
)

# Order of the person category of COCO keypoints.
COCO17 = Skeleton(
    "coco17",
    ("nose", "left_eye", "right_eye", "left_ear", "right_ear")
    + tuple(f"{side}_{part}" for part in _BODY for side in ("left", "right")),
    limbs=_LIMBS[1:]
    + (("left_shoulder", "right_shoulder"), ("left_hip", "right_hip"))
    # one line a person recognises as a torso, and the face
    + (("left_shoulder", "left_hip"), ("right_shoulder", "right_hip"))
    + (("nose", "left_eye"), ("nose", "right_eye"), ("left_eye", "left_ear"))
    + (("right_eye", "right_ear"),),
    flip_pairs=_pairs("eye", "ear", *_BODY),
    torso=_TORSO,
)

_FINGERS = ("thumb", "index", "middle", "ring", "little")

# Wrist and four parts a finger, base to tip: the usual 21 of a hand. One hand has no mirror
# pairs.
HAND21 = Skeleton(
    "hand21",
    ("wrist",) + tuple(f"{finger}_{i}" for finger in _FINGERS for i in (1, 2, 3, 4)),
    limbs=tuple(("wrist", f"{finger}_1") for finger in _FINGERS)
    + tuple((f"{f}_{i}", f"{f}_{i + 1}") for f in _FINGERS for i in (1, 2, 3)),
)

_LEGS = tuple(f"{side}_{end}" for end in ("front", "hind") for side in ("right", "left"))

# A four-legged animal.
QUADRUPED17 = Skeleton(
    "quadruped17",
    ("nose", "head", "neck", "rump", "tail")
    + tuple(f"{leg}_{part}" for leg in _LEGS for part in ("top", "knee", "paw")),
    limbs=(("nose", "head"), ("head", "neck"), ("neck", "rump"), ("rump", "tail"))
    + tuple((f"{leg}_top", f"{leg}_knee") for leg in _LEGS)
    + tuple((f"{leg}_knee", f"{leg}_paw") for leg in _LEGS),
    flip_pairs=_pairs(*(f"{e}_{p}" for e in ("front", "hind") for p in ("top", "knee", "paw"))),
    torso=("neck", "rump"),
)

BUILT_IN = {s.name: s for s in (CPM14, LSP14, MPII16, FLIC9, COCO17, HAND21, QUADRUPED17)}


def built_in(name: str) -> Skeleton:
    """The built-in skeleton called `name`, such as "cpm14"."""
    if name not in BUILT_IN:
        raise ValueError(f"`skeleton` must be one of {list(BUILT_IN)}. Received: skeleton={name!r}")
    return BUILT_IN[name]


def mirror_pairs(parts: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Pairs (right, left) of names that differ in their side only; the one rule for all readers.

    The side is the word right or left, in small letters, capitals or with one capital, anywhere in
    the name; or its initial, on its own (R_Fin, fin.R, r2), before a capital (RFin) or after a
    small letter where no letter follows (finR, finR2). Each part stands in one pair at most.

    Example:
        >>> from keras_cpm.pose.skeleton import mirror_pairs
        >>> mirror_pairs(("nose", "Left_Fin", "Right_Fin", "eye.R", "eye.L"))
        (('Right_Fin', 'Left_Fin'), ('eye.R', 'eye.L'))
    """
    parts = tuple(parts)
    known, pairs = set(parts), []
    for right in parts:
        left = _RIGHT.sub(lambda match: _LEFT[match[0]], right)
        if right in known and left in known and left != right:
            pairs.append((right, left))
            known -= {right, left}
    return tuple(pairs)


def skeleton_of(parts: Collection[str], preferred: Skeleton | None = None) -> Skeleton:
    """A skeleton with exactly these part names, in any order.

    `preferred` if it has them, else a built-in one (CPM14, the order of the released networks,
    before LSP14, which has the same parts), else a plain one without limbs, whose mirror images are
    `mirror_pairs`.

    Example:
        >>> from keras_cpm.pose.skeleton import skeleton_of
        >>> skeleton_of(("nose", "right_fin", "left_fin")).flip_pairs
        (('right_fin', 'left_fin'),)
    """
    names = set(parts)
    for known in [*([preferred] if preferred else []), *BUILT_IN.values()]:
        if set(known.parts) == names:
            return known
    return Skeleton("custom", tuple(parts), flip_pairs=mirror_pairs(parts))
