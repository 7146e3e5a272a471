"""What each capture lacks: cut frames, losses, directions that were not captured."""

from __future__ import annotations

from typing import Any

import numpy as np

from nfsrpc.columns import NAT, Array, Coded, Mask, Source
from nfsrpc.decode import Decoded
from nfsrpc.sessions import link_types
from nfsrpc.sessions.clock_steps import BACK, steps
from nfsrpc.tables import CLOCK_STEPS, ODDITIES, QUALITY, Calls, Flows, Oddities, Quality

# By what there was no room for: kinds of oddities whose detail is how many.
FULL = ("exchanges-full", "locks-full"), ("flows-full",)


def quality(decoded: Decoded, calls: Calls, flows: Flows, oddities: Oddities) -> Quality:
    files = len(decoded.files)
    tcp, step = flows["transport"] == "tcp", oddities["kind"].isin(CLOCK_STEPS)
    full = [oddities["kind"].isin(kinds) for kinds in FULL]
    drops = [0] * files
    for row in decoded.interfaces:
        drops[row["capture"]] += row["drops"] or 0

    def total(captures: Array, amounts: Array) -> list[int]:
        sums = np.zeros(files, dtype=np.int64)
        np.add.at(sums, captures, amounts.astype(np.int64))
        return list(map(int, sums.tolist()))

    def both(name: str) -> list[int]:
        return total(
            flows["capture"], np.where(tcp, flows.column(f"c_{name}") + flows.column(f"s_{name}").astype(np.int64), 0)
        )

    state = calls["state"]
    listed = total(calls["capture"], state != "orphan")
    sums = [decoded.tallies, decoded.left_out]
    counted = total(*(np.concatenate([rows[name] for rows in sums]) for name in ("capture", "exchanges")))
    columns = zip(
        *(both(name) for name in ("frames", "retransmitted", "out_of_order", "lost_bytes")),
        total(flows["capture"], one_way(flows)),
        (each + unlisted for each, unlisted in zip(listed, counted, strict=True)),
        *(total(calls["capture"], state == which) for which in ("undecided", "orphan")),
        *(total(oddities["capture"], mask) for mask in (step, ~np.logical_or.reduce([step, *full]))),
        *(total(oddities["capture"], np.where(mask, oddities["detail"], 0)) for mask in full),
        strict=True,
    )
    rows = zip(range(files), drops, columns, strict=True)
    return Quality.of(QUALITY, ((*of_file(decoded, number), lost or None, *each) for number, lost, each in rows))


def of_file(decoded: Decoded, number: int) -> tuple[Any, ...]:
    facts = {name: values[number].item() for name, values in decoded.captures.items()}
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
    )


def unread_links(decoded: Decoded, number: int) -> tuple[str, ...]:
    """The link types of a file's frames that were not read: what wraps others has no interface of theirs."""
    if not decoded.captures["unread"][number]:
        return ()
    interfaces = [row["link_type"] for row in decoded.interfaces if row["capture"] == number]
    first = int(decoded.captures["unread_type"][number])
    return tuple(dict.fromkeys(link_types.name(link) for link in [first, *interfaces] if link not in link_types.READ))


def one_way(flows: Flows) -> Mask:
    """Flows with RPC of which only one direction was captured."""
    c_frames: Array = flows["c_frames"]
    mask: Mask = flows["rpc"] & ((c_frames == 0) | (flows["s_frames"] == 0))
    return mask


def oddities(decoded: Decoded, calls: Calls) -> Oddities:
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
    return Oddities(ODDITIES, len(odd["kind"]), columns)
