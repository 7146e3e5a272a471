"""Hosts whose portmapper says that no statd is registered.

Not every such answer is a fault. rpc.statd itself asks once when it starts, and mount.nfs before it starts statd: over
UDP, with AUTH_NONE, and both go on. The kernel's lockd asks over TCP with AUTH_SYS, and waits for it; a server that is
not Linux may ask in other ways, but it asks while a LOCK waits for its answer, which comes late, never, or is
DENIED_NOLOCKS. A LOCK that is answered at once otherwise is only being served when statd starts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple, TypeAlias

import numpy as np

from nfsrpc.columns import NAT, Array, Mask, isin, number_of
from nfsrpc.facts.attempts import Attempt
from nfsrpc.facts.basic import Roles, fact, listed
from nfsrpc.facts.statd_dns import Unseen
from nfsrpc.findings.advice import loopback_of
from nfsrpc.findings.finding import Evidence
from nfsrpc.protocols.numbers import AcceptStat, AuthFlavor, NlmProc, Prog, SmRes
from nfsrpc.sessions.grouping import Parts, group, members
from nfsrpc.sessions.searches import searches
from nfsrpc.sessions.stretches import Stretches
from nfsrpc.tables import Calls, Monitors, Registrations
from nfsrpc.wording import SECOND

CUT_QUESTIONS = 3  # Linux asks 20 times
LATEST_AGAIN = 4 * SECOND  # Linux repeats the question 3.07 s later, a busy host a little late
AT_ONCE = SECOND // 2  # so soon after a LOCK has arrived lockd asks for its statd

Role: TypeAlias = Literal["server", "client", "unknown"]


class Unregistered(NamedTuple):
    """A host without a registered statd, by the answers of its own portmapper."""

    host: str
    role: Role
    answers: Registrations  # those that say so, in order
    found: int | None  # when the same portmapper named a port for statd, later than all of them
    sure: bool  # else the questions are cut off, and most likely were for statd
    only_udp: bool  # statd is registered for UDP all the while, and is asked for over TCP
    died: Attempt | None  # before that its registered port refused: statd was killed, then its registration removed

    @property
    def first(self) -> int:
        return int(self.answers["time"][0])

    @property
    def last(self) -> int:
        return int(self.answers["time"][-1])

    @property
    def asked_itself(self) -> bool:
        """Whether the host's own lockd was the asker: it waits for its statd."""
        return bool(self.answers["loopback"].any())

    @property
    def repeated(self) -> bool:
        """Whether a single answer, given while statd starts, is no explanation: asked again, or a complete list."""
        return len(self.answers) > 1 or bool((self.answers["source"] == "DUMP").any())


@fact
def unregistered(
    registrations: Registrations,
    monitors: Monitors,
    nlm: Calls,
    stalls: Calls,
    roles: Roles,
    attempts: tuple[Attempt, ...],
    probes: frozenset[tuple[str, str]],
) -> tuple[Unregistered, ...]:
    """Hosts without a registered statd; probes count only where lockd is registered, as NFSv4 alone needs no statd."""
    registrations = registrations.where(~needless(registrations, probes, roles))
    answers = (registrations["prog"] == Prog.NSM) & (registrations["state"] == "answered")
    answers &= ~registrations["source"].isin(("UNSET",))  # a change that statd makes, and no answer
    answered = answers & (registrations["rpc_status"] == AcceptStat.SUCCESS) & registrations.valid("port")
    pending = open_locks(nlm.where(isin(nlm["proc"], (NlmProc.LOCK, NlmProc.LOCK_MSG))))
    refusing = np.flatnonzero(answered & (registrations["port"] == 0))
    held_up = open_locks(stalls)
    sure = [*conclusive_rows(registrations, refusing, held_up), *dumps_without(registrations)]
    numbers = sure or cut_questions(registrations, held_up)
    if not numbers:
        return ()
    found = Parts(registrations.where(answered & (registrations["port"] > 0)), "host")
    signs = StatdSigns(monitors, nlm, pending, roles, attempts)
    rows = in_order(registrations.take(np.array(numbers, dtype=np.int64)))
    return tuple(
        signs.of(host, role, answers, found[host], bool(sure))
        for host, mine in Parts(rows, "host").items()
        for role, answers in signs.by_role(host, mine)
    )


def needless(registrations: Registrations, probes: frozenset[tuple[str, str]], roles: Roles) -> Mask:
    """Rows with answers to probes by hosts that need no statd: no lock service, and no lock manager registered."""
    if not probes:
        return np.zeros(len(registrations), dtype=np.bool_)
    named = registrations.where((registrations["prog"] == Prog.NLM) & (registrations["port"] > 0))
    served = {*named["host"].present(), *roles.lock_servers}
    pairs = zip(registrations["asker"].tolist(), registrations["host"].tolist(), strict=True)
    return np.array([pair in probes and pair[1] not in served for pair in pairs], dtype=np.bool_)


