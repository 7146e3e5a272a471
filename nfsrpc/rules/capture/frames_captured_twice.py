"""The same frames were captured several times.

Sees
    Frames that are in the capture more than once, because they passed several interfaces: -i any with bridges, bonds,
    VXLAN.

Why it matters
    It does not; here they count once. Other tools take them for retransmissions.

Not flagged when
    Always flagged, as information. TCP segments with a later IP identification are retransmissions.

How to confirm
    tcpdump -i any prints the interface of each frame.

How to fix
    Nothing to fix; capture on one interface to have smaller files.

References
    pcap-linktype(7), LINKTYPE_LINUX_SLL2.
"""

from __future__ import annotations

from collections.abc import Iterator

from nfsrpc.findings.finding import Answer, Rule
from nfsrpc.tables import Quality
from nfsrpc.wording import several

RULE = Rule("CAP004", "frames-captured-twice", "info", judges="frames", passes="no frame was captured twice")


def check(quality: Quality) -> Iterator[Answer]:
    again, frames = int(quality["duplicates"].sum()), int(quality["frames"].sum())
    if again:
        yield RULE.finding(
            host=None,
            title=f"{again} of {several(frames, 'frame')} were captured twice, and counted once",
            explanation=(
                "The same frames passed several of the captured interfaces (bridge, bond, tunnel and what it goes "
                "over). They are no retransmissions."
            ),
            count=again,
        )
