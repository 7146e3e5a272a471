"""NET004: fragments of large UDP messages are lost."""

from __future__ import annotations

import struct

from tests.records import NO_CHECKSUM
from tests.rules.stage import CLIENT, Stage, asked, cannot_tell, findings, fires, quiet, threshold
from tests.scenario import Exchange


@quiet("NET004")
def test_the_first_copy_lacks_its_second_half_and_others_come_whole(stage: Stage) -> bytes:
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


def copies(stage: Stage, resend: list[float], later: float = 20) -> bytes:
    """A WRITE of which each copy lacks its last fragment."""
    stage.client.getattr(stage.server, "/srv", transport="udp")
    large_call(stage).unanswered(resend=resend)
    stage.wait(later)
    stage.client.getattr(stage.server, "/srv", transport="udp")
    return stage.wire(mtu=1500, lost=range(5, 5 + 3 * (1 + len(resend)), 3))


@threshold("NET004", "copies", fires=2, quiet=1)
def test_so_many_copies(stage: Stage, number: int) -> bytes:
    return copies(stage, [1.1] * (number - 1))


@threshold("NET004", "apart_s", fires=0.7, quiet=0.3)
def test_copies_so_far_apart(stage: Stage, apart_s: float) -> bytes:
    return copies(stage, [apart_s])


@threshold("NET004", "end_s", fires=1.2, quiet=0.8)
def test_a_copy_that_the_end_of_the_capture_may_have_cut(stage: Stage, end_s: float) -> bytes:
    return copies(stage, [1.1], later=end_s)


@quiet("NET004")
def test_a_resend_of_another_call(stage: Stage) -> bytes:
    stage.client.getattr(stage.server, "/srv", transport="udp")
    large_call(stage)
    stage.wait(1)
    stage.client.call(stage.server, "nfs3", "GETATTR", transport="udp", object=b"x" * 8).unanswered(resend=[1.1, 3.3])
    stage.wait(20)
    return stage.wire(mtu=1500, lost=[5])


@quiet("NET004")
def test_different_calls_that_lack_as_much(stage: Stage) -> bytes:
    stage.client.getattr(stage.server, "/srv", transport="udp")
    for _ in range(3):
        large_call(stage)
        stage.wait(2)
    stage.client.getattr(stage.server, "/srv", transport="udp")
    return stage.wire(mtu=1500, lost=[5, 8, 11])


@quiet("NET004")
def test_a_filter_by_port_and_a_call_that_was_resent(stage: Stage) -> bytes:
    stage.client.getattr(stage.server, "/srv", transport="udp")
    call = large_call(stage)
    call.unanswered(resend=[1.1])
    call.reply(status="OK")
    stage.wait(5)
    stage.client.getattr(stage.server, "/srv", transport="udp")
    return stage.wire(mtu=1500, lost=[4, 5, 7, 8])


def test_a_finding_names_what_is_missing_of_which_message() -> None:
    (found,) = findings(asked("NET004", copies(Stage(), [1.1, 3.3])))
    assert found.title == "fragments of large UDP messages are lost: 3 copies of one lack the same part"
    assert "the RPC message with xid 0x1000000" in found.explanation
    assert [proof.frame for proof in found.evidence] == [3, 5, 7]


@quiet("NET004")
def test_datagrams_that_lack_their_beginning_may_be_of_any_message(stage: Stage) -> bytes:
    stage.client.getattr(stage.server, "/srv", transport="udp")
    large_call(stage).unanswered(resend=[1.1, 3.3])
    stage.wait(20)
    stage.client.getattr(stage.server, "/srv", transport="udp")
    return stage.wire(mtu=1500, lost=range(3, 12, 3))
