"""What several stories of locks share: who waits for whom, a reboot, one request in the captures of both ends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tests.rules.stage import LOCKD, Stage, inputs
from tests.scenario import LockRequest


def waits_behind(stage: Stage, released: bool = True) -> None:
    """The client holds, the other waits for it."""
    first = stage.client.lock(stage.server)
    first.granted()
    stage.wait(1)
    stage.other.lock(stage.server).blocked()
    stage.wait(4)
    if released:
        first.unlock().granted()


def retries(stage: Stage, times: int) -> None:
    """The waiter's kernel retries every 30.7 s, and has to wait further."""
    for _ in range(times):
        stage.later(30.7)
        stage.other.lock(stage.server).blocked()


def granted_too_late(stage: Stage) -> LockRequest:
    """The server denies a lock for lack of statd, and grants it when the application has given up."""
    lock = stage.client.lock(stage.server)
    lock.denied("DENIED_NOLOCKS", after=60.0)
    lock.reply(stat="GRANTED", after=80.0)
    return lock


def unlock(stage: Stage, lock: LockRequest, offset: int, length: int) -> None:
    """The holder gives up a part of what it has."""
    alock = lock.args["alock"] | {"l_offset": offset, "l_len": length}
    call = stage.client.call(stage.server, "nlm4", "UNLOCK", alock=alock, cookie=stage.client.cookie())
    LockRequest.of(call).granted()


def a_part_is_released(stage: Stage, offset: int, length: int) -> bytes:
    """Somebody waits for this part while the holder gives up the first hundred bytes."""
    whole = stage.client.lock(stage.server)
    whole.granted()
    stage.wait(5)
    stage.other.lock(stage.server, offset=offset, length=length).blocked()
    stage.wait(5)
    unlock(stage, whole, 0, 100)
    for _ in range(3):
        stage.later(30.7)
        stage.other.lock(stage.server, offset=offset, length=length).blocked()
    return stage.wire()


def twins(stage: Stage) -> None:
    """Two clients with one name behind one address: only their ports differ."""
    for port in (700, 800):
        stage.client.lock(stage.server, from_port=port).granted()
        stage.wait(1)
    stage.client.lock(stage.server, "/srv/third", from_port=700).granted()


def rebooted(stage: Stage) -> bytes:
    """The server boots while a request waits; a client claims its lock again, the other waits for the grace period."""
    stage.client.lock(stage.server, "/srv/held").granted()
    stage.wait(30)
    pending = stage.other.lock(stage.server).unanswered(resend=[10.2, 31.7])
    stage.wait(5)
    stage.boots(stage.server, stage.client, stage.other)
    stage.client.lock(stage.server, "/srv/held", reclaim=True).granted()
    stage.other.reconnect(stage.server, LOCKD)
    pending.resend()
    pending.reply(stat="DENIED_GRACE_PERIOD")
    stage.client.lock(stage.server, "/srv/also-held", reclaim=True).granted()
    for _ in range(10):
        stage.wait(5)
        stage.other.lock(stage.server).denied("DENIED_GRACE_PERIOD")
    stage.other.lock(stage.server).granted()
    return stage.wire()


def ends(stage: Stage, *, unseen_by_client: Sequence[int] = (), unseen_by_server: Sequence[int] = ()) -> list[bytes]:
    """Captures of client and server, which lack frames (counted from 1) because these never came to there."""
    return [
        stage.any(stage.client, lost=unseen_by_client),
        stage.any(stage.server, lost=unseen_by_server),
    ]


def frames_of(stage: Stage, capture: bytes, procedure: str, *, reply: bool) -> list[int]:
    """The frames of calls of this procedure, or of their replies, with all copies."""
    seen = inputs(capture)
    rows = seen["nlm"].where(seen["nlm"]["procedure"] == procedure)
    copies = seen["copies"].where(seen["copies"]["reply"] == reply)
    copies = copies.where(np.isin(copies["exchange"], rows["exchange"]))
    return [*rows["reply_frame" if reply else "call_frame"].tolist(), *copies["frame"].tolist()]


def over_udp(stage: Stage) -> LockRequest:
    """A LOCK of both ends' captures, which tell their hosts by their loopbacks."""
    stage.statd_asked(stage.server, 1, port=662)
    stage.statd_asked(stage.client, 1, port=662)
    stage.nfs()
    return stage.client.lock(stage.server, transport="udp")


def polls(stage: Stage, tries: int, *, every: float, **options: Any) -> None:
    """The other asks for the lock without waiting, as Linux does: each try is another owner; all are denied."""
    for number in range(tries):
        if number:
            stage.later(every)
        stage.other.lock(stage.server, svid=100 + number, block=False, **options).denied()
