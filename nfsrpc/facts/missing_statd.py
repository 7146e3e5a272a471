"""Hosts whose portmapper says that no statd is registered.

Not every such answer is a fault. rpc.statd itself asks once when it starts, and mount.nfs before it starts statd: over
UDP, with AUTH_NONE, and both go on. The kernel's lockd asks over TCP with AUTH_SYS, and waits for it; a server that is
not Linux may ask in other ways, but it asks while a LOCK waits for its answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np

from nfsrpc.columns import NAT, Array, Table, isin
from nfsrpc.facts.basic import Roles, fact, listed
from nfsrpc.findings.finding import Evidence
from nfsrpc.protocols.numbers import AcceptStat, AuthFlavor, NlmProc, Prog, SmRes
from nfsrpc.sessions.grouping import Parts, group
from nfsrpc.sessions.stretches import Stretches
from nfsrpc.tables import Calls, Monitors, Registrations
from nfsrpc.wording import SECOND

CUT_QUESTIONS = 3  # Linux asks 20 times

Role: TypeAlias = Literal["server", "client", "unknown"]


class Unregistered(NamedTuple):
    """A host that has no statd, by its own portmapper."""

    host: str
    role: Role
    answers: Table  # of registrations: those that say so, in order
    found: int | None  # when the same portmapper named a port for statd, later than all of them
    sure: bool  # else the questions are cut off, and most likely were for statd
    only_udp: bool  # statd is registered for UDP all the while, and is asked for over TCP

    @property
    def first(self) -> int:
        return int(self.answers["time"][0])

    @property
    def last(self) -> int:
        return int(self.answers["time"][-1])


@fact
def unregistered(
    registrations: Registrations, monitors: Monitors, nlm: Calls, roles: Roles
) -> tuple[Unregistered, ...]:
    asked = (registrations["prog"] == Prog.NSM) & (registrations["state"] == "answered")
    told = asked & (registrations["rpc_status"] == AcceptStat.SUCCESS) & registrations.valid("port")
    locks = nlm.where(isin(nlm["proc"], (NlmProc.LOCK, NlmProc.LOCK_MSG)))
    pending = open_locks(locks)
    telling = np.flatnonzero(told & (registrations["port"] == 0))
    sure = [*telling_rows(registrations, telling, pending), *dumps_without(registrations)]
    numbers = sure or cut_questions(registrations, pending)
    if not numbers:
        return ()
    found = Parts(registrations.where(told & (registrations["port"] > 0)), "host")
    signs = Signs(monitors, pending, roles)
    rows = in_order(registrations.take(np.array(numbers, dtype=np.int64)))
    return tuple(_of(host, answers, bool(sure), found[host], signs) for host, answers in Parts(rows, "host").items())


class Signs:
    """What tells as what hosts need their statd, and that it is there."""

    def __init__(self, monitors: Monitors, pending: Stretches, roles: Roles) -> None:
        self.pending, self.roles = pending, roles
        agreed = monitors.where((monitors["procedure"] == "MON") & (monitors["result"] == SmRes.STAT_SUCC))
        self.served = Stretches((agreed["host"],), agreed["time"])
        checked = monitors.where(monitors["loopback"] & (monitors["procedure"] == "NULL"))
        self.checked = checked["host"].present()  # mount.nfs calls NULL

    def role(self, host: str, times: Array) -> Role:
        """A server's lockd asks while a LOCK waits, a client's before it sends one."""
        roles = self.roles
        if len(times) and self.pending.meet(host, int(times[0]), int(times[-1])):
            return "server"
        as_client, as_server = host in roles.clients, host in roles.servers
        if as_client or as_server:
            return "unknown" if as_client and as_server else "client" if as_client else "server"
        if host in roles.mounted:
            return "server"
        return "client" if host in roles.mounters or host in self.checked else "unknown"


def _of(host: str, answers: Table, sure: bool, found: Table, signs: Signs) -> Unregistered:
    """`found`: answers of that portmapper with a port."""
    first, last = int(answers["time"][0]), int(answers["time"][-1])
    later = [*found["time"][found["time"] > last].tolist(), signs.served.following(host, last)]
    meanwhile = set(found["transport"][(found["time"] >= first) & (found["time"] <= last)].tolist())
    return Unregistered(
        host=host,
        role=signs.role(host, answers["time"]),
        answers=answers,
        found=min((time for time in later if time is not None), default=None),
        sure=sure,
        only_udp="udp" in meanwhile and "tcp" not in meanwhile,
    )


def open_locks(locks: Calls) -> Stretches:
    """When LOCKs waited for their answers, by server."""
    answered = np.where(locks["reply_time"] == NAT, np.iinfo(np.int64).max, locks["reply_time"])
    return Stretches((locks["server"],), locks["time"], answered)


def cut_questions(registrations: Registrations, pending: Stretches) -> list[int]:
    """Questions whose program is cut off, answered with 0: while a LOCK waits lockd asks for nothing but statd."""
    zero = registrations.valid("port") & (registrations["port"] == 0) & (registrations["state"] == "answered")
    cut = (
        zero
        & ~registrations.valid("prog")
        & registrations["loopback"]
        & (registrations["rpc_status"] == AcceptStat.SUCCESS)
    )
    numbers = np.flatnonzero(cut)
    rows = zip(numbers.tolist(), registrations.take(numbers).rows(), strict=True)
    found = [number for number, row in rows if waiting(pending, row)]
    return found if len(found) >= CUT_QUESTIONS else []


def in_order(answers: Registrations) -> Registrations:
    frames = np.where(answers.valid("frame"), answers["frame"], 0)
    return answers.take(np.lexsort((frames, answers["capture"], answers["time"])))


def telling_rows(registrations: Registrations, refused: Array, pending: Stretches) -> Iterator[int]:
    """Answers "not registered" that are more than the question of a statd or a mount.nfs that is about to start."""
    table = registrations.take(refused)
    casual = (table["flavor"] == AuthFlavor.AUTH_NONE) & (table["transport"] == "udp")
    asked = {asker: len(set(exchanges)) for asker, exchanges in askers(table).items()}
    for number, row, is_casual in zip(refused.tolist(), table.rows(), casual.tolist(), strict=True):
        again = row.resends or asked[row.asker] > 1
        if not is_casual or (again and not row.loopback) or waiting(pending, row):
            yield number


def askers(table: Registrations) -> dict[str | None, list[int]]:
    """Who asked, with the exchanges."""
    return listed(zip(table["asker"].tolist(), table["exchange"].tolist(), strict=True))


def waiting(pending: Stretches, row: Registrations.Row) -> bool:
    """Whether a LOCK to the host that was asked was waiting for its answer then."""
    time = row.time or NAT
    return pending.meet(row.host, time, time)


def dumps_without(registrations: Registrations) -> list[int]:
    """One row of each complete list that names a lock manager and no statd."""
    listed = np.flatnonzero((registrations["source"] == "DUMP") & registrations["complete"])
    if not len(listed):
        return []
    lists, first = group(registrations["exchange"][listed])
    with_statd, with_lockd = (np.zeros(len(first), dtype=np.bool_) for _ in range(2))
    for mask, prog in ((with_statd, Prog.NSM), (with_lockd, Prog.NLM)):
        mask[lists[registrations["prog"][listed] == prog]] = True
    found: list[int] = listed[first[with_lockd & ~with_statd]].tolist()
    return found


def spans(times: Array) -> float:
    return float(times[-1] - times[0]) / SECOND if len(times) and NAT not in times else 0.0


def said(rows: list[Any]) -> Iterator[Evidence]:
    """The first question and its answer, and the last answer."""
    first, last = rows[0], rows[-1]
    whom = "itself" if first.asker == first.host else first.host
    yield Evidence(first.capture, first.frame, f"{first.asker} asks {whom} for 100024 ({first.source})")
    yield Evidence(first.reply_capture, first.reply_frame, "not registered")
    if last is not first:
        yield Evidence(last.reply_capture, last.reply_frame, f"not registered, the answer to question {len(rows)}")