class StatdSigns:
    """Signs of whether a host needs its statd as server or as client, and of a statd that runs."""

    def __init__(
        self, monitors: Monitors, nlm: Calls, pending: Stretches, roles: Roles, attempts: tuple[Attempt, ...]
    ) -> None:
        self.pending, self.roles = pending, roles
        agreed = monitors.where((monitors["procedure"] == "MON") & (monitors["result"] == SmRes.STAT_SUCC))
        self.served = Stretches((agreed["host"],), agreed["time"])
        checked = monitors.where(monitors["loopback"] & (monitors["procedure"] == "NULL"))
        self.checked = checked["host"].present()  # mount.nfs calls NULL
        locks = nlm.where(nlm["proc"] == NlmProc.LOCK)
        self.arrivals = Stretches((locks["server"],), locks["time"])
        refused = (attempt for attempt in attempts if attempt.prog == Prog.NSM and attempt.outcome == "refused")
        self.dead = listed((attempt.server, attempt) for attempt in refused if attempt.loopback)

    def by_role(self, host: str, answers: Registrations) -> Iterator[tuple[Role, Registrations]]:
        """The answers grouped by the host's role at that time; a host may be a server and a client at once."""
        if host not in self.roles.lock_servers or host not in self.roles.clients:
            yield self.role(host, answers["time"]), answers
            return
        of_server = np.zeros(len(answers), dtype=np.bool_)
        for rows in series(answers["time"]):
            first = int(answers["time"][rows[0]])
            of_server[rows] = self.arrivals.meet(host, first - AT_ONCE, first) or not answers["loopback"][rows[0]]
        roles: tuple[tuple[Role, Mask], ...] = (("server", of_server), ("client", ~of_server))
        yield from ((role, answers.where(mask)) for role, mask in roles if mask.any())

    def role(self, host: str, times: Array) -> Role:
        """The role of a host that needs statd: a server's lockd asks while a LOCK waits, a client's before it."""
        roles = self.roles
        if len(times) and self.pending.meet(host, int(times[0]), int(times[-1])):
            return "server"
        as_client, as_server = host in roles.clients, host in roles.servers
        if as_client or as_server:
            return "unknown" if as_client and as_server else "client" if as_client else "server"
        if host in roles.mounted:
            return "server"
        return "client" if host in roles.mounters or host in self.checked else "unknown"

    def of(self, host: str, role: Role, answers: Registrations, found: Registrations, sure: bool) -> Unregistered:
        """The host as one without statd in this role, or None; `found`: answers of its portmapper with a port."""
        first, last = int(answers["time"][0]), int(answers["time"][-1])
        later = [*found["time"][found["time"] > last].tolist(), self.served.following(host, last)]
        meanwhile = set(found["transport"][(found["time"] >= first) & (found["time"] <= last)].tolist())
        return Unregistered(
            host=host,
            role=role,
            answers=answers,
            found=min((time for time in later if time is not None), default=None),
            sure=sure,
            only_udp="udp" in meanwhile and "tcp" not in meanwhile,
            died=next((attempt for attempt in self.dead.get(host, ()) if attempt.first < first), None),
        )


def series(times: Array) -> list[Array]:
    """The questions of a host's lockd as a client and as a server, each search at a pace of its own.

    >>> second = 1_000_000_000
    >>> [rows.tolist() for rows in series(np.array([0, 1, 3, 4, 6, 7, 60]) * second)]
    [[0, 2, 4], [1, 3, 5], [6]]
    """
    return [
        part
        for rows in members(searches(times))
        for part in np.split(rows, np.flatnonzero(np.diff(times[rows]) > LATEST_AGAIN) + 1)
    ]


def open_locks(locks: Calls) -> Stretches:
    """When lock requests waited for their answers, by server."""
    answered = np.where(locks["reply_time"] == NAT, np.iinfo(np.int64).max, locks["reply_time"])
    return Stretches((locks["server"],), locks["time"], answered)


def cut_questions(registrations: Registrations, held_up: Stretches) -> list[int]:
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
    found = [number for number, row in rows if waiting(held_up, row)]
    return found if len(found) >= CUT_QUESTIONS else []


def in_order(answers: Registrations) -> Registrations:
    """The answers in order of time and frame."""
    frames = np.where(answers.valid("frame"), answers["frame"], 0)
    return answers.take(np.lexsort((frames, answers["capture"], answers["time"])))


