"""NET003: data on a connection is retransmitted repeatedly, and no ACK comes."""

from __future__ import annotations

from nfsrpc.facts.unacknowledged import Back, Stalled, together
from nfsrpc.findings.finding import Evidence
from tests.records import kept, records_of, sent_again, source_port, target_port
from tests.rules.network.resends import SYNS
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
    inputs,
    quiet,
    rules_of,
    threshold,
)
from tests.scenario import Flow
from tests.wire import ACK, RST, SYN, TCP


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
    """The server's host dies: NFS and locks are retransmitted on their connections, and new ones get no answer."""
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


def test_what_to_run_where_a_host_fell_silent() -> None:
    (found,) = findings(asked("NET003", dies(Stage(), tried=False)))
    assert [line.line for line in (*found.remedy, *found.verify)] == [
        f"ping -c 3 {SERVER}",
        f"rpcinfo -t {SERVER} 100003 3",
    ]
    assert found.needs is not None
    assert CLIENT in found.needs.command.line


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


def unacknowledged(stage: Stage, again: list[float]) -> bytes:
    """A lock request that gets no ACK, while the server answers elsewhere."""
    stage.nfs()
    stage.client.lock(stage.server).granted()
    stage.wait(600)
    stage.client.lock(stage.server, "/srv/second", acked=False)
    frame = len(stage.scenario.packets())
    for _ in range(10):
        stage.later(2)
    return sent_again(stage.wire(), {frame: again})


@threshold("NET003", "again", fires=3, quiet=2)
def test_so_many_retransmissions(stage: Stage, again: int) -> bytes:
    return unacknowledged(stage, [0.2, 0.6, 6.2][-again:])


@threshold("NET003", "silent_s", fires=5.5, quiet=4.5)
def test_retransmissions_over_so_long(stage: Stage, silent_s: float) -> bytes:
    return unacknowledged(stage, [0.2, 0.6, 1.4, silent_s])


@threshold("NET003", "boot_s", fires=185, quiet=175)
def test_a_host_that_reboots_meanwhile(stage: Stage, boot_s: float) -> bytes:
    stage.boots(stage.server, stage.client)
    stage.wait(boot_s - 600)
    return unacknowledged(stage, [0.2, 0.6, 1.4, 3.0, 6.2])


@quiet("NET003")
def test_retransmissions_of_an_hour(stage: Stage) -> bytes:
    """A lossy network: each segment is acknowledged when it comes again, and the connection is idle at the end."""
    frames = []
    for _ in range(10):
        stage.nfs()
        frames.append(len(stage.scenario.packets()) - 2)
        stage.wait(60)
    stage.client.getport(stage.server, "nlm4")
    return sent_again(stage.wire(), {frame: [0.2] for frame in frames})


def interrupted(stage: Stage, seconds: float, elsewhere: float = 0.0) -> bytes:
    """Nothing comes from the server for a while, and then the same connection goes on."""
    stage.nfs()
    stage.client.lock(stage.server).granted()
    stage.wait(10)
    lock = stage.client.lock(stage.server, "/srv/second", acked=False)
    frame = len(stage.scenario.packets())
    stage.wait(elsewhere)
    if elsewhere:
        stage.nfs()
    stage.wait(seconds - elsewhere)
    lock.granted()
    stage.nfs()
    again = [delay for delay in (0.2, 0.6, 1.4, 3.0, 6.2, 12.6, 25.4) if delay < seconds]
    return sent_again(stage.wire(), {frame: again})


@fires("NET003", host=SERVER, clients=(CLIENT,), certainty="likely", count=7)
def test_a_path_that_is_interrupted(stage: Stage) -> bytes:
    return interrupted(stage, 40)


def test_an_interrupted_path_is_no_matter_of_lockd() -> None:
    diagnosis = diagnosed(interrupted(Stage(), 40))
    assert diagnosis.verdict.rule == "NET003"
    assert {found.rule for found in diagnosis.findings} == {"NET003", "LCK002"}
    assert rules_of(diagnosis.findings[0].explains) == {"LCK002"}
    assert diagnosis.hypotheses == ()


def test_a_path_may_be_whole_again_before_the_timer_of_tcp_ends() -> None:
    (late,) = findings(asked("NET003", interrupted(Stage(), 40, elsewhere=30)))
    assert late.title == f"nothing came from {SERVER} to {CLIENT} for 30.0 s: path interrupted, or host down"
    assert late.wait_s is not None
    assert 40 <= late.wait_s < 41
    (early,) = findings(asked("NET003", interrupted(Stage(), 40, elsewhere=10)))
    assert early.title == f"a connection of {CLIENT} to {SERVER} port {LOCKD} is dead: data without ACK"


