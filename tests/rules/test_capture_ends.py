"""Captures that are compared end at different times: what one of them does not show any more may have passed since."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest

import nfsrpc
from nfsrpc.findings.finding import Diagnosis
from tests.scenario import SECOND, Host, LockRequest, Scenario

FILE = "/srv/lock"


class Site:
    """A server and two clients, of which the second one is granted a lock after 5 s. Each sends something before."""

    def __init__(self) -> None:
        self.scenario = Scenario()
        self.started = self.scenario.now
        self.server = self.scenario.host("10.9.0.1", name="srv")
        self.one, self.two = (self.scenario.host(f"10.8.0.{number}", name=f"cl{number}") for number in (1, 2))
        for client in (self.one, self.two):
            client.getport(self.server, "nlm4")
            client.getattr(self.server, FILE)
        self.at(5)
        self.held = self.two.lock(self.server, FILE).granted()

    def at(self, seconds: float) -> None:
        """Waits until so many seconds after the start."""
        self.scenario.wait(seconds - (self.scenario.now - self.started) / 1e9)

    def show(self, times: Iterable[float], *clients: Host) -> None:
        """These clients send something to the server at each of these times."""
        for seconds in times:
            self.at(seconds)
            for client in clients:
                client.getattr(self.server, FILE)

    def capture(self, at: Host, since: float | None = None, until: float | None = None) -> bytes:
        return self.scenario.capture(at=at, link="sll2", since=since, until=until)


def judged(folder: Path, **captures: bytes) -> Diagnosis:
    """What captures of these names come to, whose clocks are compared."""
    for name, data in captures.items():
        (folder / f"{name}.pcap").write_bytes(data)
    trace = nfsrpc.read(*(folder / f"{name}.pcap" for name in captures))
    assert len(set(trace.tables["captures"]["clock"].tolist())) == 1
    return trace.diagnosis


def certain(diagnosis: Diagnosis, rule: str) -> list[str | None]:
    """The hosts to fix."""
    return [found.host for found in diagnosis.findings if (found.rule, found.certainty) == (rule, "certain")]


def unsure(diagnosis: Diagnosis) -> list[str]:
    return [answer.rule for answer in diagnosis.cannot_tell if "goes on" in answer.why or "ended" in answer.why]


def released_and_granted(site: Site) -> None:
    site.at(20)
    site.held.unlock().granted()
    granted_as_well(site)


def granted_as_well(site: Site) -> None:
    """At 30 s the first client has the lock, too."""
    site.at(30)
    site.one.lock(site.server, FILE).granted()
    site.show((31, 50, 60), site.one, site.two)


@pytest.mark.parametrize(("until", "rules"), [(15, ["LCK009"]), (25, [])])
def test_an_unlock_after_the_end_of_the_servers_capture_accuses_nobody(
    until: float, rules: list[str], tmp_path: Path
) -> None:
    site = Site()
    released_and_granted(site)
    diagnosis = judged(tmp_path, server=site.capture(site.server, until=until), client=site.capture(site.one))
    assert certain(diagnosis, "LCK009") == []
    assert unsure(diagnosis) == rules
    needs = [str(answer.needs.command) for answer in diagnosis.cannot_tell if answer.rule in rules and answer.needs]
    assert needs == ["tcpdump -i any -s 0 -B 8192 -w 10.9.0.1.pcap 'not port 22'" for _ in rules]
    assert ("LCK009" in [answer.rule for answer in diagnosis.clear]) == (not rules)


@pytest.mark.parametrize(("until", "hosts"), [(29.9, []), (30.1, ["10.9.0.1"])])
def test_a_lock_that_is_granted_twice_while_the_servers_capture_goes_on_is_certain(
    until: float, hosts: Sequence[str], tmp_path: Path
) -> None:
    site = Site()
    site.at(29)
    site.two.getattr(site.server, FILE)
    granted_as_well(site)
    diagnosis = judged(tmp_path, server=site.capture(site.server, until=until), client=site.capture(site.one))
    assert certain(diagnosis, "LCK009") == hosts
    assert unsure(diagnosis) == ([] if hosts else ["LCK009"])


@pytest.mark.parametrize(("until", "hosts"), [(29, []), (40, ["10.9.0.1"])])
def test_the_holders_own_capture_shows_it_as_well(until: float, hosts: Sequence[str], tmp_path: Path) -> None:
    site = Site()
    granted_as_well(site)
    diagnosis = judged(
        tmp_path,
        server=site.capture(site.server, until=15),
        holder=site.capture(site.two, until=until),
        client=site.capture(site.one),
    )
    assert certain(diagnosis, "LCK009") == hosts


@pytest.mark.parametrize(("since", "hosts"), [(14, ["10.9.0.1"]), (17, [])])
def test_a_pause_between_two_captures_may_have_the_unlock(since: float, hosts: Sequence[str], tmp_path: Path) -> None:
    site = Site()
    site.show((13, 15, 18), site.two, site.one)
    granted_as_well(site)
    diagnosis = judged(
        tmp_path,
        before=site.capture(site.server, until=16),
        after=site.capture(site.server, since=since),
        client=site.capture(site.one),
    )
    assert certain(diagnosis, "LCK009") == hosts


def waited_for(site: Site, sends: Sequence[float], since: int = 20) -> None:
    """The first client waits for the lock from then on. The second one sends frames at these times, and none later.

    The server tries to connect to it, every other second.
    """
    site.at(since)
    site.one.lock(site.server, FILE).blocked()
    for seconds in range(since + 2, 150, 2):
        site.at(seconds)
        site.one.getattr(site.server, FILE)
        if seconds in sends:
            site.two.getattr(site.server, FILE)
    site.scenario.now = site.started + 12 * SECOND
    site.server.syn(site.two, 111, resend=range(2, 138, 2))


def test_a_holder_is_not_silent_because_the_servers_capture_has_ended(tmp_path: Path) -> None:
    site = Site()
    waited_for(site, sends=range(30, 150, 10))
    diagnosis = judged(tmp_path, server=site.capture(site.server, until=18), client=site.capture(site.one))
    assert certain(diagnosis, "LCK010") == []
    assert unsure(diagnosis) == ["LCK010"]
    (waits,) = (found for found in diagnosis.findings if found.rule == "LCK011")
    assert (waits.severity, waits.clients) == ("warning", ("10.8.0.1",))


@pytest.mark.parametrize(
    ("since", "until", "hosts"), [(20, 81, []), (20, 83, ["10.8.0.2"]), (30, 89, []), (30, 93, ["10.8.0.2"])]
)
def test_a_holder_is_silent_for_as_long_as_a_capture_beside_it_shows(
    since: int, until: float, hosts: Sequence[str], tmp_path: Path
) -> None:
    """It sent its last frame after 5 s; that capture shows what the server sends it.

    The capture of the server ends before the other client asks for the lock.
    """
    site = Site()
    waited_for(site, sends=(), since=since)
    diagnosis = judged(
        tmp_path,
        server=site.capture(site.server, until=18),
        beside=site.capture(site.two, until=until),
        client=site.capture(site.one),
    )
    assert certain(diagnosis, "LCK010") == hosts
    assert unsure(diagnosis) == ([] if hosts else ["LCK010"])
    assert ("LCK011" in [found.rule for found in diagnosis.findings]) == (until == 81)


def with_many_servers(site: Site) -> None:
    """The first client's capture shows more hosts than the server's, and counts in its place."""
    for number in range(1, 7):
        site.one.getattr(site.scenario.host(f"10.9.1.{number}", name=f"other{number}"), FILE)


def blocked_until_released(site: Site) -> LockRequest:
    """The first client asks for the lock after 8 s, and the second one releases it after 10 s."""
    with_many_servers(site)
    site.at(8)
    waiting = site.one.lock(site.server, FILE).blocked()
    site.at(10)
    site.held.unlock().granted()
    return waiting


def test_a_lock_that_another_one_got_after_the_end_of_the_servers_capture_is_not_free(tmp_path: Path) -> None:
    site = Site()
    third = site.scenario.host("10.8.0.3", name="cl3")
    third.getport(site.server, "nlm4")
    site.at(7)
    later = third.lock(site.server, FILE).blocked()
    blocked_until_released(site)
    site.at(16)
    later.granted()
    site.show(range(20, 150, 5), site.one)
    diagnosis = judged(tmp_path, server=site.capture(site.server, until=15), client=site.capture(site.one))
    assert certain(diagnosis, "LCK003") == []
    assert unsure(diagnosis) == ["LCK003"]
    (waits,) = (found for found in diagnosis.findings if found.rule == "LCK011")
    assert waits.severity == "warning"
    assert "waited up to 137 s behind 1@cl2 (10.8.0.2) and perhaps later holders" in waits.title


@pytest.mark.parametrize(("until", "hosts"), [(39, []), (41, ["10.9.0.1"])])
def test_a_lock_is_free_for_as_long_as_the_servers_capture_shows(
    until: float, hosts: Sequence[str], tmp_path: Path
) -> None:
    site = Site()
    blocked_until_released(site)
    site.show(range(11, 150), site.one)
    diagnosis = judged(tmp_path, server=site.capture(site.server, until=until + 0.1), client=site.capture(site.one))
    assert certain(diagnosis, "LCK003") == hosts
    assert unsure(diagnosis) == ([] if hosts else ["LCK003"])


@pytest.mark.parametrize(("until", "hosts"), [(99, []), (102, ["10.9.0.1"])])
def test_a_lock_that_was_granted_on_retry_may_have_been_held_meanwhile(
    until: float, hosts: Sequence[str], tmp_path: Path
) -> None:
    """After 101 s, and the server called nobody back; until 100 s the server's capture does not show another holder."""
    site = Site()
    blocked_until_released(site)
    site.show(range(11, 101), site.two)
    site.at(101)
    site.one.lock(site.server, FILE).granted()
    site.at(120)
    site.one.getattr(site.server, FILE)
    diagnosis = judged(tmp_path, server=site.capture(site.server, until=until), client=site.capture(site.one))
    assert [found.host for found in diagnosis.findings if found.rule == "CBK003"] == hosts


