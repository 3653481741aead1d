"""Which library computes coordinates, belief maps and pixels: TensorFlow, or NumPy.

`tf` and `ops` stand for TensorFlow and `keras.ops`, which are imported when something of them is
first used. Within `by_numpy` they stand for NumPy: the same lines compute the same, eagerly, and
nobody waits four seconds for TensorFlow. Arrays of NumPy are what comes out then.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from importlib import import_module
from typing import Any

import numpy as np

from . import numpy_ops

# where NumPy computes, what is called before TensorFlow is imported all the same
_LOADER: ContextVar[Callable[[], object] | None] = ContextVar("loader", default=None)


def _nothing() -> None:
    pass


@contextlib.contextmanager
def by_numpy(load_tensorflow: Callable[[], object] = _nothing) -> Iterator[None]:
    """Lets NumPy compute what this thread computes within.

    Args:
        load_tensorflow: called before TensorFlow is imported for what NumPy does not know.

    Example:
        >>> from keras_cpm.pose import arithmetic, geometry
        >>> with arithmetic.by_numpy():
        ...     type(geometry.resize_matrix(2.0)).__name__
        'ndarray'
    """
    token = _LOADER.set(load_tensorflow)
    try:
        # TensorFlow says nothing of a division by zero
        with np.errstate(all="ignore"):
            yield
    finally:
        _LOADER.reset(token)


@contextlib.contextmanager
def by_tensorflow() -> Iterator[Any]:
    """Lets TensorFlow compute within, also within `by_numpy`: for what NumPy does not know. Yields
    TensorFlow; its errors about arguments become those of `tf` outside.

    Example:
        >>> from keras_cpm.pose import arithmetic
        >>> with arithmetic.by_numpy(), arithmetic.by_tensorflow():
        ...     arithmetic.is_by_numpy()
        False
    """
    load = _LOADER.get()
    token = _LOADER.set(None)
    try:
        if load:
            load()
        tensorflow = import_module("tensorflow")
        try:
            yield tensorflow
        except tensorflow.errors.InvalidArgumentError as error:
            if not load:
                raise
            raise numpy_ops.InvalidArgumentError(error.message) from None
    finally:
        _LOADER.reset(token)


def is_by_numpy() -> bool:
    """Whether NumPy computes here, see `by_numpy`."""
    return _LOADER.get() is not None


class _Library:
    """A module that is imported when it is first used, and what stands in for it."""

    def __init__(self, name: str, stand_in: Any) -> None:
        self._name, self._stand_in = name, stand_in

    def __getattr__(self, name: str) -> Any:
        if is_by_numpy():
            return getattr(self._stand_in, name)
        return getattr(import_module(self._name), name)


tf: Any = _Library("tensorflow", numpy_ops)
ops: Any = _Library("keras.ops", numpy_ops.KERAS)


def traced(function: Any = None, **options: Any) -> Any:
    """`tf.function`, made when it is first called; NumPy calls the function as it is.

    Args:
        function: to be traced; without it this is a decorator.
        **options: of `tf.function`. What needs TensorFlow is a function of nothing.

    Example:
        >>> from keras_cpm.pose import arithmetic
        >>> twice = arithmetic.traced(lambda x: 2 * x)
        >>> int(twice(3))
        6
    """
    if function is None:
        return functools.partial(traced, **options)
    return functools.wraps(function)(_Traced(function, options))


class _Traced:
    def __init__(self, function: Callable[..., Any], options: dict[str, Any]) -> None:
        self._plain, self._options = function, options

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return (self._plain if is_by_numpy() else self._graph)(*args, **kwargs)

    @functools.cached_property
    def _graph(self) -> Any:
        given = {
            name: value() if callable(value) else value for name, value in self._options.items()
        }
        return import_module("tensorflow").function(self._plain, **given)
