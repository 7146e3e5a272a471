"""The language of scenarios: what is written is what a decoder finds in the bytes, at any vantage and over any link."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

import dpkt
import pytest

import nfsrpc
from nfsrpc.protocols import procedure_name
from tests.reference import Exchange, decode
from tests.reference_packets import frames
from tests.scenario import TICK, Host, Link, Scenario, Transport, Tunnel, handle

Seen = tuple[str, int | None, int, int]  # procedure, seconds until the reply, calls retransmitted, replies again


def exchanges_in(capture: bytes) -> list[Seen]:
    return sorted(map(summary, decode(capture)), key=str)


def summary(exchange: Exchange) -> Seen:
    call, reply = exchange.call, exchange.reply
    name = procedure_name(call.prog, call.vers, call.proc) if call else "?"
    waited = round((reply.time - call.time) / 1e9) if call and reply else None
    return name, waited, len(exchange.resends), len(exchange.duplicates)


def pair() -> tuple[Scenario, Host, Host]:
    scenario = Scenario()
    return scenario, scenario.host("10.0.0.9", name="nfssrv"), scenario.host("10.0.0.1", name="web-1")


def test_a_lock_is_answered_when_it_is_said() -> None:
    s, server, client = pair()
    client.lock(server).granted(after=2)
    assert exchanges_in(s.capture()) == [("LOCK", 2, 0, 0)]


def test_resends_and_copies_of_the_reply() -> None:
    s, server, client = pair()
    client.lock(server).granted(after=61.6, resent=[10.2, 31.7, 60.5], copies=4)
    client.lock(server).unanswered(resend=[10.2])
    assert exchanges_in(s.capture()) == [("LOCK", 62, 3, 3), ("LOCK", None, 1, 0)]


def test_what_is_sent_meanwhile_stays_in_order() -> None:
    s, server, client = pair()
    lock = client.lock(server)
    client.lock(server, svid=2).granted()
    lock.granted(after=3, resent=[1])
    assert exchanges_in(s.capture()) == [("LOCK", 0, 0, 0), ("LOCK", 3, 1, 0)]


def test_a_resend_on_a_new_connection_from_the_same_port() -> None:
    s, server, client = pair()
    lock = client.lock(server)
    s.wait(60)
    client.reconnect(server, 32803)
    lock.resend().granted()
    assert exchanges_in(s.capture()) == [("LOCK", 60, 1, 0)]
    assert syns(s.capture()) == [(1000, 32803), (1000, 32803)]


def test_nobody_acknowledges_on_a_connection_that_is_no_more() -> None:
    s, server, client = pair()
    client.lock(server)
    client.reconnect(server, 32803)
    assert [tcp.flags for tcp in segments(s.capture())] == [2, 18, 16, 24, 2, 18, 16]


def segments(capture: bytes) -> list[dpkt.tcp.TCP]:
    return [dpkt.ethernet.Ethernet(frame.data).data.data for frame in frames(capture)]


def syns(capture: bytes) -> list[tuple[int, int]]:
    return [(tcp.sport, tcp.dport) for tcp in segments(capture) if tcp.flags == dpkt.tcp.TH_SYN]


def test_a_blocked_lock_is_granted_by_a_call_back() -> None:
    s, server, client = pair()
    lock = client.lock(server).blocked()
    lock.granted(after=12)
    lock.unlock().granted()
    names = ["GETPORT", "GRANTED_MSG", "GRANTED_RES", "LOCK", "UNLOCK"]
    assert exchanges_in(s.capture()) == [(name, 0, 0, 0) for name in names]


def test_a_call_back_may_be_refused_or_not_answered() -> None:
    s, server, client = pair()
    client.lock(server).blocked().called_back("DENIED")
    client.lock(server, svid=2).blocked().call_back()
    assert exchanges_in(s.capture()) == [
        ("GETPORT", 0, 0, 0),
        ("GETPORT", 0, 0, 0),
        ("GRANTED_MSG", 0, 0, 0),
        ("GRANTED_MSG", None, 0, 0),
        ("GRANTED_RES", 0, 0, 0),
        ("LOCK", 0, 0, 0),
        ("LOCK", 0, 0, 0),
    ]


def test_a_lock_is_given_up_and_released_where_it_was_asked_for() -> None:
    s, server, client = pair()
    lock = client.lock(server, port=4045, transport="udp").blocked()
    lock.cancel().denied()
    lock.unlock().granted()
    found = decode(s.capture())
    assert [summary(one)[0] for one in found] == ["LOCK", "CANCEL", "UNLOCK"]
    assert {one.call.target[:2] for one in found if one.call} == {("10.0.0.9", 4045)}


def test_the_answer_of_a_message_is_a_call_the_other_way() -> None:
    s, server, client = pair()
    client.lock(server, asynchronous=True, transport="udp").denied(after=1)
    found = decode(s.capture())
    assert [summary(one)[0] for one in found] == ["LOCK_MSG", "LOCK_RES"]
    assert [one.call.source[0] for one in found if one.call] == ["10.0.0.1", "10.0.0.9"]


def test_errors_of_rpc() -> None:
    s, server, client = pair()
    client.lock(server).error("PROG_UNAVAIL")
    client.lock(server).error("AUTH_ERROR", auth_stat="AUTH_BADCRED")
    assert [one.reply.rpc_status for one in decode(s.capture()) if one.reply] == [1, 33]


def test_a_record_in_fragments() -> None:
    s, server, client = pair()
    client.lock(server, fragments=3).granted()
    assert exchanges_in(s.capture()) == [("LOCK", 0, 0, 0)]
    assert len(list(frames(s.capture()))) == 3 + 3 + 1 + 1  # handshake, fragments, reply, acknowledgement of the reply


def test_data_larger_than_a_segment() -> None:
    s, server, client = pair()
    client.call(server, "nfs3", "WRITE", file=handle("/a"), data=bytes(5000), count=5000).reply(status="OK")
    assert exchanges_in(s.capture()) == [("WRITE", 0, 0, 0)]
    assert max(len(frame.data) for frame in frames(s.capture())) == 14 + 20 + 20 + 1448


def test_an_unknown_field_is_an_error() -> None:
    server, client = pair()[1:]
    with pytest.raises(TypeError, match="no field handle"):
        client.call(server, "nfs3", "GETATTR", handle=b"")
    with pytest.raises(TypeError, match="no field state"):
        client.getattr(server, "/a").reply(state=1)


@pytest.mark.parametrize(
    ("place", "on", "seen"),
    [
        ("server", "wire", ["LOCK"]),
        ("server", "any", ["GETPORT", "LOCK"]),
        ("server", "lo", ["GETPORT"]),
        ("client", "any", ["LOCK", "SM_MON"]),
        ("client", "lo", ["SM_MON"]),
        ("other", "any", []),
        ("nowhere", "wire", ["LOCK"]),
    ],
)
def test_a_vantage_sees_its_own(place: str, on: Literal["wire", "lo", "any"], seen: list[str]) -> None:
    s, server, client = pair()
    other = s.host("10.0.0.2")
    client.monitor(server).reply()
    client.lock(server).granted()
    server.getport(server, "nsm1", port=0)
    at = {"server": server, "client": client, "other": other}.get(place)
    assert [name for name, *_ in exchanges_in(s.capture(at, on))] == seen


@pytest.mark.parametrize("link", get_args(Link))
@pytest.mark.parametrize("file", ["pcap", "pcapng"])
@pytest.mark.parametrize("address", ["10.0.0.9", "fd84::9"])
def test_every_link_and_file(link: Link, file: Literal["pcap", "pcapng"], address: str) -> None:
    s = Scenario(start=1_700_000_000)
    server, client = s.host(address), s.host(address[:-1] + "1")
    client.lock(server).granted(after=1)
    server.monitor(client, transport="udp").reply()
    capture = s.capture(server, "any", link=link, file=file)
    assert exchanges_in(capture) == [("LOCK", 1, 0, 0), ("SM_MON", 0, 0, 0)]
    assert next(frames(capture)).time == 1_700_000_000_000_100_000


def test_several_hosts_are_several_interfaces() -> None:
    s, server, client = pair()
    server.getport(server, "nsm1", transport="udp")
    client.getport(client, "nsm1", transport="udp")
    capture = s.capture([server, client], "any", link="sll2", file="pcapng")
    assert [name for name, *_ in exchanges_in(capture)] == ["GETPORT", "GETPORT"]
    assert capture.count(b"nfssrv\0\0\x09\0") == capture.count(b"web-1\0\0\0\x09\0") == 1


@pytest.mark.parametrize(
    ("capture", "expected"),
    [
        (lambda s, server: s.capture(sent_by=server), [("?", None, 0, 0)]),
        (lambda s, server: s.capture(until=1), [("LOCK", None, 0, 0)]),
        (lambda s, server: s.capture(since=1), [("?", None, 0, 0)]),
        (lambda s, server: s.capture(lost={4}), [("?", None, 0, 0)]),
        (lambda s, server: s.capture(lost={6}), [("LOCK", None, 0, 0)]),
        (lambda s, server: s.capture(twice=True), [("LOCK", 2, 0, 0)]),
        (lambda s, server: s.capture(again={4: 0.2}), [("LOCK", 2, 0, 0)]),
    ],
    ids=["one side", "ended early", "begun late", "call lost", "reply lost", "captured twice", "segment again"],
)
def test_faults_of_the_capture(capture: Callable[[Scenario, Host], bytes], expected: list[Seen]) -> None:
    s, server, client = pair()
    client.lock(server).granted(after=2)  # frames 1-3 handshake, 4 call, 5 its acknowledgement, 6 reply, 7 its own
    assert exchanges_in(capture(s, server)) == expected


def test_frames_seen_again_come_as_much_later_as_is_said() -> None:
    s, server, client = pair()
    client.call(server, "nsm1", "NULL", transport="udp")
    for capture, later in ((s.capture(again={1: 0.2}), 200_000_000), (s.capture(twice=True), 3_000)):
        first, again = frames(capture)
        assert (again.time - first.time, again.data) == (later, first.data)


def test_frames_out_of_order() -> None:
    s, server, client = pair()
    client.lock(server, fragments=2).granted()
    capture = s.capture(swapped={4})
    assert exchanges_in(capture) == [("LOCK", 0, 0, 0)]
    first, second = [frame.data for frame in frames(s.capture())][3:5]
    assert [frame.data for frame in frames(capture)][3:5] == [second, first]


def test_a_snaplen_cuts() -> None:
    s, server, client = pair()
    client.lock(server).granted()
    assert max(len(frame.data) for frame in frames(s.capture(snaplen=96))) == 96


def test_refused_ignored_and_reset_connections() -> None:
    s, server, client = pair()
    client.syn(server, 4045, refused=True)
    client.syn(server, 4046, resend=[1, 3])
    client.lock(server)
    client.flow(server, 32803, 6).reset()
    assert [tcp.flags for tcp in segments(s.capture())] == [2, 20, 2, 2, 2, 2, 18, 16, 24, 20]


@pytest.mark.parametrize(("address", "kind", "quoted_at"), [("10.0.0.9", 3, 42), ("fd84::9", 1, 62)])
def test_nobody_listens_at_a_port(address: str, kind: int, quoted_at: int) -> None:
    s = Scenario()
    server, client = s.host(address), s.host(address[:-1] + "1")
    client.call(server, "nsm1", "NULL", transport="udp").unreachable()
    call, icmp = (frame.data for frame in frames(s.capture()))
    assert icmp[quoted_at - 8] == kind
    assert icmp[quoted_at:] == call[14:]


def test_checksums_are_right() -> None:
    s, server, client = pair()
    client.lock(server, transport="udp").granted()
    client.lock(server).granted()
    for frame in frames(s.capture()):
        packet = dpkt.ethernet.Ethernet(frame.data).data
        checksums = packet.sum, packet.data.sum
        packet.sum = packet.data.sum = 0
        again = dpkt.ip.IP(bytes(packet))
        assert (again.sum, again.data.sum) == checksums


@pytest.mark.parametrize("tunnel", [None, *get_args(Tunnel)])
@pytest.mark.parametrize("address", ["10.0.0.9", "fd84::9"])
@pytest.mark.parametrize("transport", get_args(Transport))
def test_tunnels_and_fragments(tunnel: Tunnel | None, address: str, transport: Transport) -> None:
    """What comes out is what was sent, and is sent once, also where the way in is seen."""
    s = Scenario()
    server, client = s.host(address), s.host(address[:-1] + "1")
    client.lock(server, transport=transport).granted(after=2)
    entries = [{"fileid": number, "name": f"file-{number:04}"} for number in range(200)]
    listing = client.call(server, "nfs3", "READDIRPLUS", transport=transport, dir=b"1")
    listing.reply(status="OK", entries=entries, eof=True)
    plain = seen(s.capture())
    assert [(row[0], row[1], row[3]) for row in plain] == [
        ("LOCK", "answered", 2_000_000_000),
        ("READDIRPLUS", "answered", TICK),
    ]
    assert seen(s.capture(tunnel=tunnel)) == plain
    assert seen(s.capture(tunnel=tunnel, mtu=600)) == plain
    assert seen(s.capture(tunnel=tunnel, inside=True, mtu=600)) == plain


def seen(capture: bytes) -> list[tuple[object, ...]]:
    calls = nfsrpc.read(capture).tables["calls"]
    return [
        (row.procedure, row.state, row.time, row.reply_time - row.time, row.client, row.retransmits, row.duplicates)
        for row in calls.rows()
    ]


def test_fragments_are_no_larger_than_what_carries_them() -> None:
    s, server, client = pair()
    client.call(server, "nfs3", "WRITE", transport="udp", file=b"1", data=bytes(3000)).reply(status="OK")
    for tunnel in (None, "vxlan"):
        sizes = [len(frame.data) - 14 for frame in frames(s.capture(tunnel=tunnel, mtu=1000))]
        assert max(sizes) <= 1000
        assert len(sizes) == 5
    pieces = [dpkt.ethernet.Ethernet(frame.data).data for frame in frames(s.capture(mtu=1000))]
    assert [(piece.mf, piece.offset * 8) for piece in pieces] == [(1, 0), (1, 976), (1, 1952), (0, 2928), (0, 0)]
