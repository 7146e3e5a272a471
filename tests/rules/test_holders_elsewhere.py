"""A holder that only another host's capture shows: named by no finding, since no message compares both clocks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
import pytest

import nfsrpc
from nfsrpc.diagnosis import holders_elsewhere
from nfsrpc.diagnosis.holders_elsewhere import MOMENT, with_sentence
from nfsrpc.diagnosis.joined import joined
from nfsrpc.diagnosis.run import CutShort
from nfsrpc.diagnosis.verdict import diagnose
from nfsrpc.findings.finding import Diagnosis, Finding
from nfsrpc.fleet.judging import renumbered
from nfsrpc.report import html
from nfsrpc.report.contents import report_of
from tests.scenario import Host, Scenario
from tests.wire import shifted

A, B, C, SERVER = "10.8.0.1", "10.8.0.2", "10.8.0.3", "10.9.0.1"
FILE = "/srv/lock"
MOMENT_S = MOMENT / 1e9


class Site:
    """A server with clients, each of which captures its own wire by its own clock."""

    def __init__(self, clients: int = 3, first_xid: int = 1) -> None:
        self.scenario = Scenario()
        self.scenario.xids = count(first_xid)
        self.started = self.scenario.now
        self.server = self.scenario.host(SERVER, name="srv")
        self.clients = [self.scenario.host(f"10.8.0.{n}", name=f"cl{n}") for n in range(1, clients + 1)]

    def at(self, seconds: float) -> None:
        """Waits until so many seconds after the start."""
        self.scenario.wait(seconds - (self.scenario.now - self.started) / 1e9)

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


def diagnosed(*captures: bytes) -> Diagnosis:
    return diagnose(nfsrpc.read(*captures).tables)


def found(diagnosis: Diagnosis, rule: str = "LCK011") -> list[Finding]:
    return [each for each in diagnosis.findings if each.rule == rule]


def said(captures: Sequence[bytes]) -> list[str]:
    """The sentences on holders elsewhere that all captures together have: nothing else differs from each by itself."""
    trace = nfsrpc.read(*captures)
    together = diagnose(trace.tables)
    by_clock = np.argsort(trace.tables["captures"]["clock"]).tolist()
    alone = joined([renumbered(diagnosed(captures[number]), [number]) for number in by_clock])
    findings = [each for each in together.findings if each.rule != "CAP007"]
    assert len(found(together, "CAP007")) == 1
    assert [replace(each, explanation="") for each in findings] == [
        replace(each, explanation="") for each in alone.findings
    ]
    assert (together.hypotheses, together.log) == (alone.hypotheses, alone.log)
    if together.verdict != alone.verdict:  # clients of both clocks locked one file
        assert (alone.verdict.state, together.verdict.state) == ("healthy", "cannot-tell")
        assert "to clients whose clocks no message compares" in together.verdict.summary
    more = []
    for one, other in zip(findings, alone.findings, strict=True):
        assert one.explanation.startswith(other.explanation)
        more.append(one.explanation.removeprefix(other.explanation).strip())
    return sorted(filter(None, more))


def if_they_agree(client: str, time: str, server: str = SERVER) -> str:
    return (
        f"If the clocks of bytes and bytes agree and {server} is the same host in both, {client} held the range at "
        f"{time} UTC; no message compares these clocks."
    )


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


def test_the_sentence() -> None:
    site = Site()
    passed_on(site)
    captures = site.captures([0, 0])
    assert said(captures) == [if_they_agree(A, "22:13:22")]
    (one,) = found(diagnosed(*captures))
    assert (one.host, one.certainty, one.clients) == (None, "certain", (B,))
    assert one.needs is not None
    assert one.needs.vantage == f"wire of {SERVER}"
    assert {proof.capture for proof in one.evidence} == {1}


# Another host was the holder, which was not captured


@pytest.mark.parametrize("ahead", [-600, -60, -12, 12, 60, 600])
def test_jobs_that_start_at_the_full_minute_of_each_clock(ahead: int) -> None:
    """A and B lock at the same second, each by its own clock; C holds the lock when B really asks."""
    site = Site()
    a, b, c = site.clients

    def job_of_a() -> None:
        site.at(700)
        held = a.lock(site.server, FILE).granted()
        site.at(709)
        held.unlock().granted()

    def job_of_b() -> None:
        site.at(698 - ahead)
        held = c.lock(site.server, FILE).granted()
        site.at(702 - ahead)
        waiting = b.lock(site.server, FILE).blocked()
        site.at(708 - ahead)
        held.unlock().granted()
        waiting.granted()
        waiting.unlock().granted()

    for job in (job_of_a, job_of_b) if ahead < 0 else (job_of_b, job_of_a):
        job()
    assert said(site.captures([0, ahead])) == [if_they_agree(A, "22:25:02")]


@pytest.mark.parametrize("ahead", [-5, 5])
def test_turns_of_ten_seconds_by_a_clock_that_is_off(ahead: int) -> None:
    """A, C and B hold the lock in turn, for 10 s each. B waits for C; by a clock 5 s behind it was A."""
    site = Site()
    a, b, c = site.clients
    for begin in range(0, 120, 30):
        site.at(begin)
        held = a.lock(site.server, FILE).granted()
        site.at(begin + 9.9)
        held.unlock().granted()
        held = c.lock(site.server, FILE).granted()
        site.at(begin + 12)
        waiting = b.lock(site.server, FILE).blocked()
        site.at(begin + 19.9)
        held.unlock().granted()
        waiting.granted()
        site.at(begin + 29.9)
        waiting.unlock().granted()
    assert said(site.captures([0, ahead])) == ([if_they_agree(A, "22:13:27")] if ahead < 0 else [])


def test_waits_at_different_times_are_no_deadlock() -> None:
    """A waited for a lock of C, and B for another one 100 s later; by B's clock, each for what the other one held."""
    site = Site()
    a, b, c = site.clients
    other = c.lock(site.server, "/srv/b").granted()
    mine = a.lock(site.server, "/srv/a").granted()
    site.at(5)
    waiting = a.lock(site.server, "/srv/b").blocked()
    site.at(25)
    waiting.cancel().granted()
    other.unlock().granted()
    mine.unlock().granted()
    site.at(100)
    c.lock(site.server, "/srv/a").granted()
    its = b.lock(site.server, "/srv/b").granted()
    site.at(105)
    waiting = b.lock(site.server, "/srv/a").blocked()
    site.at(123)
    waiting.cancel().granted()
    site.at(130)
    its.unlock().granted()
    captures = site.captures([0, -100])
    assert said(captures) == [if_they_agree(A, "22:13:25"), if_they_agree(B, "22:13:25")]
    assert not found(diagnosed(*captures), "LCK012")


