"""DNS messages (RFC 1035) with pseudonyms: statd resolves names, and a capture shows what it asks.

Names keep their length, so pointers to them stay right (section 4.1.4). A name of a reverse zone is that of the
pseudonym of its address (section 3.5, RFC 3596 section 2.5). A message that is about none of the hosts and names of
the RPC messages becomes zeros, as do records whose form is not known here.
"""

from __future__ import annotations

import struct
from contextlib import suppress
from typing import NamedTuple

from nfsrpc.carving.pseudonyms import Pseudonyms

HEADER = 12
A, NS, CNAME, SOA, PTR, MX, AAAA, SRV = 1, 2, 5, 6, 12, 15, 28, 33
NAME_AT = {NS: 0, CNAME: 0, SOA: 0, PTR: 0, MX: 2, SRV: 6}  # where the name stands among a record's data
SOA_NUMBERS = 20
POINTER = 0xC0
MAX_LABELS = 128  # a name has at most 255 bytes, so that more are a loop of pointers
IN_ADDR, IP6 = (b"in-addr", b"arpa"), (b"ip6", b"arpa")


class Malformed(ValueError):
    pass


class Name(NamedTuple):
    labels: list[tuple[int, bytes]]  # where each stands, and it
    own: int  # how many of them stand here; the others are behind a pointer
    pointer: bool
    end: int


def message(data: bytes, names: Pseudonyms) -> bytes:
    """A message with pseudonyms; zeros if it is about no host that `names` has met."""
    rewriter = DnsRewriter(data, names)
    with suppress(Malformed, struct.error, IndexError):
        rewriter.rewrite()
    return bytes(rewriter.out)


class DnsRewriter:
    def __init__(self, data: bytes, names: Pseudonyms) -> None:
        self.data, self.names, self.out = data, names, bytearray(len(data))

    def rewrite(self) -> None:
        _, _, questions, *records = struct.unpack_from("!6H", self.data)
        if not questions or not self.is_known(self.name(HEADER)):
            return
        self.keep(0, HEADER)
        at = HEADER
        for _ in range(questions):
            at = self.put_name(at)
            at = self.keep(at, at + 4)
        for _ in range(sum(records)):
            at = self.put_record(at)

    def keep(self, begin: int, end: int) -> int:
        if end > len(self.data):
            raise Malformed
        self.out[begin:end] = self.data[begin:end]
        return end

    def is_known(self, name: Name) -> bool:
        """Whether a message about this name is one about the hosts of the RPC messages."""
        address = reverse_address([label for _, label in name.labels])
        if address is not None:
            return address in self.names.used["address"]
        return bool(name.labels) and self.names.has_label(name.labels[0][1])

    def name(self, at: int) -> Name:
        labels: list[tuple[int, bytes]] = []
        own, end = 0, None
        while len(labels) < MAX_LABELS:
            length = self.data[at]
            if length >= POINTER:
                own, end = (len(labels), at + 2) if end is None else (own, end)
                target = struct.unpack_from("!H", self.data, at)[0] & 0x3FFF
                if target >= at:
                    raise Malformed
                at = target
            elif not length:
                return Name(labels, len(labels), False, at + 1) if end is None else Name(labels, own, True, end)
            else:
                label = self.data[at + 1 : at + 1 + length]
                if len(label) < length or length > 63:
                    raise Malformed
                labels.append((at, label))
                at += 1 + length
        raise Malformed

    def put_name(self, at: int) -> int:
        name = self.name(at)
        texts = [label for _, label in name.labels]
        for (place, label), replaced in zip(name.labels[: name.own], self.replaced(texts), strict=False):
            self.out[place] = len(label)
            self.out[place + 1 : place + 1 + len(label)] = replaced
        if name.pointer:
            self.keep(name.end - 2, name.end)
        return name.end

    def replaced(self, labels: list[bytes]) -> list[bytes]:
        address = reverse_address(labels)
        if address is None:
            return [self.names.label(label) for label in labels]
        new = self.names.address(address)
        if len(new) == 4:
            return [b"%d" % octet for octet in reversed(new)] + labels[4:]
        return [b"%c" % digit for digit in reversed(new.hex().encode())] + labels[32:]

    def put_record(self, at: int) -> int:
        at = self.put_name(at)
        kind, _, _, length = struct.unpack_from("!HHIH", self.data, at)
        at = self.keep(at, at + 10)
        end = at + int(length)
        if end > len(self.data):
            raise Malformed
        if (kind, length) in ((A, 4), (AAAA, 16)):
            self.out[at:end] = self.names.address(self.data[at:end])
        elif kind in NAME_AT:
            behind = self.put_name(self.keep(at, at + NAME_AT[kind]))
            if kind == SOA:
                behind = self.put_name(behind)
                self.keep(behind, behind + SOA_NUMBERS)
        return end


def reverse_address(labels: list[bytes]) -> bytes | None:
    """The address of which this is the name in a reverse zone, or None."""
    zone = tuple(label.lower() for label in labels[-2:])
    if zone == IN_ADDR and len(labels) == 6:
        with suppress(ValueError):
            return bytes(int(label) for label in reversed(labels[:4]))
    if zone == IP6 and len(labels) == 34 and all(len(label) == 1 for label in labels[:32]):
        with suppress(ValueError):
            return bytes.fromhex(b"".join(reversed(labels[:32])).decode("ascii"))
    return None
