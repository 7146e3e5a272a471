"""The core against the slow decoder, exchange for exchange: frames, times, parties, status, every resend."""

import random
import struct
from collections.abc import Callable

import pytest

from nfsrpc.protocols import PROTOCOLS, compile, program  # noqa: A004
from nfsrpc.protocols.xdr import UNBOUNDED
from tests import reference
from tests.agreement.answer import calls_of_core, calls_of_reference, decode
from tests.captures_dir import Capture, captures, listed
from tests.reference_packets import frames as frames_of
from tests.rpc_messages import encode_call, encode_reply
from tests.scenario import Scenario
from tests.wire import ACK, PSH, TCP

PCAP_HEADER, RECORD_HEADER = 24, 16
MOMENT_US = 1_000  # how far apart two processors may write frames in the wrong order
DISTURBED = (
    Capture("samples", "server-without-statd/nfssrv-any.pcap"),
    Capture("samples", "contended/cl2-any.pcap"),
    Capture("samples", "waiting-behind-a-dead-client/nfssrv-any.pcap"),
    Capture("kernel", "16-lossy-network/cl2-eth0.pcap"),
    Capture("kernel", "20-ipv6/nfssrv-any.pcap"),
)
SEEDS = range(3)


@pytest.mark.parametrize("capture", captures("samples", "kernel", "repro", "public", "foreign"))
def test_every_exchange(capture: Capture) -> None:
    data = capture.load()
    assert calls_of_core(decode(data)) == calls_of_reference(reference.decode(data))


def test_exchanges_across_the_files_of_a_ring() -> None:
    files = [capture.load() for capture in listed("kernel") if capture.name.startswith("23b-ring-files/ring")]
    if not files:
        pytest.skip("no ring of captures")
    frames = [list(frames_of(data)) for data in files]
    offsets = [sum(map(len, frames[:number])) for number in range(len(files))]
    whole = [
        frame._replace(number=offset + frame.number)
        for offset, each in zip(offsets, frames, strict=True)
        for frame in each
    ]
    expected = calls_of_reference(reference.exchanges(reference.messages(whole)))
    assert calls_of_core(decode(*files), offsets) == expected


Record = tuple[int, bytes, bytes]  # time in µs, header, frame
Disturbance = Callable[[list[Record], random.Random], list[Record]]


def records(data: bytes) -> list[Record]:
    found: list[Record] = []
    at = PCAP_HEADER
    while at < len(data):
        seconds, micros, captured = struct.unpack_from("<III", data, at)
        head, at = data[at : at + RECORD_HEADER], at + RECORD_HEADER + captured
        found.append((seconds * 1_000_000 + micros, head, data[at - captured : at]))
    return found


def out_of_order(found: list[Record], chance: random.Random) -> list[Record]:
    """Neighbours that were captured within a moment change places."""
    found = list(found)
    for at in range(len(found) - 1):
        if found[at + 1][0] - found[at][0] < MOMENT_US and chance.random() < 0.3:
            found[at], found[at + 1] = found[at + 1], found[at]
    return found


def twice(found: list[Record], chance: random.Random) -> list[Record]:
    return [record for record in found for _ in range(1 + (chance.random() < 0.2))]


def with_losses(found: list[Record], chance: random.Random) -> list[Record]:
    return [record for record in found if chance.random() > 0.03]


def later(found: list[Record], chance: random.Random) -> list[Record]:
    return found[chance.randrange(len(found) // 2) :]


@pytest.mark.parametrize("disturb", [out_of_order, twice, with_losses, later])
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("capture", DISTURBED, ids="/".join)
def test_every_exchange_of_a_disturbed_capture(capture: Capture, seed: int, disturb: Disturbance) -> None:
    if not capture.path.exists():
        pytest.skip(f"no {capture.path}")
    data = capture.load()
    disturbed = disturb(records(data), random.Random(seed))
    data = data[:PCAP_HEADER] + b"".join(head + frame for _, head, frame in disturbed)
    assert calls_of_core(decode(data)) == calls_of_reference(reference.decode(data))


LAYOUTS = compile(PROTOCOLS, {})
MOST: reference.Most = {(layout[:3], layout[3]): layout[7] for layout in LAYOUTS[0] if layout[7] < UNBOUNDED}
NFS3 = program("nfs3")
ASKED = 8  # exchanges of a conversation
HEADER = 48  # bytes of a record that hold its mark and a header without credentials


def with_a_wrong_mark(chance: random.Random) -> bytes:
    """GETATTRs and their replies, many in a segment, where a record claims to be as long as it and what follows it."""
    scenario = Scenario()
    flow = scenario.host("10.0.0.1").flow(scenario.host("10.0.0.9"), 2049, TCP)
    calls = [encode_call(NFS3, "GETATTR", {"object": bytes(64)}, xid=xid) for xid in range(1, ASKED + 1)]
    replies = [encode_reply(NFS3, "GETATTR", {}, xid=xid) for xid in range(1, ASKED + 1)]
    mutated = chance.choice((True, False))
    for upstream, messages in ((True, calls), (False, replies)):
        sizes = [len(message) for message in messages]
        if upstream is mutated:
            at = chance.randrange(ASKED - 1)
            sizes[at] += sum(4 + size for size in sizes[at + 1 : chance.randrange(at + 2, ASKED + 1)])
        records = [struct.pack(">I", 1 << 31 | size) + message for size, message in zip(sizes, messages, strict=True)]
        cut = chance.randrange(ASKED)
        within = chance.randrange(HEADER, len(records[cut]) + 1)
        stream, place = b"".join(records), sum(map(len, records[:cut])) + within
        for piece in filter(None, (stream[:place], stream[place:])):
            flow.note(scenario.tick(), upstream, PSH | ACK, piece)
    return scenario.capture()


@pytest.mark.parametrize("seed", range(40))
def test_every_exchange_where_a_mark_swallows_records(seed: int) -> None:
    data = with_a_wrong_mark(random.Random(seed))
    batch = decode(data, layouts=LAYOUTS)
    calls = calls_of_core(batch)
    assert calls == calls_of_reference(reference.decode(data, MOST))
    assert [(call.xid, call.rpc_status) for call in sorted(calls, key=lambda call: call.xid)] == [
        (xid, 0) for xid in range(1, ASKED + 1)
    ]
    assert batch["oddities"]["kind"] == ["record-mark"]


@pytest.mark.parametrize("capture", DISTURBED, ids="/".join)
def test_no_message_of_a_real_capture_is_too_long(capture: Capture) -> None:
    if not capture.path.exists():
        pytest.skip(f"no {capture.path}")
    data = capture.load()
    batch = decode(data, layouts=LAYOUTS)
    assert calls_of_core(batch) == calls_of_core(decode(data)) == calls_of_reference(reference.decode(data, MOST))
    assert "record-mark" not in batch["oddities"]["kind"]
