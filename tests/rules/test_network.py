"""The network, RPC, MOUNT and NFS: NET001 to NET007, RPC001 to RPC005, MNT001, NFS001."""

from __future__ import annotations

import struct

from tests.records import NO_CHECKSUM, kept, records_of, sent_again, source_port, target_port
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
    diagnosed,
    findings,
    fires,
    quiet,
    rules_of,
)
from tests.scenario import Exchange
from tests.wire import UDP

SYNS = [1, 3, 7, 15]  # seconds after the first, as Linux sends them again


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


@fires("NET002", host=SERVER, clients=(CLIENT,))
def test_lockds_port_refuses(stage: Stage) -> bytes:
    stage.client.getport(stage.server, "nlm4")
    for _ in range(20):
        stage.client.syn(stage.server, LOCKD, refused=True)
        stage.wait(0.014)
    return stage.wire()


@fires("NET002", host=SERVER)
def test_a_udp_port_that_icmp_tells_to_be_closed(stage: Stage) -> bytes:
    stage.client.getport(stage.server, "nlm4", netid="udp")
    for svid in range(2):
        lock = stage.client.lock(stage.server, svid=svid, transport="udp")
        lock.unreachable()
        stage.wait(5)
    return stage.wire()


def test_a_server_without_udp_refuses_nobody() -> None:
    """As automounters ask: NULL over UDP, and again, and then over TCP."""
    stage = Stage()
    for _ in range(2):
        probe = stage.client.call(stage.server, "nfs3", "NULL", transport="udp", cred=False)
        probe.unreachable()
        probe.resend(after=2)
        probe.unreachable()
    stage.client.getport(stage.server, "nlm4", netid="udp", transport="udp")
    probe = stage.client.call(stage.server, "nlm4", "NULL", transport="udp", cred=False)
    probe.unreachable()
    probe.resend(after=2)
    probe.unreachable()
    stage.nfs()
    stage.client.lock(stage.server).granted()
    stage.later(20)
    assert diagnosed(stage.wire()).verdict.state == "healthy"


@fires("NET002", host=SERVER)
def test_a_client_that_does_not_turn_to_tcp(stage: Stage) -> bytes:
    stage.client.call(stage.server, "nfs3", "NULL", transport="udp").unreachable().resend(after=2).unreachable()
    stage.wait(20)
    stage.client.call(stage.server, "portmap2", "NULL").reply()
    return stage.wire()


@cannot_tell("NET002")
def test_the_capture_ends_before_the_client_turns_to_tcp(stage: Stage) -> bytes:
    stage.client.call(stage.server, "nfs3", "NULL", transport="udp").unreachable().resend(after=2).unreachable()
    return stage.wire()


@quiet("NET002")
def test_a_service_at_another_port_now(stage: Stage) -> bytes:
    stage.client.getport(stage.server, "nlm4")
    for _ in range(5):
        stage.client.syn(stage.server, LOCKD, refused=True)
        stage.wait(0.1)
    stage.server.ports[100021] = 40_001
    stage.client.getport(stage.server, "nlm4")
    stage.client.lock(stage.server).granted()
    return stage.wire()


@quiet("NET002")
def test_a_port_that_nobody_named(stage: Stage) -> bytes:
    stage.nfs()
    for _ in range(3):
        stage.client.syn(stage.server, 22, refused=True)
    return stage.wire()


@quiet("NET002")
def test_a_closed_port_of_the_loopback(stage: Stage) -> bytes:
    stage.client.lock(stage.server).granted()
    stage.server.getport(stage.server, "nsm1")
    for _ in range(3):
        stage.server.syn(stage.server, STATD, refused=True)
    return stage.any(stage.server)


@cannot_tell("NET002")
def test_no_connection(stage: Stage) -> bytes:
    stage.client.getport(stage.server, "nlm4", transport="udp")
    return stage.wire()


@fires("NET003", host=SERVER, clients=(CLIENT,))
def test_a_connection_that_died_unnoticed(stage: Stage) -> bytes:
    stage.nfs()
    stage.client.lock(stage.server).granted()
    stage.wait(600)
    stage.client.lock(stage.server, "/srv/second", acked=False)
    frame = len(stage.scenario.packets())
    stage.later(20)
    stage.client.reconnect(stage.server, LOCKD)
    stage.client.lock(stage.server, "/srv/third").granted()
    return sent_again(stage.wire(), {frame: [0.2, 0.6, 1.4, 3.0, 6.2]})