def restarted(site: Site) -> None:
    """After 30 s a LOCK of the first client meets the grace period."""
    site.at(30)
    site.one.lock(site.server, "/srv/other").denied("DENIED_GRACE_PERIOD")
    site.show((40, 100, 160), site.one, site.two)


@pytest.mark.parametrize("until", [15, 25])
def test_a_restart_while_nobody_held_a_lock_needs_no_notice(until: float, tmp_path: Path) -> None:
    """The lock was released after 20 s."""
    site = Site()
    site.at(20)
    site.held.unlock().granted()
    restarted(site)
    diagnosis = judged(tmp_path, server=site.capture(site.server, until=until), client=site.capture(site.one))
    assert certain(diagnosis, "MON008") == []
    assert unsure(diagnosis) == (["MON008"] if until < 20 else [])


@pytest.mark.parametrize(("until", "hosts"), [(29.9, []), (30.1, ["10.9.0.1"])])
def test_a_restart_while_the_servers_capture_goes_on_is_certain(
    until: float, hosts: Sequence[str], tmp_path: Path
) -> None:
    site = Site()
    restarted(site)
    diagnosis = judged(tmp_path, server=site.capture(site.server, until=until), client=site.capture(site.one))
    assert certain(diagnosis, "MON008") == hosts
    assert unsure(diagnosis) == ([] if hosts else ["MON008"])


