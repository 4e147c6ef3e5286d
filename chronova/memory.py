"""What the C library does with memory that was freed."""

from __future__ import annotations

import ctypes

LARGE_BYTES = 8 << 20
KEPT_BYTES = 4 << 20
"""Of each arena, to be used again."""

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3


def return_large_blocks() -> bool:
    """Blocks of ``LARGE_BYTES`` and more go back to the system as soon as they are freed. False:
    the C library is not glibc.

    By itself glibc learns from the first such block to keep the next ones, in each thread:
    checking a password takes 19 MiB, so sixteen threads would come to hold 300 MiB for nothing.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, LARGE_BYTES) & mallopt(_M_TRIM_THRESHOLD, KEPT_BYTES))
