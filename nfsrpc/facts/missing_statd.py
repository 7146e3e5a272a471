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
from nfsrpc.facts.basic import AUTH_NONE, LOCK, LOCK_MSG, NLM, NSM, Roles, fact, listed
from nfsrpc.findings.finding import Evidence
from nfsrpc.sessions.grouping import Parts, group, members
from nfsrpc.sessions.searches import searches
from nfsrpc.sessions.stretches import Stretches
from nfsrpc.wording import SECOND

CUT_QUESTIONS = 3  # Linux asks 20 times
AT_ONCE_S = 1.0  # lockd looks for its statd as soon as a LOCK has come

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
def unregistered(registrations: Table, monitors: Table, nlm: Table, roles: Roles) -> tuple[Unregistered, ...]:
    asked = (registrations["prog"] == NSM) & (registrations["state"] == "answered")
    told = asked & (registrations["rpc_status"] == 0) & registrations.valid("port")
    locks = nlm.where(isin(nlm["proc"], (LOCK, LOCK_MSG)))
    pending = open_locks(locks)
    telling = np.flatnonzero(told & (registrations["port"] == 0))
    sure = [*telling_rows(registrations, telling, pending), *dumps_without(registrations)]
    numbers = sure or cut_questions(registrations, pending)
    if not numbers:
        return ()
    found = Parts(registrations.where(told & (registrations["port"] > 0)), "host")
    signs = Signs(monitors, pending, Stretches((locks["server"],), locks["time"]), roles)
    rows = in_order(registrations.take(np.array(numbers, dtype=np.int64)))
    return tuple(
        _of(host, answers, role, bool(sure), found[host], signs)
        for host, every in Parts(rows, "host").items()
        for role, answers in by_role(host, every, signs)
    )


def by_role(host: str, answers: Table, signs: Signs) -> Iterator[tuple[Role, Table]]:
    """Of a host that is client and server at once, what its lockd asked as one, and as the other."""
    numbers = searches(answers["time"])
    if not numbers.any():
        yield signs.role(host, answers["time"]), answers
        return
    firsts = [int(answers["time"][rows[0]]) for rows in members(numbers)]
    served = np.array([signs.begins_as_server(host, first) for first in firsts], dtype=np.bool_)
    if host not in signs.roles.clients or not served.any():
        yield signs.role(host, answers["time"]), answers
        return
    as_server = served[numbers]
    yield "server", answers.where(as_server)
    if not as_server.all():
        yield "client", answers.where(~as_server)


class Signs:
    """What tells as what hosts need their statd, and that it is there."""

    def __init__(self, monitors: Table, pending: Stretches, arriving: Stretches, roles: Roles) -> None:
        self.pending, self.roles = pending, roles
        self.arriving = arriving
        agreed = monitors.where((monitors["procedure"] == "MON") & (monitors["result"] == 0))
        self.served = Stretches((agreed["host"],), agreed["time"])
        checked = monitors.where(monitors["loopback"] & (monitors["procedure"] == "NULL"))
        self.checked = checked["host"].present()  # mount.nfs calls NULL

    def begins_as_server(self, host: str, time: int) -> bool:
        """Whether a search that begins at this time is for a LOCK that has just come."""
        return self.arriving.meet(host, time - AT_ONCE_S * SECOND, time)

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


def _of(host: str, answers: Table, role: Role, sure: bool, found: Table, signs: Signs) -> Unregistered:
    """`found`: answers of that portmapper with a port."""
    first, last = int(answers["time"][0]), int(answers["time"][-1])
    later = [*found["time"][found["time"] > last].tolist(), signs.served.following(host, last)]
    meanwhile = set(found["transport"][(found["time"] >= first) & (found["time"] <= last)].tolist())
    return Unregistered(
        host=host,
        role=role,
        answers=answers,
        found=min((time for time in later if time is not None), default=None),
        sure=sure,
        only_udp="udp" in meanwhile and "tcp" not in meanwhile,
    )


def open_locks(locks: Table) -> Stretches:
    """When LOCKs waited for their answers, by server."""
    answered = np.where(locks["reply_time"] == NAT, np.iinfo(np.int64).max, locks["reply_time"])
    return Stretches((locks["server"],), locks["time"], answered)


def cut_questions(registrations: Table, pending: Stretches) -> list[int]:
    """Questions whose program is cut off, answered with 0: while a LOCK waits lockd asks for nothing but statd."""
    zero = registrations.valid("port") & (registrations["port"] == 0) & (registrations["state"] == "answered")
    cut = zero & ~registrations.valid("prog") & registrations["loopback"] & (registrations["rpc_status"] == 0)
    numbers = np.flatnonzero(cut)
    rows = zip(numbers.tolist(), registrations.take(numbers).rows(), strict=True)
    found = [number for number, row in rows if waiting(pending, row)]
    return found if len(found) >= CUT_QUESTIONS else []


def in_order(answers: Table) -> Table:
    frames = np.where(answers.valid("frame"), answers["frame"], 0)
    return answers.take(np.lexsort((frames, answers["capture"], answers["time"])))


def telling_rows(registrations: Table, refused: Array, pending: Stretches) -> Iterator[int]:
    """Answers "not registered" that are more than the question of a statd or a mount.nfs that is about to start."""
    table = registrations.take(refused)
    casual = (table["flavor"] == AUTH_NONE) & (table["transport"] == "udp")
    asked = {asker: len(set(exchanges)) for asker, exchanges in askers(table).items()}
    for number, row, is_casual in zip(refused.tolist(), table.rows(), casual.tolist(), strict=True):
        again = row.resends or asked[row.asker] > 1
        if not is_casual or (again and not row.loopback) or waiting(pending, row):
            yield number


def askers(table: Table) -> dict[str | None, list[int]]:
    """Who asked, with the exchanges."""
    return listed(zip(table["asker"].tolist(), table["exchange"].tolist(), strict=True))


def waiting(pending: Stretches, row: Any) -> bool:
    """Whether a LOCK to the host that was asked was waiting for its answer then."""
    return row.host is not None and row.time is not None and pending.meet(row.host, row.time, row.time)


def dumps_without(registrations: Table) -> list[int]:
    """One row of each complete list that names a lock manager and no statd."""
    listed = np.flatnonzero((registrations["source"] == "DUMP") & registrations["complete"])
    if not len(listed):
        return []
    lists, first = group(registrations["exchange"][listed])
    with_statd, with_lockd = (np.zeros(len(first), dtype=np.bool_) for _ in range(2))
    for mask, prog in ((with_statd, NSM), (with_lockd, NLM)):
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
