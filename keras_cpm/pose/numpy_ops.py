"""What `arithmetic` puts in the place of TensorFlow and of `keras.ops`: operations of the same
names, as far as poses and photographs ask for them, by NumPy.

Their docstrings are TensorFlow's. Numbers of Python become float32 and int32, as there.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np

from .spec import Array

float32, int32, int64, uint8, bool = np.float32, np.int32, np.int64, np.uint8, np.bool_
# these have the same names, arguments and meaning
abs, square, floor, exp, cos, sin, round = (
    *(np.abs, np.square, np.floor, np.exp, np.cos, np.sin, np.rint),
)
maximum, minimum, zeros_like, ones_like = np.maximum, np.minimum, np.zeros_like, np.ones_like
expand_dims, reshape, transpose = np.expand_dims, np.reshape, np.transpose
reduce_max, reduce_min, reduce_any, reduce_all = np.max, np.min, np.any, np.all
reduce_mean, reduce_prod, clip_by_value = np.mean, np.prod, np.clip


def convert_to_tensor(value: Array, dtype: Any = None) -> Array:
    array = np.asarray(value, dtype)
    if dtype is None and not isinstance(value, np.ndarray | np.generic):
        known = {"f": np.float32, "i": np.int32}.get(array.dtype.kind, array.dtype)
        return array.astype(known, copy=False)
    return array


def cast(value: Array, dtype: Any) -> Array:
    return np.asarray(value).astype(dtype, copy=False)


constant = convert_to_tensor


def identity(value: Array) -> Array:
    return value


def ensure_shape(value: Array, shape: Any) -> Array:
    return value


def is_tensor(value: Any) -> Any:
    return False


def shape(value: Array) -> Array:
    return np.asarray(np.shape(value), np.int32)


def size(value: Array) -> Array:
    return np.int32(len(value) if isinstance(value, list) else np.size(value))


def range(*limits: Array, dtype: Any = None) -> Array:
    whole = all(np.asarray(one).dtype.kind in "iu" for one in limits)
    return np.arange(*limits).astype(dtype or (np.int32 if whole else np.float32))


def eye(count: int) -> Array:
    return np.eye(count, dtype=np.float32)


def zeros(shape: Array, dtype: Any = np.float32) -> Array:
    return np.zeros(shape, dtype)


def fill(shape: Array, value: Array) -> Array:
    return np.full(shape, convert_to_tensor(value))


def where(condition: Array, chosen: Array = None, other: Array = None) -> Array:
    if chosen is None:
        return np.argwhere(condition)
    return np.where(condition, *_alike(chosen, other))


def _alike(first: Array, second: Array) -> tuple[Array, Array]:
    """Numbers of Python become of the type of the other."""
    plain = (int, float)
    if isinstance(second, plain) and not isinstance(first, plain):
        first = convert_to_tensor(first)
        return first, np.asarray(second, first.dtype)
    if isinstance(first, plain) and not isinstance(second, plain):
        second = convert_to_tensor(second)
        return np.asarray(first, second.dtype), second
    return convert_to_tensor(first), convert_to_tensor(second)


def stack(values: Sequence[Array], axis: int = 0) -> Array:
    return np.stack([convert_to_tensor(one) for one in values], axis=axis)


def concat(values: Sequence[Array], axis: int) -> Array:
    return np.concatenate([np.asarray(one) for one in _typed(values)], axis=axis)


def _typed(values: Sequence[Array]) -> list[Array]:
    """All of the type of the first array among them."""
    kinds = [one.dtype for one in values if isinstance(one, np.ndarray | np.generic)]
    return [
        one if isinstance(one, np.ndarray | np.generic) or not kinds else np.asarray(one, kinds[0])
        for one in values
    ]


def unstack(value: Array, axis: int = 0) -> list[Array]:
    return list(np.moveaxis(np.asarray(value), axis, 0))


def gather(values: Array, index: Array, axis: int = 0, batch_dims: int = 0) -> Array:
    if batch_dims:
        return values[np.arange(len(values)), index]
    return np.take(values, index, axis=axis)


def gather_nd(values: Array, index: Array) -> Array:
    return values[tuple(np.moveaxis(index, -1, 0))]


def boolean_mask(values: Array, mask: Array) -> Array:
    return np.asarray(values)[np.asarray(mask)]


def reverse(value: Array, axis: Sequence[int]) -> Array:
    return np.flip(value, axis=tuple(axis))


def pad(value: Array, paddings: Array, constant_values: Array = 0) -> Array:
    return np.pad(value, paddings, constant_values=constant_values)


def reduce_sum(value: Array, axis: Any = None, keepdims: Any = False) -> Array:
    value = convert_to_tensor(value)
    # NumPy would add int32 up in 64 bits
    return np.sum(value, axis=axis, keepdims=keepdims, dtype=value.dtype)


def argmax(value: Array, axis: int = 0, output_type: Any = np.int64) -> Array:
    return np.argmax(value, axis=axis).astype(output_type)


def argsort(value: Array, direction: str = "ASCENDING", stable: Any = False) -> Array:
    descending = direction == "DESCENDING"
    return np.argsort(-value if descending else value, kind="stable").astype(np.int32)


def searchsorted(values: Array, wanted: Array) -> Array:
    return np.searchsorted(values, wanted).astype(np.int32)


def one_hot(index: Array, depth: Array) -> Array:
    return (np.asarray(index)[..., None] == np.arange(depth)).astype(np.float32)


def norm(value: Array, axis: int) -> Array:
    return np.sqrt(np.sum(np.square(value), axis=axis))


def matmul(
    first: Array, second: Array, transpose_a: Any = False, transpose_b: Any = False
) -> Array:
    first = np.swapaxes(first, -1, -2) if transpose_a else first
    return first @ (np.swapaxes(second, -1, -2) if transpose_b else second)


def einsum(equation: str, *values: Array) -> Array:
    # by products of matrices
    return np.einsum(equation, *values, optimize=True)


def cond(chosen: Array, first: Callable[[], Any], second: Callable[[], Any]) -> Any:
    return first() if chosen else second()


def switch_case(number: Array, branches: Sequence[Callable[[], Any]]) -> Any:
    return branches[int(number)]()


def while_loop(goes_on: Callable[..., Any], following: Callable[..., Any], start: Any) -> Any:
    state = tuple(start)
    while goes_on(*state):
        state = tuple(following(*state))
    return state


def map_fn(function: Callable[[Any], Any], rows: Array, **_: Any) -> Any:
    return tuple(np.stack(column) for column in zip(*map(function, rows), strict=True))


def control_dependencies(done: Any) -> Any:
    return contextlib.nullcontext()


class InvalidArgumentError(ValueError):
    """`tf.errors.InvalidArgumentError`."""

    @property
    def message(self) -> str:
        return str(self)


def _assert(holds: Array, message: str) -> None:
    if not np.all(holds):
        raise InvalidArgumentError(message)


def _overlaps(same: Array, scores: Array, most: Array, threshold: float) -> Array:
    """Rows in the order of their scores, without those that overlap an earlier one."""
    kept: list[int] = []
    for number in np.argsort(-scores, kind="stable").tolist():
        if len(kept) < most and not any(same[number, one] > threshold for one in kept):
            kept.append(number)
    return np.asarray(kept, np.int32)


def _softmax(value: Array, axis: int) -> Array:
    powers = np.exp(value - np.max(value, axis=axis, keepdims=True))
    return powers / np.sum(powers, axis=axis, keepdims=True)


def _substring(text: bytes, start: Array, length: Array) -> bytes:
    return text[int(start) : int(start) + int(length)]


def _decode_raw(text: bytes, dtype: Any, fixed_length: int | None = None) -> Array:
    text = text if fixed_length is None else text[:fixed_length].ljust(fixed_length, b"\0")
    return np.frombuffer(text, dtype)


def _shift(value: Array, bits: Array) -> Array:
    return np.left_shift(np.asarray(value, np.int32), np.asarray(bits, np.int32))


errors = SimpleNamespace(
    InvalidArgumentError=InvalidArgumentError, ResourceExhaustedError=MemoryError
)
bitwise = SimpleNamespace(left_shift=_shift)
image = SimpleNamespace(non_max_suppression_overlaps=_overlaps)
math = SimpleNamespace(log=np.log, ceil=np.ceil)
nn = SimpleNamespace(softmax=_softmax)
io = SimpleNamespace(decode_raw=_decode_raw)
strings = SimpleNamespace(
    length=lambda text: np.int32(len(text)),
    substr=_substring,
    split=lambda text, word, maxsplit: text.split(word, maxsplit),
)
debugging = SimpleNamespace(
    assert_less=lambda a, b, message: _assert(a < b, message),
    assert_less_equal=lambda a, b, message: _assert(a <= b, message),
    assert_equal=lambda a, b, message: _assert(a == b, message),
    assert_positive=lambda a, message: _assert(a > 0, message),
)


def _top_k(value: Array, count: int) -> tuple[Array, Array]:
    # to sort all for the first takes ten times as long
    only = np.argmax(value, axis=-1, keepdims=True) if count == 1 else None
    order = np.argsort(-value, axis=-1, kind="stable")[..., :count] if only is None else only
    return np.take_along_axis(value, order, axis=-1), order


KERAS = SimpleNamespace(
    **{name: getattr(np, name) for name in ("transpose", "reshape", "squeeze", "stack", "shape")},
    **{name: getattr(np, name) for name in ("maximum", "where", "clip", "log", "sign", "abs")},
    **{name: getattr(np, name) for name in ("take_along_axis", "zeros_like", "flip", "take")},
    cast=lambda value, dtype: np.asarray(value).astype(dtype, copy=False),
    top_k=_top_k,
)