def forgotten(stage: Stage, times: float = 36) -> bytes:
    """The lock connection dies while it is idle; after so many times 5 s the client opens another, and is answered."""
    stage.nfs()
    stage.wait(600)
    lock = stage.client.lock(stage.server, acked=False)
    frame = len(stage.scenario.packets())
    for _ in range(36):
        stage.later(times * 5 / 36)
    stage.client.reconnect(stage.server, LOCKD)
    lock.resend()
    lock.granted()
    return sent_again(stage.wire(), {frame: [0.2, 0.6, 1.4, 3.0, 6.2, 12.6, 25, 51, 102]})


@cannot_tell("REG001", command=True)
def test_statd_is_not_to_blame_for_a_lock_that_never_arrived(stage: Stage) -> bytes:
    return forgotten(stage)


def begun_late(stage: Stage) -> bytes:
    """The same, but the handshake of the dead connection was not captured."""
    capture = forgotten(stage)
    dead = min(source_port(record) for record in records_of(capture) if target_port(record) == LOCKD)
    ports = ((dead, LOCKD), (LOCKD, dead))
    handshake = [record for record in records_of(capture) if (source_port(record), target_port(record)) in ports][:3]
    return kept(capture, lambda record: record not in handshake)


@fires("NET003", host=SERVER, clients=(CLIENT,))
def test_a_connection_that_had_died_before_the_capture_began(stage: Stage) -> bytes:
    return begun_late(stage)


@cannot_tell("REG001", command=True)
def test_statd_is_not_to_blame_for_a_lock_on_a_connection_that_had_died_before(stage: Stage) -> bytes:
    return begun_late(stage)


def test_a_forgotten_connection_is_the_verdict_and_its_wait_that_of_the_lock() -> None:
    verdict = diagnosed(forgotten(Stage())).verdict
    assert verdict.rule == "NET003"
    assert "180 s" in verdict.summary


def dies(stage: Stage, *, tried: bool) -> bytes:
    """The server's host dies: NFS and locks are sent again on their connections, and new ones get no answer."""
    stage.client.lock(stage.server).granted()
    stage.later(10)
    stage.wait(30)
    stage.client.call(stage.server, "nfs3", "GETATTR", acked=False)
    stage.client.lock(stage.server, "/srv/second", acked=False)
    frame = len(stage.scenario.packets())
    stage.wait(120)
    for port in (2049, LOCKD) if tried else ():
        stage.client.syn(stage.server, port, resend=SYNS)
    stage.other.call(stage.client, "portmap2", "NULL", transport="udp").reply()
    again = [0.2, 0.6, 1.4, 3.0, 6.2, 12.6, 25, 51, 102]
    return sent_again(stage.wire(), {frame - 1: again, frame: again})


def test_a_host_that_died_is_why_its_locks_wait() -> None:
    diagnosis = diagnosed(dies(Stage(), tried=True))
    assert diagnosis.verdict.rule == "NET001"
    assert {"LCK001", "RPC005"} <= rules_of(diagnosis.findings[0].explains)


def test_where_nfs_waits_as_well_statd_is_no_explanation() -> None:
    diagnosis = diagnosed(dies(Stage(), tried=False))
    assert {found.rule for found in diagnosis.findings} >= {"LCK001", "RPC005"}
    assert diagnosis.hypotheses == ()


@fires("NET003", host=SERVER, clients=(CLIENT,), certainty="likely", count=2)
def test_a_host_that_fell_silent(stage: Stage) -> bytes:
    return dies(stage, tried=False)


def test_a_silent_host_explains_what_waits_for_it() -> None:
    diagnosis = diagnosed(dies(Stage(), tried=False))
    assert diagnosis.verdict.rule == "NET003"
    assert diagnosis.verdict.summary.startswith(f"{SERVER} has fallen silent: the whole host")
    assert {"LCK001", "RPC005"} <= rules_of(diagnosis.findings[0].explains)
    missing = [found.host for found in diagnosis.findings if found.rule == "CAP005"]
    assert missing == [SERVER]  # its wire; what passes over the loopback of a host that is down, nobody needs


