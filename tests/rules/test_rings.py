"""Captures of two hosts whose clocks are a minute apart: no name and no common peer makes one host's clock of them."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
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
    ("trace_00001_20260101120000.pcapng", "trace_00002_20260101120100.pcapng"),
]


class Site:
    """Two clients of a server, which each have a lock while the other waits, or is not there."""

    def __init__(self) -> None:
        self.scenario = Scenario()
        self.server = self.scenario.host("10.9.0.1", name="srv")
        self.one = self.scenario.host("10.8.0.1", name="cl1")
        self.two = self.scenario.host("10.8.0.2", name="cl2")
        self.three = self.scenario.host("10.8.0.3", name="cl3")

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
    """Taken for a ring, the captures here accuse a server."""
    site = Site()
    story(site)
    assert certain(written(tmp_path, ("trace.pcap0", "trace.pcap1"), site.captures(60, "ethernet")))


@pytest.mark.parametrize("names", RINGS, ids=" ".join)
@pytest.mark.parametrize(("ahead_s", "is_one", "accuses"), [(12, False, False), (60, True, True), (300, True, False)])
def test_files_that_were_written_at_the_same_time_are_no_ring(
    names: tuple[str, str], ahead_s: int, is_one: bool, accuses: bool, tmp_path: Path
) -> None:
    """By the clocks of two clients that are 12 s apart their captures overlap by 3 s; further apart, they do not.

    In a pause of minutes, what was locked before may have been released.
    """
    site = Site()
    held_in_turn(site)
    paths = written(tmp_path, names, site.captures(ahead_s, "ethernet"))
    assert (len(set(clocks(paths))) == 1) == is_one
    assert bool(certain(paths)) == accuses


def three_in_turn(site: Site) -> None:
    """Three clients have the lock one after the other, two of them twice, and release it."""
    for client in (site.two, site.one, site.three, site.one, site.two):
        lock = client.lock(site.server, FILE).granted()
        site.scenario.wait(3)
        lock.unlock().granted()
        site.scenario.wait(3)
    for client in (site.one, site.two, site.three):
        client.getattr(site.server, FILE)


AT_ONCE = [
    ("server", "one"),
    ("one", "server"),
    ("server", "two"),
    ("one", "two"),
    ("server", "one", "two"),
    ("one", "two", "server"),
    ("one", "two", "three"),
    ("one", "server", "three"),
]


@pytest.mark.parametrize("ahead_s", [5, 12, 20])
@pytest.mark.parametrize("link", ["ethernet", "sll2"])
@pytest.mark.parametrize("hosts", AT_ONCE, ids=" ".join)
def test_captures_that_were_taken_at_once_accuse_nobody(
    hosts: tuple[str, ...], link: Link, ahead_s: int, tmp_path: Path
) -> None:
    """Of three each clock is ahead of the one before. The server has messages in common with all."""
    site = Site()
    three_in_turn(site)
    captures = [shifted(site.capture(getattr(site, host), link), ahead_s * number) for number, host in enumerate(hosts)]
    names = [f"trace-20260101-120{number}.pcap" for number in range(len(hosts))]
    trace = nfsrpc.read(*written(tmp_path, names, captures))
    assert [found.rule for found in trace.diagnosis.findings if found.severity == "error"] == []
    files = trace.tables["captures"]
    assert len(set(files["clock"].tolist())) == (1 if "server" in hosts else len(hosts))
    if "server" in hosts:
        offsets = files["offset_s"].tolist()
        assert [round(offset - offsets[0]) for offset in offsets] == [ahead_s * number for number in range(len(hosts))]


@pytest.mark.parametrize("link", ["ethernet", "sll2"])
@pytest.mark.parametrize(("overlap_s", "is_one"), [(0.9, True), (1.2, False)])
@pytest.mark.parametrize("then", ["one", "two"])
def test_frames_of_one_ring_are_out_of_order_by_less(
    then: str, overlap_s: float, is_one: bool, link: Link, tmp_path: Path
) -> None:
    """The second file is of another client, or the clock was set back."""
    site = Site()
    for wait_s in (5, 20 - overlap_s):
        site.one.getattr(site.server, FILE)
        site.scenario.wait(wait_s)
    later = getattr(site, then)
    later.getattr(site.server, FILE)
    before = site.scenario.capture(at=site.one, link=link, until=15)
    after = shifted(site.scenario.capture(at=later, link=link, since=15), -20)
    is_one &= then == "one" or link == "ethernet"
    assert (len(set(clocks(written(tmp_path, RINGS[0], [before, after])))) == 1) == is_one


@pytest.mark.parametrize("link", ["ethernet", "sll2"])
def test_a_ring_whose_clock_was_set_back_at_its_seam_accuses_nobody(link: Link, tmp_path: Path) -> None:
    """By that clock, the second client is granted the lock before the first one releases it."""
    site = Site()
    for client, held_s in ((site.one, 8), (site.two, 3)):
        lock = client.lock(site.server, FILE).granted()
        site.scenario.wait(held_s)
        lock.unlock().granted()
        site.scenario.wait(1)
    site.one.getattr(site.server, FILE)
    before = site.scenario.capture(at=site.server, link=link, until=8.5)
    after = shifted(site.scenario.capture(at=site.server, link=link, since=8.5), -5)
    assert len(before) > 24 < len(after)
    trace = nfsrpc.read(*written(tmp_path, RINGS[1], [before, after]))
    assert [found.rule for found in trace.diagnosis.findings if found.severity == "error"] == []
    assert len(set(trace.tables["captures"]["clock"].tolist())) == 2


@pytest.mark.parametrize(("pause_s", "vantages"), [(0.9, 2), (1.1, 3)])
def test_where_files_overlap_another_continues_one_only_at_once(pause_s: float, vantages: int, tmp_path: Path) -> None:
    """Of three clients the second one's capture lasts, and the third one's begins when the first one's has ended."""
    site = Site()
    for host, wait_s in ((site.one, 5.0), (site.two, 5.0), (site.one, pause_s), (site.three, 5.0), (site.two, 0.0)):
        host.getattr(site.server, FILE)
        site.scenario.wait(wait_s)
    captures = [site.capture(host, "ethernet") for host in (site.one, site.two, site.three)]
    trace = nfsrpc.read(*written(tmp_path, ("t.pcap0", "t.pcap1", "t.pcap2"), captures))
    assert len(trace.tables.decoded.vantages) == vantages
    assert len(set(trace.tables["captures"]["clock"].tolist())) == vantages


