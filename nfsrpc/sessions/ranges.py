"""Ranges of locks: from the first byte to the last one, or to the end of the file, however large that grows.

NLM has a start and a length, of which 0 means to the end (RFC 1813 appendix II). Some clients write the greatest number
that there is instead, and Linux has no byte beyond 2^63 - 1 (OFFSET_MAX): what reaches so far is to the end as well.
The core has the one definition, as it compares ranges, too (core/src/lock_sessions.rs).
"""

from __future__ import annotations

import numpy as np

from nfsrpc import _core
from nfsrpc.columns import Array

TO_THE_END = np.uint64(_core.TO_THE_END)  # as the last byte


def last_bytes(start: Array, length: Array) -> Array:
    """The last byte of each range."""
    last: Array = _core.last_bytes(np.ascontiguousarray(start), np.ascontiguousarray(length))
    return last


def is_to_the_end(start: int, length: int) -> bool:
    """Whether a range reaches to the end of the file.

    >>> is_to_the_end(10, 0), is_to_the_end(10, 5), is_to_the_end(0, 2**63 - 1), is_to_the_end(0, 2**63)
    (True, False, False, True)
    """
    return _core.last_byte(start, length) == _core.TO_THE_END
