"""What findings show as evidence says when things happened again, and by whose clock."""

import struct
from collections.abc import Iterable
from pathlib import Path

import pytest

from benchmarks.attacks import CLIENT, INTERFACE, SERVER, STATD, Ends, Writer, block, opaque, pcapng
from nfsrpc.diagnosis.catalogue import find
from nfsrpc.diagnosis.timers import fingerprinted
from nfsrpc.findings.finding import Evidence
from nfsrpc.protocols.numbers import Prog
from nfsrpc.trace import read
from tests.records import sent_again
from tests.rules.network.test_connection_stalled import forgotten
from tests.rules.stage import LOCKD, Captures, Stage, diagnosed, inputs
from tests.scenario import Host


def notes(capture: Path) -> dict[int, str]:
    return {proof.frame: proof.note for finding in read(capture).diagnosis.findings for proof in finding.evidence}


def test_a_call_that_was_sent_again_and_answered_late(samples: Path) -> None:
    found = notes(samples / "server-without-statd" / "nfssrv-any.pcap")
    assert found[102] == (
        "LOCK of 10.1.84.41, retransmitted after 10.3 s, 31.8 s, 60.5 s: "
        "the client's RPC timer; at 60 s its kernel logs 'not responding'"
    )
    assert found[336] == "its reply, after 61.6 s: lockd's search for statd"
    assert found[107] == (
        "10.1.84.31 asks its own portmapper for 100024 (GETPORT), query 1 of 21 in a row, one every 3.1 s: "
        "the kernel's search for a service"
    )


def test_syns_that_double(samples: Path) -> None:
    found = notes(samples / "lockd-port-dropped" / "nfssrv-eth0.pcap")
    assert found[88] == "SYN to port 32803, never answered, 6 more in 63.8 s: TCP retransmission back-off"


def test_a_waiter_that_asks_by_itself(samples: Path) -> None:
    found = notes(samples / "waiting-behind-a-dead-client" / "nfssrv-any.pcap")
    assert found[198] == (
        "LOCK of 0@cl2 (10.1.84.42), retried 6 times, every 30.7 s: a blocked Linux client's own retry"
    )


@pytest.mark.parametrize(
    ("seconds", "clock"),
    [(61.5, ": lockd's search for statd"), (47.0, ""), (15.1, ": a resolver's timeout is 5 s per try")],
)
def test_an_answer_of_no_known_clock_is_left_as_it_is(seconds: float, clock: str) -> None:
    stage = Stage()
    stage.client.lock(stage.server).granted(after=seconds)
    stage.nfs()
    (late,) = [found for found in diagnosed(stage.wire()).findings if found.rule == "LCK002"]
    assert late.evidence[-1].note == f"its reply, after {seconds:.1f} s{clock}"


def test_what_is_asked_again_at_once_has_no_rhythm() -> None:
    stage = Stage()
    for _ in range(3):
        stage.client.lock(stage.server).error("AUTH_ERROR", auth_stat="AUTH_BADCRED")
    (found,) = [found for found in diagnosed(stage.wire()).findings if found.rule == "RPC002"]
    assert found.evidence[0].note.endswith(", retried 2 times without a pause")


def test_tcp_gives_a_connection_up() -> None:
    """Whatever was lost with it comes again on the next one."""
    (found,) = [found for found in diagnosed(forgotten(Stage(), 36.4)).findings if found.rule == "NET003"]
    assert found.evidence[1].note == (
        "LOCK, never acknowledged, on a new connection after 182 s: TCP's timeout of a connection without ACK"
    )
    (found,) = [found for found in diagnosed(forgotten(Stage(), 12)).findings if found.rule == "NET003"]
    assert found.evidence[1].note == (
        "LOCK, never acknowledged, on a new connection after 60.0 s: "
        "the client's RPC timer; at 60 s its kernel logs 'not responding'"
    )