def test_two_sites_with_equal_addresses_and_file_handles() -> None:
    """A holds a lock at one site, B waits for one of C at the other."""
    one, other = Site(), Site(first_xid=1_000_000)
    held = one.clients[0].lock(one.server, FILE).granted()
    one.at(20)
    held.unlock().granted()
    other.clients[2].lock(other.server, FILE).granted()
    other.at(2)
    waiting = other.clients[1].lock(other.server, FILE).blocked()
    other.at(14)
    waiting.cancel().granted()
    assert said([*one.captures([0]), *other.captures([None, 0])]) == [if_they_agree(A, "22:13:22")]


# Where the sentence is


@pytest.mark.parametrize("clock", [-3600, -1800, -30, -13, 13, 30, 600, 3600, 86_400])
def test_clocks_by_which_nobody_held_it(clock: int) -> None:
    site = Site()
    passed_on(site)
    assert said(site.captures([0, clock])) == []


@pytest.mark.parametrize("clock", [0, 100])
def test_clocks_that_messages_compare(clock: int) -> None:
    """The server's capture has messages in common with both: the holder is named as in one capture."""
    site = Site()
    passed_on(site)
    captures = [*site.captures([0, clock]), site.scenario.capture(at=site.server)]
    diagnosis = diagnosed(*captures)
    (one,) = found(diagnosis)
    assert (one.host, one.certainty, one.needs) == (A, "certain", None)
    assert "agree" not in one.explanation
    assert not found(diagnosis, "CAP007")


