"""The exchanges that are counted, not listed, while a capture is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nfsrpc.protocols import PROTOCOLS
from nfsrpc.protocols.numbers import Prog
from nfsrpc.reading import Batch, Counting


def thinned(
    batches: list[Batch], in_reach: dict[str, Any], alone_until: int, kinds: Mapping[str, Mapping[str, str]]
) -> list[Batch]:
    """The batches as one that is thinned, where they are many, or the end of what was thinned before."""
    from nfsrpc.sessions.batches import parted

    ends = bool(parted(batches)[0]) and not len(in_reach["time"])
    if fullness(batches) < 1 and not ends:
        return batches
    from nfsrpc.sessions.thinning import thinned

    return thinned(batches, in_reach, alone_until, kinds)


def fullness(batches: list[Batch]) -> float:
    from nfsrpc.sessions.batches import fullness

    return fullness(batches)


def without_addresses(batch: Batch, in_reach: Any) -> Batch:
    from nfsrpc.sessions.batches import without_addresses

    return without_addresses(batch, in_reach)


# Where they need not be listed, exchanges of these procedures are counted, unless something is odd about one.
COUNTED_PROCEDURES = tuple(
    (program.number, program.version, procedure.number)
    for program in PROTOCOLS
    if program.number in (Prog.NFS, Prog.NFSACL)
    for procedure in program.procedures
)


COUNTING = Counting(COUNTED_PROCEDURES, fullness, thinned, without_addresses)
