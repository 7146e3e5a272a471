"""What each capture lacks: cut frames, losses, directions that were not captured."""

from __future__ import annotations

from typing import Any

import numpy as np

from nfsrpc.decode import Decoded
from nfsrpc.sessions import link_types
from nfsrpc.sessions.steps import BACK, FORWARD, steps
from nfsrpc.tables import NAT, ODDITIES, QUALITY, Array, Coded, Mask, Source, Table

STEPS = (BACK, FORWARD)


def quality(decoded: Decoded, calls: Table, flows: Table, oddities: Table) -> Table:
    return Table.of(QUALITY, (_row(decoded, calls, flows, oddities, number) for number in range(len(decoded.files))))


def _row(decoded: Decoded, calls: Table, flows: Table, oddities: Table, number: int) -> tuple[Any, ...]:
    facts = {name: values[number].item() for name, values in decoded.captures.items()}
    drops = sum(row["drops"] or 0 for row in decoded.interfaces if row["capture"] == number)
    here = flows["capture"] == number
    tcp = here & (flows["transport"] == "tcp")
    odd = oddities["capture"] == number
    states = calls["state"][calls["capture"] == number]
    counted = int(decoded.tallies["exchanges"][decoded.tallies["capture"] == number].sum())

    def both(name: str, mask: Mask) -> int:
        return int(flows[f"c_{name}"][mask].sum()) + int(flows[f"s_{name}"][mask].sum())

    return (
        number,
        facts["frames"],
        facts["cut_frames"],
        facts["duplicates"],
        facts["misordered"],
        facts["not_ip"],
        facts["unread"],
        unread_links(decoded, number),
        facts["rdma"],
        facts["rdma_rpc"],
        bool(facts["truncated"]) or number in decoded.damages,
        drops or None,
        both("frames", tcp),
        both("retransmitted", tcp),
        both("out_of_order", tcp),
        both("lost_bytes", tcp),
        int((one_way(flows) & here).sum()),
        int((states != "orphan").sum()) + counted,
        int((states == "undecided").sum()),
        int((states == "orphan").sum()),
        int((odd & oddities["kind"].isin(STEPS)).sum()),
        int((odd & ~oddities["kind"].isin(STEPS)).sum()),
    )


def unread_links(decoded: Decoded, number: int) -> tuple[str, ...]:
    """The link types of a file's frames that were not read: what wraps others has no interface of theirs."""
    if not decoded.captures["unread"][number]:
        return ()
    interfaces = [row["link_type"] for row in decoded.interfaces if row["capture"] == number]
    first = int(decoded.captures["unread_type"][number])
    return tuple(dict.fromkeys(link_types.name(link) for link in [first, *interfaces] if link not in link_types.READ))


def one_way(flows: Table) -> Mask:
    """Flows with RPC of which only one direction was captured."""
    c_frames: Array = flows["c_frames"]
    mask: Mask = flows["rpc"] & ((c_frames == 0) | (flows["s_frames"] == 0))
    return mask


def oddities(decoded: Decoded, calls: Table) -> Table:
    odd = {name: list(values) for name, values in decoded.oddities.items()}
    for step in steps(decoded, calls):
        time = step.first if step.kind == BACK else step.last
        values = {**step._asdict(), "time": time, "detail": step.last - step.first}
        for name, column in odd.items():
            column.append(values[name])
    columns: dict[str, Source] = {
        "kind": Coded.of(odd["kind"]),
        "capture": np.array(odd["capture"], dtype=np.uint16),
        "frame": np.array(odd["frame"], dtype=np.uint32),
        "time": np.array([NAT if time is None else time for time in odd["time"]], dtype=np.int64),
        "detail": np.array(odd["detail"], dtype=np.uint64),
    }
    return Table(ODDITIES, len(odd["kind"]), columns)
