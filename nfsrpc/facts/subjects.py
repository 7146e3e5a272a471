"""Subjects: what must be in a capture for a rule to judge it at all.

A rule names its subject in its head (`judges`). Where a rule has no answer, its subject decides: it passes where the
subject was captured, and otherwise cannot tell.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from nfsrpc.columns import Mask, Table


def any_row(table: Table, chosen: Callable[[Table], Mask]) -> bool:
    return bool(chosen(table).any())


# The subject, as in "no ... in the capture": whether these tables and facts hold it.
SUBJECTS: dict[str, Callable[[Mapping[str, Any]], bool]] = {
    "lock requests": lambda inputs: bool(inputs["roles"].lock_pairs),
    "accepted connections": lambda inputs: bool((inputs["connections"]["synack"] > 0).any()),
    "RPC over TCP between hosts": lambda inputs: any_row(
        inputs["connections"], lambda rows: (rows["transport"] == "tcp") & rows["rpc"] & ~rows["loopback"]
    ),
}
