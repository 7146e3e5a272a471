"""Frames are cut by the snap length.

Sees
    Frames of which only the beginning was captured, and how many lock messages lack fields for it.

Why it matters
    Fields at the end of messages are missing: results, owners, ranges. Their values are unknown.

Not flagged when
    Always flagged, as information; where only the data of READ and WRITE is cut nothing is lost.

How to confirm
    capinfos -l FILE

How to fix
    Capture with -s 0, or at least -s 512, which holds every lock message.

References
    tcpdump(8), option -s.
"""

from __future__ import annotations

from collections.abc import Iterator

from nfsrpc.findings.command import command
from nfsrpc.findings.finding import Answer, Rule
from nfsrpc.sessions.exchanges import CALL_CUT, REPLY_CUT
from nfsrpc.tables import Calls, Quality
from nfsrpc.wording import several

RULE = Rule("CAP003", "frames-cut", "info", judges="frames", passes="no frame is cut")


def check(quality: Quality, nlm: Calls) -> Iterator[Answer]:
    cut, frames = int(quality["cut_frames"].sum()), int(quality["frames"].sum())
    if not cut:
        return
    calls = int((nlm["flags"] & CALL_CUT != 0).sum())
    replies = int((nlm["flags"] & REPLY_CUT != 0).sum())
    missing = (
        f"Of {several(calls, 'lock request')} the arguments are cut, of {several(replies, 'answer')} the result."
        if calls or replies
        else "No lock message that was recognised is cut."
    )
    yield RULE.finding(
        host=None,
        title=f"{cut} of {several(frames, 'frame')} are cut by the snap length",
        explanation=f"{missing} Fields that were cut off are unknown.",
        count=cut,
        remedy=(
            command(
                "tcpdump -i any -s 0 -B 8192 -w whole.pcap 'not port 22'",
                note="or -s 512, which holds every lock message",
            ),
        ),
    )