@pytest.mark.parametrize(("link", "vantages"), [("ethernet", [[0], [1], [2], [3]]), ("sll2", [[0, 1], [2, 3]])])
def test_files_that_one_host_sent_continue_each_other_whatever_overlaps(
    link: Link, vantages: list[list[int]], tmp_path: Path
) -> None:
    """The clock was set back by 8 s after the second file; between files lie 5 s of silence."""
    site = Site()
    for _ in range(4):
        for wait_s in (5, 5):
            site.one.getattr(site.server, FILE)
            site.scenario.wait(wait_s)
    parts = [site.scenario.capture(at=site.one, link=link, since=10 * at + 1e-9, until=10 * at + 9) for at in range(4)]
    parts = [shifted(data, -8 * (at >= 2)) for at, data in enumerate(parts)]
    names = [f"t.pcap{at}" for at in range(4)]
    assert sorted(nfsrpc.read(*written(tmp_path, names, parts)).tables.decoded.vantages) == vantages


@pytest.mark.parametrize("pause_s", [5, 100])
def test_that_files_overlap_counts_for_those_before_as_well(pause_s: int, tmp_path: Path) -> None:
    """The captures of two clients, one after the other, and the third one's beside the second one's."""
    site = Site()
    for host, wait_s in ((site.one, pause_s), (site.two, 5.0), (site.three, 5.0), (site.two, 5.0), (site.three, 0.0)):
        host.getattr(site.server, FILE)
        site.scenario.wait(wait_s)
    captures = [site.capture(host, "ethernet") for host in (site.one, site.two, site.three)]
    paths = written(tmp_path, ("t.pcap0", "t.pcap1", "t.pcap2"), captures)
    assert len(set(clocks(paths[:2]))) == 1
    assert len(set(clocks(paths))) == 3


