"""NET004: fragments of large UDP messages are lost."""

from __future__ import annotations

import struct

from tests.records import NO_CHECKSUM
from tests.rules.stage import CLIENT, Stage, cannot_tell, fires, quiet
from tests.scenario import Exchange


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