@quiet("NET003")
def test_a_slow_path_on_which_tcp_resends_first_segments(stage: Stage) -> bytes:
    stage.nfs()
    stage.wait(10)
    frames = []
    for number in range(4):
        call = stage.client.call(stage.server, "nfs3", "GETATTR", object=bytes([number]) * 8, acked=False)
        frames.append(len(stage.scenario.packets()))
        call.reply(after=8, status="OK", type="REG")
    lost = range(1, frames[0])
    return sent_again(stage.wire(lost=lost), {frame - len(lost): [0.2, 0.6, 1.4, 3.0] for frame in frames[:1]})


def test_what_icmp_rejects_is_not_called_silence() -> None:
    stage = Stage()
    stage.nfs()
    stage.wait(1)
    lock = stage.client.lock(stage.server, acked=False)
    frame = len(stage.scenario.packets())
    stage.wait(1)
    lock.unreachable()
    stage.later(10)
    (found,) = findings(asked("NET003", sent_again(stage.wire(), {frame: [0.2, 0.6, 1.4, 3.0, 6.2]})))
    assert found.title.endswith("is rejected by ICMP")
    assert "1 ICMP message (unreachable, code 3) came back about it" in found.explanation
    assert "nothing came" not in found.explanation
    assert found.evidence[-1].note == "ICMP unreachable"


def challenged(stage: Stage, syns: list[float], accepted: bool = False) -> bytes:
    """SYNs that the server answers by the ACK of an older connection, and the client by RST."""
    stage.client.getport(stage.server, "nlm4")
    begin = stage.scenario.tick()
    flow = Flow(stage.scenario, stage.client, stage.server, 900, LOCKD, TCP)
    for after in syns:
        at = begin + round(after * 10**9)
        for upstream, flags in ((True, SYN), (False, ACK), (True, RST)):
            at += 10**5
            flow.note(at, upstream, flags)
    stage.wait(20)
    if accepted:
        stage.client.lock(stage.server, from_port=900).granted()
    stage.nfs()
    return stage.wire()


@fires("NET003", host=SERVER, clients=(CLIENT,), certainty="certain", count=4)
def test_syns_that_are_answered_by_a_bare_ack(stage: Stage) -> bytes:
    return challenged(stage, [0, 1, 3, 7])


def test_what_closes_an_older_connection_and_shows_that_it_worked() -> None:
    (found,) = findings(asked("NET003", challenged(Stage(), [0, 1, 3, 7])))
    assert (found.wait_s, (found.last or 0) - (found.first or 0)) == (7.0, 7 * 10**9)
    assert [proof.note for proof in found.evidence] == ["SYN, answered by an ACK without SYN"]
    assert found.remedy[0].line == f"ss -K dst {CLIENT} dport = 900 sport = {LOCKD}"
    assert found.verify[0].line == f"timeout 5 bash -c '</dev/tcp/{SERVER}/{LOCKD}' && echo accepted"
    assert found.verify[0].on == CLIENT


@quiet("NET003")
def test_one_bare_ack_and_the_next_syn_is_accepted(stage: Stage) -> bytes:
    return challenged(stage, [0], accepted=True)


@quiet("NET003")
def test_a_scan_that_meets_an_old_connection(stage: Stage) -> bytes:
    stage.nfs()
    begin = stage.scenario.tick()
    flow = Flow(stage.scenario, stage.other, stage.server, 900, 22, TCP)
    for after in (0, 1, 3, 7):
        for upstream, flags in ((True, SYN), (False, ACK), (True, RST)):
            flow.note(begin + after * 10**9 + 10**5 * (flags + 1), upstream, flags)
    return stage.wire()


@quiet("NET003")
def test_two_bare_acks(stage: Stage) -> bytes:
    return challenged(stage, [0, 7])


