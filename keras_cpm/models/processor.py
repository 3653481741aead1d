"""What the processor of this machine computes with."""

import functools
from pathlib import Path

_CPU_INFO = Path("/proc/cpuinfo")


@functools.cache
def units():
    """The names that Linux gives the units of an x86 processor; empty on other systems.

    Returns:
        frozenset, with "avx512_bf16" where bfloat16 is computed and "amx_bf16" where there are
        matrix units for it.

    Example:
        >>> from keras_cpm.models.processor import units
        >>> "a unit that nobody built" in units()
        False
    """
    try:
        lines = _CPU_INFO.read_text().splitlines()
    except OSError:
        return frozenset()
    for line in lines:
        name, _, names = line.partition(":")
        if name.strip() == "flags":
            return frozenset(names.split())
    return frozenset()
