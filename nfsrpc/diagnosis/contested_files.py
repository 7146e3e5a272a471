"""Files that clients of several clocks have locked: who held one when, no message compares.

Captures by different clocks are judged by themselves, and so no rule sees that a server granted a lock to a client of
one clock while a client of another held it. Where both show locks of one file of one server, and not all are shared,
rules that compare what clients hold cannot pass, and the verdict cannot be healthy. Nodes that lock files of their own
are healthy together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from nfsrpc.columns import Array, Mask
from nfsrpc.diagnosis.catalogue import head
from nfsrpc.diagnosis.holders_elsewhere import LocksOfClocks
from nfsrpc.findings.advice import wire_of
from nfsrpc.findings.finding import Diagnosis, Verdict
from nfsrpc.sessions.aligned import OfClock
from nfsrpc.sessions.conflicts import NEVER
from nfsrpc.tables import Locks


def with_contested_files(found: Diagnosis, clocks: Sequence[OfClock]) -> Diagnosis:
    """The diagnosis, without what it cannot say where clients of several clocks lock one file."""
    sessions = LocksOfClocks.of(clocks)
    rows = contested(sessions)
    if not len(rows):
        return found
    _, first = sessions.row(int(rows[0]))
    why = f"{first.server} granted locks on {first.file} to clients whose clocks no message compares"
    needs = wire_of(first.server)
    unjudged = [answer for answer in found.clear if head(answer.rule).compares_holders]
    verdict = found.verdict
    if verdict.state == "healthy":
        verdict = Verdict(None, "cannot-tell", f"Cannot tell whether all locks work: {why}.")
    return replace(
        found,
        verdict=verdict,
        clear=tuple(answer for answer in found.clear if answer not in unjudged),
        cannot_tell=(*found.cannot_tell, *(head(answer.rule).cannot_tell(why, needs) for answer in unjudged)),
    )


def contested(sessions: LocksOfClocks) -> Array:
    """The sessions, in their order, whose file clients of several clocks have locked, one at least for itself alone."""
    holds = sessions.holds()
    clock = np.repeat(np.arange(len(sessions.inputs)), np.diff(sessions.starts))
    known = np.concatenate([each.locks.valid("fh") & had(each.locks) for each in sessions.inputs])
    files = holds.file[known]
    found = np.bincount(files[holds.exclusive[known]], minlength=int(holds.file.max(initial=0)) + 1) > 0
    # Where there are several of both, there are two sessions that have neither in common.
    for column in (clock, holds.owner):
        found &= have_several(files, column[known], len(found))
    return np.flatnonzero(known & found[holds.file])


def had(locks: Locks) -> Mask:
    """Which locks their clients had at some time: granted, or unlocked without that the capture shows the request."""
    mask: Mask = locks.valid("granted") | (locks.valid("unlock") & ~locks.valid("requested"))
    return mask


def have_several(files: Array, values: Array, size: int) -> Mask:
    """Whether each of these many files has several different values."""
    least, most = np.full(size, NEVER), np.full(size, -1)
    np.minimum.at(least, files, values)
    np.maximum.at(most, files, values)
    mask: Mask = least < most
    return mask
