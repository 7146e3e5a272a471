"""A holder that only another host's capture shows, though no message compares both clocks."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

import nfsrpc
from nfsrpc.columns import NAT
from nfsrpc.diagnosis.verdict import diagnose
from nfsrpc.facts.clock_agreement import (
    BY_CHANCE,
    MOST_COMPARED,
    MOST_PAIRS,
    OFFSETS_S,
    Shown,
    Spans,
    candidates,
    conflicts,
    fits,
    share,
)
from nfsrpc.findings.finding import Diagnosis, Finding
from nfsrpc.wording import SECOND
from tests.scenario import Host, Scenario
from tests.wire import shifted

A, B, C = "10.8.0.1", "10.8.0.2", "10.8.0.3"
FILE = "/srv/lock"


class Site:
    """A server with clients, each of which captures its own wire by its own clock."""

    def __init__(self, clients: int = 3) -> None:
        self.scenario = Scenario()
        self.server = self.scenario.host("10.9.0.1", name="srv")
        self.clients = [self.scenario.host(f"10.8.0.{n}", name=f"cl{n}") for n in range(1, clients + 1)]

    def at(self, seconds: float) -> None:
        """Waits until so many seconds after the start."""
        self.scenario.wait(seconds - (self.scenario.now - self.started) / 1e9)

    @property
    def started(self) -> int:
        return 1_700_000_000 * 10**9

    def captures(self, clocks: Sequence[int | None]) -> list[bytes]:
        """What each client captured whose clock is ahead by so many seconds."""
        self.scenario.wait(20.0)
        for client in self.clients:
            client.getattr(self.server, "/srv")
        return [
            shifted(self.scenario.capture(at=client), clock)
            for client, clock in zip(self.clients, clocks, strict=False)
            if clock is not None
        ]


def diagnosed(site: Site, *clocks: int | None, select: Sequence[str] = ()) -> Diagnosis:
    trace = nfsrpc.read(*site.captures(clocks))
    return diagnose(trace.tables, select)


def found(diagnosis: Diagnosis, rule: str) -> list[Finding]:
    return [each for each in diagnosis.findings if each.rule == rule]


def holder(diagnosis: Diagnosis, rule: str = "LCK011") -> str | None:
    """The host that the one finding names as the holder, which is likely then."""
    (one,) = found(diagnosis, rule)
    assert one.certainty == ("certain" if one.host is None else "likely")
    return one.host


def passed_on(site: Site) -> None:
    """A holds for 14 s, B waits for it from the second one on, and is called back when A unlocks."""
    a, b, *_ = site.clients
    held = a.lock(site.server, FILE).granted()
    site.at(2)
    waiting = b.lock(site.server, FILE).blocked()
    site.at(14)
    held.unlock().granted()
    waiting.granted()
    site.at(20)
    waiting.unlock().granted()


def given_up(site: Site, hold_s: float) -> None:
    """A holds for so long, B waits for it in the middle for 6 s."""
    a, b, *_ = site.clients
    held = a.lock(site.server, FILE).granted()
    site.at(10)
    waiting = b.lock(site.server, FILE).blocked()
    site.at(16)
    waiting.cancel().granted()
    site.at(hold_s)
    held.unlock().granted()


def test_a_lock_that_passes_from_one_client_to_the_other() -> None:
    site = Site()
    passed_on(site)
    diagnosis = diagnosed(site, 0, 0)
    assert holder(diagnosis) == A
    (one,) = found(diagnosis, "LCK011")
    assert one.clients == (B,)
    assert one.explanation.endswith(
        "No message shows that the clocks of both captures agree. That they do is likely: their locks fit each other "
        "so well at only 0.03 % of all offsets of up to an hour."
    )
    assert {proof.capture for proof in one.evidence} == {0, 1}
    assert one.needs is not None
    assert one.needs.vantage == "wire of 10.9.0.1"
    assert len(found(diagnosis, "CAP007")) == 1


def test_of_chosen_rules() -> None:
    site = Site()
    passed_on(site)
    assert holder(diagnosed(site, 0, 0, select=["LCK011"])) == A


@pytest.mark.parametrize("clock", [-3600, -1800, -60, -13, 13, 60, 600, 3600, 86_400])
def test_clocks_that_differ(clock: int) -> None:
    """By no such clock B was refused while A held."""
    site = Site()
    passed_on(site)
    assert holder(diagnosed(site, 0, clock)) is None


@pytest.mark.parametrize(("more_s", "named"), [(-2, A), (2, None)])
def test_a_lock_held_for_long_shows_nothing(more_s: float, named: str | None) -> None:
    """It would be held just then at too many other offsets as well."""
    site = Site()
    given_up(site, 2 * OFFSETS_S * BY_CHANCE + more_s)
    assert holder(diagnosed(site, 0, 0)) == named


@pytest.mark.parametrize(("clock", "named"), [(-3, A), (5, A), (6, A), (7, None), (10, None)])
def test_clocks_by_which_two_held_one_range(clock: int, named: str | None) -> None:
    """By the clock of B, it held for more than a second what A held."""
    site = Site()
    a, b, *_ = site.clients
    first = b.lock(site.server, FILE).granted()
    site.at(5)
    first.unlock().granted()
    site.at(10)
    held = a.lock(site.server, FILE).granted()
    site.at(15)
    waiting = b.lock(site.server, FILE).blocked()
    site.at(21)
    waiting.cancel().granted()
    site.at(40)
    held.unlock().granted()
    assert holder(diagnosed(site, 0, clock)) == named


@pytest.mark.parametrize(("clock", "named"), [(None, A), (0, A), (-90, None)])
def test_of_two_that_fit_neither_is_named(clock: int | None, named: str | None) -> None:
    """C held later; by its clock it was when A held, so that one of both clocks is wrong."""
    site = Site()
    given_up(site, 30)
    site.at(90)
    other = site.clients[2].lock(site.server, FILE).granted()
    site.at(120)
    other.unlock().granted()
    assert holder(diagnosed(site, 0, 0, clock)) == named


@pytest.mark.parametrize(("third", "named"), [(False, A), (True, None)])
def test_a_refusal_by_a_third(third: bool, named: str | None) -> None:
    """Where another one holds the range at times, whose capture is not there, it may have been that one each time."""
    site = Site()
    given_up(site, 30)
    site.at(40)
    if third:
        site.clients[2].lock(site.server, FILE).granted()
        site.at(45)
        site.clients[1].lock(site.server, FILE).blocked().cancel().granted()
    assert holder(diagnosed(site, 0, 0)) == named


@pytest.mark.parametrize(("waiting", "named"), [(2, A), (6, None), (MOST_PAIRS + 2, None)])
def test_many_captures_fit_by_chance(waiting: int, named: str | None) -> None:
    """A hold of 20 s falls in 0.2 % of all offsets where the refusal may be."""
    site = Site(waiting + 1)
    a, *others = site.clients
    held = a.lock(site.server, FILE).granted()
    site.at(2)
    requests = [other.lock(site.server, FILE).blocked() for other in others]
    site.at(8)
    for request in requests:
        request.cancel().granted()
    site.at(20)
    held.unlock().granted()
    hosts = {each.host for each in found(diagnosed(site, *[0] * (waiting + 1)), "LCK011")}
    assert hosts == {named}


def other_range(site: Site, b: Host) -> None:
    b.lock(site.server, FILE, offset=100, length=1).blocked()


def other_file(site: Site, b: Host) -> None:
    b.lock(site.server, "/srv/another").blocked()


def shared(site: Site, b: Host) -> None:
    b.lock(site.server, FILE, exclusive=False, length=10).blocked()


@pytest.mark.parametrize("request_", [other_range, other_file, shared])
def test_locks_that_are_not_in_the_way(request_: Callable[[Site, Host], None]) -> None:
    site = Site()
    a, b, *_ = site.clients
    held = a.lock(site.server, FILE, length=10, exclusive=request_ is not shared).granted()
    site.at(2)
    request_(site, b)
    site.at(14)
    held.unlock().granted()
    assert holder(diagnosed(site, 0, 0)) is None


def test_polling_behind_a_live_holder() -> None:
    site = Site()
    a, b, *_ = site.clients
    held = a.lock(site.server, FILE).granted()
    for number in range(32):
        site.at(2 + 2 * number)
        b.lock(site.server, FILE, svid=100 + number, block=False).denied()
    site.at(70)
    held.unlock().granted()
    diagnosis = diagnosed(site, 0, 0)
    assert holder(diagnosis, "LCK016") == A
    assert diagnosis.verdict.causes[0].certainty == "likely"


def test_a_deadlock_that_lasts() -> None:
    site = Site()
    a, b, *_ = site.clients
    a.lock(site.server, "/srv/a").granted()
    b.lock(site.server, "/srv/b").granted()
    site.at(5)
    a.lock(site.server, "/srv/b").blocked()
    b.lock(site.server, "/srv/a").blocked()
    site.at(30)
    (one,) = found(diagnosed(site, 0, 0), "LCK012")
    assert (one.clients, one.certainty) == ((A, B), "likely")


def test_a_deadlock_of_a_moment_is_none_where_clocks_may_differ_by_a_second() -> None:
    site = Site()
    a, b, *_ = site.clients
    a.lock(site.server, "/srv/a").granted()
    mine = b.lock(site.server, "/srv/b").granted()
    site.at(5)
    waiting = a.lock(site.server, "/srv/b").blocked()
    b.lock(site.server, "/srv/a").denied("DEADLCK")
    site.at(5.2)
    mine.unlock().granted()
    waiting.granted()
    site.at(9)
    diagnosis = diagnosed(site, 0, 0)
    assert found(diagnosis, "LCK006")
    assert not found(diagnosis, "LCK012")


def spans(client: int, *times: tuple[int, int], exclusive: bool = True, file: int = 1) -> Spans:
    """Sessions of one client on the whole of one file, from one second to another."""
    since, until = (np.array(column, dtype=np.int64) * SECOND for column in zip(*times, strict=True))
    columns = (file, client, 0, 2**62, exclusive, since, until, NAT)
    return Spans(*(np.broadcast_to(column, len(times)) for column in columns))


def test_the_share_of_offsets_at_which_both_are_refused_by_the_other() -> None:
    """B may be five seconds behind, until A is refused before B holds; or as much ahead."""
    refused, held = [(5, 5)], [(0, 50)]
    events = fits(spans(1, *refused), spans(1, *held), spans(2, *refused), spans(2, *held))
    # Two hold one range there, as no server lets them: on another file each, nothing speaks against it.
    assert share(events) == 1.0
    mine, theirs = spans(1, *held), spans(2, *held, file=2)
    events = fits(spans(1, *refused, file=2), mine, spans(2, *refused), theirs)
    assert share(events) == pytest.approx(10 / (2 * OFFSETS_S))


def test_two_that_share_a_lock_are_not_in_conflict() -> None:
    one, other = spans(1, (0, 9), exclusive=False), spans(2, (0, 9), exclusive=False)
    assert not len(conflicts(one, other)[0])
    assert len(conflicts(one, spans(2, (0, 9)))[0]) == 1
    assert not len(conflicts(one, spans(1, (0, 9)))[0])


def test_what_would_cost_much_is_left_out() -> None:
    number = round(MOST_COMPARED**0.5)
    held = [(2 * at, 2 * at + 1) for at in range(number)]
    few, many = (spans(2, *[(0, 0)] * refused) for refused in (number - 1, number))
    nothing = spans(1, (0, 0), file=9)
    assert fits(nothing, spans(1, *held), few, spans(2, (0, 0), file=8))
    assert not fits(nothing, spans(1, *held), many, spans(2, (0, 0), file=8))
    clocks = [Shown(spans(client, (5, 5)), np.array([1])) for client in range(MOST_PAIRS)]
    assert len(candidates(clocks[:6])) == 15
    assert candidates(clocks) == []
