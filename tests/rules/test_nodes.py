"""Nodes, address translation, hosts with several addresses: one conversation counts once, the right host is named."""

from __future__ import annotations

import json
import struct
from collections import Counter
from dataclasses import dataclass, field, fields, replace
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from nfsrpc.columns import Table
from nfsrpc.decode import decode
from nfsrpc.diagnosis.verdict import diagnose
from nfsrpc.findings.finding import Finding
from nfsrpc.sessions import COUNTING, WANTED, Sessions
from tests import wire
from tests.captures_dir import SETS
from tests.records import clock_set
from tests.rules.expected import cases
from tests.rules.stage import CLIENT, LOCKD, OTHER, PATH, SERVER, Stage, diagnosed
from tests.scenario import Host, Nat
from tests.wire import LINKS, Frame, pcap, sll2

SERVICE, POD = "10.96.0.77", "10.244.6.11"
DNAT = Nat({SERVER: SERVICE})
BOTH = Nat({SERVER: SERVICE}, {CLIENT: POD})
BEFORE, AFTER = replace(BOTH, seen="before"), replace(BOTH, seen="after")


def sessions(*captures: bytes, counted: bool = False) -> Sessions:
    return Sessions(decode(list(captures), WANTED, counting=COUNTING if counted else None))


def hosts(tables: Sessions) -> dict[str, tuple[str, ...]]:
    return {row.host: row.addresses for row in tables["hosts"].rows()}


def counted_once(table: Table) -> int:
    return int((~table.valid("duplicate_of")).sum())


def found(captures: bytes | list[bytes]) -> list[tuple[str, str | None, str]]:
    return [(finding.rule, finding.host, finding.certainty) for finding in diagnosed(captures).findings]


def working(stage: Stage) -> None:
    """A client that mounts by way of TCP and UDP, uses NFS and locks."""
    stage.client.getport(stage.server, "mount3", transport="udp", netid="udp", cred=False)
    stage.client.mount(stage.server, "/srv", transport="udp")
    stage.nfs(times=3)
    stage.wait(3)
    stage.client.getport(stage.server, "nlm4")
    lock = stage.client.lock(stage.server, PATH).granted(after=0.01)
    lock.unlock().granted(after=0.01)


@dataclass
class Locking:
    """A stage on which a client works, and what each vantage shows of it."""

    stage: Stage = field(default_factory=Stage)

    def __post_init__(self) -> None:
        working(self.stage)

    def capture(self, nat: Nat | None = None) -> bytes:
        return self.stage.wire(nat=nat)


# One packet before and after translation


@pytest.mark.parametrize("nat", [DNAT, BOTH], ids=["dnat", "dnat-and-masquerade"])
def test_what_is_seen_on_both_sides_counts_once(nat: Nat) -> None:
    locking = Locking()
    plain, both = sessions(locking.capture()), sessions(locking.capture(nat))
    for name in ("calls", "flows"):
        assert len(both[name]) == 2 * len(plain[name]), name
        assert counted_once(both[name]) == counted_once(plain[name]), name
    assert len(both["locks"]) == 1
    assert both["programs"].values("calls") == plain["programs"].values("calls")
    assert set(both["calls"]["server"].tolist()) == {SERVER}
    assert set(both["calls"]["client"].tolist()) == {CLIENT}


@pytest.mark.parametrize("nat", [DNAT, BOTH], ids=["dnat", "dnat-and-masquerade"])
def test_sums_are_kept_by_side_and_one_of_them_counts(nat: Nat) -> None:
    both = sessions(Locking().capture(nat), counted=True)
    tallies = both["tallies"]
    assert sorted(zip(tallies["exchanges"].tolist(), tallies.valid("counted_in").tolist(), strict=True)) == [
        (3, False),
        (3, True),
    ]
    nfs = both["programs"].where(both["programs"]["prog"] == 100003)
    assert nfs.values("calls") == [3]


