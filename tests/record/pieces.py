"""Batches of packet blocks with times of our choice, and findings without a capture."""

from __future__ import annotations

import struct
from typing import Any

from nfsrpc.findings.finding import Cause, Diagnosis, Finding, Verdict
from nfsrpc.record.ring import Batch
from nfsrpc.record.segment import PACKET, block
from nfsrpc.wording import SECOND

START = 1_795_325_499 * SECOND  # 2026-11-22 05:31:39 UTC
SERVER, CLIENT = "10.1.84.31", "10.1.84.41"


def packet(time: int, size: int = 100, interface: int = 0) -> bytes:
    head = struct.pack("<IIIII", interface, time >> 32, time & 0xFFFFFFFF, size, size)
    return block(PACKET, head + bytes(size + -size % 4))


def batch(*times: int, size: int = 100) -> Batch:
    return Batch(b"".join(packet(time, size) for time in times), len(times), times[0], times[-1])


def finding(rule: str = "REG001", host: str | None = SERVER, **fields: Any) -> Finding:
    values: dict[str, Any] = {"severity": "error", "certainty": "certain", "title": "rpc.statd is not registered"}
    values |= {"name": "statd-not-registered", "explanation": "", "clients": (CLIENT,)}
    return Finding(rule=rule, host=host, **values | {"first": START, "last": START} | fields)


def diagnosis(*findings: Finding, causes: tuple[Finding, ...] | None = None) -> Diagnosis:
    roots = findings if causes is None else causes
    listed = tuple(Cause(one.rule, one.host, one.certainty, one.title, one.id) for one in roots)
    state = "fault" if listed else "healthy"
    return Diagnosis(Verdict(None, state, "", listed), findings)  # type: ignore[arg-type]