@pytest.mark.parametrize(("last", "state"), [(19, "healthy"), (21, "cannot-tell")])
def test_a_wait_that_only_the_clients_capture_shows_to_be_long_is_not_healthy(
    last: int, state: str, tmp_path: Path
) -> None:
    """The lock that another client holds is asked for after 8 s, and the server's capture ends after 15 s."""
    site = Site()
    site.at(8)
    site.one.lock(site.server, FILE).blocked()
    site.show((14, last), site.one, site.two)
    diagnosis = judged(tmp_path, server=site.capture(site.server, until=15), client=site.capture(site.one))
    assert diagnosis.verdict.state == state
    why = f"1 LOCK not granted for up to {last - 8}.0 s, and not all captures last so long"
    assert (why in diagnosis.verdict.summary) == (state != "healthy")


def held_by_a_third(site: Site, block: bool) -> None:
    """From 16 s on a third client has the lock, and from 20 s on the first one waits for it, or retries."""
    third = site.scenario.host("10.8.0.3", name="cl3")
    third.getport(site.server, "nlm4")
    site.at(15.5)
    site.held.unlock().granted()
    site.at(16)
    third.lock(site.server, FILE).granted()
    site.at(20)
    if block:
        site.one.lock(site.server, FILE).blocked()
    for seconds in range(22, 150, 4):
        site.at(seconds)
        third.getattr(site.server, FILE)
        site.one.getattr(site.server, FILE)
        if not block:
            site.one.lock(site.server, FILE, block=False).denied()


