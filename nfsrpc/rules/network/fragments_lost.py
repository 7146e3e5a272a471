"""Fragments of large UDP messages are lost.

Sees
    An RPC message over UDP that is larger than the MTU and lacks a fragment, and comes again, with the same xid,
    lacking as much: a call that is resent because it never arrived whole, or a reply that is sent for each copy of its
    call.

Why it matters
    One fragment lost is a whole READ or WRITE lost; a path that always loses them lets small calls through and large
    ones never.

Not flagged when
    All fragments came, in whatever order, or a copy came whole. The call was answered: then only the capture lacks them
    (a filter by port lets no fragment through but the first). The capture ends inside the datagram. Calls with other
    xids were resent.

How to confirm
    nstat -az | grep -i reasm on both hosts; ping -M do -s 1472 HOST (1472 bytes and 28 of headers are an MTU of 1500).

How to fix
    Mount with proto=tcp; one MTU on the whole path.

References
    RFC 791 (fragmentation); RFC 8900.

Parameters
    copies: so many incomplete datagrams with one xid
    apart_s: with at least so much time between two of them
    end_s: one that begins so shortly before the capture ends may have been cut by that end
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nfsrpc.columns import Array, isin
from nfsrpc.facts.basic import Span
from nfsrpc.findings.command import command
from nfsrpc.findings.finding import Answer, Evidence, Finding, Rule
from nfsrpc.rules import STALLED
from nfsrpc.sessions.grouping import Parts
from nfsrpc.tables import Calls, Oddities
from nfsrpc.wording import SECOND, several

RULE = Rule(
    "NET004",
    "fragments-lost",
    "warning",
    explains=(*STALLED, "RPC005"),
    judges="RPC over UDP",
    passes="no datagram was retransmitted with the same fragment missing",
)

INCOMPLETE = "fragments-lost"  # kind of oddity: a datagram of which fragments are missing
XID = 32  # bits of its detail below the xid


def check(
    oddities: Oddities,
    calls: Calls,
    span: Span | None,
    *,
    copies: int = 2,
    apart_s: float = 0.5,
    end_s: float = 1.0,
) -> Iterator[Answer]:
    missing = oddities.where((oddities["kind"] == INCOMPLETE) & oddities.valid("time"))
    if span is not None:
        missing = missing.where(span.last - missing["time"] >= end_s * SECOND)
    xids = xids_of(missing)
    missing = missing.where((xids != 0) & ~isin(xids, answered_xids(calls)))
    udp = calls.where(calls["transport"] == "udp")
    for rows in Parts(missing, "detail").values():
        times = np.sort(rows["time"])
        if len(times) >= copies and (np.diff(times) >= apart_s * SECOND).all():
            yield finding(rows, udp)


def xids_of(missing: Oddities) -> Array:
    xids: Array = missing["detail"] >> np.uint64(XID)
    return xids


def answered_xids(calls: Calls) -> Array:
    """The xids of calls over UDP of which a reply was captured: they arrived, or a copy of theirs did."""
    xids: Array = calls["xid"][(calls["transport"] == "udp") & calls.valid("reply_frame")]
    return xids


def finding(rows: Oddities, udp: Calls) -> Finding:
    """The finding on datagrams of one xid that lack as much each time; a whole copy of the call gives its program."""
    rows = rows.take(np.argsort(rows["time"], kind="stable"))
    xid = int(xids_of(rows)[0])
    lack = int(rows["detail"][0]) & (1 << XID) - 1
    call = next(udp.where(udp["xid"] == xid).rows(), None)
    whose = f"the replies to {call.procedure} of {call.client}" if call else f"the RPC message with xid {xid:#010x}"
    times = rows["time"]
    return RULE.finding(
        host=None,
        title=f"fragments of large UDP messages are lost: {len(rows)} copies of one lack the same part",
        explanation=(
            f"{several(rows.count, 'datagram')} with {whose} came with a fragment missing each time"
            f"{f' ({lack} bytes)' if lack else ' (the last one)'}, and no copy came whole: messages larger than the "
            "MTU do not get through."
        ),
        clients=(call.client,) if call else tuple(sorted(udp["client"].present())),
        count=rows.count,
        first=int(times[0]),
        last=int(times[-1]),
        evidence=tuple(Evidence(row.capture, row.frame, "a fragment is missing") for row in head(rows).rows()),
        remedy=(
            command(
                "umount /mnt; mount -o proto=tcp /mnt",
                on="the clients",
                note="the transport cannot be changed by remount; first stop what uses the mount",
            ),
        ),
        verify=(command("nstat -az | grep -i reasm", on="both hosts", note="failures no longer rise"),),
    )


def head(table: Oddities, rows: int = 3) -> Oddities:
    return table.take(np.arange(min(rows, len(table))))
