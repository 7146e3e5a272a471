"""What rules and the diagnosis are given: tables whose times can be compared and whose hosts are known, and facts.

Each is an attribute, worked out when it is read first: a fact from the tables and facts that its parameters name.
tests/rules/test_parameters.py compares these attributes with the tables and facts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from nfsrpc.columns import Array, Table
from nfsrpc.facts.attempts import Attempt
from nfsrpc.facts.basic import FACTS, HOSTS, Roles, Span, Stray, in_order_of_time, of_known_hosts
from nfsrpc.facts.callbacks import CallbackFailure
from nfsrpc.facts.client_names import AmbiguousClient
from nfsrpc.facts.coverage import Coverage
from nfsrpc.facts.dependent_locks import DependentLocks
from nfsrpc.facts.dropped_syns import DroppedSyns
from nfsrpc.facts.ignored_notices import LatestNotice, MisaddressedNotice, MisnamedNotice
from nfsrpc.facts.lock_answers import LockAnswers
from nfsrpc.facts.missing_services import MissingService
from nfsrpc.facts.missing_statd import Statds, Unregistered
from nfsrpc.facts.notices import Downcalls, NoticeTries
from nfsrpc.facts.other_clocks import OtherClocks
from nfsrpc.facts.polling import Series
from nfsrpc.facts.portmappers import Portmappers
from nfsrpc.facts.presence import Presence
from nfsrpc.facts.refusals import FreeRanges, Refusals
from nfsrpc.facts.retried_grants import RetriedGrant
from nfsrpc.facts.stalls import LockFiles, Served
from nfsrpc.facts.statd_dns import DnsQueries, Unseen
from nfsrpc.facts.statd_search import LockWaits
from nfsrpc.facts.unacknowledged import Unacknowledged
from nfsrpc.facts.vantages import Vantages
from nfsrpc.facts.waiters import LastSeen, Waiter
from nfsrpc.findings.finding import Finding
from nfsrpc.sessions.aligned import comparable
from nfsrpc.sessions.grouping import Parts
from nfsrpc.sessions.stretches import Stretches
from nfsrpc.sources import SourceError
from nfsrpc.tables import (
    Calls,
    Captures,
    Copies,
    Flows,
    Hosts,
    Locks,
    Monitors,
    Oddities,
    Paths,
    Programs,
    Quality,
    Registrations,
    Tallies,
    Writes,
)

OF_FIRST_AND_LAST = ("monitors", "registrations")  # whose first and last row rules take for the first and the last


class Inputs:
    """The tables and facts of a trace by name."""

    # Tables, with times by one clock and hosts that are known.
    calls: Calls
    locks: Locks
    monitors: Monitors
    registrations: Registrations
    paths: Paths
    hosts: Hosts
    flows: Flows
    captures: Captures
    quality: Quality
    oddities: Oddities
    programs: Programs
    tallies: Tallies
    writes: Writes
    copies: Copies
    # Facts, by the file that works them out.
    exchanges: Calls
    counted: Tallies
    unattributed: int
    connections: Flows
    nlm: Calls
    requests: Calls
    counted_requests: Tallies
    counted_uses: Tallies
    roles: Roles
    roles_elsewhere: Roles
    sending_pairs: frozenset[tuple[str, str]]
    sending: Stretches
    gaps: frozenset[frozenset[str]]
    crowded: bool
    odd_left_out: bool
    lossy: bool
    with_portmappers: frozenset[str]
    strays: tuple[Stray, ...]
    closed_by_client: Array
    loopbacks: frozenset[str]
    span: Span | None
    boots: Mapping[str, tuple[int, ...]]
    vantages: Vantages
    clocks: tuple[tuple[str, ...], ...]
    other_clocks: OtherClocks
    attempts: tuple[Attempt, ...]
    half_open: tuple[Attempt, ...]
    syn_vantages: Mapping[tuple[str, str, int], frozenset[int]]
    dropped_syns: tuple[DroppedSyns, ...]
    silent_since: Mapping[int, int]
    unacknowledged: Unacknowledged
    restarts: Mapping[str, tuple[int, ...]]
    failed_callbacks: tuple[CallbackFailure, ...]
    contacted_clients: frozenset[tuple[str, str]]
    retried_grants: tuple[RetriedGrant, ...]
    waiters: tuple[Waiter, ...]
    unexplained_waits: tuple[Waiter, ...]
    last_seen: Mapping[str, LastSeen]
    last_seen_by_name: Mapping[str, LastSeen]
    coverage: Coverage
    silent_requests: Calls
    silent_messages: Locks
    stalls: Calls
    stalled: Parts[Calls]
    served: Served
    lock_files: LockFiles
    lock_answers: LockAnswers
    polled: tuple[Series, ...]
    unregistered: tuple[Unregistered, ...]
    statds: Statds
    overseen: frozenset[str]
    refusals: Refusals
    free_ranges: FreeRanges
    callers: tuple[Locks.Row, ...]
    stays: dict[tuple[str, str, str], tuple[int, int]]
    translated: dict[str, str]
    ambiguous_clients: tuple[AmbiguousClient, ...]
    probes: frozenset[tuple[str, str]]
    portmappers: Portmappers
    missing_services: tuple[MissingService, ...]
    dependent_locks: DependentLocks
    reboot_notices: tuple[Monitors.Row, ...]
    misaddressed_notices: tuple[MisaddressedNotice, ...]
    misnamed_notices: tuple[MisnamedNotice, ...]
    latest_notices: tuple[LatestNotice, ...]
    notice_tries: tuple[NoticeTries, ...]
    wrong_senders: Mapping[tuple[str, str], tuple[str, ...]]
    outages: Stretches
    downcalls: Downcalls
    unresolved: DnsQueries
    unseen_statd: Unseen
    presence: Presence
    lock_waits: LockWaits
    clock_steps: tuple[Span, ...]
    damaged_frames: Mapping[tuple[int, int], str]
    perhaps_answered: Array
    skipped: tuple[SourceError, ...]
    unread: Mapping[int, str]
    # What the other rules found, for those that are run last.
    faults: tuple[Finding, ...]
    unexplained: tuple[Finding, ...]

    def __init__(self, tables: Mapping[str, Table]) -> None:
        self.tables = comparable(tables)

    def __getitem__(self, name: str) -> Any:
        """The table or fact that a parameter of this name is given."""
        return getattr(self, name)

    if not TYPE_CHECKING:  # which would let any name pass

        def __getattr__(self, name):
            if name in FACTS:
                function = FACTS[name]
                value = function(*(self[parameter] for parameter in parameters_of(function)))
            elif name in Inputs.__annotations__:
                table = self.tables[name]
                value = of_known_hosts(table, HOSTS[name]) if name in HOSTS else table
                value = in_order_of_time(value) if name in OF_FIRST_AND_LAST else value
            else:
                raise AttributeError(f"there is no table and no fact named {name}")
            setattr(self, name, value)
            return value


def parameters_of(function: Callable[..., Any]) -> tuple[str, ...]:
    return function.__code__.co_varnames[: function.__code__.co_argcount]
