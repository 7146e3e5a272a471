"""REG005: a portmapper that does not answer."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from tests.rules.stage import (
    CLIENT,
    LOCKD,
    PATH,
    SERVER,
    Stage,
    asked,
    cannot_tell,
    diagnosed,
    findings,
    fires,
    quiet,
    rules_of,
    threshold,
)
from tests.scenario import SECOND, TICK, Exchange
from tests.wire import Packet


@fires("REG005", host=SERVER, clients=(CLIENT,))
def test_a_portmapper_that_drops(stage: Stage) -> bytes:
    stage.nfs()
    stage.client.syn(stage.server, 111, resend=[1, 3, 7, 15])
    stage.nfs()
    return stage.wire()


@fires("REG005", host=SERVER, clients=(CLIENT,), certainty="likely")
def test_a_portmapper_of_a_host_of_which_nothing_comes(stage: Stage) -> bytes:
    """Who gets an answer does not send its SYN again, whether the capture would hold it or not."""
    stage.client.getattr(stage.other, PATH)
    stage.client.syn(stage.server, 111, resend=[1, 3, 7, 15])
    return stage.wire()


@fires("REG005", host=SERVER)
def test_a_portmapper_that_refuses(stage: Stage) -> bytes:
    stage.nfs()
    for _ in range(3):
        stage.client.syn(stage.server, 111, refused=True)
        stage.later(5.1)
    return stage.wire()


@fires("REG005", host=SERVER)
def test_a_portmapper_that_does_not_answer_over_udp(stage: Stage) -> bytes:
    stage.nfs()
    question: dict[str, Any] = {"prog": 100021, "vers": 4, "prot": 6}
    stage.client.call(stage.server, "portmap2", "GETPORT", transport="udp", **question).unanswered(resend=[5, 10, 15])
    stage.later(20)
    return stage.wire()


@cannot_tell("REG005")
def test_the_portmappers_answers_were_filtered_out(stage: Stage) -> bytes:
    """Whoever sends data was accepted, and over UDP who gets no answer asks again."""
    stage.nfs()
    for _ in range(3):
        stage.client.getport(stage.server, "mount3")
        stage.client.getport(stage.server, "mount3", transport="udp")
        stage.later(5)
    sent = enumerate(stage.scenario.packets(), 1)
    return stage.wire(lost=[number for number, packet in sent if packet.data[20:22] == b"\0\x6f"])


def refuses(stage: Stage, seconds: int) -> None:
    stage.nfs()
    for _ in range(seconds // 5):
        stage.client.syn(stage.server, 111, refused=True)
        stage.later(5)
    stage.client.getport(stage.server, "nlm4")
    stage.client.lock(stage.server).granted()


@fires("REG005", host=SERVER)
def test_a_portmapper_that_was_away_for_a_minute(stage: Stage) -> bytes:
    refuses(stage, 60)
    return stage.wire()


def test_lockd_cannot_ask_its_own_portmapper_for_statd() -> None:
    stage = Stage()
    stage.client.getport(stage.server, "nlm4")
    stage.nfs()
    lock = stage.client.lock(stage.server)
    for _ in range(2):
        stage.server.syn(stage.server, 111, refused=True)
    lock.denied("DENIED_NOLOCKS")
    stage.later(5)
    diagnosis = diagnosed(stage.any(stage.server))
    assert (diagnosis.verdict.rule, diagnosis.findings[0].host) == ("REG005", SERVER)
    assert diagnosis.findings[0].clients == (CLIENT,)
    assert "LCK004" in rules_of(diagnosis.findings[0].explains)
    assert "REG005" in {cause.rule for cause in diagnosed(stage.wire()).hypotheses}


@fires("REG005", host=SERVER, clients=(CLIENT,))
def test_the_denial_goes_by_another_clock(stage: Stage) -> bytes:
    """In captures of both ends: to the client's clock the LOCK left after its server had been refused."""
    stage.nfs()
    for _ in range(2):
        stage.server.syn(stage.server, 111, refused=True)
    stage.wait(0.3)
    stage.client.lock(stage.server).denied("DENIED_NOLOCKS")
    stage.later(5)
    return stage.any(stage.server)


@quiet("REG005")
def test_a_portmapper_that_was_restarted(stage: Stage) -> bytes:
    refuses(stage, 20)
    return stage.wire()


