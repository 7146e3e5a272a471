"""Captures of two hosts whose clocks are a minute apart: no name and no common peer makes one host's clock of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import nfsrpc
from nfsrpc.findings.finding import Finding
from nfsrpc.wording import SECOND
from tests.scenario import Host, Link, Scenario
from tests.sessions.test_hosts import merged
from tests.wire import shifted

FILE = "/srv/lock"
ACCUSING = ("LCK009", "LCK011")

NAMES = [
    ("10.8.0.1.pcap", "10.8.0.2.pcap"),
    ("cl1.pcap", "cl2.pcap"),
    ("web-1.pcap", "web-2.pcap"),
    ("node-0001.pcap", "node-0002.pcap"),
    ("trace1", "trace2"),
    ("node1/trace.pcap0", "node2/trace.pcap1"),
]
RINGS = [
    ("trace.pcap0", "trace.pcap1"),
    ("trace-20260101-1200.pcap", "trace-20260101-1201.pcap"),
    ("trace.1700000000.pcap", "trace.1700000060.pcap"),
    ("trace_00001_20260101120000.pcapng", "trace_00002_20260101120100.pcapng"),
]


class Site:
    """Two clients of a server, which each have a lock while the other waits, or is not there."""

    def __init__(self) -> None:
        self.scenario = Scenario()
        self.server = self.scenario.host("10.9.0.1", name="srv")
        self.one = self.scenario.host("10.8.0.1", name="cl1")
        self.two = self.scenario.host("10.8.0.2", name="cl2")

    def captures(self, ahead_s: int, link: Link) -> list[bytes]:
        """What each of them captured; the clock of the second one is ahead."""
        return [self.capture(self.one, link), shifted(self.capture(self.two, link), ahead_s)]

    def capture(self, host: Host, link: Link) -> bytes:
        return self.scenario.capture(at=host, link=link)


def held_in_turn(site: Site) -> None:
    """The second client releases the lock before the first one gets it, and keeps it."""
    site.one.getport(site.server, "nlm4")
    site.two.getport(site.server, "nlm4")
    lock = site.two.lock(site.server, FILE).granted()
    site.scenario.wait(5)
    lock.unlock().granted()
    site.scenario.wait(5)
    site.one.lock(site.server, FILE).granted()
    site.scenario.wait(5)
    site.one.getattr(site.server, FILE)
    site.two.getattr(site.server, FILE)


def waiting_before(site: Site) -> None:
    """The second client gives up, and then the first one gets the lock: another one had it."""
    lock = site.two.lock(site.server, FILE).blocked()
    site.scenario.wait(5)
    lock.cancel().granted()
    site.scenario.wait(5)
    site.one.lock(site.server, FILE).granted()
    site.scenario.wait(5)
    site.one.getattr(site.server, FILE)


STORIES = [held_in_turn, waiting_before]


def certain(captures: Sequence[Any]) -> list[Finding]:
    """The findings that accuse a holder or the server, beyond doubt."""
    diagnosis = nfsrpc.read(*captures).diagnosis
    named = [each for each in diagnosis.findings if each.rule in ACCUSING and each.certainty == "certain"]
    return [each for each in named if each.host is not None]


def written(folder: Path, names: Sequence[str], captures: Sequence[bytes]) -> list[Path]:
    paths = [folder / name for name in names]
    for path, data in zip(paths, captures, strict=True):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
    return paths


@pytest.mark.parametrize("ahead_s", [60, 90])
@pytest.mark.parametrize("link", ["ethernet", "sll", "sll2"])
@pytest.mark.parametrize("names", NAMES, ids=" ".join)
@pytest.mark.parametrize("story", STORIES)
def test_of_two_clients_nothing_is_certain(
    story: Any, names: tuple[str, str], link: Link, ahead_s: int, tmp_path: Path
) -> None:
    site = Site()
    story(site)
    assert not certain(written(tmp_path, names, site.captures(ahead_s, link)))


@pytest.mark.parametrize("link", ["sll", "sll2"])
@pytest.mark.parametrize("names", RINGS, ids=" ".join)
@pytest.mark.parametrize("story", STORIES)
def test_nor_where_files_are_called_as_a_ring_but_were_sent_from_two_hosts(
    story: Any, names: tuple[str, str], link: Link, tmp_path: Path
) -> None:
    site = Site()
    story(site)
    assert not certain(written(tmp_path, names, site.captures(60, link)))


@pytest.mark.parametrize("story", STORIES)
def test_it_is_certain_where_the_name_says_that_it_is_one_ring(story: Any, tmp_path: Path) -> None:
    """So the captures here would accuse somebody if they were taken for a ring."""
    site = Site()
    story(site)
    assert certain(written(tmp_path, ("trace.pcap0", "trace.pcap1"), site.captures(60, "ethernet")))


@pytest.mark.parametrize("story", STORIES)
def test_of_captures_without_a_name_nothing_is_certain(story: Any) -> None:
    site = Site()
    story(site)
    assert not certain(site.captures(60, "ethernet"))


def test_open_files_of_two_folders_are_two_captures(tmp_path: Path) -> None:
    site = Site()
    held_in_turn(site)
    one, two = written(tmp_path, ("node1/trace.pcap0", "node2/trace.pcap1"), site.captures(60, "ethernet"))
    with one.open("rb") as first, two.open("rb") as second:
        assert not certain([first, second])


def test_with_right_clocks_what_was_captured_later_names_no_holder(tmp_path: Path) -> None:
    """The first client released the lock after its capture had ended; another one has it when the second one waits."""
    site = Site()
    site.one.lock(site.server, FILE).granted()
    site.scenario.wait(5)
    site.one.getattr(site.server, FILE)
    before = site.capture(site.one, "ethernet")
    later_s = (site.scenario.now - site.scenario.segments[0].time) / SECOND + 1
    site.scenario.wait(60)
    lock = site.two.lock(site.server, FILE).blocked()
    site.scenario.wait(5)
    lock.cancel().granted()
    after = site.scenario.capture(at=site.two, since=later_s)
    assert not certain(written(tmp_path, ("cl1.pcap", "cl2.pcap"), [before, after]))
    assert certain(written(tmp_path, ("t.pcap1", "t.pcap2"), [before, after]))


def clocks(captures: Sequence[Path]) -> list[int]:
    """The clock of each capture."""
    rows = nfsrpc.read(*captures).tables["captures"].rows()
    return [row.clock for row in rows]


@pytest.mark.parametrize("ahead_s", [60, 90])
def test_of_two_nodes_with_several_clients_each_nothing_is_certain(ahead_s: int, tmp_path: Path) -> None:
    """The server is an end of every flow of both, as if both had been captured on it."""
    site = Site()
    more = [site.scenario.host(f"10.8.0.{number}", name=f"pod{number}") for number in (11, 12)]
    held_in_turn(site)
    for pod in more:
        pod.getattr(site.server, FILE)
    one, two = (
        merged(*(site.capture(pod, "ethernet") for pod in pods)) for pods in ((site.one, more[0]), (site.two, more[1]))
    )
    nodes = [one, shifted(two, ahead_s)]
    assert not certain(written(tmp_path, ("node-a.pcap", "node-b.pcap"), nodes))
    assert certain(written(tmp_path, ("srv-eth0.pcap", "srv-eth1.pcap"), nodes)), "they are called as of one host"


def on_the_server(names: Sequence[str], link: Link, folder: Path) -> list[Path]:
    """What the server's network card and its loopback show, which have no message in common."""
    site = Site()
    held_in_turn(site)
    site.server.getport(site.server, "nsm1")
    wire = site.scenario.capture(at=site.server, link=link)
    return written(folder, names, [wire, site.scenario.capture(at=site.server, on="lo", link=link)])


