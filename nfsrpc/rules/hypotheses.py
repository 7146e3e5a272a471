"""Competing causes of a stall whose decisive half was not captured, the most probable first.

On the wire a LOCK that waits looks the same for several faults behind the server's loopback; how long it waited and
what it was answered tells them apart a little, because each is made by another clock of the kernel.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from nfsrpc.rules.facts import NFS, SECOND
from nfsrpc.rules.finding import Finding, Hypothesis
from nfsrpc.rules.monitoring import Questions
from nfsrpc.rules.stalls import DENIED_NOLOCKS, LATE_S, late, longest
from nfsrpc.rules.wording import seconds
from nfsrpc.tables import Table

# Findings that say what is suffered, and the one that is itself a guess.
ASKED_OF = ("LCK001", "LCK002", "LCK004", "LCK007", "RPC004", "REG001")
RESOLVER_S = 5.0  # statd's resolver asks the next time after this


class Signs(NamedTuple):
    """What the wire shows of a stall."""

    granted_s: float | None  # the longest wait of a request that was not denied for want of statd
    denied_s: float | None  # of one that was: DENIED_NOLOCKS
    open_s: float | None  # of one that has no answer
    resolves: bool  # the server asks DNS in vain meanwhile


class Cause(NamedTuple):
    rule: str
    name: str
    supports: str
    against: str
    weight: int


def hypotheses(lead: Finding, givens: Mapping[str, Any]) -> tuple[Hypothesis, ...]:
    """Nothing for a finding that is proven to be the cause."""
    if lead.rule not in ASKED_OF or (lead.rule == "REG001" and lead.certainty == "certain"):
        return ()
    if lead.host is None or lead.host in givens["loopbacks"] or nfs_waits_too(lead, givens["exchanges"]):
        return ()
    found = [cause for cause in causes(signs(lead, givens)) if cause.weight > 0]
    ordered = sorted(found, key=lambda cause: (-cause.weight, cause.rule))
    return tuple(Hypothesis(cause.rule, cause.name, lead.host, cause.supports, cause.against) for cause in ordered)


def nfs_waits_too(lead: Finding, exchanges: Table) -> bool:
    """Whether more than the lock manager is silent: then its statd is no explanation."""
    waits = (exchanges["state"] == "unanswered") | late(exchanges, LATE_S)
    nfs = (exchanges["server"] == lead.host) & (exchanges["prog"] == NFS) & waits
    begun, over = lead.first or 0, lead.last or np.iinfo(np.int64).max
    return bool((nfs & (exchanges["time"] >= begun - SECOND) & (exchanges["time"] <= over)).any())


def signs(lead: Finding, givens: Mapping[str, Any]) -> Signs:
    stalls: Table = givens["stalls"]
    here = stalls.where(stalls["server"] == lead.host)
    denied = here["status"] == DENIED_NOLOCKS
    open_ = here["state"] == "unanswered"
    span = givens["span"]
    granted, refused, unanswered = (longest(here.where(mask), span) for mask in (~denied & ~open_, denied, open_))
    return Signs(granted, refused, unanswered, resolving(lead, givens["unresolved"]))


def resolving(lead: Finding, unresolved: Questions) -> bool:
    if lead.host is None or lead.first is None or lead.last is None:
        return False
    return unresolved.asked(lead.host, lead.first, lead.last)


def causes(signs: Signs) -> list[Cause]:
    granted, denied, unanswered, resolves = signs
    return [
        Cause("REG001", "statd-not-registered", *statd_missing(granted, denied, unanswered)),
        Cause("REG007", "stale-registration", *statd_dead(granted, denied)),
        Cause("MON001", "monitor-refused", *statd_refuses(denied)),
        Cause("REG005", "portmapper-unreachable", *portmapper_stopped(denied)),
        Cause("MON002", "monitor-slow", *resolver_slow(granted, resolves)),
        Cause("MON003", "monitor-unanswered", *statd_frozen(granted, denied, unanswered)),
    ]


def statd_missing(granted: float | None, denied: float | None, unanswered: float | None) -> tuple[str, str, int]:
    if denied is not None and denied >= 15:
        return "", "", 0
    if granted is not None and granted >= 55:
        note = f"answered, and not denied, after {seconds(granted)}: Linux asks for statd for 61.6 s, then goes on"
        return note, "", 5
    if unanswered is not None:
        against = "it would have been answered after a minute" if unanswered > 130 else ""
        return f"no answer for {seconds(unanswered)}: Linux asks for statd for 61.6 s", against, 2 if against else 4
    if granted is not None:
        return "statd may have been started meanwhile", f"the wait was {seconds(granted)} and not a minute", 2
    if denied is not None and denied < 10:
        return "Ganesha and old kernels deny without statd", "Linux does not deny, it waits a minute and grants", 1
    return "", "", 0


def statd_dead(granted: float | None, denied: float | None) -> tuple[str, str, int]:
    if denied is not None and denied < 5:
        note = f"DENIED_NOLOCKS after {seconds(denied)}: so lockd answers when statd's port is closed"
        return note, "requests also waited" if granted else "", 4
    return "", "", 0


def statd_refuses(denied: float | None) -> tuple[str, str, int]:
    if denied is not None and denied < 5:
        return f"DENIED_NOLOCKS after {seconds(denied)}: so lockd answers when statd refuses to watch", "", 3
    return "", "", 0


def portmapper_stopped(denied: float | None) -> tuple[str, str, int]:
    if denied is not None and denied < 5:
        return f"DENIED_NOLOCKS after {seconds(denied)}: so lockd answers when its own portmapper is stopped", "", 2
    return "", "", 0


def resolver_slow(granted: float | None, resolves: bool) -> tuple[str, str, int]:
    if resolves and (granted is None or granted < 55):
        return "the server's questions for DNS stay without answer meanwhile", "", 6
    if granted is None:
        return "", "", 0
    if granted < 45 and abs(granted - RESOLVER_S * max(np.rint(granted / RESOLVER_S), 1)) < 0.6:
        return (
            f"{seconds(granted)} is about a multiple of 5 s, the clock of statd's resolver: DNS does not answer",
            "",
            4,
        )
    if granted < 45:
        return "statd may be slow to look up the client's name", "the wait is no multiple of the resolver's 5 s", 1
    return "", "", 0


def statd_frozen(granted: float | None, denied: float | None, unanswered: float | None) -> tuple[str, str, int]:
    if denied is not None and denied >= 15:
        return f"DENIED_NOLOCKS after {seconds(denied)}: Linux waits 60 s for statd's answer, Ganesha 18 s", "", 5
    if unanswered is not None:
        return f"no answer for {seconds(unanswered)}: lockd may wait for a statd that hangs", "", 3
    if granted is not None and granted >= 55:
        return "lockd waits 60 s for a statd that hangs", "it would have denied then", 1
    return "", "", 0