@quiet("REG005")
def test_a_portmapper_of_a_host_that_boots(stage: Stage) -> bytes:
    refuses(stage, 60)
    stage.boots(stage.server, stage.client)
    return stage.wire()


@quiet("REG005")
def test_a_portmapper_that_answers_over_udp(stage: Stage) -> bytes:
    stage.client.syn(stage.server, 111, resend=[1, 3, 7])
    stage.client.getport(stage.server, "nlm4", transport="udp")
    return stage.wire()


@cannot_tell("REG005")
def test_a_portmapper_whose_words_are_cut_off_talks_all_the_same(stage: Stage) -> bytes:
    stage.client.syn(stage.server, 111, refused=True)
    stage.later(4)
    stage.client.syn(stage.server, 111, refused=True)
    stage.client.getport(stage.server, "nlm4", transport="udp")
    return stage.wire(snaplen=60)


@cannot_tell("REG005")
def test_who_does_not_repeat_a_syn_was_answered(stage: Stage) -> bytes:
    stage.nfs()
    for _ in range(3):
        stage.client.syn(stage.server, 111)
        stage.later(5)
    return stage.wire()


@fires("REG005", host=SERVER, clients=(CLIENT,))
def test_a_portmapper_that_answers_others_and_its_own_host(stage: Stage) -> bytes:
    stage.nfs()
    stage.client.syn(stage.server, 111, resend=[1, 3, 7, 15])
    stage.other.getport(stage.server, "nlm4")
    stage.monitored(stage.server, stage.other)
    stage.nfs()
    return stage.any(stage.server)


@cannot_tell("REG005")
def test_no_portmapper_was_asked(stage: Stage) -> bytes:
    stage.nfs()
    return stage.wire()


LOOK_UP: dict[str, Any] = {"prog": 100021, "vers": 4, "prot": 6}
AGAIN = [10.2, 30.4]  # when Linux repeats a call over TCP


def hangs(stage: Stage, **options: Any) -> Exchange:
    """A call that TCP acknowledges."""
    stage.nfs()
    return stage.client.call(stage.server, "portmap2", "GETPORT", **LOOK_UP | options)


@fires("REG005", host=SERVER, certainty="certain", clients=(CLIENT,), title=f"the portmapper of {SERVER} hung")
def test_a_portmapper_that_hangs_and_answers_after_a_minute(stage: Stage) -> bytes:
    hangs(stage).reply(port=LOCKD, after=70.6, resent=AGAIN)
    stage.client.lock(stage.server).granted()
    return stage.wire()


def test_one_that_hung_is_told_by_its_answer() -> None:
    stage = Stage()
    hangs(stage).reply(port=LOCKD, after=70.6, resent=AGAIN)
    [found] = findings(asked("REG005", stage.wire()))
    assert "answered only when they had waited for long. Until then" in found.explanation
    assert [proof[2] for proof in found.evidence][1:] == ["the answer"]


@fires("REG005", host=SERVER, certainty="certain", wait_s=50.0, title=f"the portmapper of {SERVER} hangs")
def test_a_portmapper_that_hangs_to_the_end_of_the_capture(stage: Stage) -> bytes:
    call = hangs(stage).unanswered(resend=AGAIN)
    stage.scenario.now = call.time + 50 * SECOND - TICK
    stage.other.syn(stage.server, 2049)
    return stage.wire()


@pytest.mark.parametrize(("again", "is_found"), [([], False), (AGAIN, True)])
def test_where_packets_are_missing_a_call_that_is_not_repeated_was_answered(again: list[float], is_found: bool) -> None:
    """The reply and the end of the connection are missing, and a segment of NFS."""
    stage = Stage()
    hangs(stage).unanswered(resend=again)
    stage.later(40)
    frame = stage.frames() + 1
    stage.nfs()
    stage.later(10)
    assert bool(findings(asked("REG005", stage.wire(lost=[frame + 1])))) == is_found


@threshold("REG005", "hang_s", fires=10.5, quiet=9.5)
def test_the_client_stops_waiting(stage: Stage, wait_s: float) -> bytes:
    call = hangs(stage)
    stage.scenario.now = call.time + round(wait_s * SECOND)
    call.flow.close()
    stage.later(60)
    return stage.wire()


