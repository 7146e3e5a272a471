"""What is written reads as what was captured: link types, times, lengths, interfaces, bytes; and comments."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from dpkt import pcapng as dpkt_pcapng

import nfsrpc
from nfsrpc.carving.pcapng import write
from nfsrpc.raw import Frame, Raw, reread
from nfsrpc.trace import Trace
from tests.captures_dir import Capture, captures
from tests.scenario import Scenario


def all_of(trace: Trace) -> Raw:
    places = [(row.capture, frame) for row in trace.tables["captures"].rows() for frame in range(1, row.frames + 1)]
    return reread(trace.tables.decoded, places)


def copied(trace: Trace) -> bytes:
    file = io.BytesIO()
    frames = all_of(trace).frames
    write(file, trace.tables.decoded.interfaces, [(frame, f"№ {frame.frame}") for frame in frames], "all")
    return file.getvalue()


def without_place(frames: list[Frame]) -> list[tuple[object, ...]]:
    return [frame[2:] for frame in frames]


def interfaces(trace: Trace) -> list[tuple[object, ...]]:
    rows = trace.tables.decoded.interfaces
    return [(row["interface"], row["link_type"], row["name"], row["snaplen"]) for row in rows]


@pytest.mark.parametrize("capture", captures("samples", "repro"))
def test_a_copy_of_all_frames_is_the_same_capture(capture: Capture) -> None:
    before = nfsrpc.read(capture.path)
    after = nfsrpc.read(copied(before))
    assert without_place(all_of(after).frames) == without_place(all_of(before).frames)
    assert interfaces(after) == interfaces(before)
    assert after.verdict == before.verdict


@pytest.mark.parametrize("link", ["ethernet", "sll", "sll2", "null", "raw"])
@pytest.mark.parametrize("file", ["pcap", "pcapng"])
def test_links_interfaces_cuts_and_nanoseconds(link: str, file: str) -> None:
    s = Scenario(start=1_700_000_000.123456789)
    server, client = s.host("10.0.0.9", name="eth0"), s.host("10.0.0.1", name="eth1")
    client.lock(server).granted(after=0.000000123)
    at = [server, client] if file == "pcapng" else server
    before = nfsrpc.read(s.capture(at=at, link=link, file=file, snaplen=80))
    after = nfsrpc.read(copied(before))
    assert without_place(all_of(after).frames) == without_place(all_of(before).frames)
    assert interfaces(after) == interfaces(before)
    assert len(interfaces(after)) == (2 if file == "pcapng" else 1)
    assert any(frame.wire_len > len(frame.bytes) == 80 for frame in all_of(after).frames)


def test_comments_are_read_by_others() -> None:
    s = Scenario()
    s.host("10.0.0.1").lock(s.host("10.0.0.9"), transport="udp").granted()
    section, _interface, *packets = blocks(copied(nfsrpc.read(s.capture())))
    options = dpkt_pcapng.SectionHeaderBlockLE(section).opts
    assert [(option.code, option.data) for option in options] == [(1, b"all"), (4, b"nfsrpc carve"), (0, b"")]
    assert [dpkt_pcapng.EnhancedPacketBlockLE(packet).opts[0].text for packet in packets] == ["№ 1", "№ 2"]


def blocks(data: bytes) -> list[bytes]:
    found = []
    while data:
        size = int.from_bytes(data[4:8], "little")
        found.append(data[:size])
        data = data[size:]
    return found


def test_the_files_of_a_ring_have_the_same_interfaces(tmp_path: Path) -> None:
    s = Scenario()
    server, client = s.host("10.0.0.9"), s.host("10.0.0.1")
    for _ in range(4):
        client.lock(server, transport="udp").granted()
        s.wait(1)
    files = [tmp_path / f"a.pcap{number}" for number in (0, 1)]
    files[0].write_bytes(s.capture(until=2))
    files[1].write_bytes(s.capture(since=2))
    ring = nfsrpc.read(*files)
    whole = nfsrpc.read(copied(ring))
    assert (len(interfaces(ring)), len(interfaces(whole))) == (2, 1)
    assert without_place(all_of(whole).frames) == without_place(all_of(nfsrpc.read(s.capture())).frames)