@pytest.mark.parametrize(("before", "after", "is_said"), [(0.1, 0.1, True), (-0.1, 0.1, False), (0.1, -0.1, False)])
def test_clocks_that_agree_may_be_a_moment_apart(before: float, after: float, is_said: bool) -> None:
    """The holder had the range from a moment before the request on, until a moment after the answer."""
    site = Site()
    a, b, c = site.clients
    held = a.lock(site.server, FILE).granted()
    site.at(MOMENT_S + before)
    waiting = b.lock(site.server, FILE).blocked()
    site.at(2 * MOMENT_S + before + after)
    held.unlock().granted()
    c.lock(site.server, FILE).granted().unlock().granted()
    site.at(20)
    waiting.granted()
    assert bool(said(site.captures([0, 0]))) == is_said


@pytest.mark.parametrize(("after", "is_said"), [(-0.1, False), (0.1, True)])
def test_a_capture_that_ends_before_the_unlock(after: float, is_said: bool) -> None:
    site = Site()
    a, b, _ = site.clients
    a.lock(site.server, FILE).granted()
    b.getattr(site.server, "/srv")
    site.at(5)
    waiting = b.lock(site.server, FILE).blocked()
    site.at(5 + MOMENT_S + after)
    a.getattr(site.server, "/srv")
    site.at(20)
    waiting.cancel().granted()
    captures = [site.scenario.capture(at=client) for client in (a, b)]
    assert bool(said(captures)) == is_said


@pytest.mark.parametrize("lost", [False, True])
def test_a_capture_that_may_lack_the_unlock(lost: bool) -> None:
    site = Site()
    a, b, c = site.clients
    held = a.lock(site.server, FILE).granted()
    site.at(1)
    sent = len([packet for packet in site.scenario.packets() if a in (packet.source, packet.target)])
    held.unlock().granted()
    c.lock(site.server, FILE).granted()
    site.at(5)
    waiting = b.lock(site.server, FILE).blocked()
    site.at(20)
    a.lock(site.server, "/srv/another").granted()
    waiting.cancel().granted()
    unlock = range(sent + 1, sent + 5) if lost else ()
    captures = [site.scenario.capture(at=a, lost=unlock), site.scenario.capture(at=b)]
    assert said(captures) == []


@pytest.mark.parametrize("clocks", [(0, 0, None), (0, 0, 0)])
def test_two_holders_of_a_shared_lock(clocks: Sequence[int | None]) -> None:
    """Where captures show both, neither is named."""
    site = Site()
    a, b, c = site.clients
    a.lock(site.server, FILE, exclusive=False).granted()
    c.lock(site.server, FILE, exclusive=False).granted()
    site.at(2)
    waiting = b.lock(site.server, FILE).blocked()
    site.at(14)
    waiting.cancel().granted()
    assert said(site.captures(clocks)) == (
        [] if all(clock == 0 for clock in clocks) else [if_they_agree(A, "22:13:22")]
    )


def other_range(site: Site, b: Host) -> object:
    return b.lock(site.server, FILE, offset=100, length=1).blocked()


def other_file(site: Site, b: Host) -> object:
    return b.lock(site.server, "/srv/another").blocked()


def shared(site: Site, b: Host) -> object:
    return b.lock(site.server, FILE, exclusive=False, length=10).blocked()


