"""CAP001: of some conversations the capture holds one direction only."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from tests.records import records_of, sent_again
from tests.rules.stage import CLIENT, OTHER, Stage, asked, cannot_tell, diagnosed, findings, fires, quiet, threshold


@fires("CAP001", severity="warning", clients=(CLIENT,))
def test_only_what_the_server_sent(stage: Stage) -> bytes:
    stage.client.lock(stage.server).granted()
    stage.later(10)
    return stage.wire(sent_by=stage.server)


@fires("CAP001", severity="warning")
def test_only_what_the_client_sent(stage: Stage) -> bytes:
    stage.client.lock(stage.server).granted()
    stage.later(10)
    return stage.wire(sent_by=stage.client)


@quiet("CAP001")
def test_both_directions(stage: Stage) -> bytes:
    stage.nfs()
    return stage.wire()


@cannot_tell("CAP001")
def test_no_rpc(stage: Stage) -> bytes:
    stage.client.syn(stage.server, 22)
    return stage.wire()


def test_one_direction_is_no_verdict() -> None:
    stage = Stage()
    stage.client.lock(stage.server).granted()
    stage.later(30)
    assert diagnosed(stage.wire(sent_by=stage.client)).verdict.state == "cannot-tell"


@threshold("CAP001", "wait_s", fires=5.5, quiet=4.5)
def test_a_silent_direction_of_so_long(stage: Stage, wait_s: float) -> bytes:
    stage.client.call(stage.client, "nsm1", "NULL").reply()
    stage.client.lock(stage.server).granted()
    stage.wait(wait_s)
    stage.client.call(stage.server, "nfs3", "NULL", port=2050)
    return stage.any(stage.client, sent_by=stage.client)


@quiet("CAP001")
def test_a_host_that_is_silent_indeed(stage: Stage) -> bytes:
    """Its segments are retransmitted, and the host answers on another connection."""
    stage.nfs()
    stage.wait(1)
    before = len(stage.scenario.packets())
    stage.client.lock(stage.server, acked=False)
    stage.later(20)
    handshake = range(before + 1, before + 4)
    return sent_again(stage.wire(lost=handshake), {before + 1: [0.2, 0.6, 1.4]})


@quiet("CAP001")
def test_calls_over_udp_without_reply(stage: Stage) -> bytes:
    stage.nfs()
    stage.client.call(stage.server, "nlm4", "NULL", transport="udp").unanswered(resend=[1, 3])
    stage.later(20)
    return stage.wire()


def test_each_pair_of_hosts_is_one_finding() -> None:
    stage = Stage()
    for client in (stage.client, stage.other):
        client.lock(stage.server).granted()
        client.getattr(stage.server, "/srv")
    stage.later(10)
    found = findings(asked("CAP001", stage.wire(sent_by=stage.server)))
    assert [(one.clients, one.count) for one in found] == [((CLIENT,), 2), ((OTHER,), 2)]


def reordered(stage: Stage, order: Sequence[int], late_s: float = 0) -> bytes:
    """Two NFS calls of a connection whose frames are written in this order, the SYN-ACK so much later."""
    stage.nfs(times=2)
    stage.later(10, stage.other)
    capture = stage.wire()
    records = list(records_of(capture))
    written = [records[number - 1] for number in order]
    synack = order.index(2)
    later = [
        struct.pack("<II", *divmod(time_of(record) + round(late_s * 1e9), 10**9)) + record[8:] for record in written
    ]
    return capture[:24] + b"".join([*written[:synack], *later[synack:], *records[len(order) :]])


def time_of(record: bytes) -> int:
    seconds, nanoseconds = struct.unpack_from("<II", record)
    return int(seconds) * 10**9 + int(nanoseconds)


SYNACK_BETWEEN_REPLIES = (1, 3, 4, 6, 7, 8, 2, 5)


@quiet("CAP001")
def test_frames_of_a_short_connection_that_are_written_out_of_order(stage: Stage) -> bytes:
    return reordered(stage, SYNACK_BETWEEN_REPLIES)


@fires("CAP001")
def test_frames_that_come_too_late_to_be_of_the_same_connection(stage: Stage) -> bytes:
    return reordered(stage, SYNACK_BETWEEN_REPLIES, late_s=0.2)
