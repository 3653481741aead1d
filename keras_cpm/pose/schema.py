"""What the small JSON files of the package hold, field by field; standard library only.

One table a file, name -> `Field`; whatever is not in it is refused in one sentence that names the
field, what it holds and what it must be.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from typing import Any, NamedTuple


class Field(NamedTuple):
    """What a field must be: in words, and as a function of its value."""

    words: str
    holds: Callable[[Any], bool]


def whole(lowest: int, highest: int) -> Field:
    """A whole number; `True` is none."""
    return Field(
        f"a whole number, {lowest} to {highest}",
        lambda v: isinstance(v, int) and not isinstance(v, bool) and lowest <= v <= highest,
    )


def number(lowest: float, highest: float) -> Field:
    """A number, whole or not; neither `True` nor NaN is one."""
    return Field(
        f"a number, {lowest:g} to {highest:g}",
        lambda v: (
            isinstance(v, (int, float)) and not isinstance(v, bool) and lowest <= v <= highest
        ),
    )


def one_of(known: Collection[Any]) -> Field:
    """One of some values, `None` or texts or numbers; of the same type, so that 1 is not `True`."""
    return Field(
        "one of " + ", ".join(json.dumps(value) for value in known),
        lambda v: any(type(v) is type(value) and v == value for value in known),
    )


TEXT = Field("a text", lambda v: isinstance(v, str))
FLAG = Field("true or false", lambda v: isinstance(v, bool))
OBJECT = Field("an object", lambda v: isinstance(v, dict))
# its shape is for others to know
ANYTHING = Field("anything", lambda v: True)


def parse(text: str | bytes) -> Any:
    """The value of JSON text.

    Raises:
        ValueError: it is none, or nested deeper than Python follows.

    Example:
        >>> from keras_cpm.pose import schema
        >>> schema.parse("[" * 100_000)
        Traceback (most recent call last):
        ValueError: it is nested too deep
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deep") from None


def check(
    found: Any, fields: dict[str, Field], *, optional: Collection[str] = (), more: bool = False
) -> dict[str, Any]:
    """Refuses what is not an object of these fields.

    Args:
        found: value of JSON text.
        fields: dict of name -> `Field`.
        optional: names that may be missing.
        more: whether there may be other names.

    Returns:
        `found`.

    Raises:
        ValueError: naming the field and the value.

    Example:
        >>> from keras_cpm.pose import schema
        >>> schema.check({"width": True}, {"width": schema.whole(4, 512)})
        Traceback (most recent call last):
        ValueError: `width` must be a whole number, 4 to 512. Received: width=True
    """
    if not isinstance(found, dict):
        raise ValueError(f"It must be an object with {', '.join(fields)}. Received: {found!r:.60}")
    unknown = sorted(set(found) - set(fields))
    if unknown and not more:
        raise ValueError(f"It holds the fields {sorted(fields)}. Received also: {unknown!r:.200}")
    for name, field in fields.items():
        if name not in found and name not in optional:
            raise ValueError(f"It must have a `{name}`, {field.words}. Received none.")
        if name in found and not field.holds(found[name]):
            raise ValueError(
                f"`{name}` must be {field.words}. Received: {name}={found[name]!r:.60}"
            )
    return found
