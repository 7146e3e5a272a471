"""What is read again has the numbers that it had at first: in one file, in the files of a ring, at several vantages."""

from __future__ import annotations

from pathlib import Path

import nfsrpc
from nfsrpc.decode import Decoded
from nfsrpc.protocols import program
from nfsrpc.raw import UNREACHABLE, Raw, reread
from tests.rpc_messages import decode_header
from tests.scenario import Scenario


class Locks:
    def __init__(self) -> None:
        self.s = Scenario()
        self.server = self.s.host("10.0.0.9", name="nfssrv")
        self.client = self.s.host("10.0.0.1", name="web-1")

    def lock(self, **options: int) -> None:
        self.client.lock(self.server, fragments=2, **options).granted(after=0.01)
        self.s.wait(1)


def calls(decoded: Decoded, raw: Raw) -> list[tuple[int, int, int, bool]]:
    """Each message, with the xid that the table has for its exchange and whether it is that of the message."""
    xids = dict(zip(decoded.exchanges["exchange"].tolist(), decoded.exchanges["xid"].tolist(), strict=True))
    found = [(message, decode_header(message.bytes)[0]["xid"]) for message in raw.messages]
    return [(each.capture, each.frame, xid, xids[each.exchange] == xid) for each, xid in found]


def test_messages_and_frames() -> None:
    locks = Locks()
    locks.lock()
    locks.lock()
    decoded = nfsrpc.read(locks.s.capture()).tables.decoded
    raw = reread(decoded, [(0, 5), (0, 6), (0, 4)], programs=[program("nlm4")])
    call, reply = raw.messages
    assert (call.frame, call.reply, call.copy, call.lost, call.length) == (5, False, 0, False, len(call.bytes))
    assert (reply.frame, reply.reply, reply.exchange) == (6, True, call.exchange)
    assert [(frame.frame, frame.link_type, frame.wire_len) for frame in raw.frames] == [
        (number, 1, len(frame.bytes)) for number, frame in zip((4, 5, 6), raw.frames, strict=True)
    ]
    assert [frame.time for frame in raw.frames] == sorted(frame.time for frame in raw.frames)


def test_copies_are_numbered() -> None:
    locks = Locks()
    locks.client.lock(locks.server).granted(after=30, resent=[10, 20], copies=3)
    decoded = nfsrpc.read(locks.s.capture()).tables.decoded
    raw = reread(decoded, [(0, frame) for frame in range(1, 20)])
    assert [(message.reply, message.copy) for message in raw.messages] == [
        (reply, copy) for reply in (False, True) for copy in (0, 1, 2)
    ]


def test_several_vantages() -> None:
    locks = Locks()
    for _ in range(3):
        locks.lock()
    other = Locks()
    other.client.getport(other.server, "nlm4", port=0, transport="udp")
    other.lock(xid=0x77)
    decoded = nfsrpc.read(locks.s.capture(at=locks.server), other.s.capture()).tables.decoded
    assert len(decoded.vantages) == 2
    flow = int(decoded.flows["flow"].max())
    raw = reread(decoded, [(0, 5), (1, 7)], [flow])
    assert calls(decoded, raw) == [(0, 5, 0x10000001, True), (1, 7, 0x77, True)]
    assert set(raw.packets["flow"].tolist()) == {flow}
    assert raw.packets["frame"].tolist() == list(range(3, 10))
    assert raw.packets["capture"].tolist() == [1] * 7
    hosts = {decoded.addresses[number][0] for number in raw.packets["source"].tolist()}
    assert hosts == {"10.0.0.1", "10.0.0.9"}


def test_a_ring(tmp_path: Path) -> None:
    locks = Locks()
    for _ in range(4):
        locks.lock()
    whole = locks.s.capture()
    files = [tmp_path / f"trace.pcap{number}" for number in range(2)]
    files[0].write_bytes(locks.s.capture(until=2))
    files[1].write_bytes(locks.s.capture(since=2))
    decoded = nfsrpc.read(*files).tables.decoded
    assert decoded.vantages == [[0, 1]]
    raw = reread(decoded, [(1, 2)], [0])
    ((capture, frame, _, same),) = calls(decoded, raw)
    assert (capture, frame, same) == (1, 2, True)
    assert len(raw.packets["frame"]) == len(reread(nfsrpc.read(whole).tables.decoded, flows=[0]).packets["frame"])


def test_what_says_that_nobody_listens() -> None:
    locks = Locks()
    locks.client.lock(locks.server, transport="udp").unreachable()
    decoded = nfsrpc.read(locks.s.capture()).tables.decoded
    assert reread(decoded, flows=[0]).packets["kind"].tolist() == [0, UNREACHABLE]
