"""Hosts whose portmapper says that no statd is registered.

Not every such answer is a fault. rpc.statd itself asks once when it starts, and mount.nfs before it starts statd: over
UDP, with AUTH_NONE, and both go on. The kernel's lockd asks over TCP with AUTH_SYS, and waits for it; a server that is
not Linux may ask in other ways, but it asks while a LOCK waits for its answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np

from nfsrpc.rules.facts import AUTH_NONE, LOCK, LOCK_MSG, NLM, NSM, SECOND, Roles, fact
from nfsrpc.rules.finding import Evidence
from nfsrpc.tables import NAT, Array, Mask, Table, isin

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
def unregistered(registrations: Table, monitors: Table, nlm: Table, roles: Roles) -> tuple[Unregistered, ...]:
    asked = registrations.where((registrations["prog"] == NSM) & (registrations["state"] == "answered"))
    said = asked.where((asked["rpc_status"] == 0) & asked.valid("port"))
    locks = nlm.where(isin(nlm["proc"], (LOCK, LOCK_MSG)))
    telling = said.where(said["port"] == 0)
    sure = [*telling_rows(telling, locks), *dumps_without(registrations)]
    rows = sure or list(cut_questions(registrations, locks))
    hosts = sorted({row.host for row in rows if row.host is not None})
    by_host = ((host, [row for row in rows if row.host == host]) for host in hosts)
    return tuple(_of(*each, bool(sure), said, monitors, locks, roles) for each in by_host)


def _of(
    host: str, rows: list[Any], sure: bool, said: Table, monitors: Table, locks: Table, roles: Roles
) -> Unregistered:
    answers = Table.of(said.spec, sorted(rows, key=in_order))
    found = said.where((said["host"] == host) & (said["port"] > 0))
    last = int(answers["time"][-1])
    served = monitors.where((monitors["host"] == host) & (monitors["procedure"] == "MON") & (monitors["result"] == 0))
    later = [int(time) for table in (found, served) for time in table["time"].tolist() if time > last]
    between = (found["time"] >= int(answers["time"][0])) & (found["time"] <= last)
    meanwhile = set(found["transport"][between].tolist())
    return Unregistered(
        host=host,
        role=role_of(host, answers, monitors, locks, roles),
        answers=answers,
        found=min(later, default=None),
        sure=sure,
        only_udp="udp" in meanwhile and "tcp" not in meanwhile,
    )


def cut_questions(registrations: Table, locks: Table) -> Iterator[Any]:
    """Questions whose program is cut off, answered with 0: while a LOCK waits lockd asks for nothing but statd."""
    zero = registrations.valid("port") & (registrations["port"] == 0) & (registrations["state"] == "answered")
    cut = registrations.where(zero & ~registrations.valid("prog") & registrations["loopback"])
    rows = [row for row in cut.rows() if row.rpc_status == 0 and waiting(locks, row.host, row.time)]
    yield from rows if len(rows) >= CUT_QUESTIONS else ()


def in_order(row: Any) -> tuple[int, int, int]:
    return row.time or NAT, row.capture, row.frame or 0


def telling_rows(refused: Table, locks: Table) -> Iterator[Any]:
    """Answers "not registered" that are more than the question of a statd or a mount.nfs that is about to start."""
    casual = (refused["flavor"] == AUTH_NONE) & (refused["transport"] == "udp")
    rows = list(refused.rows())
    for row, is_casual in zip(rows, casual.tolist(), strict=True):
        again = row.resends or any(row.asker == other.asker and row.exchange != other.exchange for other in rows)
        if not is_casual or (again and not row.loopback) or waiting(locks, row.host, row.time):
            yield row


def waiting(locks: Table, server: str | None, time: int | None) -> bool:
    """Whether a LOCK to this server was waiting for its answer then."""
    if server is None or time is None:
        return False
    return bool(pending(locks, server, time, time).any())


def pending(locks: Table, server: str, first: int, last: int) -> Mask:
    answered = np.where(locks["reply_time"] == NAT, np.iinfo(np.int64).max, locks["reply_time"])
    mask: Mask = (locks["server"] == server) & (locks["time"] <= last) & (answered >= first)
    return mask & locks.valid("time")


def dumps_without(registrations: Table) -> Iterator[Any]:
    """One row of each complete list that names a lock manager and no statd."""
    listed = registrations.where((registrations["source"] == "DUMP") & registrations["complete"])
    exchanges = listed["exchange"]
    with_statd, with_lockd = (set(exchanges[listed["prog"] == prog].tolist()) for prog in (NSM, NLM))
    for exchange in sorted(with_lockd - with_statd):
        yield listed.row(int(np.flatnonzero(exchanges == exchange)[0]))


def role_of(host: str, answers: Table, monitors: Table, locks: Table, roles: Roles) -> Role:
    """As what the host needs its statd. A server's lockd asks while a LOCK waits, a client's before it sends one."""
    times = answers["time"]
    if len(times) and pending(locks, host, int(times[0]), int(times[-1])).any():
        return "server"
    if host in roles.clients | roles.servers:
        as_client, as_server = host in roles.clients, host in roles.servers
        return "unknown" if as_client and as_server else "client" if as_client else "server"
    if host in {asked for _, asked in roles.mounting}:
        return "server"
    if host in {asker for asker, _ in roles.mounting}:
        return "client"
    checked = monitors.where((monitors["host"] == host) & monitors["loopback"])
    return "client" if (checked["procedure"] == "NULL").any() else "unknown"  # mount.nfs calls NULL


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
