"""NET001: sYNs to the port of a registered RPC service are not answered: something drops them."""

from __future__ import annotations

import struct

from tests.records import records_of
from tests.rules.network.resends import SYNS
from tests.rules.stage import (
    CLIENT,
    LOCKD,
    OTHER,
    PATH,
    SERVER,
    STATD,
    Stage,
    asked,
    cannot_tell,
    findings,
    fires,
    quiet,
    threshold,
)


def is_syn(record: bytes, port: int) -> bool:
    """Whether a frame of an SLL2 capture opens a TCP connection to that port."""
    ip = record[16 + 20 :]
    return ip[9] == 6 and struct.unpack_from(">H", ip, 22)[0] == port and ip[33] & 0x12 == 0x02


@fires("NET001", host=SERVER, clients=(CLIENT,), certainty="likely")
def test_lockds_port_drops(stage: Stage) -> bytes:
    stage.client.getport(stage.server, "nlm4")
    stage.client.syn(stage.server, LOCKD, resend=SYNS)
    stage.nfs()
    return stage.wire()


def test_several_clients_before_one_port_are_one_fault() -> None:
    """Each with its tries; the longest is how long it took."""
    stage = Stage()
    for client, resend in ((stage.client, SYNS[:3]), (stage.other, SYNS)):
        client.getport(stage.server, "nlm4")
        client.syn(stage.server, LOCKD, resend=resend)
        stage.nfs(client)
    (found,) = findings(asked("NET001", stage.wire()))
    assert (found.clients, found.count, found.wait_s) == ((CLIENT, OTHER), 5 + len(SYNS), SYNS[-1])
    assert (
        f"{CLIENT} and {OTHER} sent {5 + len(SYNS)} SYNs to port {LOCKD} of {SERVER} each in up to" in found.explanation
    )
    assert [proof.note for proof in found.evidence] == [
        f"SYN to port {LOCKD}, never answered",
        f"SYN of {OTHER}, never answered",
    ]


def lockds_port_drops(stage: Stage) -> None:
    stage.client.getport(stage.server, "nlm4")
    stage.client.lock(stage.server).granted().flow.close()
    stage.statd_asked(stage.server, 1, port=STATD)
    stage.client.syn(stage.server, LOCKD, resend=SYNS)
    stage.nfs()


@fires("NET001", host=SERVER, certainty="certain", needs=None)
def test_lockds_port_drops_what_arrives_there(stage: Stage) -> bytes:
    lockds_port_drops(stage)
    return stage.any(stage.server)


def test_syns_that_are_lost_on_the_way_are_located() -> None:
    stage = Stage()
    lockds_port_drops(stage)
    client, server = stage.any(stage.client), stage.any(stage.server)
    syns = [number for number, record in enumerate(records_of(server), 1) if is_syn(record, LOCKD)][1:]
    assert len(syns) == 1 + len(SYNS)
    (found,) = findings(asked("NET001", [client, stage.any(stage.server, lost=syns)]))
    assert found.certainty == "certain"
    assert "they left the client and never reached the host" in found.explanation
    (found,) = findings(asked("NET001", [client, server]))
    assert "they arrived there" in found.explanation
    (found,) = findings(asked("NET001", client))
    assert found.certainty == "likely"
    assert found.needs is not None
    assert found.needs.vantage == f"wire of {SERVER}"


@fires("NET001", host="fd00::9", clients=("fd00::1",))
def test_a_dynamic_port_over_ipv6_drops(stage: Stage) -> bytes:
    server = stage.scenario.host("fd00::9", name="nfssrv", ports={100021: 41234})
    client = stage.scenario.host("fd00::1", name="web-1")
    question = {"r_prog": 100021, "r_vers": 4, "r_netid": "tcp6", "r_addr": "", "r_owner": ""}
    client.call(server, "rpcbind4", "GETADDR", **question).reply(addr="fd00::9.161.18")
    client.syn(server, 41234, resend=SYNS)
    client.getattr(server, "/srv/lock")
    return stage.wire()


@quiet("NET001")
def test_one_lost_syn(stage: Stage) -> bytes:
    stage.client.getport(stage.server, "nlm4")
    stage.client.syn(stage.server, LOCKD)
    stage.client.lock(stage.server).granted()
    return stage.wire()