def test_both_addresses_are_known_and_the_real_one_leads() -> None:
    assert hosts(sessions(Locking().capture(BOTH))) == {SERVER: (SERVER, SERVICE), CLIENT: (CLIENT, POD)}


def test_captures_on_either_side_are_of_one_conversation() -> None:
    locking = Locking()
    tables = sessions(locking.capture(BEFORE), locking.capture(AFTER))
    assert hosts(tables) == {SERVER: (SERVER, SERVICE), CLIENT: (CLIENT, POD)}
    assert counted_once(tables["calls"]) == len(tables["calls"]) / 2
    assert tables.exchanges.clocks.offset.tolist() == [0, 20_000]


def test_connections_that_had_begun_before_the_capture() -> None:
    """No SYN, and no handshake by which to know which side is the client's."""
    stage = Stage()
    for svid in range(4):
        stage.client.lock(stage.server, svid=svid).granted(after=0.01)
        stage.wait(1)
    tables = sessions(stage.wire(nat=BOTH, since=0.5))
    assert hosts(tables) == {SERVER: (SERVER, SERVICE), CLIENT: (CLIENT, POD)}
    assert counted_once(tables["calls"]) == 3


@pytest.mark.parametrize(("exchanges", "merged"), [(2, False), (3, True)])
def test_over_udp_alone_several_exchanges_have_to_agree(exchanges: int, merged: bool) -> None:
    stage = Stage()
    for svid in range(exchanges):
        stage.client.lock(stage.server, svid=svid, transport="udp").granted(after=0.01)
        stage.wait(1)
    tables = sessions(stage.wire(nat=BOTH))
    assert (len(hosts(tables)) == 2) == merged
    assert counted_once(tables["calls"]) == (exchanges if merged else 2 * exchanges)


def test_over_udp_an_exchange_that_one_side_alone_has_speaks_against_it() -> None:
    stage = Stage()
    for svid in range(4):
        stage.client.lock(stage.server, svid=svid, transport="udp").granted(after=0.01)
        stage.wait(1)
    pod, service = stage.scenario.host(POD), stage.scenario.host(SERVICE)
    pod.lock(service, svid=9, transport="udp").granted(after=0.01)
    assert len(hosts(sessions(stage.wire(nat=BOTH)))) == 4


def test_the_client_alone_knows_the_service_address_only() -> None:
    assert hosts(sessions(Locking().capture(BEFORE))) == {SERVICE: (SERVICE,), POD: (POD,)}


def test_a_port_that_is_dropped_behind_a_service_address_is_one_fault_of_the_real_server() -> None:
    stage = Stage()
    stage.nfs(times=2)
    for _ in range(2):
        stage.client.getport(stage.server, "nlm4")
        stage.client.syn(stage.server, LOCKD, resend=[1, 3, 7, 15, 31])
        stage.later(40)
    diagnosis = diagnosed(stage.wire(nat=DNAT))
    lockd = [finding for finding in diagnosis.findings if finding.rule == "NET001"]
    assert [(finding.host, finding.clients) for finding in lockd] == [(SERVER, (CLIENT,))]
    assert SERVICE not in str([*lockd[0].remedy, *lockd[0].verify])


def test_a_node_that_translates_is_where_the_capture_was_taken() -> None:
    (capture,) = sessions(Locking().capture(BOTH))["captures"].rows()
    assert capture.host == CLIENT
    assert not capture.where.startswith("server")
    assert capture.loopback_of is None  # a pod's is not in it


def test_a_client_and_its_nat_are_not_two_addresses_that_lock() -> None:
    assert "MON005" not in {rule for rule, _, _ in found(Locking().capture(BOTH))}


def test_two_pods_behind_one_address_are_to_the_server_one_client() -> None:
    stage = Stage()
    for port in (700, 800):
        stage.client.lock(stage.server, from_port=port).granted()
        stage.wait(1)
    stage.client.lock(stage.server, "/srv/third", from_port=700).granted()
    assert ("LCK014", CLIENT) in {(rule, host) for rule, host, _ in found(stage.wire(nat=BOTH))}


