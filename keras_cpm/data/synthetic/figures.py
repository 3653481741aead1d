"""`Figure`: how to draw a skeleton, as data. `PERSON`, `HAND` and `QUADRUPED` are ready to use.

Left and right can only be told apart by comparison: left limbs are the darker ones of the same
figure, whichever colors it wears and whether it faces the camera or looks away.
"""

from __future__ import annotations

import colorsys
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from ...pose.skeleton import CPM14, HAND21, QUADRUPED17, Skeleton

# Brightness of left, middle and right: the side is seen on the limb itself. Telling whose limb it
# is, or what an occluded one must be, still needs the rest of the figure.
_LEFT, _MIDDLE, _RIGHT = 0.42, 0.7, 1.0


@dataclass(frozen=True)
class Color:
    """A color that bones and panels name, drawn anew for every figure.

    `hue` is a range in degrees; `saturation` and `value`, the brightness, are ranges within 0..1.
    """

    name: str
    hue: tuple[float, float] = (0, 360)
    saturation: tuple[float, float] = (0.1, 0.8)
    value: tuple[float, float] = (0.65, 1.0)

    def pick(self, rng: np.random.Generator) -> np.ndarray:
        """(3,) RGB 0..255 within the ranges."""
        ranges = self.hue, self.saturation, self.value
        hue, saturation, value = (rng.uniform(*low_high) for low_high in ranges)
        return 255 * np.array(colorsys.hsv_to_rgb(hue / 360 % 1, saturation, value))


@dataclass(frozen=True)
class Bone:
    """A limb from one part to the next, away from the root.

    Args:
        parent: part where it starts.
        child: part where it ends.
        length: in any unit, the same for all bones; `Figure.height_parts` sets the scale.
        angle: range in degrees, clockwise from the direction of the bone that ends in `parent`; at
            the root, clockwise from the figure's upright.
        width: of the limb at its parent and at its child, in the unit of `length`.
        colors: names of color groups; each figure picks one, the same for all that name these.
        shade: factor on the brightness of the color.
        layer: higher ones are drawn in front. A mirrored figure swaps those of mirror partners.
        oval: draws an ellipse along the bone, of the larger width, such as a head.
    """

    parent: str
    child: str
    length: float
    angle: tuple[float, float]
    width: tuple[float, float]
    colors: tuple[str, ...]
    shade: float = _MIDDLE
    layer: int = 0
    oval: bool = False


@dataclass(frozen=True)
class Panel:
    """A filled surface around some parts, such as a torso; `width` rounds its corners."""

    parts: tuple[str, ...]
    width: float
    colors: tuple[str, ...]
    shade: float = _MIDDLE
    layer: int = 0


