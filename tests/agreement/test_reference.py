"""The core against the slow decoder, exchange for exchange: frames, times, parties, status, every resend."""

import random
import struct
from collections.abc import Callable

import pytest

from tests import reference
from tests.agreement.answer import calls_of_core, calls_of_reference, decode
from tests.captures_dir import Capture, captures, listed
from tests.reference_packets import frames as frames_of

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