@threshold("REG005", "cured_s", fires=30.5, quiet=29.5)
def test_a_portmapper_that_hangs_answers(stage: Stage, after_s: float) -> bytes:
    hangs(stage).reply(port=LOCKD, after=after_s, resent=[10.2])
    return stage.wire()


def sent_again(packet: Packet, number: int) -> Packet:
    """The same segment so much later, with another IPv4 identification and a checksum for it."""
    data = bytearray(packet.data)
    for at, step in ((4, 100 + number), (10, -100 - number)):
        struct.pack_into(">H", data, at, struct.unpack_from(">H", data, at)[0] + step)
    return packet._replace(time=packet.time + (40 + number) * SECOND, data=bytes(data))


def with_segments_again(stage: Stage, monkeypatch: pytest.MonkeyPatch, segments: int) -> bytes:
    """TCP sends so many segments of the call to the portmapper again, since they are not acknowledged."""
    sent = stage.scenario.packets()
    call = [packet for packet in sent if packet.data[22:24] == b"\0\x6f" and len(packet.data) > 40]
    sent += [sent_again(packet, number) for number, packet in enumerate(call[:segments])]
    monkeypatch.setattr(stage.scenario, "packets", lambda: sorted(sent, key=lambda packet: packet.time))
    return stage.wire()


@pytest.mark.parametrize(("segments", "count"), [(2, 1), (3, 0)])
def test_a_network_that_was_down_is_no_portmapper_that_hangs(
    monkeypatch: pytest.MonkeyPatch, segments: int, count: int
) -> None:
    """On a lossy network a segment or two are retransmitted."""
    stage = Stage()
    stage.nfs()
    stage.client.call(stage.server, "portmap2", "GETPORT", fragments=3, acked=False, **LOOK_UP).reply(after=51.1)
    stage.nfs()
    assert len(findings(asked("REG005", with_segments_again(stage, monkeypatch, segments)))) == count


@pytest.mark.parametrize(("acked", "count"), [(True, 1), (False, 0)])
def test_a_network_that_is_down_is_no_portmapper_that_hangs(
    monkeypatch: pytest.MonkeyPatch, acked: bool, count: int
) -> None:
    stage = Stage()
    stage.nfs()
    stage.client.call(stage.server, "portmap2", "GETPORT", fragments=8, acked=acked, **LOOK_UP)
    stage.later(70)
    assert len(findings(asked("REG005", with_segments_again(stage, monkeypatch, 0 if acked else 8)))) == count


def test_a_call_that_only_the_capture_shows_unacknowledged_proves_nothing() -> None:
    stage = Stage()
    hangs(stage, acked=False)
    stage.later(60)
    assert findings(asked("REG005", stage.wire())) == []


def test_lockd_asks_its_own_portmapper_which_hangs() -> None:
    stage = Stage()
    stage.client.getport(stage.server, "nlm4")
    stage.nfs()
    lock = stage.client.lock(stage.server)
    own = stage.server.call(stage.server, "portmap2", "GETPORT", prog=100024, vers=1, prot=6)
    lock.denied("DENIED_NOLOCKS", after=61.0)
    own.flow.close()
    stage.later(20)
    assert "REG005" in {cause.rule for cause in diagnosed(stage.wire()).hypotheses}
    diagnosis = diagnosed(stage.any(stage.server))
    assert (diagnosis.verdict.rule, diagnosis.findings[0].host) == ("REG005", SERVER)
    assert diagnosis.findings[0].clients == (CLIENT,)
    assert "LCK004" in rules_of(diagnosis.findings[0].explains)


def test_a_hanging_portmapper_explains_the_lock_that_is_granted_too_late() -> None:
    stage = Stage()
    stage.nfs()
    lock = stage.client.lock(stage.server)
    stage.server.call(stage.server, "portmap2", "GETPORT", prog=100024, vers=1, prot=6)
    lock.denied("DENIED_NOLOCKS", after=61.0)
    lock.reply(stat="GRANTED", after=61.5)
    stage.later(20)
    (cause,) = diagnosed(stage.any(stage.server)).causes
    assert cause.rule == "REG005"
    assert {"LCK004", "LCK008"} <= rules_of(cause.explains)


def denied_access(stage: Stage) -> bytes:
    for _ in range(6):
        call = stage.client.call(stage.server, "portmap2", "GETPORT", **LOOK_UP)
        call.error("AUTH_ERROR", auth_stat="AUTH_TOOWEAK")
        call.flow.close()
        stage.wait(10)
    return stage.wire()


