"""NET001: sYNs to the port of a registered RPC service are not answered: something drops them."""

from __future__ import annotations

import struct

from tests.records import records_of
from tests.rules.network.resends import SYNS
from tests.rules.stage import CLIENT, LOCKD, SERVER, STATD, Stage, asked, cannot_tell, findings, fires, quiet


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
    assert found.needs.vantage == f"wire of {SERVER}, both directions"


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
