"""Mutants of captures: copies in which one field of one frame, or of the file around it, has another value.

`Layout` knows where every field of a capture stands, so that a mutant is named by what it touched; `mutants` draws some
of them by a seed. `judged` diagnoses them as the command does. Run as a module, this is the campaign: all mutants that
NFSRPC_MUTANTS asks for, and how many of each kind accuse a healthy capture or lose the proof of a faulty one.
"""

from __future__ import annotations

import os
import random
import struct
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import NamedTuple

import dpkt

from nfsrpc.decode import decode
from nfsrpc.diagnosis.verdict import diagnose
from nfsrpc.findings.finding import Diagnosis, Finding
from nfsrpc.sessions import WANTED, Sessions
from nfsrpc.sources import SourceError
from tests.captures_dir import Capture
from tests.wire import Frame, pcapng

SNAPLEN = 262_144
LINK_HEADERS = {1: 14, 113: 16, 276: 20}
ETHERTYPES = {1: 12, 113: 14, 276: 0}
TCP, UDP = 6, 17
CALL, REPLY = 0, 1

# Fields of headers by name: offset and size.
RECORD = {"time-seconds": (0, 4), "time-fraction": (4, 4), "caplen": (8, 4), "origlen": (12, 4)}
BLOCK = {
    "block-type": (0, 4),
    "block-length": (4, 4),
    "block-interface": (8, 4),
    "time-high": (12, 4),
    "time-low": (16, 4),
    "caplen": (20, 4),
    "origlen": (24, 4),
}
IP = {
    "ip-version": (0, 1),
    "ip-length": (2, 2),
    "ip-identification": (4, 2),
    "ip-fragment": (6, 2),
    "ip-protocol": (9, 1),
    "ip-checksum": (10, 2),
    "ip-source": (12, 4),
    "ip-target": (16, 4),
}
TCP_HEADER = {
    "port": (0, 4),
    "tcp-sequence": (4, 4),
    "tcp-acknowledgement": (8, 4),
    "tcp-offset": (12, 1),
    "tcp-flags": (13, 1),
    "tcp-checksum": (16, 2),
}
UDP_HEADER = {"port": (0, 4), "udp-length": (4, 2), "udp-checksum": (6, 2)}
RPC = {"xid": (0, 4), "msg-type": (4, 4)}
RPC_CALL = {"rpc-version": (8, 4), "program": (12, 4), "version": (16, 4), "procedure": (20, 4)}
RPC_REPLY = {"reply-status": (8, 4)}


class Field(NamedTuple):
    """A field of one frame, and where in the file it stands."""

    kind: str
    frame: int
    at: int
    size: int


class Mutant(NamedTuple):
    """A capture with another value in one field."""

    field: Field
    data: bytes