def silent_over_udp(stage: Stage, *programs: str) -> bytes:
    for client in (stage.client, stage.other):
        client.getattr(stage.server, PATH, transport="udp")
    stage.wait(30)
    calls = {
        "nfs3": lambda: stage.client.call(stage.server, "nfs3", "GETATTR", transport="udp"),
        "nlm4": lambda: stage.client.lock(stage.server, transport="udp"),
    }
    for program in programs:
        calls[program]().unanswered(resend=[1.1, 3.3, 7.7])
    stage.wait(30)
    stage.other.call(stage.client, "portmap2", "NULL", transport="udp").reply()
    return stage.wire()


@fires("NET003", host=SERVER, count=2)
def test_two_services_that_fell_silent_over_udp(stage: Stage) -> bytes:
    return silent_over_udp(stage, "nfs3", "nlm4")


@cannot_tell("NET003")
def test_one_service_that_fell_silent_over_udp(stage: Stage) -> bytes:
    return silent_over_udp(stage, "nlm4")


@fires("NET003", host=SERVER, clients=(CLIENT,), certainty="likely")
def test_a_host_that_was_silent_for_a_while(stage: Stage) -> bytes:
    stage.nfs()
    call = stage.client.call(stage.server, "nfs3", "GETATTR", object=b"x" * 8, acked=False)
    frame = len(stage.scenario.packets())
    stage.wait(300)
    stage.client.reconnect(stage.server, 2049)
    call.resend().reply(status="OK", type="REG")
    return sent_again(stage.wire(), {frame: [0.2, 0.6, 1.4, 3.0, 6.2, 12.6, 25, 51, 102]})


@quiet("NET003")
def test_a_client_that_fell_silent(stage: Stage) -> bytes:
    first = stage.client.lock(stage.server).granted()
    waiter = stage.other.lock(stage.server)
    waiter.blocked()
    stage.wait(30)
    first.unlock().granted()
    grant = {"alock": waiter.args["alock"], "cookie": b"1234", "exclusive": True}
    call = stage.server.call(stage.other, "nlm4", "GRANTED_MSG", **grant, acked=False)
    frame = sum(packet.time <= call.time for packet in stage.scenario.packets())
    for _ in range(6):
        stage.later(5)
    return sent_again(stage.wire(), {frame: [0.2, 0.6, 1.4, 3.0, 6.2]})


@quiet("NET003")
def test_a_host_that_is_silent_because_it_boots(stage: Stage) -> bytes:
    dies(stage, tried=False)
    stage.boots(stage.server, stage.client)
    return dies(stage, tried=False)


@quiet("NET003")
def test_a_connection_that_lives(stage: Stage) -> bytes:
    stage.nfs(times=3)
    stage.client.lock(stage.server).granted()
    return stage.wire()


@cannot_tell("NET003")
def test_no_tcp(stage: Stage) -> bytes:
    stage.client.getport(stage.server, "nlm4", transport="udp")
    return stage.wire()


@fires("NET004", clients=(CLIENT,))
def test_a_datagram_whose_second_half_is_missing(stage: Stage) -> bytes:
    stage.nfs()
    call = stage.client.call(stage.server, "nfs3", "GETATTR", transport="udp", object=b"x" * 8)
    call.unanswered(resend=[1.1, 3.3])
    stage.later(40)
    return without_the_end(stage.wire())


def without_the_end(capture: bytes) -> bytes:
    """The first datagram says that more fragments follow, and none does."""
    at, ip = 24, 16 + 14
    while capture[at + ip + 9] != 17:
        at += 16 + int(struct.unpack_from("<I", capture, at + 8)[0])
    flags = at + ip + 6
    return (
        capture[:flags]
        + struct.pack(">H", 0x2000)
        + capture[flags + 2 : flags + 4]
        + NO_CHECKSUM
        + capture[flags + 6 :]
    )


def large_call(stage: Stage) -> Exchange:
    """A WRITE over UDP, in three fragments."""
    write = {"file": b"x" * 8, "offset": 0, "count": 4000, "stable": "FILE_SYNC", "data": b"x" * 4000}
    return stage.client.call(stage.server, "nfs3", "WRITE", transport="udp", **write)


@fires("NET004", clients=(CLIENT,))
def test_every_copy_lacks_its_last_fragment(stage: Stage) -> bytes:
    stage.client.getattr(stage.server, "/srv", transport="udp")
    large_call(stage).unanswered(resend=[1.1, 3.3, 7.7])
    return stage.wire(mtu=1500, lost=range(5, 15, 3))


