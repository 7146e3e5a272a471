"""Subjects: what must be in a capture for a rule to judge it at all.

A rule names its subject in its head (`judges`). Where a rule has no answer, its subject decides: it passes where the
subject was captured, and otherwise cannot tell.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from nfsrpc.columns import Mask, Table
from nfsrpc.facts.basic import MOUNT, over_udp


def any_row(table: Table, chosen: Callable[[Table], Mask]) -> bool:
    return bool(chosen(table).any())


# The subject, as in "no ... in the capture": whether these tables and facts hold it.
SUBJECTS: dict[str, Callable[[Mapping[str, Any]], bool]] = {
    "lock requests": lambda inputs: bool(inputs["roles"].lock_pairs),
    "frames": lambda inputs: bool(inputs["quality"]["frames"].any()),
    "TCP or UDP": lambda inputs: bool(len(inputs["flows"])),
    "RPC": lambda inputs: bool(inputs["flows"]["rpc"].any()),
    "replies": lambda inputs: bool(len(inputs["counted"]) or inputs["exchanges"].valid("rpc_status").any()),
    "answered calls": lambda inputs: bool(len(inputs["counted"]) or inputs["exchanges"].valid("latency_s").any()),
    "answered lock requests": lambda inputs: bool(inputs["requests"].valid("latency_s").any()),
    "NFS": lambda inputs: bool(inputs["roles"].file_servers),
    "mount": lambda inputs: any_row(
        inputs["exchanges"], lambda rows: (rows["prog"] == MOUNT) & (rows["proc"] == 1) & rows.valid("status")
    ),
    "accepted connections": lambda inputs: bool((inputs["connections"]["synack"] > 0).any()),
    "RPC over UDP": lambda inputs: (
        over_udp(inputs["counted"]) > 0 or any_row(inputs["exchanges"], lambda rows: rows["transport"] == "udp")
    ),
    "RPC over UDP or asynchronous lock requests": lambda inputs: (
        SUBJECTS["RPC over UDP"](inputs)
        or any_row(inputs["nlm"], lambda rows: (rows["proc"] > 5) & (rows["proc"] < 10))
    ),
    "RPC over TCP between hosts": lambda inputs: any_row(
        inputs["connections"], lambda rows: (rows["transport"] == "tcp") & rows["rpc"] & ~rows["loopback"]
    ),
}
