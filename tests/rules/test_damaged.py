"""Evidence that is damaged proves nothing for certain, and one field of a capture accuses nobody."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import replace
from ipaddress import IPv6Address
from pathlib import Path

import numpy as np
import pytest

import nfsrpc
from benchmarks.attacks import NFS, SECOND, Frame, pcap, record
from nfsrpc.columns import Coded, Source
from nfsrpc.decode import decode
from nfsrpc.diagnosis import damaged_frames, unread_files
from nfsrpc.diagnosis.damaged_frames import DAMAGE
from nfsrpc.findings.finding import Evidence, Finding
from nfsrpc.sessions import WANTED, Sessions
from nfsrpc.sources import SourceError
from nfsrpc.tables import CAPTURES, ODDITY_KINDS, Captures
from tests.captures_dir import SETS
from tests.corruption import Field, Layout, certain_faults, judged
from tests.rules.stage import SERVER, Stage, diagnosed

FOUND = Finding("LCK001", "lock", "error", "certain", SERVER, "title", "Why.", evidence=(Evidence(0, 7, "the call"),))


def test_damaged_evidence_makes_a_finding_likely_and_says_why() -> None:
    found = damaged_frames.doubtful(FOUND, {(0, 7): "xdr-length"})
    assert found.certainty == "likely"
    assert found.explanation == "Why. Frame 7 of the evidence is damaged (xdr-length): what it says is not certain."


@pytest.mark.parametrize("frame", [(0, 6), (1, 7)])
def test_damage_elsewhere_changes_nothing(frame: tuple[int, int]) -> None:
    assert damaged_frames.doubtful(FOUND, {frame: "xdr-length"}) == FOUND


def without(files: Sequence[str], skipped: Sequence[SourceError]) -> Finding:
    """The finding in the first of these files, where others could not be read."""
    columns: dict[str, Source] = {"capture": np.arange(len(files), dtype=np.uint16), "file": Coded.of(files)}
    captures = Captures(CAPTURES, len(files), columns)
    return unread_files.doubtful(FOUND, unread_files.unread(captures, tuple(skipped)))


@pytest.mark.parametrize("unread", ["/srv/a/trace.pcap1", "a/trace.pcap"])
@pytest.mark.parametrize("file", ["trace.pcap0", "a/trace.pcap0"])
def test_a_finding_of_a_ring_that_lacks_a_file_is_likely_and_says_why(file: str, unread: str) -> None:
    found = without([file, "other.pcap"], [SourceError(unread, "this is text, not a capture")])
    assert found.certainty == "likely"
    assert found.explanation == f"Why. {unread} of the same ring could not be read: what it holds may say otherwise."


@pytest.mark.parametrize("file", ["other.pcap", "b/trace.pcap0", "trace0"])
def test_a_file_that_is_unread_elsewhere_changes_nothing(file: str) -> None:
    skipped = [SourceError(path, "no such file") for path in ("a/trace.pcap1", "a/trace1")]
    assert without([file, "trace.pcap0"], skipped) == FOUND


def test_a_ring_of_which_a_file_cannot_be_read_proves_nothing_for_certain(tmp_path: Path) -> None:
    demo = Path(__file__).parents[2] / "captures" / "server-without-statd" / "nfssrv-any.pcap"
    (tmp_path / "trace.pcap0").write_bytes(demo.read_bytes())
    (tmp_path / "trace.pcap1").write_text("no capture")
    for names, certainty in ((["trace.pcap0"], "certain"), (["trace.pcap0", "trace.pcap1"], "likely")):
        diagnosis = nfsrpc.read(*(tmp_path / name for name in names)).diagnosis
        assert next((found.rule, found.certainty) for found in diagnosis.findings) == ("REG001", certainty)


def test_what_is_likely_anyway_stays_as_it_is() -> None:
    likely = replace(FOUND, certainty="likely")
    assert damaged_frames.doubtful(likely, {(0, 7): "frame-time"}) == likely


def test_the_kinds_of_damage_are_oddities() -> None:
    assert set(DAMAGE) <= set(ODDITY_KINDS)


def swallowed(stage: Stage) -> bytes:
    """Each reply in a segment of its own; the record mark of the first reply says 2 KiB more."""
    for _ in range(6):
        stage.client.getattr(stage.server, "/srv/a").reply()
    stage.client.lock(stage.server).granted()
    stage.later(30)
    capture = bytearray(stage.wire())
    at, ip = 24, 16 + 14
    while not (
        capture[at + ip + 9] == 6
        and bytes(capture[at + ip + 12 : at + ip + 16]) == bytes([10, 0, 0, 9])
        and len(payload(capture, at + ip)) > 4
    ):
        at += 16 + int.from_bytes(capture[at + 8 : at + 12], "little")
    mark = at + 16 + int.from_bytes(capture[at + 8 : at + 12], "little") - len(payload(capture, at + ip))
    capture[mark + 2] += 8
    return bytes(capture)


def payload(capture: bytearray, ip: int) -> bytes:
    length = int.from_bytes(capture[ip + 2 : ip + 4], "big")
    return bytes(capture[ip + 20 + (capture[ip + 32] >> 4) * 4 : ip + length])


def test_a_record_mark_that_swallows_the_replies_behind_it_loses_none() -> None:
    diagnosis = diagnosed(swallowed(Stage()))
    assert diagnosis.verdict.state == "healthy", diagnosis.verdict
    assert certain_faults(diagnosis) == []


def field(name: str, frame: int, kind: str) -> tuple[bytes, Field]:
    data = (SETS["samples"].found / name).read_bytes()
    return data, next(each for each in Layout(data).fields[kind] if each.frame == frame)


@pytest.mark.parametrize(
    ("frame", "kind", "value"),
    [
        (63, "record-mark", b"\x80\x00\x08\x00"),
        (124, "xdr", b"\x00\x00\x10\x00"),
        (72, "xid", b"\1\2\3\4"),
        (81, "time-seconds", b"\xff\xff\xff\x6a"),
    ],
)
def test_one_field_of_a_healthy_capture_accuses_nobody(frame: int, kind: str, value: bytes) -> None:
    data, at = field("client-without-statd/nfssrv-any.pcap", frame, kind)
    mutant = data[: at.at] + value + data[at.at + at.size :]
    assert mutant != data
    diagnosis = judged(mutant)
    assert diagnosis is not None
    assert certain_faults(diagnosis) == []


@pytest.mark.parametrize("frame", [174, 184, 190, 194, 205])
@pytest.mark.parametrize("left", [8, 12, 13])
def test_a_tcp_header_that_is_cut_does_not_move_what_follows(frame: int, left: int) -> None:
    data, port = field("never-called-back/cl2-eth0.pcap", frame, "port")
    _, caplen = field("never-called-back/cl2-eth0.pcap", frame, "caplen")
    begin, end = caplen.at + 8, caplen.at + 8 + int.from_bytes(data[caplen.at : caplen.at + 4], "little")
    size = (port.at + left - begin).to_bytes(4, "little")
    mutant = data[: caplen.at] + size + data[caplen.at + 4 : port.at + left] + data[end:]
    assert certain_rules(mutant) == certain_rules(data)


def test_a_tcp_header_that_contradicts_itself_does_not_move_what_follows() -> None:
    """From the acknowledgement number on an ACK is zero: without a data offset, and without a checksum that tells."""
    data, at = field("never-called-back/cl2-eth0.pcap", 71, "tcp-offset")
    begin, end = at.at - 2, at.at + 20
    assert certain_rules(data[:begin] + bytes(end - begin) + data[end:]) == certain_rules(data)


def certain_rules(data: bytes) -> set[str]:
    diagnosis = judged(data)
    assert diagnosis is not None
    return {found.rule for found in certain_faults(diagnosis)}


def test_an_ipv6_length_that_exceeds_its_frame_does_not_cover_what_follows() -> None:
    """The reply that it is of may have been any; those behind it are where they belong."""
    client, server = (IPv6Address(f"fd00::{number}").packed for number in (1, 9))
    frames, sent = [], {client: 1, server: 1}
    for xid in range(3):
        call = record(struct.pack(">10I", xid, 0, 2, NFS, 3, 0, 0, 0, 0, 0))
        reply = record(struct.pack(">6I", xid, 1, 0, 0, 0, 0))
        for source, target, ports, data in ((client, server, (700, 2049), call), (server, client, (2049, 700), reply)):
            segment = struct.pack(">HHIIBBHHH", *ports, sent[source], sent[target], 0x50, 0x18, 65535, 0, 0) + data
            beyond = 256 if (source, xid) == (server, 0) else 0
            head = struct.pack(">IHBB", 6 << 28, len(segment) + beyond, 6, 64)
            packet = bytes(12) + b"\x86\xdd" + head + source + target + segment
            frames.append(Frame(len(frames) * SECOND, 0, packet))
            sent[source] += len(data)
    states = Sessions(decode([pcap(frames)], WANTED))["calls"]["state"].tolist()
    assert states == ["undecided", "answered", "answered"]