@quiet("NET004")
def test_a_filter_by_port_lets_only_first_fragments_through(stage: Stage) -> bytes:
    stage.client.getattr(stage.server, "/srv", transport="udp")
    for _ in range(4):
        large_call(stage).reply(status="OK")
        stage.wait(1.1)
    return stage.wire(mtu=1500, lost=[frame for call in range(4, 20, 4) for frame in (call, call + 1)])


@quiet("NET004")
def test_udp_without_loss(stage: Stage) -> bytes:
    stage.client.getport(stage.server, "nlm4", transport="udp")
    return stage.wire()


@cannot_tell("NET004")
def test_no_udp(stage: Stage) -> bytes:
    stage.nfs()
    return stage.wire()


@fires("NET005", host=SERVER, clients=(CLIENT,))
def test_a_reply_from_elsewhere(stage: Stage) -> bytes:
    second = stage.scenario.host("10.0.0.10", name="nfssrv")
    question = {"prog": 100021, "vers": 4, "prot": 6}
    call = stage.client.call(stage.server, "portmap2", "GETPORT", transport="udp", from_port=900, **question)
    answer = stage.client.flow(second, 111, 17, 900)
    call.flow = answer
    call.reply(port=LOCKD)
    stage.later(20)
    return stage.wire()


def test_a_lock_that_is_answered_from_elsewhere_does_not_wait_for_statd() -> None:
    stage = Stage()
    stage.nfs()
    second = stage.scenario.host("10.0.0.10", name="nfssrv")
    lock = stage.client.lock(stage.server, transport="udp", from_port=900)
    lock.unanswered(resend=[10.2, 31.7])
    lock.flow = stage.client.flow(second, LOCKD, UDP, 900)
    lock.granted()
    stage.later(20)
    diagnosis = diagnosed(stage.wire(stage.client))
    assert diagnosis.verdict.rule == "NET005"
    assert "REG001" not in {found.rule for found in diagnosis.findings}


@quiet("NET005")
def test_a_reply_from_where_it_was_asked(stage: Stage) -> bytes:
    stage.client.getport(stage.server, "nlm4", transport="udp")
    return stage.wire()


@cannot_tell("NET005")
def test_no_datagrams(stage: Stage) -> bytes:
    stage.nfs()
    return stage.wire()


@fires("NET006", severity="info")
def test_a_lossy_network(stage: Stage) -> bytes:
    for _ in range(100):
        stage.nfs()
        stage.wait(0.1)
    return sent_again(stage.wire(), {frame: [0.25] for frame in range(4, 300, 3)})


@quiet("NET006")
def test_a_good_network(stage: Stage) -> bytes:
    stage.nfs(times=50)
    return stage.wire()


def messages(capture: bytes) -> list[int]:
    """The frames of NFS calls and their replies."""
    return [
        number
        for number, record in enumerate(records_of(capture), 1)
        if 2049 in (source_port(record), target_port(record)) and len(record) > 16 + 66 + 20
    ]


def test_losses_are_located_by_captures_of_both_ends() -> None:
    """Of the client's segments each sixth, of the server's each fifth is lost and comes later."""
    stage = Stage()
    for host in (stage.client, stage.server):
        stage.statd_asked(host, 1, port=STATD)
    for _ in range(60):
        stage.nfs()
        stage.wait(1)
    client, server = (stage.wire(host, on="any") for host in (stage.client, stage.server))
    client = sent_again(client, {frame: [0.3] for frame in messages(client)[:120:12]})
    server = sent_again(server, {frame: [0.3] for frame in messages(server)[1:121:10]})
    for captures in ([client, server], [server, client]):
        (found,) = findings(asked("NET006", captures))
        assert found.explanation.endswith(
            f" Of {CLIENT}'s segments 10 were lost on the way to {SERVER}, and of the server's 12."
        )
    (found,) = findings(asked("NET006", client))
    assert "lost on the way" not in found.explanation


def test_what_both_ends_show_again_was_not_lost_between_them() -> None:
    stage = Stage()
    for host in (stage.client, stage.server):
        stage.statd_asked(host, 1, port=STATD)
    stage.nfs(times=60)
    captures = [stage.wire(host, on="any") for host in (stage.client, stage.server)]
    again = [sent_again(capture, {frame: [0.3] for frame in messages(capture)[:120:6]}) for capture in captures]
    (found,) = findings(asked("NET006", again))
    assert "Nothing was lost between the two ends" in found.explanation