@fires("REG005", host=SERVER, clients=(CLIENT,), count=6, title=f"the portmapper of {SERVER} denies access")
def test_access_control_of_rpcbind_denies_a_client(stage: Stage) -> bytes:
    return denied_access(stage)


def test_a_portmapper_that_denies_access_is_one_fault() -> None:
    diagnosis = diagnosed(denied_access(Stage()))
    assert [(cause.rule, cause.host) for cause in diagnosis.verdict.causes] == [("REG005", SERVER)]
    assert "RPC002" in rules_of(diagnosis.findings[0].explains)


@quiet("REG005")
def test_access_is_denied_until_it_is_allowed(stage: Stage) -> bytes:
    for _ in range(2):
        stage.client.call(stage.server, "portmap2", "GETPORT", **LOOK_UP).error("AUTH_ERROR", auth_stat="AUTH_TOOWEAK")
        stage.wait(10)
    stage.client.reconnect(stage.server, 111, same_port=False)
    stage.client.getport(stage.server, "nlm4")
    return stage.wire()


@cannot_tell("REG005")
def test_a_port_scan_is_no_client(stage: Stage) -> bytes:
    """It tries many ports and sends no RPC message; others use the server meanwhile."""
    stage.nfs(stage.other)
    for port in (22, 80, 111, 443, 2049):
        stage.client.syn(stage.server, port, resend=[1, 3, 7])
    return stage.wire()


@fires("REG005", host=CLIENT, clients=(CLIENT,))
def test_results_that_a_server_cannot_send(stage: Stage) -> bytes:
    """FreeBSD: the client asks by LOCK_MSG; the server cannot look up where to send LOCK_RES."""
    asynchronous(stage)
    return stage.wire()


def asynchronous(stage: Stage) -> None:
    for _ in range(3):
        stage.nfs()
        stage.client.lock(stage.server, asynchronous=True, transport="udp").reply()
        look_up = stage.server.call(stage.client, "rpcbind4", "GETADDR", transport="udp", cred=False)
        look_up.unanswered(resend=[1.0])
        stage.later(5)
    stage.later(10)


def test_results_that_a_server_cannot_send_are_named() -> None:
    stage = Stage()
    stage.client.lock(stage.server, "/srv/before", asynchronous=True, transport="udp").granted()
    stage.later(60)
    asynchronous(stage)
    (found,) = findings(asked("REG005", stage.wire()))
    assert f"3 LOCK_MSGs of {CLIENT} got no result meanwhile." in found.explanation
    assert found.evidence[-1].note == f"{CLIENT}: LOCK_MSG, no LOCK_RES"


def test_results_that_a_server_sends_are_not_missing() -> None:
    stage = Stage()
    stage.client.lock(stage.server, asynchronous=True, transport="udp").granted()
    stage.server.syn(stage.client, 111, resend=[1, 3, 7, 15])
    (found,) = findings(asked("REG005", stage.wire()))
    assert "LOCK_MSG" not in found.explanation


def notices(stage: Stage, *, used: bool) -> bytes:
    """sm-notify looks for a client's statd: from the address that the client uses, or from another one."""
    other = stage.scenario.host("10.0.9.9", name="nfssrv-2")
    stage.nfs()
    sender = stage.server if used else other
    look_up: dict[str, Any] = {"prog": 100024, "vers": 1, "prot": 17}
    call = sender.call(stage.client, "portmap2", "GETPORT", transport="udp", cred=False, **look_up)
    call.unanswered(resend=[2, 6, 14, 30])
    stage.later(20)
    return stage.wire()


@fires("REG005", host=CLIENT, clients=(CLIENT,))
def test_a_client_does_not_answer_its_server(stage: Stage) -> bytes:
    return notices(stage, used=True)


def test_a_notice_from_an_address_that_the_client_does_not_use() -> None:
    assert findings(asked("REG005", notices(Stage(), used=False))) == []


@threshold("REG005", "tries", fires=2, quiet=1)
def test_so_many_tries(stage: Stage, tries: float) -> bytes:
    stage.nfs()
    for _ in range(round(tries)):
        stage.client.syn(stage.server, 111, refused=True)
        stage.later(5)
    return stage.wire()


