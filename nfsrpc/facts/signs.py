"""Signs of a stall on the wire, and the weight of causes that only the server's loopback would prove.

On the wire a LOCK that waits looks the same for several faults; its wait and its answer distinguish them
a little, because each is made by another timer of the kernel.
"""

from __future__ import annotations

from typing import NamedTuple


class Signs(NamedTuple):
    """The signs of a stall that the wire shows."""

    granted_s: float | None  # the longest wait of a request that was not answered DENIED_NOLOCKS
    denied_s: float | None  # of one that was
    open_s: float | None  # of one that has no answer
    resolves: bool  # DNS does not answer the server meanwhile
    served: bool  # its lock manager answers later requests meanwhile


class Suspicion(NamedTuple):
    """The signs for a cause and against it; the greater the weight, the more probable."""

    supports: str
    against: str  # "" when nothing does
    weight: int
