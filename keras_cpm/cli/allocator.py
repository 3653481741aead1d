"""Settings of glibc's memory allocator for programs that make and drop large arrays. Standard
library only.

Left to itself, glibc asks the kernel for every array of 32 MB and more and gives it back when it is
dropped, and returns what is free at the end of its heaps. The next array begins as pages that the
kernel must find and fill with zeros, one fault each 4 KB. The settings keep what was ever used:
nothing is mapped for a single array, nothing is returned. Raising the bound instead would do in
glibc 2.36, but older versions ignore a MALLOC_MMAP_THRESHOLD_ above 32 MB.

PyTorch drops every array: a training step of the 6-stage network has 336,000 faults without the
settings, 19,000 with them. TensorFlow, ONNX Runtime and OpenVINO keep pools of their own and hardly
change. `python -m benchmarks.engines` measures both.
"""

import ctypes
import platform

# of the environment in which a process begins; "never" as a number of bytes
SETTINGS = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(2**62)}

# malloc.h: M_MMAP_MAX is -4, M_TRIM_THRESHOLD -1, and -1 bytes are more than there can be
_OPTIONS = {-4: 0, -1: -1}


def is_glibc():
    """Whether the C library of this Python is glibc.

    Example:
        >>> from keras_cpm.cli.allocator import is_glibc
        >>> is_glibc() in (True, False)
        True
    """
    return platform.libc_ver()[0] == "glibc"


def apply():
    """Takes the settings for this process; what was allocated before stays as it is.

    Returns:
        bool: whether the allocator took them; `False` where it is not glibc's.

    Example:
        >>> from keras_cpm.cli.allocator import apply, is_glibc
        >>> apply() == is_glibc()
        True
    """
    if not is_glibc():
        return False
    # what another allocator that was loaded before offers by this name is its own
    mallopt = ctypes.CDLL(None).mallopt
    taken = [mallopt(option, value) == 1 for option, value in _OPTIONS.items()]
    return all(taken)