@dataclass(frozen=True)
class Figure:
    """How to draw a skeleton: data only, so that another skeleton needs no code.

    Args:
        skeleton: `Skeleton` whose every part the bones reach.
        root: part where the bones start.
        bones: `Bone`s, each after the one that ends in its parent.
        colors: `Color`s that bones and panels name.
        height_parts: chain of parts joined by bones; the sum of its lengths is the figure's height,
            in pixels `Person.height`. It does not change with the pose.
        panels: `Panel`s.
        tilt: range of the upright in degrees clockwise.
        mirror: also draws mirror images, half of the time.
        variation: by how much a bone of one figure may differ from its `length`, as a share.
        head: two parts whose distance is `Person.head_size`, if the figure has one.

    Raises:
        ValueError: naming the part, bone or color that does not fit.

    Example:
        >>> from keras_cpm import Skeleton
        >>> from keras_cpm.data.synthetic.figures import Bone, Color, Figure
        >>> from keras_cpm.data.synthetic.draw import draw_figure
        >>> arm = Skeleton("arm", ("shoulder", "elbow", "wrist"))
        >>> upper = Bone("shoulder", "elbow", 3, (60, 120), (1, 0.8), ("sleeve",))
        >>> lower = Bone("elbow", "wrist", 2.5, (-90, 90), (0.8, 0.6), ("sleeve",))
        >>> figure = Figure(arm, "shoulder", (upper, lower), (Color("sleeve"),), arm.parts)
        >>> image, people = draw_figure(figure, seed=0, index=0, size=(96, 128))
        >>> image.shape, people[0].keypoints.shape
        ((96, 128, 3), (3, 2))
    """

    skeleton: Skeleton
    root: str
    bones: tuple[Bone, ...]
    colors: tuple[Color, ...]
    height_parts: tuple[str, ...]
    panels: tuple[Panel, ...] = ()
    tilt: tuple[float, float] = (-25, 25)
    mirror: bool = True
    variation: float = 0.1
    head: tuple[str, str] | None = None

    def __repr__(self):
        # all of its bones would fill a page of help
        return f"Figure({self.skeleton.name!r})"

    def __post_init__(self):
        for name in ("bones", "colors", "height_parts", "panels"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        self._check_names()
        self._check_tree()
        ends = {frozenset((bone.parent, bone.child)) for bone in self.bones}
        steps = [frozenset(step) for step in pairwise(self.height_parts)]
        if not steps or not ends.issuperset(steps):
            raise ValueError(
                "`height_parts` must be a chain of at least two parts, neighbors joined by a bone. "
                f"Received: {self.height_parts}"
            )

    def _check_names(self):
        used = [self.root, *self.height_parts, *(self.head or ())]
        used += [part for bone in self.bones for part in (bone.parent, bone.child)]
        used += [part for panel in self.panels for part in panel.parts]
        for part in used:
            if part not in self.skeleton.parts:
                raise ValueError(
                    f"A figure may only name parts of its skeleton, {list(self.skeleton.parts)}. "
                    f"Received: {part!r}"
                )
        known = [color.name for color in self.colors]
        for shape in self.bones + self.panels:
            if not shape.colors or not set(shape.colors) <= set(known):
                raise ValueError(
                    f"`colors` of a bone or panel must name groups from {known}. "
                    f"Received: {shape.colors!r}"
                )

    def _check_tree(self):
        reached = {self.root}
        for bone in self.bones:
            if bone.parent not in reached or bone.child in reached:
                raise ValueError(
                    "`bones` must grow from `root`, each from a part already reached to one that "
                    f"is not. Received: {bone.parent!r} to {bone.child!r}"
                )
            reached.add(bone.child)
            if not bone.length > 0 or bone.angle[0] > bone.angle[1]:
                raise ValueError(
                    f"The bone to {bone.child!r} needs a positive `length` and an `angle` (low, "
                    f"high). Received: length={bone.length!r}, angle={bone.angle!r}"
                )
        missing = [part for part in self.skeleton.parts if part not in reached]
        if missing:
            raise ValueError(f"`bones` must reach every part; add bones that end in {missing}.")

    def partner(self, index: int) -> int:
        """Index of the bone that is the mirror image of bone `index`, or `index` itself."""
        parts, flip = self.skeleton.parts, self.skeleton.flip_permutation
        mirrored = parts[flip[parts.index(self.bones[index].child)]]
        found = [i for i, bone in enumerate(self.bones) if bone.child == mirrored]
        return found[0] if found else index

    def head_size(self, points: np.ndarray) -> float | None:
        """Distance between the two `head` parts of (P, 2) `points`."""
        if self.head is None:
            return None
        top, bottom = (points[self.skeleton.index(part)] for part in self.head)
        return np.hypot(*(top - bottom))

    def pick_colors(self, rng: np.random.Generator) -> tuple[tuple[float, ...], ...]:
        """RGB of every bone and panel; shapes that name the same groups wear the same color."""
        groups = {color.name: color.pick(rng) for color in self.colors}
        shapes = self.bones + self.panels
        choices = sorted({shape.colors for shape in shapes})
        worn = {names: groups[names[rng.integers(len(names))]] for names in choices}
        return tuple(tuple((worn[shape.colors] * shape.shade).tolist()) for shape in shapes)

    def pick_lengths(self, rng: np.random.Generator, height: float) -> tuple[np.ndarray, float]:
        """Bone lengths in pixels of a figure `height` tall, alike left and right, and its unit."""
        factors = rng.uniform(1 - self.variation, 1 + self.variation, len(self.bones))
        lengths = [b.length * factors[min(i, self.partner(i))] for i, b in enumerate(self.bones)]
        measured = [set(step) for step in pairwise(self.height_parts)]
        counted = [{bone.parent, bone.child} in measured for bone in self.bones]
        unit = height / np.sum(lengths, where=counted)
        return np.array(lengths) * unit, unit


def picture_name(figure, seed, index):
    """Of the file of a drawn picture; see `draw.draw_records`."""
    return f"{figure.skeleton.name}_{seed}_{index:06d}.jpg"


def _left(bone, **changes):
    """The bone of the left side that a bone of the right side stands for."""
    ends = {end: getattr(bone, end).replace("right_", "left_") for end in ("parent", "child")}
    shade = _LEFT if bone.shade == _RIGHT else bone.shade
    return replace(bone, **{**ends, "shade": shade, **changes})


def _both_sides(*bones):
    """Bones of the right side and their reflections on the left."""
    reflected = [_left(bone, angle=(-bone.angle[1], -bone.angle[0])) for bone in bones]
    return tuple(side for pair in zip(bones, reflected, strict=True) for side in pair)


_SKIN = Color("skin", (5, 40), (0.2, 0.6))
_BARE, _SHIRT, _SLEEVE = ("skin",), ("shirt",), ("shirt", "skin")
_TROUSERS, _SHIN = ("trousers",), ("trousers", "skin")
_COAT, _SOCK = ("coat",), ("coat", "sock")

_TRUNK = ("neck", "right_shoulder", "left_shoulder", "left_hip", "right_hip")

# Shares of the standing height; unmirrored it faces the camera, its right at the picture's left.
PERSON = Figure(
    CPM14,
    root="neck",
    bones=(
        Bone("neck", "head", 0.16, (-20, 20), (0.05, 0.12), _BARE, layer=2, oval=True),
        *_both_sides(
            Bone("neck", "right_shoulder", 0.13, (-120, -105), (0.06, 0.08), _SHIRT, _RIGHT, 1),
            Bone("right_shoulder", "right_elbow", 0.17, (-75, 95), (0.08, 0.06), _SHIRT, _RIGHT, 3),
            Bone("right_elbow", "right_wrist", 0.16, (-80, 120), (0.06, 0.05), _SLEEVE, _RIGHT, 4),
            Bone("neck", "right_hip", 0.36, (-172, -167), (0.06, 0.1), _SHIRT, _MIDDLE, -1),
            Bone("right_hip", "right_knee", 0.25, (-12, 45), (0.11, 0.08), _TROUSERS, _RIGHT),
            Bone("right_knee", "right_ankle", 0.24, (-50, 20), (0.08, 0.055), _SHIN, _RIGHT),
        ),
    ),
    colors=(_SKIN, Color("shirt"), Color("trousers")),
    height_parts=("head", "neck", "right_hip", "right_knee", "right_ankle"),
    panels=(Panel(_TRUNK, 0.06, _SHIRT, layer=1),),
    head=("neck", "head"),
)


def _finger(name, base, spread, lengths, width):
    part = [f"{name}_{i}" for i in (1, 2, 3, 4)]
    bones = [Bone("wrist", part[0], base, (spread - 4, spread + 4), (0.2, width), _BARE)]
    for i, (length, bend) in enumerate(zip(lengths, (12, 18, 18), strict=True)):
        widths = (width * (1 - 0.08 * i), width * (0.92 - 0.08 * i))
        bones.append(Bone(part[i], part[i + 1], length, (-bend, bend), widths, _BARE, layer=1))
    return tuple(bones)


_PALM = ("wrist", "thumb_1", "index_1", "middle_1", "ring_1", "little_1")

# Shares of the length from wrist to the tip of the middle finger.
HAND = Figure(
    HAND21,
    root="wrist",
    bones=_finger("thumb", 0.24, -52, (0.2, 0.16, 0.13), 0.13)
    + _finger("index", 0.47, -16, (0.23, 0.14, 0.11), 0.11)
    + _finger("middle", 0.48, -2, (0.25, 0.15, 0.12), 0.11)
    + _finger("ring", 0.45, 11, (0.23, 0.14, 0.11), 0.105)
    + _finger("little", 0.41, 25, (0.18, 0.1, 0.09), 0.09),
    colors=(_SKIN,),
    height_parts=("wrist", "middle_1", "middle_2", "middle_3", "middle_4"),
    panels=(Panel(_PALM, 0.12, _BARE),),
    tilt=(-50, 50),
    variation=0.08,
)


def _animal_leg(end, parent, down, lengths):
    top, knee, paw = (f"right_{end}_{part}" for part in ("top", "knee", "paw"))
    far = (
        Bone(parent, top, lengths[0], (down - 12, down - 2), (0.16, 0.12), _COAT, _RIGHT, -1),
        Bone(top, knee, lengths[1], (-28, 32), (0.12, 0.075), _COAT, _RIGHT, -1),
        Bone(knee, paw, lengths[2], (-30, 22), (0.07, 0.055), _SOCK, _RIGHT, -1),
    )
    near = tuple(_left(bone, layer=1) for bone in far)
    # Both tops hang under one point of the spine; a few degrees keep them apart.
    return (*far, replace(near[0], angle=(down + 2, down + 12)), *near[1:])


# Shares of the length from nose to rump; unmirrored it walks to the left and shows its left side.
QUADRUPED = Figure(
    QUADRUPED17,
    root="neck",
    bones=(
        Bone("neck", "head", 0.26, (-65, -15), (0.19, 0.13), _COAT),
        Bone("head", "nose", 0.18, (-80, -45), (0.15, 0.07), _COAT),
        Bone("neck", "rump", 0.56, (84, 96), (0.24, 0.21), _COAT),
        Bone("rump", "tail", 0.27, (-50, 60), (0.07, 0.035), _SOCK),
        *_animal_leg("front", "neck", -180, (0.14, 0.2, 0.19)),
        *_animal_leg("hind", "rump", 90, (0.14, 0.2, 0.19)),
    ),
    colors=(Color("coat", (10, 60), (0, 0.7)), Color("sock", (10, 60), (0, 0.5))),
    height_parts=("nose", "head", "neck", "rump"),
    tilt=(-12, 12),
)