def test_what_tcp_retransmitted_before_is_not_first_retransmitted_by_rpc(samples: Path) -> None:
    found = notes(samples / "silent-for-minutes" / "cl1-eth0.pcap")
    assert found[145].endswith(", on a new connection after 313 s")


def test_tcp_and_rpc_retransmit_on_one_connection() -> None:
    stage = Stage()
    stage.nfs()
    lock = stage.client.lock(stage.server, acked=False)
    frame = stage.frames()
    stage.wait(43.7)
    lock.resend().granted()
    again = sent_again(stage.wire(), {frame: [0.2, 0.6, 1.4, 3.0, 6.2, 12.6, 25]})
    (found,) = [found for found in diagnosed(again).findings if found.rule == "LCK002"]
    assert found.evidence[0].note == "LOCK of 10.0.0.1, retransmitted by TCP, by RPC after 43.7 s"


@pytest.mark.parametrize(("untimed", "note"), [(1, ", retransmitted after 20.0 s"), (0, "")])
def test_retransmissions_without_a_time_have_no_wait(untimed: int, note: str) -> None:
    """Packets of pcapng may lack a time (simple packet blocks): here one of a call and its retransmissions."""
    writer, ends, arguments = Writer(), Ends(CLIENT, 700, SERVER, STATD), opaque(b"cl1") + struct.pack(">I", 5)
    for _ in range(3):
        writer.call(ends, Prog.NSM, 1, 6, arguments, xid=1)
        writer.wait(10)
    writer.end()
    head, data = pcapng([]) + INTERFACE, writer.frames[untimed].data
    packets = [pcapng([frame]).removeprefix(head) for frame in writer.frames]
    packets[untimed] = block(3, struct.pack("<I", len(data)) + data + bytes(-len(data) % 4))
    assert note_in(head + b"".join(packets), 1) == note


def test_tries_without_a_rhythm_have_no_clock() -> None:
    stage = Stage()
    stage.client.getport(stage.server, "nlm4")
    stage.client.syn(stage.server, LOCKD, resend=[5, 11, 18, 26])
    stage.nfs()
    (found,) = [found for found in diagnosed(stage.wire()).findings if found.rule == "NET001"]
    assert found.evidence[0].note == f"SYN to port {LOCKD}, never answered, 4 more in 26.0 s"


def test_what_waited_behind_a_denial_waited_for_the_same() -> None:
    stage = Stage()
    stage.nfs()
    held = stage.other.lock(stage.server, "/srv/other").granted()
    lock = stage.client.lock(stage.server)
    unlock = held.unlock()
    lock.denied("DENIED_NOLOCKS", after=60.1)
    unlock.granted()
    diagnosis = diagnosed(stage.wire())
    told = {proof.note for finding in diagnosis.findings for proof in finding.evidence}
    assert "its reply, after 60.1 s: a Linux server's timeout for the reply of statd" in told
    assert not any("20 questions" in note for note in told)
    assert [cause.rule for cause in diagnosis.hypotheses] == ["MON003", "REG005"]


def note_at(stage: Stage, frame: int, *, at: Host | None = None) -> str:
    """What the evidence says of a frame (0: the last reply) when only timers are looked at."""
    captured = stage.any(at) if at else stage.wire()
    return note_in(captured, frame or int(inputs(captured)["nlm"]["reply_frame"].max()))


def note_in(captured: Captures, frame: int) -> str:
    found = find("LCK002").rule.finding(host="s", title="", explanation="", evidence=(Evidence(0, frame, ""),))
    return fingerprinted([found], inputs(captured))[0].evidence[0].note


NOTICES = (2.0, 6.0, 14.0, 30.0)
EVERY_3_S = (3.0, 6.0, 9.0, 12.0)
SM_NOTIFY_BACK_OFF = ", retransmitted after 2.0 s, 6.0 s, 14.0 s, 30.0 s: back-off of sm-notify, from 2 s on"


