"""Captures of which nothing shows how their clocks differ.

Sees
    Captures of several hosts that have too few exchanges in common. Exchanges that both captured whole would show by
    how much one clock is ahead of the other. Two of them are needed, each with one call and its reply: a call in one
    capture may be the retransmission of that in the other.

Why it matters
    What one of them shows cannot be ordered against what another shows: whether a lock was released before or after
    another client waited for it is not known. Each is judged by itself, and faults that several show are one. Who held
    a lock that another client waited for is not named where only another one of them shows it: LCK011 and LCK016 say
    who it was if the clocks agree. Where clients of several of them locked one file, rules that compare what clients
    hold (LCK003, LCK009 and others) cannot pass, and the verdict is not healthy. Where another shows the same two
    hosts, a finding that something never came (CBK001, LCK001, LCK003, LCK007, LCK008, LCK010, MON004, MON008) is
    likely at most, or says of which clients it is: whether the other was taken later, and has what came, is not known.

Not flagged when
    All captures have exchanges in common, directly or by way of others, or a message that both show within 1 s, or were
    taken on one host. Files of a ring that overlap by more than 1 s are of several hosts, or the clock was set back.

How to confirm
    chronyc tracking on both hosts shows how far their clocks are off now.

How to fix
    Capture at the server as well while its clients are captured: it has messages in common with each of them.

References
    RFC 5905 (NTP).
"""

from __future__ import annotations

from collections.abc import Iterator

from nfsrpc.findings.bounds import first_of
from nfsrpc.findings.finding import Answer, Rule
from nfsrpc.wording import named

RULE = Rule("CAP007", "clocks-not-aligned", "info", judges="frames", passes="the times of all captures can be compared")


SHOWN = 4  # groups, by their files


def check(clocks: tuple[tuple[str, ...], ...]) -> Iterator[Answer]:
    if len(clocks) > 1:
        shown, more = first_of(clocks, SHOWN)
        groups = "; ".join([*map(named, shown), *([f"{more} more"] if more else [])])
        yield RULE.finding(
            host=None,
            title=f"captures of {len(clocks)} clocks that cannot be compared",
            explanation=(
                f"No two of these show enough of the same exchanges: {groups}. What one of them shows is not compared "
                "in time with what another shows; each is judged by itself."
            ),
            count=len(clocks),
        )