@pytest.mark.parametrize("request_", [other_range, other_file, shared])
def test_locks_that_are_not_in_the_way(request_: Callable[[Site, Host], object]) -> None:
    site = Site()
    a, b, *_ = site.clients
    held = a.lock(site.server, FILE, length=10, exclusive=request_ is not shared).granted()
    site.at(2)
    request_(site, b)
    site.at(14)
    held.unlock().granted()
    assert said(site.captures([0, 0])) == []


def test_the_same_client() -> None:
    """By the capture of another clock it is the one who waits that holds the range."""
    one, other = Site(), Site(first_xid=1_000_000)
    one.clients[1].lock(one.server, FILE).granted()
    one.at(20)
    other.at(2)
    waiting = other.clients[1].lock(other.server, FILE, svid=2).blocked()
    other.at(14)
    waiting.cancel().granted()
    assert said([*one.captures([None, 0]), *other.captures([None, 0])]) == []


def test_polling() -> None:
    """A held the lock at the first try of 32; of the others nothing is said."""
    site = Site()
    a, b, *_ = site.clients
    held = a.lock(site.server, FILE).granted()
    for number in range(32):
        site.at(2 + 2 * number)
        b.lock(site.server, FILE, svid=100 + number, block=False).denied()
    site.at(70)
    held.unlock().granted()
    captures = site.captures([0, 0])
    assert said(captures) == [if_they_agree(A, "22:13:22")]
    (one,) = found(diagnosed(*captures), "LCK016")
    assert one.host is None


def test_each_of_many_that_wait_has_one_sentence() -> None:
    site = Site(40)
    a, *others = site.clients
    held = a.lock(site.server, FILE).granted()
    requests = []
    for number, client in enumerate(others):
        site.at(2 + number)
        requests.append(client.lock(site.server, FILE).blocked())
    site.at(50)
    for request in requests:
        request.cancel().granted()
    site.at(60)
    held.unlock().granted()
    texts = said(site.captures([0] * 40))
    assert len(texts) == len(set(texts)) == 39
    assert all(f"{A} held the range" in text for text in texts)


def test_requests_in_one_frame_of_which_different_things_are_said() -> None:
    (one,) = found(diagnosed(*waits_of_b()))
    assert with_sentence(one, {"this", "that"}) == with_sentence(one, {"this", ""}) == one
    assert with_sentence(one, {""}) == with_sentence(one, ()) == one
    assert with_sentence(one, {"this"}).explanation == f"{one.explanation} this"


def waits_of_b() -> list[bytes]:
    site = Site()
    passed_on(site)
    return site.captures([None, 0])


def test_names_of_files_are_escaped(tmp_path: Path) -> None:
    site = Site()
    passed_on(site)
    names = ["cl1\x1b[2J.pcap", "cl2.pcap"]
    for name, capture in zip(names, site.captures([0, 0]), strict=True):
        (tmp_path / name).write_bytes(capture)
    trace = nfsrpc.read(*(tmp_path / name for name in names))
    report = report_of(trace.tables, trace.diagnosis)
    page, (one,) = html.render(report), found(report.diagnosis)
    text = (
        f"If the clocks of cl2.pcap and cl1\\x1b[2J.pcap agree and {SERVER} is the same host in both, {A} (cl1) held "
        "the range at 22:13:22 UTC; no message compares these clocks."
    )
    assert text in " ".join(str(one).replace("\n# ", " ").split())
    assert "\x1b" not in f"{one} {page}"


def test_a_diagnosis_that_is_cut_short_stands_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def cut(*_: object) -> Diagnosis:
        raise CutShort

    captures = waits_of_b() + waits_of_c()
    monkeypatch.setattr(holders_elsewhere, "with_holders_elsewhere", cut)
    assert said(captures) == []


def waits_of_c() -> list[bytes]:
    site = Site(first_xid=1_000_000)
    site.clients[2].lock(site.server, FILE).granted()
    site.at(20)
    return site.captures([None, None, 0])