@pytest.mark.parametrize(
    ("waits", "note"), [(NOTICES, SM_NOTIFY_BACK_OFF), (EVERY_3_S, ", retransmitted after 3.0 s, 6.0 s, 9.0 s, 12.0 s")]
)
def test_the_back_off_of_sm_notify_is_named_for_its_notices(waits: tuple[float, ...], note: str) -> None:
    stage = Stage()
    stage.server.notify(stage.client, 5).unanswered(resend=waits)
    stage.nfs()
    assert note_at(stage, 1) == note


def test_the_back_off_of_sm_notify_is_named_for_nothing_else() -> None:
    stage = Stage()
    stage.server.monitor(stage.client, transport="udp").unanswered(resend=NOTICES)
    stage.later(1)
    assert note_at(stage, 1, at=stage.server) == ", retransmitted after 2.0 s, 6.0 s, 14.0 s, 30.0 s"


def test_a_search_for_statd_is_named_for_lock_only() -> None:
    def answered(procedure: str, seconds: float) -> str:
        stage = Stage()
        held = stage.client.lock(stage.server).granted()
        request = stage.client.lock(stage.server, "/srv/b") if procedure == "LOCK" else held.unlock()
        request.granted(after=seconds)
        return note_at(stage, 0)

    assert answered("LOCK", 61.5) == ": lockd's search for statd"
    assert answered("UNLOCK", 61.5) == ""
    assert answered("LOCK", 15.0) == ": a resolver's timeout is 5 s per try"
    assert answered("UNLOCK", 15.0) == ""


def test_a_server_that_answers_other_locks_does_not_search_for_its_statd() -> None:
    def answered(between: float) -> str:
        stage = Stage()
        lock = stage.client.lock(stage.server)
        stage.other.lock(stage.server, "/srv/b").granted(after=between)
        lock.granted(after=61.5)
        return note_at(stage, 0)

    assert answered(0.5) == ": lockd's search for statd"
    assert answered(1.5) == ""


def test_where_the_servers_loopback_shows_no_search_none_is_named() -> None:
    def answered(times: int) -> str:
        stage = Stage()
        stage.nfs()
        stage.monitored(stage.server, stage.other)
        lock = stage.client.lock(stage.server)
        stage.statd_asked(stage.server, times)
        lock.granted(after=61.5)
        return note_at(stage, 0, at=stage.server)

    assert answered(20) == ": lockd's search for statd"
    assert answered(9) == ""


@pytest.mark.parametrize(("resend", "note"), [((1, 3, 7), ": TCP retransmission back-off"), (range(1, 8), "")])
def test_tcps_back_off_is_no_series_of_tries(resend: Iterable[float], note: str) -> None:
    stage = Stage()
    stage.client.syn(stage.server, LOCKD, resend=list(resend))
    stage.nfs()
    number = len(list(resend))
    assert note_at(stage, 1) == f", {number} more in 7.0 s{note}"


def test_the_poll_of_a_blocked_client_is_named_for_blocked_only() -> None:
    def polled(status: str) -> str:
        stage = Stage()
        for _ in range(3):
            stage.client.lock(stage.server).denied(status)
            stage.wait(30)
        (first, *_) = inputs(stage.wire())["locks"]["requested_frame"].tolist()
        return note_at(stage, first)

    assert polled("BLOCKED") == ", retried 2 times, every 30.0 s: a blocked Linux client's own retry"
    assert "blocked Linux client" not in polled("DENIED_NOLOCKS")


def test_the_queries_of_each_round_are_numbered_by_themselves() -> None:
    stage = Stage()
    for number in (5, 8):
        stage.statd_asked(stage.server, number)
        stage.wait(60)
    queries = inputs(stage.any(stage.server))["registrations"]["frame"].tolist()
    assert note_at(stage, queries[5], at=stage.server).startswith(", query 1 of 8 in a row, one every 3.1 s")
