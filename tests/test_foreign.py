"""What is read of captures that others made, and said of what is not: of those themselves, and of the same made here.

The captures are third parties' and no part of the repository: where they are missing, their tests are skipped.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import dpkt
import jsonschema
import pytest

import nfsrpc
from nfsrpc.report import json as json_report
from nfsrpc.report.contents import report_of
from nfsrpc.report.text import render
from nfsrpc.sessions import link_types
from nfsrpc.trace import Trace
from tests.captures_dir import SETS, Capture
from tests.records import records_of
from tests.scenario import Link, Scenario

FOREIGN = SETS["foreign"]
foreign = pytest.mark.skipif(
    not FOREIGN.found.is_dir(), reason=f"no captures in {FOREIGN.found}: name their directory in {FOREIGN.variable}"
)
SCHEMA = json.loads((Path(nfsrpc.__file__).parent / "report" / "analyze.schema.json").read_text())
CLIENT, SERVER = "10.0.0.1", "10.0.0.9"


def opened(name: str) -> Trace:
    return nfsrpc.read(Capture("foreign", name).path)


def values(trace: Trace, table: str, *columns: str) -> list[tuple[Any, ...]]:
    return list(zip(*map(trace.tables[table].values, columns), strict=True))


def oddities(trace: Trace) -> list[tuple[Any, ...]]:
    return values(trace, "oddities", "kind", "frame")


def lines(trace: Trace) -> str:
    """The report as text, in one line."""
    return " ".join(render(report_of(trace.tables, trace.diagnosis), width=80).split())


# What others captured


@foreign
def test_ip_over_infiniband() -> None:
    trace = opened("ipoib.pcap")
    flows = values(trace, "flows", "client", "server", "server_port", "c_frames")
    assert flows == [
        ("192.168.56.10", "192.168.56.24", port, frames)
        for port, frames in ((22, 15), (8, 1), (8, 1), (13, 1), (12, 1), (14, 1))
    ]
    assert values(trace, "quality", "not_ip", "unread", "unread_links") == [(4, 0, ())]
    assert trace.captures[0]["linktypes"] == ("IPOIB",)


@foreign
def test_logs_of_a_firewall() -> None:
    trace = opened("nflog.pcap")
    ports = [("74.82.42.42", "10.0.0.20", port) for port in (42585, 45190, 44031, 48736)]
    assert values(trace, "flows", "client", "server", "server_port") == ports
    assert values(trace, "quality", "not_ip", "unread") == [(0, 0)]


@foreign
def test_rpc_over_rdma_is_named_and_counted() -> None:
    trace = opened("nfs-rdma-roce.pcap")
    assert values(trace, "quality", "unread", "rdma", "rdma_rpc") == [(0, 19, 7)]
    assert "19 frames not read: RDMA, 7 of them RPC over RDMA" in lines(trace)
    assert trace.diagnosis.verdict.summary.endswith("; not read: 19 frames of RDMA (7 of them with RPC).")


@foreign
def test_a_damaged_syn_does_not_end_a_connection() -> None:
    trace = opened("bogus-syn.pcap")
    pairs = values(trace, "calls", "call_frame", "reply_frame")
    assert pairs == [(1, 2), (3, 4), (5, 6), (7, 8), (9, 10), *((at, at + 1) for at in range(12, 46, 2)), (46, None)]
    assert oddities(trace) == [("checksum", 11)]
    assert values(trace, "flows", "c_damaged", "s_damaged", "s_lost_bytes") == [(0, 1, 0)]


@foreign
@pytest.mark.parametrize("name", ["ntp-as-rpc-171.pcap", "capwap-as-rpc.pcap"])
def test_datagrams_that_are_no_rpc(name: str) -> None:
    trace = opened(name)
    assert len(trace.tables["calls"]) == 0
    assert values(trace, "flows", "rpc") == [(False,)]
    assert trace.diagnosis.verdict.summary == "Cannot tell whether locks work: the capture holds no RPC."


@foreign
def test_one_xid_at_two_ports_is_two_calls() -> None:
    trace = opened("nmap-rpc-same-xid.pcapng")
    columns = ("call_frame", "reply_frame", "server_port", "retransmits", "rpc_status")
    assert values(trace, "calls", *columns) == [(7, 11, 111, 0, 2), (9, 14, 2049, 0, 1)]


@foreign
def test_records_whose_lengths_chain_are_frames() -> None:
    trace = opened("suricata-bad-usec.pcap")
    assert trace.captures[0]["frames"] == 59
    assert [frame for kind, frame in oddities(trace) if kind == "capture-fraction"] == [8, 14, 56]
    assert [frame for kind, frame in oddities(trace) if kind != "capture-fraction"] == [2, 8, 14, 17, 39, 56]
    assert values(trace, "flows", "frame") == [
        (1,),
        (13,),
        (23,),
        (27,),
        (34,),
        (36,),
    ]  # of frame 11 the TCP header is cut


# The same, made here


def locked(link: Link = "ethernet") -> bytes:
    s = Scenario(start=1_700_000_000)
    s.host(CLIENT, name="web-1").lock(s.host(SERVER, name="nfssrv")).granted(after=0.01)
    return s.capture(link=link)


def with_frames(capture: bytes, *frames: bytes) -> bytes:
    """With further frames at its end."""
    (*_, last) = records_of(capture)
    seconds, nanoseconds = struct.unpack_from("<II", last)
    return capture + b"".join(
        struct.pack("<IIII", seconds, nanoseconds, len(frame), len(frame)) + frame for frame in frames
    )


def datagram(payload: bytes, *, sport: int = 1000, dport: int = 1001) -> bytes:
    udp = dpkt.udp.UDP(sport=sport, dport=dport, ulen=8 + len(payload), data=payload)
    ip = dpkt.ip.IP(src=b"\x0a\0\0\1", dst=b"\x0a\0\0\x09", p=17, id=7, data=udp)
    ip.len = len(ip)
    return bytes(dpkt.ethernet.Ethernet(type=0x0800, data=ip))


def words(*values: int) -> bytes:
    return struct.pack(f">{len(values)}I", *values)


# A SEND of RPC over RDMA (RFC 8166), and an acknowledgement.
SEND = (
    struct.pack(">BBHII", 4, 0, 0xFFFF, 18, 1) + words(7, 1, 32, 0, 0, 0, 0) + words(7, 0, 2, 100003, 3, 0) + bytes(20)
)
ACKNOWLEDGED = struct.pack(">BBHII", 0x11, 0, 0xFFFF, 18, 1) + bytes(8)


def with_link_type(capture: bytes, link_type: int) -> bytes:
    return capture[:20] + struct.pack("<I", link_type) + capture[24:]


@pytest.mark.parametrize("link", get_args(Link))
def test_a_lock_is_read_over_every_link(link: Link) -> None:
    trace = nfsrpc.read(locked(link))
    assert values(trace, "locks", "client", "server", "state") == [(CLIENT, SERVER, "held")]
    assert trace.diagnosis.verdict.state == "healthy"
    assert trace.captures[0]["linktypes"][0] in link_types.READ.values()


def test_the_link_types_that_are_read_are_those_of_the_core() -> None:
    unread = [
        number
        for number in range(300)
        if nfsrpc.read(with_link_type(locked(), number)).captures[0]["quality"]["unread"]
    ]
    assert sorted({*range(300)} - {*unread}) == sorted(link_types.READ)
    assert not link_types.READ.keys() & link_types.UNREAD.keys()


@pytest.mark.parametrize(
    ("number", "name"), [(105, "IEEE802_11"), (127, "IEEE802_11_RADIOTAP"), (150, "USER3"), (299, "299")]
)
def test_a_link_type_that_is_not_read_is_named(number: int, name: str) -> None:
    trace = nfsrpc.read(with_link_type(locked(), number))
    frames = trace.captures[0]["frames"]
    assert values(trace, "quality", "unread", "unread_links", "not_ip") == [(frames, (name,), 0)]
    assert f"{frames} frames not read: link type {name}" in lines(trace)
    verdict = trace.diagnosis.verdict
    assert verdict.state == "cannot-tell"
    assert verdict.summary == (
        "Cannot tell whether locks work: what was read of the capture holds no RPC; "
        f"not read: {frames} frames of link type {name}."
    )
    document = json.loads(json_report.render(report_of(trace.tables, trace.diagnosis)))
    jsonschema.validate(document, SCHEMA)
    assert document["captures"][0]["quality"]["unread_links"] == [name]


def test_what_another_link_type_wraps_is_named() -> None:
    wrapped = bytearray(locked("pktap"))
    for at in (offset + 16 for offset in offsets(wrapped)):
        wrapped[at + 8 : at + 12] = struct.pack("<I", 105)
    trace = nfsrpc.read(bytes(wrapped))
    assert values(trace, "quality", "unread_links") == [(("IEEE802_11",),)]


def offsets(capture: bytes | bytearray) -> list[int]:
    """Where the records begin."""
    found, at = [], 24
    for record in records_of(bytes(capture)):
        found.append(at)
        at += len(record)
    return found


@pytest.mark.parametrize(
    ("frames", "counts", "line", "headline"),
    [
        (
            [datagram(SEND, dport=4791), datagram(ACKNOWLEDGED, dport=4791)],
            (2, 1),
            "2 frames not read: RDMA, 1 of them RPC over RDMA",
            "; not read: 2 frames of RDMA (1 of them with RPC).",
        ),
        (
            [bytes(12) + b"\x89\x15" + bytes(40) + ACKNOWLEDGED],
            (1, 0),
            "1 frame not read: RDMA",
            "; not read: 1 frame of RDMA.",
        ),
    ],
    ids=["roce-v2", "roce-v1"],
)
def test_healthy_is_not_said_of_what_goes_over_rdma(
    frames: list[bytes], counts: tuple[int, int], line: str, headline: str
) -> None:
    trace = nfsrpc.read(with_frames(locked(), *frames))
    assert values(trace, "quality", "rdma", "rdma_rpc") == [counts]
    assert line in lines(trace)
    assert trace.diagnosis.verdict.state == "healthy"
    assert trace.diagnosis.verdict.summary.endswith(headline)


NTP = bytes.fromhex("e30006ec00000000000000025354455000000000000000000000000000000000") + words(
    0, 0, 0xDE4D71F9, 0xEF48B331
)
CAPWAP = words(0x00108200, 0, 2, 0x9200, 0x250038, 0x7DB, 0x7B0008, 2) + bytes(130)
DHCP = words(0x02010600, 1, 0, 0, 0, 0) + bytes(220)  # offers nothing, to all, with 1 for its xid
MULTICAST_DNS = bytes.fromhex("0000840000000001000000000a5f6e66732d73746174045f746370")


@pytest.mark.parametrize("payload", [NTP, CAPWAP, MULTICAST_DNS], ids=["ntp", "capwap", "mdns"])
def test_datagrams_that_only_begin_like_rpc(payload: bytes) -> None:
    trace = nfsrpc.read(alone(datagram(payload)))
    assert len(trace.tables["calls"]) == 0


def test_an_offer_to_all_is_no_reply() -> None:
    frame = bytearray(datagram(DHCP, sport=67, dport=68))
    frame[30:34] = b"\xff" * 4
    assert len(nfsrpc.read(alone(bytes(frame))).tables["calls"]) == 0


def test_what_rpcinfo_asks_is_rpc() -> None:
    call = words(1, 0, 2, 100003, 0, 0, 0, 0, 0, 0)
    assert values(nfsrpc.read(alone(datagram(call))), "calls", "program", "vers") == [("nfs", 0)]


def alone(*frames: bytes) -> bytes:
    """A capture of Ethernet with these frames, a second apart."""
    header = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 1 << 18, 1)
    return header + b"".join(
        struct.pack("<IIII", 1_700_000_000 + at, 0, len(frame), len(frame)) + frame for at, frame in enumerate(frames)
    )


def conversation() -> bytes:
    s = Scenario(start=1_700_000_000)
    server, client = s.host(SERVER), s.host(CLIENT)
    for _ in range(3):
        client.call(server, "nfs3", "NULL").reply()
    return s.capture()


def changed(capture: bytes, frame: int, change: Callable[[bytearray], None]) -> bytes:
    """With a frame and its header of 16 bytes changed."""
    records = [bytearray(record) for record in records_of(capture)]
    change(records[frame - 1])
    return capture[:24] + b"".join(records)


@pytest.mark.parametrize(("summed", "oddity"), [(True, "checksum"), (False, "corrupt-syn")])
def test_a_syn_in_the_middle_is_an_oddity(summed: bool, oddity: str) -> None:
    whole = nfsrpc.read(conversation())
    calls = values(whole, "calls", "call_frame", "reply_frame")
    damaged = calls[1][1]

    def syn(record: bytearray) -> None:
        record[16 + 14 + 20 + 13] = 0x0A  # SYN and PSH
        record[16 + 14 + 20 + 4] ^= 0x55  # in the sequence number
        if not summed:  # left to the network card
            record[16 + 14 + 20 + 16 : 16 + 14 + 20 + 18] = bytes(2)

    trace = nfsrpc.read(changed(conversation(), damaged, syn))
    assert values(trace, "calls", "call_frame", "reply_frame") == [calls[0], (calls[1][0], None), calls[2]]
    assert values(trace, "calls", "state")[1] == ("undecided",)
    assert oddities(trace) == [(oddity, damaged)]
    assert values(trace, "flows", "c_damaged", "s_damaged", "s_lost_bytes") == [(0, 1, 0)]


def test_a_fraction_of_a_second_or_more_is_an_oddity_and_costs_no_frame() -> None:
    frames = nfsrpc.read(conversation()).captures[0]["frames"]

    def timeless(record: bytearray) -> None:
        record[:8] = struct.pack("<II", 5, 1_500_000_000)

    trace = nfsrpc.read(changed(conversation(), 5, timeless))
    assert trace.captures[0]["frames"] == frames
    assert oddities(trace)[0] == ("capture-fraction", 5)
    assert values(trace, "calls", "call_frame", "reply_frame") == values(
        nfsrpc.read(conversation()), "calls", "call_frame", "reply_frame"
    )


def test_the_same_xid_at_two_ports_is_two_calls() -> None:
    call = words(0x72FE1D13, 0, 2, 100000, 104316, 0, 0, 0, 0, 0)
    trace = nfsrpc.read(alone(datagram(call, dport=111), datagram(call, dport=2049)))
    assert values(trace, "calls", "call_frame", "server_port", "retransmits") == [(1, 111, 0), (2, 2049, 0)]