@quiet("NET001")
def test_a_server_that_is_away_and_comes_back(stage: Stage) -> bytes:
    stage.client.getport(stage.server, "nlm4")
    stage.client.lock(stage.server).granted().flow.close()
    stage.client.syn(stage.server, LOCKD, resend=SYNS)
    stage.wait(15)
    stage.boots(stage.server, stage.client)
    stage.client.lock(stage.server, reclaim=True).granted()
    return stage.wire()


@cannot_tell("NET001")
def test_syns_of_a_capture_with_one_direction(stage: Stage) -> bytes:
    stage.client.getport(stage.server, "nlm4")
    stage.client.call(stage.client, "nsm1", "NULL")
    stage.client.syn(stage.server, 2049, resend=SYNS)
    return stage.wire(sent_by=stage.client)


def dropped(stage: Stage, resend: list[float]) -> None:
    stage.client.getport(stage.server, "nlm4")
    stage.client.syn(stage.server, LOCKD, resend=resend)
    stage.nfs()


@threshold("NET001", "tries", fires=3, quiet=2)
def test_so_many_syns(stage: Stage, tries: int) -> bytes:
    dropped(stage, [4 * number / (tries - 1) for number in range(1, tries)])
    return stage.wire()


@threshold("NET001", "during_s", fires=3.5, quiet=2.5)
def test_syns_over_so_long(stage: Stage, during_s: float) -> bytes:
    dropped(stage, [during_s / 3, during_s / 2, during_s])
    return stage.wire()


@threshold("NET001", "cured_s", fires=11, quiet=9)
def test_a_port_that_accepts_in_the_end(stage: Stage, cured_s: float) -> bytes:
    dropped(stage, [1, 3, 7])
    stage.wait(cured_s - 7)
    stage.client.lock(stage.server).granted()
    return stage.wire()


@threshold("NET001", "boot_s", fires=185, quiet=175)
def test_a_host_that_has_rebooted(stage: Stage, boot_s: float) -> bytes:
    dropped(stage, SYNS)
    stage.wait(boot_s)
    stage.boots(stage.server, stage.client)
    return stage.wire()


@quiet("NET001")
def test_a_scan_is_no_client(stage: Stage) -> bytes:
    stage.client.getattr(stage.server, PATH)
    for port in (2049, 111, 445, LOCKD):
        stage.other.syn(stage.server, port, resend=SYNS)
    return stage.wire()


@fires("NET001", host=SERVER, clients=(CLIENT,))
def test_a_port_that_is_called_in_the_capture_needs_no_portmapper(stage: Stage) -> bytes:
    stage.client.lock(stage.server).granted().flow.close()
    stage.client.syn(stage.server, LOCKD, resend=SYNS)
    stage.nfs()
    return stage.wire()


def reused_port(stage: Stage, accepted: bool) -> bytes:
    """SYNs of the source port of an older connection are dropped; another connection to the port is tried meanwhile."""
    stage.nfs()
    stage.client.syn(stage.server, 2049, resend=SYNS)
    stage.scenario.now -= 10 * 10**9
    if accepted:
        stage.client.reconnect(stage.server, 2049, same_port=False)
        stage.nfs()
    stage.wait(10)
    stage.client.getport(stage.server, "nlm4")
    return stage.wire()


def test_syns_of_one_source_port_are_dropped_while_others_are_accepted() -> None:
    (found,) = findings(asked("NET001", reused_port(Stage(), accepted=True)))
    assert found.title == f"SYNs of {CLIENT} from source port 999 to port 2049 of {SERVER} are dropped, others accepted"
    assert "the port is open" in found.explanation
    assert found.remedy[0].line == f"conntrack -D -p tcp -s {CLIENT} -d {SERVER} --sport 999 --dport 2049"
    assert not any("Open TCP port" in line.comment for line in found.remedy)
    (found,) = findings(asked("NET001", reused_port(Stage(), accepted=False)))
    assert str(found.remedy[0]) == f"iptables -S | grep 2049; nft list ruleset | grep 2049   # on {SERVER}"
    assert found.title == f"the nfsd of {SERVER} cannot be reached: SYNs to port 2049 are dropped"


@quiet("NET001")
def test_a_host_that_is_away_and_comes_back_without_notice(stage: Stage) -> bytes:
    stage.client.getport(stage.server, "nlm4")
    stage.client.syn(stage.server, LOCKD, resend=SYNS)
    stage.wait(15)
    stage.client.lock(stage.server).granted()
    return stage.wire()