@fires("NET003", host=SERVER)
def test_an_interruption_much_longer_than_the_slowest_answers(stage: Stage) -> bytes:
    stage.nfs()
    begin = len(stage.scenario.packets())
    stage.wait(10)
    for number in range(3):
        call = stage.client.call(stage.server, "nfs3", "GETATTR", object=bytes([number]) * 8)
        call.reply(after=1, status="OK", type="REG")
    stage.wait(10)
    call = stage.client.call(stage.server, "nfs3", "GETATTR", object=b"x" * 8, acked=False)
    frame = len(stage.scenario.packets()) - begin
    call.reply(after=40, status="OK", type="REG")
    return sent_again(stage.wire(lost=range(1, begin + 1)), {frame: [0.2, 0.6, 1.4, 3.0, 6.2, 12.6, 25.4]})


def test_connections_that_stall_together_are_one_silence() -> None:
    stage = Stage()
    stage.nfs()
    stage.client.lock(stage.server).granted()
    stage.wait(10)
    lock = stage.client.lock(stage.server, "/srv/second", acked=False)
    first = len(stage.scenario.packets())
    stage.wait(1)
    call = stage.client.call(stage.server, "nfs3", "GETATTR", object=b"x" * 8, acked=False)
    second = len(stage.scenario.packets())
    stage.wait(20)
    lock.granted()
    call.reply(status="OK", type="REG")
    again = [0.2, 0.6, 1.4, 3.0, 6.2, 12.6]
    (found,) = findings(asked("NET003", sent_again(stage.wire(), {first: again, second: again})))
    assert (found.count, found.host) == (12, SERVER)
    assert len(found.evidence) == 4


@quiet("NET003")
def test_two_retransmissions_are_no_silent_host(stage: Stage) -> bytes:
    stage.client.lock(stage.server).granted()
    stage.later(10)
    stage.wait(30)
    stage.client.call(stage.server, "nfs3", "GETATTR", acked=False)
    frame = len(stage.scenario.packets())
    stage.wait(30)
    stage.other.call(stage.client, "portmap2", "NULL", transport="udp").reply()
    return sent_again(stage.wire(), {frame: [0.2, 0.6]})


def test_icmp_of_an_earlier_time_rejects_nothing() -> None:
    stage = Stage()
    stage.nfs()
    stage.client.lock(stage.server).granted()
    stage.wait(1)
    early = stage.client.lock(stage.server, "/srv/first")
    early.unreachable()
    early.granted()
    stage.wait(600)
    stage.client.lock(stage.server, "/srv/second", acked=False)
    frame = len(stage.scenario.packets())
    stage.later(20)
    (found,) = findings(asked("NET003", sent_again(stage.wire(), {frame: [0.2, 0.6, 1.4, 3.0, 6.2]})))
    assert found.title.endswith("is dead: data without ACK")


@quiet("NET003")
def test_a_connection_whose_syn_ack_was_not_captured(stage: Stage) -> bytes:
    stage.client.getport(stage.server, "nlm4")
    begin = stage.scenario.tick()
    flow = Flow(stage.scenario, stage.client, stage.server, 900, LOCKD, TCP)
    for after in (0, 1, 3, 7):
        flow.note(begin + after * 10**9, True, SYN)
    for number, upstream in enumerate((True, False, True, False)):
        flow.note(begin + 8 * 10**9 + number * 10**6, upstream, ACK, b"\0" * 8 * (number > 1))
    stage.wait(20)
    stage.nfs()
    return stage.wire()


def test_each_syn_may_be_of_a_connection_of_its_own() -> None:
    """The client takes another source port each time."""
    stage = Stage()
    stage.client.getport(stage.server, "nlm4")
    begin = stage.scenario.tick()
    for number, after in enumerate((0, 1, 3, 7)):
        flow = Flow(stage.scenario, stage.client, stage.server, 900 + number, LOCKD, TCP)
        for step, (upstream, flags) in enumerate(((True, SYN), (False, ACK), (True, RST))):
            flow.note(begin + after * 10**9 + 10**5 * step, upstream, flags)
    stage.wait(20)
    stage.nfs()
    (found,) = findings(asked("NET003", stage.wire()))
    assert (found.host, found.count) == (SERVER, 4)


def test_silences_that_touch_are_one() -> None:
    flow = next(iter(inputs(challenged(Stage(), [0]))["flows"].rows()))
    stall = Stalled(flow, CLIENT, SERVER, 3, None, 0, 0, False)
    first = Back(stall, 10, Evidence(0, 1, ""))
    touching, later = (Back(stall._replace(since=since), 20, Evidence(0, 2, "")) for since in (10, 11))
    assert list(together([first, touching])) == [[first, touching]]
    assert list(together([first, later])) == [[first], [later]]
