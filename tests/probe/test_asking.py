"""Questions over sockets: what came of them, and the packets that they are written down as."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

import nfsrpc
from nfsrpc.probe import asking
from nfsrpc.probe.asking import Question, ask, outcome_of, record_of
from nfsrpc.probe.wire import Connection, Datagrams, End, Transport, Wire, icmp
from tests.probe.serving import Service

NLM, MOUNT = Question(100021, 4), Question(100005, 3)
LOCALHOST = "127.0.0.1"
TRANSPORTS: tuple[Transport, ...] = ("tcp", "udp")


@contextmanager
def serving(connected: Callable[[socket.socket], None]) -> Iterator[int]:
    """A TCP port whose first connection is handed to a function."""
    with socket.create_server((LOCALHOST, 0)) as server:

        def accept() -> None:
            with server.accept()[0] as connection:
                connected(connection)

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        thread.join(5)


def free_port(kind: int) -> int:
    with socket.socket(socket.AF_INET, kind) as sock:
        sock.bind((LOCALHOST, 0))
        return int(sock.getsockname()[1])


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_an_answer_is_decoded_from_the_packets(transport: Transport) -> None:
    service, wire = Service(LOCALHOST, {(100021, 4): "null"}), Wire()
    asked = ask(wire, transport, LOCALHOST, service.port, [NLM, MOUNT], 2.0)
    assert [(each.outcome, each.latency_s is not None) for each in asked] == [
        ("answered", True),
        ("PROG_UNAVAIL", True),
    ]
    calls = nfsrpc.read(wire.pcapng()).calls
    assert calls[["prog", "proc", "state", "rpc_status", "transport", "server_port"]].to_numpy().tolist() == [
        [100021, 0, "answered", 0, transport, service.port],
        [100005, 0, "answered", 1, transport, service.port],
    ]
    assert (calls["latency_s"] <= [each.latency_s for each in asked]).all()


@pytest.mark.parametrize(("transport", "kind"), [("tcp", socket.SOCK_STREAM), ("udp", socket.SOCK_DGRAM)])
def test_a_closed_port_refuses(transport: Transport, kind: int) -> None:
    wire = Wire()
    port = free_port(kind)
    asked = ask(wire, transport, LOCALHOST, port, [NLM, MOUNT], 2.0)
    assert [each.outcome for each in asked] == ["refused", "refused"]
    (flow,) = nfsrpc.read(wire.pcapng()).flows.to_dict("records")
    if transport == "tcp":
        assert (flow["syn"], flow["synack"], flow["s_rst"]) == (1, 0, 1)
    else:
        assert (flow["icmp"], flow["icmp_code"], flow["c_frames"], flow["s_frames"]) == (1, 3, 1, 0)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_silence_ends_after_the_timeout_and_ends_the_conversation(transport: Transport) -> None:
    service, wire = Service(LOCALHOST, {(100021, 4): "silent", (100005, 3): "null"}), Wire()
    asked = ask(wire, transport, LOCALHOST, service.port, [NLM, MOUNT], 0.3)
    assert [(each.outcome, each.latency_s) for each in asked] == [("no answer", None)] * 2
    trace = nfsrpc.read(wire.pcapng())
    assert trace.calls["proc"].tolist() == [0]
    if transport == "tcp":  # the kernel says that the call was acknowledged, and so the capture does
        (flow,) = trace.flows.to_dict("records")
        assert flow["s_frames"] >= 2


def test_a_datagram_is_sent_again_with_the_same_xid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "UDP_RESENDS_S", (0.05, 0.1, 9.0))
    service, wire = Service(LOCALHOST, {(100021, 4): "silent"}), Wire()
    ask(wire, "udp", LOCALHOST, service.port, [NLM], 0.2)
    assert nfsrpc.read(wire.pcapng()).calls["retransmits"].tolist() == [2]


def test_a_connection_that_is_closed_without_an_answer() -> None:
    wire = Wire()
    with serving(lambda connection: (connection.recv(100), None)[1]) as port:
        assert [each.outcome for each in ask(wire, "tcp", LOCALHOST, port, [NLM], 2.0)] == ["closed"]
    (flow,) = nfsrpc.read(wire.pcapng()).flows.to_dict("records")
    assert (flow["s_fin"], flow["s_rst"], flow["c_fin"]) == (1, 0, 0)


def test_a_connection_that_is_reset() -> None:
    def reset(connection: socket.socket) -> None:
        connection.recv(100)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    wire = Wire()
    with serving(reset) as port:
        assert [each.outcome for each in ask(wire, "tcp", LOCALHOST, port, [NLM], 2.0)] == ["closed"]
    (flow,) = nfsrpc.read(wire.pcapng()).flows.to_dict("records")
    assert flow["s_rst"] == 1


def test_a_host_that_sends_without_end_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """A record that never ends costs MAX_RECORD bytes, and what was sent is in the capture."""
    monkeypatch.setattr(asking, "MAX_RECORD", 200_000)

    def flood(connection: socket.socket) -> None:
        connection.recv(100)
        with suppress(OSError):
            connection.sendall(struct.pack(">I", 0x7FFFFFFF) + bytes(10_000_000))

    wire = Wire()
    with serving(flood) as port:
        assert [each.outcome for each in ask(wire, "tcp", LOCALHOST, port, [NLM], 5.0)] == ["no answer"]
    received = sum(len(packet) for _, packet in wire.packets)
    assert 200_000 <= received < 200_000 + 2 * asking.RECEIVE


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        (struct.pack(">6I", 1, 1, 0, 0, 0, 0), "answered"),
        (struct.pack(">5I4xI", 1, 1, 0, 0, 3, 2) + bytes(8), "PROG_MISMATCH"),  # a verifier of 3 bytes, padded
        (struct.pack(">6I", 1, 1, 0, 0, 0, 99), "rejected"),
        (struct.pack(">5I", 1, 1, 1, 1, 5), "rejected"),  # MSG_DENIED, AUTH_ERROR
        (struct.pack(">6I", 1, 0, 2, 100021, 4, 0), "rejected"),  # a call
        (b"\0\0\0\1", "rejected"),
        (b"", "rejected"),
        (struct.pack(">5I", 1, 1, 0, 0, 0xFFFFFFFF) + bytes(4), "rejected"),
    ],
)
def test_the_header_of_a_reply(reply: bytes, outcome: str) -> None:
    assert outcome_of(reply) == outcome


def test_a_record_is_whole_with_its_last_fragment() -> None:
    data = b"\0\0\0\2ab" + b"\x80\0\0\3cde"
    assert [record_of(data[:end]) for end in range(len(data))] == [None] * len(data)
    assert record_of(data + b"more") == b"abcde"


@pytest.mark.parametrize(("address", "code"), [("10.1.1.1", 13), ("fd00::1", 1)])
def test_packets_of_both_families_are_whole_and_right(address: str, code: int) -> None:
    """The decoder drops packets with wrong checksums; here it drops none."""
    here, there = End(address[:-1] + "2", 900), End(address, 111)
    wire = Wire()
    connection = Connection(wire, here, there)
    connection.syn()
    connection.accepted()
    connection.sent(bytes(40_000))
    connection.finished(here)
    datagrams = Datagrams(wire, here, there)
    datagrams.sent(b"abc")
    datagrams.unreachable(code, address)
    trace = nfsrpc.read(wire.pcapng())
    assert not len(trace.oddities)
    tcp, udp = (trace.flows[trace.flows["transport"] == name].iloc[0] for name in TRANSPORTS)
    assert (tcp["client"], tcp["server"], tcp["c_bytes"], tcp["c_frames"]) == (here.address, address, 40_000, 6)
    assert (udp["icmp"], udp["icmp_code"]) == (1, code)
    assert icmp(address, here.address, code, datagrams.last)[-8:-6] == (900).to_bytes(2, "big")