@cannot_tell("NET006")
def test_nothing_over_tcp(stage: Stage) -> bytes:
    stage.client.getport(stage.server, "nlm4", transport="udp")
    return stage.wire()


def slow(stage: Stage, seconds: float) -> bytes:
    for number in range(3):
        call = stage.client.call(stage.server, "nfs3", "GETATTR", transport="udp", object=b"x" * 8)
        call.reply(after=seconds, status="OK", type="REG")
        stage.client.lock(stage.server, svid=number, transport="udp").granted(after=seconds)
    return stage.wire()


@fires("NET007", severity="info")
def test_a_path_of_three_seconds(stage: Stage) -> bytes:
    return slow(stage, 3.0)


@fires("NET007", severity="warning")
def test_a_path_of_thirteen_seconds(stage: Stage) -> bytes:
    return slow(stage, 13.0)


@fires("NET007", severity="warning")
def test_a_path_that_becomes_slow(stage: Stage) -> bytes:
    stage.nfs(times=50)
    slow(stage, 13.0)
    stage.nfs(times=50)
    return stage.wire()


@quiet("NET007")
def test_a_server_that_stood_still_once(stage: Stage) -> bytes:
    calls = [
        stage.client.call(stage.server, "nfs3", "GETATTR", transport="udp", object=bytes([number]) * 8)
        for number in range(3)
    ]
    lock = stage.client.lock(stage.server, transport="udp")
    stage.wait(13)
    for call in calls:
        call.reply(status="OK", type="REG")
    lock.granted()
    return stage.wire()


@quiet("NET007")
def test_only_the_lock_manager_is_slow(stage: Stage) -> bytes:
    stage.nfs(times=5)
    for number in range(3):
        stage.client.lock(stage.server, svid=number).granted(after=10.0)
    return stage.wire()


@cannot_tell("NET007")
def test_no_answers(stage: Stage) -> bytes:
    stage.client.lock(stage.server)
    return stage.wire()


@fires("RPC001", host=SERVER, severity="error")
def test_no_version_4_of_the_lock_manager(stage: Stage) -> bytes:
    stage.client.lock(stage.server).error("PROG_MISMATCH", low=1, high=3)
    return stage.wire()


@fires("RPC001", severity="info")
def test_a_probe(stage: Stage) -> bytes:
    stage.client.call(stage.server, "nfs3", "NULL").error("PROG_UNAVAIL")
    return stage.wire()


@quiet("RPC001")
def test_all_programs_are_there(stage: Stage) -> bytes:
    stage.nfs()
    return stage.wire()


@cannot_tell("RPC001")
def test_calls_without_replies(stage: Stage) -> bytes:
    stage.client.lock(stage.server)
    return stage.wire()


@fires("RPC002", host=SERVER, clients=(CLIENT,), count=3)
def test_an_export_was_withdrawn(stage: Stage) -> bytes:
    stage.nfs()
    for _ in range(3):
        stage.client.lock(stage.server).error("AUTH_ERROR", auth_stat="AUTH_BADCRED")
    return stage.wire()


@quiet("RPC002")
def test_credentials_are_accepted(stage: Stage) -> bytes:
    stage.nfs()
    return stage.wire()


@quiet("RPC002")
def test_a_gss_context_is_renewed(stage: Stage) -> bytes:
    call = stage.client.call(stage.server, "nfs3", "GETATTR", object=b"x" * 8)
    call.error("AUTH_ERROR", auth_stat="RPCSEC_GSS_CTXPROBLEM")
    stage.nfs()
    return stage.wire()


@cannot_tell("RPC002")
def test_nobody_replied(stage: Stage) -> bytes:
    stage.client.lock(stage.server)
    return stage.wire()


@fires("RPC003", host=CLIENT, severity="info")
def test_one_xid_for_two_calls(stage: Stage) -> bytes:
    stage.client.call(stage.server, "nfs3", "GETATTR", xid=7, object=b"x" * 8).reply(status="OK", type="REG")
    stage.wait(5)
    stage.client.call(stage.server, "nfs3", "ACCESS", xid=7, object=b"x" * 8, access=1).error("SYSTEM_ERR")
    return stage.wire()