class Layout:
    """Where the fields of a capture stand: a pcap file of microseconds, little-endian, or a pcapng of `as_pcapng`."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    @cached_property
    def fields(self) -> dict[str, list[Field]]:
        """All fields, by kind."""
        found = defaultdict(list)
        for field in self._pcapng() if self.data[:4] == b"\n\r\r\n" else self._pcap():
            found[field.kind].append(field)
        return dict(found)

    def frames(self) -> list[Frame]:
        """The frames of a pcap file."""
        return [
            Frame(seconds * 10**9 + fraction * 1000, 0, self.data[at : at + size])
            for seconds, fraction, size, at in self._records()
        ]

    @property
    def link(self) -> int:
        return int(struct.unpack_from("<I", self.data, 20)[0]) & 0xFFFF

    def _records(self) -> Iterator[tuple[int, int, int, int]]:
        at = 24
        while at + 16 <= len(self.data):
            seconds, fraction, size, _ = struct.unpack_from("<4I", self.data, at)
            if at + 16 + size > len(self.data):
                return
            yield seconds, fraction, size, at + 16
            at += 16 + size

    def _pcap(self) -> Iterator[Field]:
        for number, (_, _, size, at) in enumerate(self._records(), 1):
            yield from named(RECORD, number, at - 16)
            yield from self._frame(number, self.link, at, size)

    def _pcapng(self) -> Iterator[Field]:
        at, number, link = 0, 0, 0
        while at + 12 <= len(self.data):
            kind, length = struct.unpack_from("<2I", self.data, at)
            if kind == dpkt.pcapng.PCAPNG_BT_IDB:
                link = int.from_bytes(self.data[at + 8 : at + 10], "little")
            if kind == dpkt.pcapng.PCAPNG_BT_EPB:
                number += 1
                yield from named(BLOCK, number, at)
                yield from self._frame(number, link, at + 28, struct.unpack_from("<I", self.data, at + 20)[0])
            else:
                yield from named({"block-type": (0, 4), "block-length": (4, 4)}, number + 1, at)
                yield Field("block-body", number + 1, at + 8, length - 12)
            at += length

    def _frame(self, number: int, link: int, at: int, size: int) -> Iterator[Field]:
        header, end = LINK_HEADERS[link], at + size
        yield Field("link-header", number, at, header)
        yield Field("ethertype", number, at + ETHERTYPES[link], 2)
        packet = at + header
        if self.data[packet] >> 4 != 4 or end - packet < 28:
            return
        yield from named(IP, number, packet)
        segment = packet + (self.data[packet] & 15) * 4
        end = min(end, packet + int.from_bytes(self.data[packet + 2 : packet + 4], "big"))
        if self.data[packet + 9] == UDP:
            yield from named(UDP_HEADER, number, segment)
            yield from self._message(number, segment + 8, end)
        elif self.data[packet + 9] == TCP and segment + 20 <= end:
            yield from named(TCP_HEADER, number, segment)
            start = segment + (self.data[segment + 12] >> 4) * 4
            if end - start >= 8 and self._is_message(start + 4, end):
                yield Field("record-mark", number, start, 4)
                yield from self._message(number, start + 4, end)
            elif end > start:
                yield Field("payload", number, start, end - start)

    def _is_message(self, at: int, end: int) -> bool:
        return end - at >= 24 and struct.unpack_from(">I", self.data, at + 4)[0] in (CALL, REPLY)

    def _message(self, number: int, at: int, end: int) -> Iterator[Field]:
        if not self._is_message(at, end):
            return
        yield from named(RPC, number, at)
        call = struct.unpack_from(">I", self.data, at + 4)[0] == CALL
        yield from named(RPC_CALL if call else RPC_REPLY, number, at)
        for word in range(at + (24 if call else 12), min(end, at + 400) - 3, 4):
            size = struct.unpack_from(">I", self.data, word)[0]
            yield Field("xdr-length" if 0 < size <= 64 else "xdr", number, word, 4)


def named(fields: dict[str, tuple[int, int]], frame: int, at: int) -> Iterator[Field]:
    for kind, (offset, size) in fields.items():
        yield Field(kind, frame, at + offset, size)


def as_pcapng(data: bytes) -> bytes:
    """The frames of a pcap file, as pcapng."""
    layout = Layout(data)
    return pcapng(layout.frames(), layout.link, SNAPLEN, ["any"])


def mutants(data: bytes, count: int, seed: int) -> Iterator[Mutant]:
    """So many mutants, of all kinds alike: a bit flipped, a byte replaced, or a number a little greater or less."""
    chance = random.Random(seed)
    fields = Layout(data).fields
    kinds = sorted(fields)
    for _ in range(count):
        field = chance.choice(fields[chance.choice(kinds)])
        yield Mutant(field, changed(data, field, chance))


def changed(data: bytes, field: Field, chance: random.Random) -> bytes:
    value = bytearray(data[field.at : field.at + field.size])
    before = bytes(value)
    while bytes(value) == before:
        way = chance.randrange(3)
        if way == 0:
            value[chance.randrange(len(value))] ^= 1 << chance.randrange(8)
        elif way == 1:
            value[chance.randrange(len(value))] = chance.randrange(256)
        elif len(value) <= 4:
            near = int.from_bytes(value, "big") + chance.choice((-4, -1, 1, 4, 20, 100, 1000))
            value[:] = (near % (1 << 8 * len(value))).to_bytes(len(value), "big")
    return data[: field.at] + bytes(value) + data[field.at + field.size :]


def judged(data: bytes) -> Diagnosis | None:
    """The diagnosis; none where the file is refused."""
    try:
        return diagnose(Sessions(decode([data], WANTED)))
    except SourceError:
        return None


def certain_faults(diagnosis: Diagnosis | None) -> list[Finding]:
    """What is claimed for certain of a host."""
    found = diagnosis.findings if diagnosis else ()
    return [
        each for each in found if each.certainty == "certain" and each.severity != "info" and each.rule[:3] != "CAP"
    ]


def accusations(before: Diagnosis, after: Diagnosis | None) -> list[Finding]:
    """The certain faults of a mutant that the capture did not have."""
    known = {found.rule for found in certain_faults(before)}
    return [found for found in certain_faults(after) if found.rule not in known]


def proof(diagnosis: Diagnosis) -> Finding | None:
    """The finding that the verdict is of, if it is certain."""
    rule = diagnosis.verdict.rule
    return next((found for found in certain_faults(diagnosis) if found.rule == rule), None)


def remains(found: Finding, after: Diagnosis | None) -> bool:
    """Whether a finding is still there, and certain."""
    return any((each.rule, each.host) == (found.rule, found.host) for each in certain_faults(after))


class Tally:
    """How mutants were judged, by kind."""

    def __init__(self) -> None:
        self.mutants, self.accused, self.faulty, self.lost = (
            Counter[str](),
            Counter[str](),
            Counter[str](),
            Counter[str](),
        )
        self.examples: list[str] = []

    def add(self, name: str, before: Diagnosis, mutant: Mutant, after: Diagnosis | None) -> None:
        kind, found = mutant.field.kind, proof(before)
        if not certain_faults(before):
            self.mutants[kind] += 1
            wrong = accusations(before, after)
            self.accused[kind] += bool(wrong)
            self._note("accuses", name, mutant, wrong)
        elif found and mutant.field.frame not in {each.frame for each in found.evidence}:
            self.faulty[kind] += 1
            gone = not remains(found, after)
            self.lost[kind] += gone
            self._note("loses", name, mutant, [found] if gone else [])

    def _note(self, what: str, name: str, mutant: Mutant, findings: Iterable[Finding]) -> None:
        for found in findings:
            frames = [each.frame for each in found.evidence]
            self.examples.append(f"{what} {name} {mutant.field}: {found.rule} {found.title} {frames}")

    def lines(self) -> Iterator[str]:
        yield f"{'kind':22}{'healthy':>9}{'accused':>9}{'faulty':>9}{'lost':>9}"
        for kind in (*sorted(self.mutants | self.faulty), "in all"):
            counts = (self.mutants, self.accused, self.faulty, self.lost)
            row = [each.total() if kind == "in all" else each[kind] for each in counts]
            yield f"{kind:22}" + "".join(f"{number:9}" for number in row)


def campaign(captures: Sequence[Capture], count: int, seed: int = 1) -> Tally:
    """So many mutants, shared among the captures and pcapng copies of them."""
    tally = Tally()
    data = [(capture.name, capture.load()) for capture in captures]
    files = data + [(f"{name} as pcapng", as_pcapng(each)) for name, each in data if is_plain_pcap(each)]
    for name, each in files:
        before = judged(each)
        if before is None:
            continue
        for mutant in mutants(each, count // len(files), seed + len(each)):
            tally.add(name, before, mutant, judged(mutant.data))
    return tally


def is_plain_pcap(data: bytes) -> bool:
    return data[:4] == b"\xd4\xc3\xb2\xa1"


if __name__ == "__main__":
    from tests.captures_dir import listed

    chosen = [each for each in listed(*(sys.argv[1:] or ["samples"])) if is_plain_pcap(each.load())]
    total = campaign(chosen, int(os.environ.get("NFSRPC_MUTANTS", "20000")))
    print(*total.examples, *total.lines(), sep="\n")