ALIKE = [("srv-eth0.pcap", "srv-lo.pcap"), ("eth0.pcap", "lo.pcap"), ("10.9.0.1.pcap0", "10.9.0.1-lo.pcap0")]


@pytest.mark.parametrize("names", ALIKE, ids=" ".join)
def test_captures_of_one_host_that_are_called_alike_have_one_clock(names: tuple[str, str], tmp_path: Path) -> None:
    assert clocks(on_the_server(names, "ethernet", tmp_path)) == [0, 0]


@pytest.mark.parametrize("names", [("node-a.pcap", "srv-lo.pcap"), ("a/srv-eth0.pcap", "b/srv-lo.pcap")], ids=" ".join)
def test_where_the_name_is_another_they_may_be_of_two_hosts(names: tuple[str, str], tmp_path: Path) -> None:
    assert len(set(clocks(on_the_server(names, "ethernet", tmp_path)))) == 2


def sent_by_one_host(address: str, folder: Path) -> list[Path]:
    """Two captures of a client, one after the other, on connections of their own."""
    scenario = Scenario()
    server, client = scenario.host("10.9.0.1", name="srv"), scenario.host(address, name="cl1")
    client.getattr(server, FILE)
    scenario.wait(300)
    client.lock(server, FILE).granted()
    captures = [
        scenario.capture(at=client, link="sll2", until=100),
        scenario.capture(at=client, link="sll2", since=100),
    ]
    return written(folder, ("before.pcap", "after.pcap"), captures)


def test_captures_that_one_host_sent_have_one_clock_whatever_they_are_called(tmp_path: Path) -> None:
    assert clocks(sent_by_one_host("10.8.0.1", tmp_path)) == [0, 0]


def test_an_address_that_every_host_may_have_shows_no_host(tmp_path: Path) -> None:
    assert len(set(clocks(sent_by_one_host("172.17.0.1", tmp_path)))) == 2