@quiet("RPC003")
def test_the_same_call_again(stage: Stage) -> bytes:
    stage.client.lock(stage.server).granted(after=12.0, resent=[10.0])
    return stage.wire()


@cannot_tell("RPC003")
def test_no_calls(stage: Stage) -> bytes:
    return stage.wire()


def held_up(stage: Stage) -> None:
    """Requests of two clients wait and are answered at once."""
    stage.nfs()
    first, second = stage.client.lock(stage.server, "/a"), stage.other.lock(stage.server, "/b")
    for _ in range(10):
        stage.later(2)
    first.granted(after=21.0)
    second.granted(after=21.1)


@fires("RPC004", host=SERVER, clients=(CLIENT, OTHER), count=2)
def test_the_lock_manager_stood_still(stage: Stage) -> bytes:
    held_up(stage)
    return stage.wire()


@quiet("RPC004")
def test_one_late_lock_is_no_standstill(stage: Stage) -> bytes:
    stage.client.lock(stage.server).granted(after=21.0)
    stage.other.lock(stage.server, "/b").granted()
    return stage.wire()


@cannot_tell("RPC004")
def test_no_lock_was_answered(stage: Stage) -> bytes:
    stage.nfs()
    return stage.wire()


@fires("RPC005", host=SERVER, clients=(CLIENT,))
def test_nfs_without_answer(stage: Stage) -> bytes:
    stage.nfs()
    stage.client.call(stage.server, "nfs3", "GETATTR", object=b"x" * 8)
    stage.later(20)
    return stage.wire()


@fires("RPC005", host=SERVER, clients=(CLIENT,))
def test_nfs_answers_late_before_it_is_asked_again(stage: Stage) -> bytes:
    """The kernel sends an NFS call again after a minute."""
    stage.nfs()
    call = stage.client.call(stage.server, "nfs3", "GETATTR", object=b"x" * 8)
    call.reply(status="OK", type="REG", after=40)
    return stage.wire()


@quiet("RPC005")
def test_nfs_answers(stage: Stage) -> bytes:
    stage.nfs()
    return stage.wire()


@cannot_tell("RPC005")
def test_no_nfs(stage: Stage) -> bytes:
    stage.client.lock(stage.server).granted()
    return stage.wire()


@fires("MNT001", host=SERVER, clients=(CLIENT,))
def test_a_mount_is_refused(stage: Stage) -> bytes:
    stage.client.call(stage.server, "mount3", "MNT", dirpath="/srv").reply(fhs_status="ACCES")
    return stage.wire()


@quiet("MNT001")
def test_a_mount_is_granted_in_the_end(stage: Stage) -> bytes:
    stage.client.call(stage.server, "mount3", "MNT", dirpath="/srv").reply(fhs_status="ACCES")
    stage.wait(10)
    stage.client.mount(stage.server, "/srv")
    return stage.wire()


@cannot_tell("MNT001")
def test_no_mount(stage: Stage) -> bytes:
    stage.nfs()
    return stage.wire()


@fires("NFS001", host=SERVER, severity="warning")
def test_stale_handles(stage: Stage) -> bytes:
    stage.client.call(stage.server, "nfs3", "GETATTR", object=b"x" * 8).reply(status="STALE")
    return stage.wire()


@fires("NFS001", severity="info")
def test_no_permission(stage: Stage) -> bytes:
    stage.client.call(stage.server, "nfs3", "GETATTR", object=b"x" * 8).reply(status="ACCES")
    return stage.wire()


@quiet("NFS001")
def test_a_name_that_is_not_there(stage: Stage) -> bytes:
    lookup = {"dir": b"x" * 8, "name": "missing"}
    stage.client.call(stage.server, "nfs3", "LOOKUP", **lookup).reply(status="NOENT")
    return stage.wire()


@cannot_tell("NFS001")
def test_no_nfs_at_all(stage: Stage) -> bytes:
    stage.client.lock(stage.server).granted()
    return stage.wire()


def test_a_standstill_while_nfs_waits_is_not_the_lock_managers() -> None:
    stage = Stage()
    first, second = stage.client.lock(stage.server, "/a"), stage.other.lock(stage.server, "/b")
    call = stage.client.call(stage.server, "nfs3", "GETATTR", object=b"x" * 8)
    first.granted(after=21.0)
    second.granted(after=21.1)
    call.reply(after=21.2, status="OK", type="REG")
    assert findings(asked("RPC004", stage.wire())) == []
