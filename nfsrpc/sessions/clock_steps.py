"""Steps of a capturing host's clock, which was set while it captured: durations across them are not known.

After a step back, calls come in the file behind later ones, or have their replies before them. Across a step forward, a
call waits for long without a retransmission, and nothing at all is captured meanwhile: the clock was set, or the host
stood still. Without such a call a step forward cannot be distinguished from a pause, and is not reported.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from nfsrpc.columns import NAT, Array, Mask, distinct, isin
from nfsrpc.decode import Decoded
from nfsrpc.sessions.grouping import Parts
from nfsrpc.tables import CLOCK_STEPS, Calls
from nfsrpc.wording import SECOND

BACK, FORWARD = CLOCK_STEPS

# Frames of several processors and interfaces are out of order by less.
LEAST_BACK = 2_000_000_000
# Whatever RPC client waits for an answer has called again by then, and TCP has asked whether the other side lives.
LEAST_FORWARD = 600_000_000_000
# A single frame may have a wrong time of its own.
LEAST_FRAMES = 2
MAX_XID_GAP = 1 << 16  # calls that a client may have sent since the last that is listed


class Step(NamedTuple):
    """The times between which the order of events, and how long they took, is not known."""

    kind: str
    capture: int
    frame: int  # the first after the step
    first: int
    last: int


def steps(decoded: Decoded, calls: Calls) -> Iterator[Step]:
    """The steps in each file by itself: files of a ring may come in any order."""
    suspicious = suspects(calls)
    known = calls.where(calls["time"] != NAT) if suspicious else calls
    parts = Parts(known.where(isin(known["capture"], suspicious)), "capture") if suspicious else {}
    for number in suspicious:
        rows = parts[number]
        yield from set_back(rows)
        yield from set_forward(rows, decoded, number)


def suspects(calls: Calls) -> list[int]:
    """The files that may have a step of the clock, which are few."""
    time, answer = calls["time"], calls["reply_time"]
    with np.errstate(invalid="ignore"):
        odd = calls["latency_s"] * SECOND >= LEAST_FORWARD
    odd |= (time != NAT) & (answer != NAT) & (time - answer > LEAST_BACK)
    odd[1:] |= time[:-1] - time[1:] > LEAST_BACK
    files: list[int] = distinct(calls["capture"][odd]).tolist()
    return files


def set_back(calls: Calls) -> Iterator[Step]:
    """The step back among the calls of one file, which are in the order of their frames."""
    time, answer = calls["time"], calls["reply_time"]
    latest = np.maximum.accumulate(time)
    behind, early = latest - time > LEAST_BACK, (answer != NAT) & (time - answer > LEAST_BACK)
    if behind.sum() + early.sum() < LEAST_FRAMES or not (early.any() or goes_on(calls, behind)):
        return
    at = int(np.flatnonzero(behind if behind.any() else early)[0])
    row = calls.row(at)
    yield Step(
        kind=BACK,
        capture=row.capture,
        frame=int(calls["call_frame" if behind.any() and row.call_frame is not None else "reply_frame"][at]),
        first=int(np.concatenate([time[behind], answer[early]]).min()),
        last=int(np.concatenate([latest[behind], time[early]]).max()),
    )


def goes_on(calls: Calls, behind: Mask) -> bool:
    """Whether a client's xids go on across the step. If none do, files were joined, the later first."""
    at = int(behind.argmax())
    flows, xids = calls["flow"].tolist(), calls["xid"].astype(np.uint32)
    before = {flow: number for number, flow in enumerate(flows[:at])}
    after = {flow: number for number, flow in reversed(list(enumerate(flows[at:], at)))}
    both = [(before[flow], after[flow]) for flow in before.keys() & after.keys()]
    last, following = np.array(both, dtype=np.int64).reshape(-1, 2).T
    # Xids are opaque: hosts count in either order of bytes.
    gaps = (order[following] - order[last] for order in (xids, xids.byteswap()))
    return any(bool(((gap > 0) & (gap <= MAX_XID_GAP)).any()) for gap in gaps)


def set_forward(calls: Calls, decoded: Decoded, number: int) -> Iterator[Step]:
    slow = (calls["reply_time"] > calls["time"]) & (calls["retransmits"] == 0)
    slow &= np.where(slow, calls["reply_time"] - calls["time"], 0) >= LEAST_FORWARD
    if not slow.any():
        return
    seen = np.sort(moments(calls, decoded, number))
    for row in calls.where(slow).rows():
        frame, last = row.reply_frame, row.reply_time
        if frame is None or last is None:
            continue
        at = int(np.searchsorted(seen, row.time + SECOND, "right"))
        if at == len(seen) or seen[at] >= last - SECOND:
            yield Step(FORWARD, row.reply_capture, frame, row.time, last)
            return


def moments(calls: Calls, decoded: Decoded, number: int) -> Array:
    """The times of all frames of a file that the tables have."""
    times = [calls["time"], calls["reply_time"]]
    for table, names, capture in (
        (decoded.copies, ("time",), "capture"),
        (decoded.flows, ("first", "last", "syn_last", "c_last", "s_last"), "first_capture"),
        (decoded.tallies, ("first", "last"), "capture"),
    ):
        here = table[capture] == number
        times += [table[name][here] for name in names]
    return np.concatenate(times)
