"""Ranges of locks: from the first byte to the last one, or to the end of the file, however large that grows.

NLM has a start and a length, of which 0 means to the end (RFC 1813 appendix II). Some clients write the greatest number
that there is instead, and Linux has no byte beyond 2^63 - 1 (OFFSET_MAX): what reaches so far is to the end as well.
"""

from __future__ import annotations

import numpy as np

from nfsrpc.columns import Array

OFFSET_MAX = 2**63 - 1
TO_THE_END = np.uint64(0xFFFFFFFFFFFFFFFF)  # as the last byte


def last_bytes(start: Array, length: Array) -> Array:
    """The last byte of each range."""
    last = start + length - np.uint64(1)
    return np.where((length == 0) | (last < start) | (last >= np.uint64(OFFSET_MAX)), TO_THE_END, last)


def is_to_the_end(start: int, length: int) -> bool:
    """Whether a range reaches to the end of the file.

    >>> is_to_the_end(10, 0), is_to_the_end(10, 5), is_to_the_end(0, 2**63 - 1), is_to_the_end(0, 2**63)
    (True, False, False, True)
    """
    return not length or start + length - 1 >= OFFSET_MAX
