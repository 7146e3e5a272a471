"""Notices of a reboot (SM_NOTIFY), with the question for the peer's statd that precedes each, and their outcome.

sm-notify asks the peer's portmapper for 100024 over UDP, and repeats the question, or the notice, at 0, 2, 6, 14, 30,
62 s and so on for 15 minutes (sm-notify(8)). Its peers are those that statd monitored before the reboot.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from nfsrpc.columns import NAT, isin, number_of
from nfsrpc.facts.basic import Roles, fact, listed
from nfsrpc.facts.networks import is_foreign
from nfsrpc.facts.portmappers import without_probes
from nfsrpc.protocols.numbers import AuthFlavor, Prog
from nfsrpc.sessions.stretches import Stretches
from nfsrpc.tables import Flows, Monitors, Registrations
from nfsrpc.wording import SECOND

RETRIES_S = 120.0  # a peer that sends something within this is up while the notice is repeated

TryRow: TypeAlias = Monitors.Row | Registrations.Row  # a notice, or the question before it


class NoticeTries(NamedTuple):
    """All tries of one host to notify another; rows of monitors and registrations, in order."""

    sender: str
    peer: str
    notices: tuple[Monitors.Row, ...]  # SM_NOTIFY
    questions: tuple[Registrations.Row, ...]  # for the peer's statd, over UDP

    @property
    def is_answered(self) -> bool:
        return any(row.state == "answered" for row in self.notices)

    def silent(self, lossy: bool) -> list[TryRow]:
        """The tries without a reply; in a capture that lost packets only those that were repeated."""
        rows: tuple[TryRow, ...] = (*self.notices, *self.questions)
        return [row for row in rows if row.state == "unanswered" and (row.resends or not lossy)]

    @property
    def refused(self) -> list[Registrations.Row]:
        """The questions that were answered: not registered."""
        return [row for row in self.questions if row.state == "answered" and row.port == 0]


def tries(rows: Sequence[TryRow]) -> int:
    """The number of messages sent, with retransmissions."""
    return number_of(rows) + sum(row.resends for row in rows)


def stretch(rows: Sequence[TryRow]) -> tuple[int | None, int | None]:
    """The first and the last time of these rows."""
    times = [row.time for row in rows if row.time not in (None, NAT)]
    return min(times, default=None), max(times, default=None)


@fact
def notice_tries(
    monitors: Monitors, registrations: Registrations, probes: frozenset[tuple[str, str]]
) -> tuple[NoticeTries, ...]:
    """One entry per pair of hosts with a notice or a lookup before it."""
    notices = monitors.where((monitors["procedure"] == "NOTIFY") & ~monitors["loopback"])
    rows = registrations.where(
        (registrations["prog"] == Prog.NSM) & ~registrations["loopback"] & (registrations["transport"] == "udp")
    )
    rows = without_probes(rows, probes)
    questions = [row for row in rows.rows() if row.flavor == AuthFlavor.AUTH_NONE and row.asked_by_transport == "udp"]
    sent = listed(((row.asker, row.host), row) for row in notices.rows())
    sought = listed(((row.asker, row.host), row) for row in questions)
    return tuple(
        NoticeTries(*pair, tuple(sent.get(pair, ())), tuple(sought.get(pair, ())))
        for pair in sorted(pair for pair in {**sent, **sought} if all(pair))
    )


@fact
def reboot_notices(monitors: Monitors) -> tuple[Monitors.Row, ...]:
    """The SM_NOTIFYs between hosts, with the name of the one that rebooted."""
    notices = monitors.where((monitors["procedure"] == "NOTIFY") & ~monitors["loopback"] & monitors.valid("time"))
    notices = notices.where(notices.valid("asker") & notices.valid("host"))
    return tuple(row for row in notices.rows() if row.mon_name is not None)


@fact
def wrong_senders(
    notice_tries: tuple[NoticeTries, ...], roles: Roles, sending_pairs: frozenset[tuple[str, str]], sending: Stretches
) -> Mapping[tuple[str, str], tuple[str, ...]]:
    """Mounted addresses, by sender and peer, where the notice came from a network from which the peer mounts nothing.

    A host with several addresses sends from one that the peer has no way back to: the peer is up and silent to it.
    """
    return dict(of_wrong_senders(notice_tries, roles, sending_pairs, sending))


def of_wrong_senders(
    notice_tries: tuple[NoticeTries, ...], roles: Roles, sending_pairs: frozenset[tuple[str, str]], sending: Stretches
) -> Iterator[tuple[tuple[str, str], tuple[str, ...]]]:
    for one in notice_tries:
        pair = one.sender, one.peer
        mounted = roles.servers_of.get(one.peer, ())
        first, last = stretch([*one.notices, *one.questions])
        if one.is_answered or (one.peer, one.sender) in sending_pairs or not mounted or first is None or last is None:
            continue
        is_up = sending.meet(one.peer, first, last + round(RETRIES_S * SECOND))
        if is_up and all(is_foreign(one.sender, server) for server in mounted):
            yield pair, tuple(mounted)


@fact
def outages(connections: Flows, silent_since: Mapping[int, int]) -> Stretches:
    """When data between two hosts was retransmitted over TCP without any reply, by both hosts, in either order."""
    rows = connections.where(isin(connections["flow"], list(silent_since)))
    return Stretches.of(
        (ends, silent_since[row.flow], row.c_last or row.last)
        for row in rows.rows()
        for ends in ((row.client, row.server), (row.server, row.client))
    )


class Downcalls:
    """When statds passed a reboot notice on to their lockds (NLM procedure 16)."""

    def __init__(self, monitors: Monitors) -> None:
        rows = monitors.where(monitors["procedure"] == "DOWNCALL")
        self.hosts, self.names = (Stretches((rows[key],), rows["time"]) for key in ("host", "mon_name"))

    def follow(self, notice: Monitors.Row, since: int, within_s: float) -> bool:
        """Whether a downcall follows a notice, or came since an earlier one: statd passes each new state on once.

        In a capture that was merged a downcall may have no known host, and only its name identifies the peer.
        """
        soon = since, notice.time + within_s * SECOND
        return self.hosts.meet(notice.host, *soon) or self.names.meet(notice.mon_name, *soon)


@fact
def downcalls(monitors: Monitors) -> Downcalls:
    """The downcalls of statds to their lockds."""
    return Downcalls(monitors)
