"""Captures one after the other: no retransmission compares their clocks, and no file that both lock is healthy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

import nfsrpc
from nfsrpc.diagnosis.catalogue import rules
from nfsrpc.findings.finding import Diagnosis
from tests.scenario import Host, Scenario
from tests.wire import shifted

FILE = "/srv/lock"
COMPARING = {"LCK003", "LCK008", "LCK009", "LCK010", "LCK012", "LCK013", "LCK014"}


class Site:
    """A server, and three clients."""

    def __init__(self) -> None:
        self.scenario = Scenario()
        self.started = self.scenario.now
        self.server = self.scenario.host("10.9.0.1", name="srv")
        self.clients = [self.scenario.host(f"10.8.0.{n}", name=f"cl{n}") for n in (1, 2, 3)]

    def at(self, seconds: float) -> None:
        """Waits until so many seconds after the start."""
        self.scenario.wait(seconds - (self.scenario.now - self.started) / 1e9)

    def asked(self) -> None:
        """Each client sends a request that every capture shows whole."""
        for client in self.clients:
            client.getattr(self.server, "/srv")


def files(folder: Path, names: Sequence[str], captures: Sequence[bytes]) -> list[Path]:
    paths = [folder / name for name in names]
    for path, data in zip(paths, captures, strict=True):
        path.write_bytes(data)
    return paths


@pytest.mark.parametrize("resent_s", [58, 180])
@pytest.mark.parametrize(
    ("names", "clocks"), [(("before.pcap", "after.pcap"), [0, 1]), (("trace.pcap0", "trace.pcap2"), [0, 0])]
)
def test_a_retransmission_in_the_next_capture_moves_no_clock(
    tmp_path: Path, names: Sequence[str], clocks: Sequence[int], resent_s: int
) -> None:
    """It would by 58 s: so B would get the lock that A holds."""
    site = Site()
    a, b, c = site.clients
    slow = [c.lock(site.server, f"/srv/slow{number}") for number in range(2)]
    site.at(2)
    held = a.lock(site.server, FILE).granted()
    site.at(40)
    held.unlock().granted()
    site.at(45)
    site.asked()
    site.at(resent_s)
    for lock in slow:
        lock.resend()
    site.scenario.tick()
    for lock in slow:
        lock.granted()
    site.at(resent_s + 12)
    b.lock(site.server, FILE).granted()
    site.at(resent_s + 22)
    site.asked()
    both = [site.scenario.capture(at=site.server, **part) for part in ({"until": 50}, {"since": resent_s - 8})]
    trace = nfsrpc.read(*files(tmp_path, names, both))
    assert trace.tables["captures"]["clock"].tolist() == clocks
    assert not np.nan_to_num(trace.tables["captures"]["offset_s"]).any()
    assert "LCK009" not in {found.rule for found in trace.diagnosis.findings}
    assert trace.verdict.state != "healthy"
    if clocks == [0, 0]:
        # The reply is in the second file: the LOCK of the first one is not without an answer.
        (late,) = (found for found in trace.diagnosis.findings if found.rule == "LCK002")
        assert (late.certainty, round(late.wait_s or 0)) == ("certain", resent_s)
        assert "LCK001" not in {found.rule for found in trace.diagnosis.findings}


def test_a_clock_is_not_moved_by_calls_whose_first_copy_one_capture_lacks() -> None:
    """Of three calls that were retransmitted the capture at the server, begun later, shows the second copy alone."""
    site = Site()
    client = site.clients[0]
    slow = [client.lock(site.server, f"/srv/slow{number}") for number in range(3)]
    site.at(58)
    for lock in slow:
        lock.resend()
    site.scenario.tick()
    for lock in slow:
        lock.granted()
    site.at(60)
    for _ in range(2):
        client.getattr(site.server, "/srv")
    late = shifted(site.scenario.capture(at=site.server, since=50), 600)
    trace = nfsrpc.read(site.scenario.capture(at=client), late)
    offsets = trace.tables["captures"]["offset_s"]
    assert trace.tables["captures"]["clock"].tolist() == [0, 0]
    assert offsets[1] - offsets[0] == pytest.approx(600, abs=0.1)


def held_by(site: Site, client: Host, file: str, *, exclusive: bool = True) -> None:
    client.lock(site.server, file, exclusive=exclusive).granted()


def diagnosed(site: Site) -> Diagnosis:
    """The diagnosis of what the first two clients captured, of which no message compares the clocks."""
    site.at(30)
    site.asked()
    captures = [site.scenario.capture(at=client) for client in site.clients[:2]]
    trace = nfsrpc.read(captures[0], shifted(captures[1], 600))
    assert trace.tables["captures"]["clock"].tolist() == [0, 1]
    return trace.diagnosis


def test_a_file_that_clients_of_two_clocks_locked_is_not_healthy() -> None:
    """The server granted a lock twice, which no client by itself shows."""
    site = Site()
    for client in site.clients[:2]:
        held_by(site, client, FILE)
    found = diagnosed(site)
    assert found.verdict.state == "cannot-tell"
    assert "10.9.0.1 granted locks on" in found.verdict.summary
    assert "to clients whose clocks no message compares" in found.verdict.summary
    unjudged = {answer.rule: answer for answer in found.cannot_tell if "no message compares" in answer.why}
    assert set(unjudged) <= COMPARING
    assert {"LCK009", "LCK003"} <= set(unjudged)
    needs = unjudged["LCK009"].needs
    assert needs is not None
    assert needs.vantage == "wire of 10.9.0.1"
    assert not {answer.rule for answer in found.clear} & COMPARING


def test_clients_that_lock_files_of_their_own_are_healthy() -> None:
    site = Site()
    for number, client in enumerate(site.clients[:2]):
        held_by(site, client, f"/srv/{number}")
    found = diagnosed(site)
    assert found.verdict.state == "healthy"
    assert "LCK009" in {answer.rule for answer in found.clear}


def test_clients_of_one_clock_that_lock_one_file_in_turn_are_healthy() -> None:
    """Beside a capture by another clock whose client locks a file of its own."""
    site = Site()
    one, two, three = site.clients
    for client in (one, three):
        client.lock(site.server, FILE).granted().unlock().granted()
    held_by(site, two, "/srv/another")
    site.at(30)
    site.asked()
    captures = site.scenario.capture(at=[one, three]), shifted(site.scenario.capture(at=two), 600)
    trace = nfsrpc.read(*captures)
    assert trace.tables["captures"]["clock"].tolist() == [0, 1]
    assert trace.verdict.state == "healthy"


def test_a_lock_of_which_a_capture_shows_only_the_unlock_counts() -> None:
    site = Site()
    one, two, _ = site.clients
    held_by(site, one, FILE)
    held = two.lock(site.server, FILE).granted()
    site.at(10)
    held_by(site, two, "/srv/another")
    held.unlock().granted()
    site.at(30)
    site.asked()
    trace = nfsrpc.read(site.scenario.capture(at=one), shifted(site.scenario.capture(at=two, since=5), 600))
    assert trace.tables["captures"]["clock"].tolist() == [0, 1]
    assert trace.verdict.state == "cannot-tell"
    assert "to clients whose clocks no message compares" in trace.verdict.summary


def test_shared_locks_of_one_file_are_healthy_and_one_exclusive_is_not() -> None:
    for alone, state in ((False, "healthy"), (True, "cannot-tell")):
        site = Site()
        held_by(site, site.clients[0], FILE, exclusive=False)
        held_by(site, site.clients[1], FILE, exclusive=alone)
        assert diagnosed(site).verdict.state == state


def test_locks_of_one_client_in_captures_of_two_clocks_are_healthy(tmp_path: Path) -> None:
    site = Site()
    for start in (2, 60):
        site.at(start)
        site.clients[0].lock(site.server, FILE).granted().unlock().granted()
        site.at(start + 10)
        site.asked()
    parts = [site.scenario.capture(at=site.server, **part) for part in ({"until": 30}, {"since": 50})]
    trace = nfsrpc.read(*files(tmp_path, ("before.pcap", "after.pcap"), parts))
    assert trace.tables["captures"]["clock"].tolist() == [0, 1]
    assert trace.verdict.state == "healthy"


def test_the_rules_that_compare_what_clients_hold() -> None:
    assert {name for name, check in rules().items() if check.rule.compares_holders} == COMPARING