@threshold("REG005", "during_s", fires=3.5, quiet=2.5)
def test_tries_over_so_long(stage: Stage, during_s: float) -> bytes:
    stage.nfs()
    stage.client.syn(stage.server, 111, refused=True)
    stage.wait(during_s)
    stage.client.syn(stage.server, 111, refused=True)
    stage.later(60)
    return stage.wire()


@threshold("REG005", "boot_s", fires=181, quiet=179)
def test_tries_so_long_before_a_reboot_notice(stage: Stage, before_s: float) -> bytes:
    stage.nfs()
    for _ in range(2):
        stage.client.syn(stage.server, 111, refused=True)
        stage.wait(5)
    stage.wait(before_s - 5)
    stage.boots(stage.server, stage.other)
    return stage.wire()


def test_who_asks_is_named_in_one_remark() -> None:
    stage = Stage()
    clients = [stage.scenario.host(f"10.0.1.{number}", name=f"web-{number}") for number in range(9)]
    for client in clients:
        client.getattr(stage.server, PATH)
        client.syn(stage.server, 111, resend=[1, 3, 7])
    (found,) = findings(asked("REG005", stage.wire()))
    assert sum("Open port 111" in str(line) for line in found.remedy) == 1
    assert "and 6 more" in str(found.remedy[-1])


@pytest.mark.parametrize(("procedure", "count"), [("GETPORT", 1), ("CALLIT", 0)])
def test_an_indirect_call_that_fails_has_no_reply(procedure: str, count: int) -> None:
    stage = Stage()
    stage.nfs()
    fields: dict[str, Any] = LOOK_UP if procedure == "GETPORT" else {"prog": 100004, "vers": 2, "proc": 0}
    stage.client.call(stage.server, "portmap2", procedure, transport="udp", **fields).unanswered(resend=[5, 10])
    stage.later(20)
    assert len(findings(asked("REG005", stage.wire()))) == count


@quiet("REG005")
def test_a_portmapper_that_answers_over_udp_while_tcp_is_still_tried(stage: Stage) -> bytes:
    stage.client.syn(stage.server, 111, resend=[1, 3, 7, 15, 31, 63])
    stage.scenario.now -= 20 * SECOND
    stage.client.getport(stage.server, "nlm4", transport="udp")
    return stage.wire()


@quiet("REG005")
def test_a_call_of_another_version_of_rpc_is_not_denied_access(stage: Stage) -> bytes:
    for _ in range(6):
        stage.client.call(stage.server, "portmap2", "GETPORT", **LOOK_UP).error("RPC_MISMATCH", low=2, high=2)
        stage.wait(10)
    return stage.wire()


@pytest.mark.parametrize(("after_s", "suspected"), [(4.9, True), (5.1, False), (54.9, False), (55.1, True)])
def test_when_lockd_denies_tells_how_its_portmapper_may_fail(after_s: float, suspected: bool) -> None:
    stage = Stage()
    stage.nfs()
    stage.client.lock(stage.server).denied("DENIED_NOLOCKS", after=after_s)
    stage.nfs()
    assert ("REG005" in {cause.rule for cause in diagnosed(stage.wire()).hypotheses}) == suspected


@fires("REG005", host=CLIENT, clients=(CLIENT,), title=f"the portmapper of {CLIENT} hangs")
def test_the_clients_own_portmapper_hangs(stage: Stage) -> bytes:
    """Its lockd asks once for its statd, and the application gets ENOLCK after a minute."""
    stage.nfs()
    call = stage.client.call(stage.client, "portmap2", "GETPORT", prog=100024, vers=1, prot=6)
    stage.later(61)
    call.flow.close()
    stage.nfs()
    return stage.any(stage.client)


def test_a_client_that_is_refused_once_does_not_explain_a_denied_lock() -> None:
    """Only what the server's own lockd was refused does."""
    stage = Stage()
    stage.nfs()
    lock = stage.client.lock(stage.server)
    stage.client.syn(stage.server, 111, refused=True)
    lock.denied("DENIED_NOLOCKS")
    stage.later(5)
    assert findings(asked("REG005", stage.any(stage.server))) == []


@fires("REG005", host=SERVER, clients=(CLIENT,))
def test_a_port_scan_beside_a_client(stage: Stage) -> bytes:
    stage.nfs()
    for host in (stage.client, stage.other):
        host.syn(stage.server, 111, resend=[1, 3, 7])
    return stage.wire()