@pytest.mark.parametrize(("silence_s", "vantages"), [(0.9, [[0, 2], [1, 3]]), (1.1, [[0], [1], [2], [3]])])
def test_files_of_two_rings_that_go_by_one_name_continue_the_right_ones(
    silence_s: float, vantages: list[list[int]], tmp_path: Path
) -> None:
    site = Site()
    for _ in range(60):
        site.one.getattr(site.server, FILE)
        site.two.getattr(site.server, FILE)
        site.scenario.wait(silence_s)
    parts = [
        site.scenario.capture(at=host, since=start + 1e-9, until=start + 25)
        for start, host in ((0, site.one), (7, site.two), (25, site.one), (32, site.two))
    ]
    names = [f"trace-20260101-12{minute:02}.pcap" for minute in (0, 7, 25, 32)]
    assert nfsrpc.read(*written(tmp_path, names, parts)).tables.decoded.vantages == vantages


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


NODES = [
    ("node-a.pcap", "node-b.pcap"),
    ("ibm1.pcap", "ibm2.pcap"),
    ("ibmcluster_node1.pcap", "ibmcluster_node2.pcap"),
    ("ensemble1.pcap", "ensemble2.pcap"),
    ("team1.pcap", "team2.pcap"),
    ("br1.pcap", "br2.pcap"),
    ("vlan10.pcap", "vlan20.pcap"),
    ("lo1.pcap", "lo2.pcap"),
    ("trace-eth0.pcap", "trace-ens192.pcap"),
    ("site-lo.pcap", "site-br0.pcap"),
    ("node-00002001.pcap", "node-00002002.pcap"),
    ("20260101_10_12_10_5.pcap", "20260101_10_13_10_5.pcap"),
    ("20260101_12.pcap", "20260101_13.pcap"),
    ("rack-03:12.pcap", "rack-03:13.pcap"),
    ("1681915905.pcap", "1681915906.pcap"),
    ("2112050001.pcap", "2112050002.pcap"),
]
WITHOUT_A_NAME: dict[str, Callable[[bytes], Any]] = {
    "bytes": bytes,
    "BytesIO": io.BytesIO,
    "chunks": lambda data: [data[:100], data[100:]],
}


def nodes(ahead_s: int) -> list[bytes]:
    """Captures of two nodes with several clients each: the server is an end of every flow of both."""
    site = Site()
    more = [site.scenario.host(f"10.8.0.{number}", name=f"pod{number}") for number in (11, 12)]
    held_in_turn(site)
    for pod in more:
        pod.getattr(site.server, FILE)
    one, two = (
        merged(*(site.capture(pod, "ethernet") for pod in pods)) for pods in ((site.one, more[0]), (site.two, more[1]))
    )
    return [one, shifted(two, ahead_s)]


@pytest.mark.parametrize("ahead_s", [60, 90])
@pytest.mark.parametrize("names", NODES, ids=" ".join)
def test_of_two_nodes_with_several_clients_each_nothing_is_certain(
    names: tuple[str, str], ahead_s: int, tmp_path: Path
) -> None:
    """As if both had been captured on the server."""
    assert not certain(written(tmp_path, names, nodes(ahead_s)))


@pytest.mark.parametrize("ahead_s", [60, 90])
@pytest.mark.parametrize("held", WITHOUT_A_NAME.values(), ids=WITHOUT_A_NAME.keys())
def test_nor_of_two_nodes_whose_captures_have_no_name(held: Callable[[bytes], Any], ahead_s: int) -> None:
    assert not certain([held(data) for data in nodes(ahead_s)])


def test_it_is_certain_where_the_name_says_that_two_nodes_are_one_ring(tmp_path: Path) -> None:
    """So the nodes here would accuse the server if their captures were taken for a ring."""
    assert certain(written(tmp_path, ("trace.pcap0", "trace.pcap1"), nodes(60)))