# What is not translation


def twins(stage: Stage, *transports: str) -> None:
    """Two clients that use the same xids at the same time, each call of one within a call of the other."""
    for number in range(5):
        for transport in transports:
            options = {"xid": 500 + number, "transport": transport}
            first = stage.client.call(stage.server, "nfs3", "NULL", **options)
            stage.other.call(stage.server, "nfs3", "NULL", **options).reply(after=0.001)
            first.reply(after=0.005)
            first = stage.client.call(stage.server, "nlm4", "NULL", **options)
            stage.other.call(stage.server, "nlm4", "NULL", **options).reply(after=0.001)
            first.reply(after=0.005)
        stage.wait(1)


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_two_clients_with_equal_xids_stay_two(transport: str) -> None:
    stage = Stage()
    twins(stage, transport)
    tables = sessions(stage.wire())
    assert set(hosts(tables)) == {SERVER, CLIENT, OTHER}
    assert counted_once(tables["calls"]) == 20


@pytest.mark.parametrize("counted", [False, True], ids=["listed", "counted"])
def test_two_clients_with_equal_sequence_numbers_stay_two(counted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """As of a TCP that begins each connection with the same number."""
    monkeypatch.setattr(wire, "SEQUENCE_STEP", 0)
    stage = Stage()
    for times, client in enumerate((stage.client, stage.other), 1):
        stage.nfs(client, times)
        client.lock(stage.server, f"/srv/{times}").granted(after=0.01)
    tables = sessions(stage.wire(), counted=counted)
    assert set(hosts(tables)) == {SERVER, CLIENT, OTHER}
    assert sum(tables["programs"].values("calls")) == 5


def test_two_servers_behind_one_service_address_stay_two() -> None:
    stage = Stage()
    second = stage.scenario.host("10.0.0.8", name="nfssrv2")
    for server in (stage.server, second):
        for client in (stage.client, stage.other):
            client.getattr(server, PATH)
            client.lock(server, PATH).granted(after=0.01)
    tables = sessions(stage.wire(nat=Nat({SERVER: SERVICE, second.address: SERVICE})))
    assert set(hosts(tables)) == {SERVER, "10.0.0.8", CLIENT, OTHER}
    assert counted_once(tables["calls"]) == 8
    counted = sessions(stage.wire(nat=Nat({SERVER: SERVICE, second.address: SERVICE})), counted=True)
    assert counted["programs"].where(counted["programs"]["prog"] == 100003).values("calls") == [4]


def test_a_connection_that_a_proxy_makes_is_its_own() -> None:
    """The same calls on two connections with sequence numbers of their own: the proxy is a host."""
    stage = Stage()
    proxy = stage.scenario.host("10.0.0.5", name="proxy")
    for number in range(4):
        first = stage.client.call(proxy, "nlm4", "NULL", xid=900 + number)
        proxy.call(stage.server, "nlm4", "NULL", xid=900 + number).reply(after=0.001)
        first.reply(after=0.004)
    tables = sessions(stage.wire())
    assert set(hosts(tables)) == {SERVER, CLIENT, "10.0.0.5"}
    assert counted_once(tables["calls"]) == 8


# One host with several addresses


def dual(*, at_server: bool = True, times: int = 20) -> tuple[Stage, bytes]:
    """A server with an IPv4 and an IPv6 address, each with a client of its own, whose statd is not registered."""
    stage = Stage()
    six = stage.scenario.host("fd00::9", name="nfssrv")
    client = stage.scenario.host("fd00::1", name="web-6")
    stage.nfs()
    client.getattr(six, PATH)
    waiting = [stage.client.lock(stage.server), client.lock(six, "/srv/six")]
    stage.statd_asked(stage.server, times)
    for lock in waiting:
        lock.granted(after=61.6, resent=[10.2, 31.7, 60.5])
    stage.nfs()
    client.getattr(six, PATH)
    places = [stage.server, six]
    return stage, merged(*(stage.any(place) for place in places)) if at_server else stage.wire(six)


def merged(*captures: bytes) -> bytes:
    """The records of pcap files of one host in order of time, each once."""
    records = set()
    for capture in captures:
        at = 24
        while at < len(capture):
            seconds, fraction, size = struct.unpack_from("<III", capture, at)
            records.add((seconds, fraction, capture[at : at + 16 + size]))
            at += 16 + size
    return captures[0][:24] + b"".join(record for _, _, record in sorted(records))


def test_two_addresses_with_one_loopback_are_one_host() -> None:
    _, capture = dual()
    (host,) = [addresses for addresses in hosts(sessions(capture)).values() if SERVER in addresses]
    assert set(host) == {SERVER, "fd00::9"}
    diagnosis = diagnosed(capture)
    accused = [finding for finding in diagnosis.findings if finding.rule == "REG001"]
    assert [finding.certainty for finding in accused] == ["certain"]
    assert accused[0].clients == (CLIENT, "fd00::1")
    assert not any("loopback" in answer.why for answer in diagnosis.cannot_tell if answer.rule == "REG001")


def forwarded(stage: Stage, node: Host) -> bytes:
    """A capture on all interfaces of a node that forwards what others send: each packet comes in and goes out."""
    packets = [packet for packet in stage.scenario.packets() if packet.source is not packet.target]
    own = [packet for packet in stage.scenario.packets() if packet.source is packet.target is node]
    frames = []
    for packet in packets:
        frames.append(Frame(packet.time, 0, sll2(packet, packet.target)))
        frames.append(Frame(packet.time + 3_000, 0, sll2(packet, packet.source)))
    frames += [Frame(packet.time, 0, sll2(packet, node)) for packet in own]
    return pcap(sorted(frames, key=lambda frame: frame.time), LINKS["sll2"][0], 262_144, [""])


def test_a_node_that_forwards_is_none_of_the_hosts_whose_packets_it_sends_on() -> None:
    """Its loopback, where statd is not registered, proves nothing about the server of its pods."""
    stage = Stage()
    node = stage.scenario.host("10.0.0.50", name="node-1")
    for client in (stage.client, stage.other):
        client.getattr(stage.server, PATH)
        client.lock(stage.server).granted(after=0.01)
    stage.statd_asked(node, 21)
    stage.nfs()
    capture = forwarded(stage, node)
    assert set(hosts(sessions(capture))) == {SERVER, CLIENT, OTHER}
    (row,) = sessions(capture)["captures"].rows()
    assert (row.host, row.loopback_of) == (None, None)
    assert "REG001" not in {rule for rule, host, _ in found(capture) if host == SERVER}


@pytest.mark.parametrize("separate", [False, True], ids=["one-file", "two-files"])
def test_the_loopback_of_a_host_without_traffic_is_not_the_servers(separate: bool) -> None:
    """Only the server has no name on the wire: that alone does not make another host's loopback its own."""
    stage = Stage()
    node = stage.scenario.host("10.0.0.50", name="node-1")
    stage.nfs()
    stage.client.lock(stage.server).granted(after=0.01)
    stage.wait(20)
    stage.statd_asked(node, 21)
    stage.nfs()
    here, loopback = stage.wire(), stage.scenario.capture(node, on="lo")
    captures = [here, loopback] if separate else [merged(here, loopback)]
    assert not [rule for rule, host, _ in found(captures) if rule == "REG001" and host == SERVER]


def test_the_loopback_of_the_server_is_known_by_what_its_lockd_does_there() -> None:
    stage = Stage()
    stage.nfs()
    lock = stage.client.lock(stage.server)
    stage.statd_asked(stage.server, 20)
    lock.granted(after=61.6, resent=[10.2, 31.7, 60.5])
    stage.nfs()
    captures = [stage.wire(), stage.scenario.capture(stage.server, on="lo")]
    assert ("REG001", SERVER, "certain") in found(captures)


def rpcbind(stage: Stage, address: str) -> bytes:
    """A client asks one address of a server, and is told another, where it then locks."""
    second = stage.scenario.host(address, name="nfssrv")
    stage.nfs()
    call = stage.client.call(
        stage.server, "rpcbind4", "GETADDR", r_prog=100021, r_vers=4, r_netid="tcp", r_addr="", r_owner=""
    )
    call.reply(addr=f"{address}.{LOCKD >> 8}.{LOCKD & 255}")
    stage.client.lock(second).granted(after=0.01)
    return stage.wire()


def test_the_address_that_rpcbind_names_is_one_of_that_host() -> None:
    assert set(hosts(sessions(rpcbind(Stage(), "10.0.1.9")))) in ({SERVER, CLIENT}, {"10.0.1.9", CLIENT})


def unreachable_elsewhere(*, used: bool) -> bytes:
    """rpcbind names a port of another address for the lock manager, and nothing there answers."""
    stage = Stage()
    second = stage.scenario.host("10.0.1.9")
    stage.nfs()
    for _ in range(2):
        call = stage.client.call(
            stage.server, "rpcbind4", "GETADDR", r_prog=100021, r_vers=4, r_netid="tcp", r_addr="", r_owner=""
        )
        call.reply(addr=f"10.0.1.9.{4045 >> 8}.{4045 & 255}")
        stage.client.syn(second, 4045, resend=[1, 3, 7, 15, 31])
        stage.later(30)
        if used:
            stage.client.getattr(second, PATH)
    return stage.wire()


def test_the_port_that_rpcbind_names_at_another_address_has_that_program() -> None:
    flows = sessions(unreachable_elsewhere(used=False))["flows"]
    tried = flows.where(flows["server_port"] == 4045)
    assert set(zip(tried.values("server"), tried.values("prog"), tried.values("registered"), strict=True)) == {
        ("10.0.1.9", 100021, True)
    }


def test_a_port_at_another_address_of_the_host_is_filtered_there() -> None:
    diagnosis = diagnosed(unreachable_elsewhere(used=True))
    (filtered,) = [finding for finding in diagnosis.findings if finding.rule == "NET001"]
    assert "lockd" in filtered.title
    assert filtered.host in (SERVER, "10.0.1.9")


def test_an_address_that_talks_with_the_host_is_not_one_of_it() -> None:
    stage = Stage()
    stage.other.getattr(stage.server, PATH)
    tables = sessions(rpcbind(stage, OTHER))
    assert set(hosts(tables)) == {SERVER, CLIENT, OTHER}


def test_a_host_that_calls_back_from_another_address_keeps_both() -> None:
    """Both addresses are those of one capture, and it matters from which one the callback comes."""
    stage = Stage()
    second = stage.scenario.host("10.0.1.9", name="nfssrv")
    stage.other.getattr(second, PATH)
    stage.client.lock(stage.server).granted(after=0.01)
    second.getport(stage.client, "nlm4")
    capture = merged(*(stage.any(place) for place in (stage.server, second)))
    assert {SERVER, "10.0.1.9"} <= set(hosts(sessions(capture)))


# A node that is client and server at once


def both_at_once(gap: float = 1.2) -> bytes:
    """Its statd is gone: its client's lockd looks for it, and its server's, each every 3 s."""
    stage = Stage()
    node = stage.client
    elsewhere = stage.scenario.host("10.0.0.8", name="store")
    node.getattr(elsewhere, PATH)
    stage.other.getattr(node, PATH)
    stage.statd_asked(node, 2)
    node.getport(node, "nsm1", port=0)
    stage.wait(gap - 0.1)
    lock = stage.other.lock(node)
    stage.wait(0.1)
    for _ in range(20):
        stage.statd_asked(node, 1, gap=3.07 - gap)
        stage.statd_asked(node, 1, gap=gap)
    lock.granted(after=61.6, resent=[10.2, 31.7, 60.5])
    node.lock(elsewhere).granted(after=0.01)
    stage.nfs()
    return stage.any(node)


def test_both_searches_of_a_node_for_its_statd_are_seen() -> None:
    diagnosis = diagnosed(both_at_once())
    accused = {finding.rule: finding for finding in diagnosis.findings if finding.rule in ("REG001", "REG002")}
    assert {(rule, one.host, one.clients, one.count) for rule, one in accused.items()} == {
        ("REG001", CLIENT, (OTHER,), 20),
        ("REG002", CLIENT, (CLIENT,), 23),
    }
    for finding in accused.values():
        assert any("every 3.1 s" in proof.note for proof in finding.evidence), finding.evidence


def test_one_search_of_a_node_is_one() -> None:
    stage = Stage()
    stage.other.getattr(stage.client, PATH)
    stage.nfs()
    lock = stage.other.lock(stage.client)
    stage.statd_asked(stage.client, 20)
    lock.granted(after=61.6, resent=[10.2, 31.7, 60.5])
    assert [rule for rule, _, _ in found(stage.any(stage.client)) if rule in ("REG001", "REG002")] == ["REG001"]


# Files in any order


def orders(files: tuple[str, ...]) -> list[tuple[str, ...]]:
    """All of them for a few files, and for many some."""
    if len(files) <= 3:
        return list(permutations(files))
    return [files, files[::-1], files[1:] + files[:1], files[-1:] + files[:-1]]


def several() -> list[Any]:
    found = [(case.folder, case.files) for case in cases("samples", "kernel") if len(case.files) > 1]
    for path in sorted(SETS["reports"].found.glob("*/expected.json")):
        keys = json.loads(path.read_text())["captures"]
        found += [(path.parent, tuple(key.split(" + "))) for key in keys if " + " in key]
    return [pytest.param(folder, files, id=f"{folder.name}/{'+'.join(files)}") for folder, files in found]


def conclusions(folder: Path, files: tuple[str, ...]) -> dict[str, Any]:
    """What is concluded, with the names of files for their numbers."""
    tables = Sessions(decode([folder / file for file in files], WANTED))
    diagnosis = diagnose(tables)

    def shown(finding: Finding) -> dict[str, Any]:
        proof = [(files[one.capture], one.frame, one.note) for one in finding.evidence]
        return {**{item.name: getattr(finding, item.name) for item in fields(finding)}, "evidence": proof}

    def host(row: Any) -> tuple[Any, ...]:
        loopbacks = sorted(files[int(name.removeprefix("capture "))] for name in row.loopbacks)
        captures = sorted(files[int(number)] for number in row.captures)
        return row.host, row.addresses, row.names, row.roles, loopbacks, captures, row.client_calls, row.server_calls

    return {
        "verdict": diagnosis.verdict,
        "findings": [shown(finding) for finding in diagnosis.findings],
        "hosts": sorted(map(host, tables["hosts"].rows())),
        "locks": Counter(zip(tables["locks"].values("server"), tables["locks"].values("state"), strict=True)),
    }


@pytest.mark.parametrize(("folder", "files"), several())
def test_the_order_of_files_changes_nothing(folder: Path, files: tuple[str, ...]) -> None:
    first, *others = (conclusions(folder, order) for order in orders(files))
    for other in others:
        assert other == first


def test_the_order_of_captures_changes_nothing_where_clocks_differ() -> None:
    """Whose frames are shown does not depend on which capture was given first."""
    stage = Stage()
    stage.nfs(times=5)
    stage.client.lock(stage.server).granted(after=12)
    stage.nfs(times=5)
    wires = [stage.wire(stage.client), clock_set(stage.wire(stage.server), 1, 90)]
    one, other = (diagnosed(captures) for captures in (wires, wires[::-1]))
    assert [(f.rule, f.host, [(e.capture, e.frame) for e in f.evidence]) for f in one.findings] == [
        (f.rule, f.host, [(1 - e.capture, e.frame) for e in f.evidence]) for f in other.findings
    ]
