"""Of messages over a loopback that several hosts share, nobody is accused, and no rule breaks."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import pytest

import nfsrpc
from benchmarks.attacks import ATTACKS, CLIENT, LOOPBACK, NLM_GRANTED, NSM, PORTMAP, SERVER, TCP, Ends, Owner, Writer
from nfsrpc.report import html, markdown, text
from nfsrpc.report import json as as_json
from nfsrpc.report.contents import report_of

GETPORT, PORT = 3, 700
REPORTS = (text, as_json, markdown, html)


class Merged(Writer):
    """Some hosts are seen at a loopback only, where two hosts of other names ask their portmappers."""

    def __init__(self, *hosts: str) -> None:
        super().__init__()
        self.hosts = hosts
        for number, name in enumerate((b"a", b"b")):
            ends = Ends(LOOPBACK, 1000 + number, LOOPBACK, 111)
            xid = self.call(ends, PORTMAP, 2, GETPORT, struct.pack(">IIII", NSM, 1, TCP, 0), machine=name)
            self.reply(ends, xid, struct.pack(">I", PORT))

    def ip(
        self, source: str, target: str, protocol: int, payload: bytes, fragment: int = 0x4000, ident: int | None = None
    ) -> None:
        source, target = (LOOPBACK if host in self.hosts else host for host in (source, target))
        super().ip(source, target, protocol, payload, fragment, ident)

    def read(self, path: Path) -> nfsrpc.Trace:
        path.write_bytes(self.capture())
        return nfsrpc.read(path)


@pytest.mark.parametrize("hosts", [(SERVER,), (CLIENT,), (SERVER, CLIENT)], ids=["server", "client", "both"])
@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_nobody_is_accused(attack: Callable[[Writer, int], None], hosts: tuple[str, ...], tmp_path: Path) -> None:
    merged = Merged(*hosts)
    attack(merged, 6)
    trace = merged.read(tmp_path / "merged.pcap")
    diagnosis = trace.diagnosis
    assert diagnosis.broken == ()
    for finding in diagnosis.findings:
        assert None not in finding.clients
        assert "None" not in str(finding)
    for report in REPORTS:
        assert "None" not in report.render(report_of(trace.tables, diagnosis))


def test_without_the_locks_of_nobody_the_rest_is_not_healthy(tmp_path: Path) -> None:
    merged = Merged()
    merged.lock(CLIENT, Owner(1, 1), NLM_GRANTED)
    merged.end()
    path = tmp_path / "merged.pcap"
    assert merged.read(path).diagnosis.verdict.state == "healthy"
    merged.lock(LOOPBACK, Owner(2, 2), NLM_GRANTED, server=LOOPBACK)
    assert merged.read(path).diagnosis.verdict.summary == (
        "Cannot tell whether all locks work: 1 lock request passed over a loopback that several hosts share."
    )


def test_locks_of_nobody_alone_tell_nothing(tmp_path: Path) -> None:
    merged = Merged()
    merged.lock(LOOPBACK, Owner(2, 2), NLM_GRANTED, server=LOOPBACK)
    assert merged.read(tmp_path / "merged.pcap").diagnosis.verdict.summary == (
        "Cannot tell whether locks work: all lock requests passed over a loopback that several hosts share."
    )