TAKEOVER = [
    ("node1.pcap", "node2.pcap"),
    ("primary.pcap", "backup.pcap"),
    ("trace.pcap0", "trace.pcap1"),
    ("trace-20260101-1200.pcap", "trace-20260101-1230.pcap"),
]


def takeover(behind_s: int, link: Link) -> list[bytes]:
    """Captures of two servers, the first one until the address of the service goes over to the second one.

    Each has an address of its own, too. The first client releases the lock before; the second one keeps it afterwards.
    """
    scenario = Scenario()
    service, monitor = scenario.host("10.9.0.1", name="srv"), scenario.host("10.9.0.99", name="monitor")
    servers = [scenario.host(f"10.9.0.{number}", name=f"n{number}") for number in (11, 12)]
    one, two = scenario.host("10.8.0.1", name="cl1"), scenario.host("10.8.0.2", name="cl2")
    monitor.getport(servers[0], "nlm4")
    lock = one.lock(service, FILE).granted()
    scenario.wait(5)
    lock.unlock().granted()
    scenario.wait(5)
    before = [scenario.capture(at=host, link=link) for host in (service, servers[0])]
    later_s = (scenario.now - scenario.segments[0].time) / SECOND + 1
    scenario.wait(20)
    monitor.getport(servers[1], "nlm4")
    two.lock(service, FILE).granted()
    scenario.wait(5)
    two.getattr(service, FILE)
    after = [scenario.capture(at=host, link=link, since=later_s) for host in (service, servers[1])]
    return [merged(*before), shifted(merged(*after), -behind_s)]


@pytest.mark.parametrize("behind_s", [60, 90])
@pytest.mark.parametrize("link", ["sll", "sll2"])
@pytest.mark.parametrize("names", TAKEOVER, ids=" ".join)
def test_of_two_servers_that_share_an_address_nothing_is_certain(
    names: tuple[str, str], link: Link, behind_s: int, tmp_path: Path
) -> None:
    paths = written(tmp_path, names, takeover(behind_s, link))
    assert not certain(paths)
    assert len(set(clocks(paths))) == 2


@pytest.mark.parametrize("behind_s", [60, 90])
def test_nor_of_servers_whose_captures_have_no_name(behind_s: int) -> None:
    assert not certain(takeover(behind_s, "sll2"))


ON_ONE_HOST = [("srv-eth0.pcap", "srv-lo.pcap"), ("eth0.pcap", "lo.pcap"), ("10.9.0.1.pcap0", "10.9.0.1-lo.pcap0")]


@pytest.mark.parametrize("names", ON_ONE_HOST, ids=" ".join)
def test_no_name_of_an_interface_makes_one_host(names: tuple[str, str], tmp_path: Path) -> None:
    """The server's network card and its loopback, which have no message in common, may as well be of two hosts."""
    site = Site()
    held_in_turn(site)
    site.server.getport(site.server, "nsm1")
    captures = [site.scenario.capture(at=site.server), site.scenario.capture(at=site.server, on="lo")]
    assert len(set(clocks(written(tmp_path, names, captures)))) == 2


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


def test_a_capture_that_lacks_an_address_of_its_host_has_its_clock(tmp_path: Path) -> None:
    scenario = Scenario()
    server, client = scenario.host("10.9.0.1", name="srv"), scenario.host("10.8.0.1", name="cl1")
    other = scenario.host("10.8.1.1", name="cl1")
    client.getattr(server, FILE)
    scenario.wait(300)
    client.lock(server, FILE).granted()
    other.getattr(server, FILE)
    before = scenario.capture(at=client, link="sll2", until=100)
    after = [scenario.capture(at=host, link="sll2", since=100) for host in (client, other)]
    assert clocks(written(tmp_path, ("before.pcap", "after.pcap"), [before, merged(*after)])) == [0, 0]


def test_an_address_that_every_host_may_have_shows_no_host(tmp_path: Path) -> None:
    assert len(set(clocks(sent_by_one_host("172.17.0.1", tmp_path)))) == 2