@pytest.mark.parametrize(("until", "holder"), [(15, None), (17, "1@cl3 (10.8.0.3)")])
@pytest.mark.parametrize(("block", "rule"), [(True, "LCK011"), (False, "LCK016")])
def test_a_holder_is_named_only_if_its_captures_go_on_until_others_ask(
    block: bool, rule: str, until: float, holder: str | None, tmp_path: Path
) -> None:
    """The third client's own capture goes on."""
    site = Site()
    held_by_a_third(site, block)
    captures = {"server": site.capture(site.server, until=until), "client": site.capture(site.one)}
    if holder:
        captures["third"] = site.capture(site.scenario.hosts[-1])
    diagnosis = judged(tmp_path, **captures)
    (found,) = (each for each in diagnosis.findings if each.rule == rule)
    assert "10.8.0.2" not in str(found)
    assert found.host == ("10.8.0.3" if holder else None)
    assert (holder or "does not show") in str(found)


def test_a_holder_whose_unlock_is_captured_later_had_the_lock_until_then(tmp_path: Path) -> None:
    """Though the captures of the server pause while the other client asks for it."""
    site = Site()
    site.at(20)
    waiting = site.one.lock(site.server, FILE).blocked()
    site.show((26, 30), site.one, site.two)
    site.at(40)
    site.held.unlock().granted()
    waiting.granted()
    site.at(50)
    site.one.getattr(site.server, FILE)
    diagnosis = judged(
        tmp_path,
        before=site.capture(site.server, until=15),
        after=site.capture(site.server, since=25),
        client=site.capture(site.one),
    )
    (found,) = (each for each in diagnosis.findings if each.rule == "LCK011")
    assert "waited up to 20.0 s behind 1@cl2 (10.8.0.2)" in found.title


@pytest.mark.parametrize(("until", "since"), [(15, 25), (42, 48)])
def test_behind_a_holder_a_wait_lasts_until_its_unlock_is_seen(until: int, since: int, tmp_path: Path) -> None:
    """Whether the captures of the server pause before the UNLOCK, or between it and the grant."""
    site = Site()
    site.at(10)
    site.one.lock(site.server, FILE).blocked()
    site.show((12, 26, 30), site.one, site.two)
    site.at(40)
    site.held.unlock().granted()
    site.at(41)
    site.one.getattr(site.server, FILE)
    site.at(80)
    site.one.lock(site.server, FILE).granted()
    diagnosis = judged(
        tmp_path, before=site.capture(site.server, until=until), after=site.capture(site.server, since=since)
    )
    (found,) = (each for each in diagnosis.findings if each.rule == "LCK011")
    assert (found.severity, found.title.partition(" behind ")[2]) == ("info", "1@cl2 (10.8.0.2)")
    assert "waited up to 30.0 s" in found.title


@pytest.mark.parametrize(("last", "state"), [(12.9, "healthy"), (13.2, "cannot-tell")])
def test_what_became_of_a_lock_in_a_pause_is_not_known(last: float, state: str, tmp_path: Path) -> None:
    """The captures of the server pause, and the later one ends 4.9 s after the request, or 5.2 s after it."""
    site = Site()
    site.at(8)
    site.one.lock(site.server, FILE).blocked()
    site.show((11.2, 12.9, 13.2), site.one)
    before, after = site.capture(site.server, until=9), site.capture(site.server, since=11, until=last + 0.05)
    diagnosis = judged(tmp_path, before=before, after=after)
    assert diagnosis.verdict.state == state