def conclusive_rows(registrations: Registrations, refused: Array, held_up: Stretches) -> Iterator[int]:
    """Rows of answers "not registered" that prove something: not those to a statd or mount.nfs that is starting."""
    table = registrations.take(refused)
    # A short snap length cuts off for which transport it asks, which is the one that it asks over.
    over_udp = np.where(table.valid("transport"), table["transport"] == "udp", table["asked_by_transport"] == "udp")
    casual = (table["flavor"] == AuthFlavor.AUTH_NONE) & over_udp
    questions = {asker: len(set(exchanges)) for asker, exchanges in askers(table).items()}
    for number, row, is_casual in zip(refused.tolist(), table.rows(), casual.tolist(), strict=True):
        again = row.resends or questions[row.asker] > 1
        if not is_casual or (again and not row.loopback) or waiting(held_up, row):
            yield number


def askers(table: Registrations) -> dict[str | None, list[int]]:
    """The hosts that asked, each with its exchanges."""
    return listed(zip(table["asker"].tolist(), table["exchange"].tolist(), strict=True))


def waiting(held_up: Stretches, row: Registrations.Row) -> bool:
    """Whether a lock request was held up when the portmapper of its server was asked."""
    time = row.time or NAT
    return held_up.meet(row.host, time, time)


def dumps_without(registrations: Registrations) -> list[int]:
    """One row per complete list of registrations (DUMP) with a lock manager and without statd."""
    listed = np.flatnonzero((registrations["source"] == "DUMP") & registrations["complete"])
    if not len(listed):
        return []
    lists, first = group(registrations["exchange"][listed])
    with_statd, with_lockd = (np.zeros(len(first), dtype=np.bool_) for _ in range(2))
    for mask, prog in ((with_statd, Prog.NSM), (with_lockd, Prog.NLM)):
        mask[lists[registrations["prog"][listed] == prog]] = True
    found: list[int] = listed[first[with_lockd & ~with_statd]].tolist()
    return found


def first_and_last_answer(rows: list[Registrations.Row]) -> Iterator[Evidence]:
    """The evidence of missing registrations: the first question and its answer, and the last answer."""
    first, last = rows[0], rows[-1]
    whom = "its own portmapper" if first.asker == first.host else first.host
    yield Evidence(first.capture, first.frame, f"{first.asker} asks {whom} for 100024 ({first.source})")
    yield Evidence.of(first.reply_capture, first.reply_frame, "not registered")
    if last is not first:
        note = f"not registered, the last of {number_of(rows)} such replies"
        yield Evidence.of(last.reply_capture, last.reply_frame, note)


class Statds(NamedTuple):
    """Evidence that hosts have a statd."""

    roles: Roles
    named: Mapping[str, Registrations.Row]  # the first answer of the host's portmapper that names a port
    last_named: Mapping[str, int]  # the time of the last one
    monitoring: Mapping[str, Monitors.Row]  # the first SM_MON that succeeded
    queried_hosts: frozenset[str]  # whose portmapper was asked for statd at all
    loopbacks: frozenset[str]  # whose loopback the captures hold

    def proof(self, host: str) -> str:
        """A clause that proves that a host has a statd; "" where nothing shows it."""
        if host in self.named:
            row = self.named[host]
            return f"the portmapper of {host} names port {row.port} for statd (frame {row.reply_frame})"
        if host in self.monitoring:
            return f"statd of {host} answers SM_MON (frame {self.monitoring[host].reply_frame})"
        return ""

    def unseen(self, host: str) -> Unseen:
        """What the capture lacks to show whether a host has a statd, and the capture point that would show it."""
        return Unseen(self.lack(host), loopback_of(host, self.roles.clients_of(host)))

    def lack(self, host: str) -> str:
        """What the capture lacks to show whether a host has a statd."""
        if host not in self.loopbacks:
            return f"the loopback of {host} was not captured"
        if host in self.queried_hosts:
            return f"the portmapper of {host} gave no answer about statd"
        return f"the portmapper of {host} was not asked for statd"


@fact
def statds(registrations: Registrations, monitors: Monitors, roles: Roles, loopbacks: frozenset[str]) -> Statds:
    """The evidence of statd on each host."""
    about = registrations.where(registrations["prog"] == Prog.NSM)
    named = about.where(about.valid("port") & (about["port"] > 0) & (about["state"] == "answered"))
    by_host = Parts(named, "host")
    agreed = Parts(monitors.where((monitors["procedure"] == "MON") & (monitors["result"] == 0)), "host")
    return Statds(
        roles=roles,
        named={host: rows.row(0) for host, rows in by_host.items()},
        last_named={host: int(rows["time"].max()) for host, rows in by_host.items()},
        monitoring={host: rows.row(0) for host, rows in agreed.items()},
        queried_hosts=frozenset(about["host"].present()),
        loopbacks=loopbacks,
    )
