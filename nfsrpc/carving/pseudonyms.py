"""Keyed pseudonyms of addresses, names, numbers and bytes, each as long as what it stands for.

Every kind of value is numbered from 0, and its pseudonym is the successor in an order of these numbers that only the
key determines: so two originals never have one pseudonym, none is its own, and nothing has to be remembered for the
same original to have the same pseudonym in another capture. Small ranges are shuffled; on large ones the order is a
Feistel network (Black and Rogaway, "Ciphers with Arbitrary Finite Domains", 2002).

* Addresses: octet by octet, IPv6 by groups of 16 bits, each under the octets before it, so that two addresses have as
  long a common prefix as their pseudonyms, and each with as many digits, so that text keeps its length.
* Names: label by label; letters stay letters and digits digits. Case is ignored, as DNS ignores it (RFC 4343).
* Kept: what is the same on every network (loopback, link-local, multicast; "localhost"; root and nobody; zeros).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from functools import lru_cache
from hashlib import shake_256
from ipaddress import IPv4Address, IPv6Address
from math import isqrt

KEY_BYTES = 32
ROUNDS = 8  # two more than suffice against an attacker who may choose the originals (Patarin, CRYPTO 2004)
SHUFFLED = 1024  # ranges up to this size are shuffled: on small ones a Feistel network is weak
LONGEST = 255  # bytes that are numbered at once, as long as a name in a file system: numbers of more digits are slow
SLACK = 8  # bytes drawn beyond the size of a range, so that their remainder is as good as uniform

OCTETS = (range(1, 10), range(10, 100), range(100, 255))  # 0 and 255 are kept: they name networks and broadcasts
FIRST_OCTETS = (range(1, 10), range(10, 100), [*range(100, 127), *range(128, 169), *range(170, 224)])
LINK_LOCAL_OCTET, LINK_LOCAL = 169, 254  # RFC 3927
GROUPS = (range(1, 0x10), range(0x10, 0x100), range(0x100, 0x1000), range(0x1000, 0x10000))
# RFC 4291 section 2.4, RFC 4193: global unicast stays global, unique local stays unique local.
FIRST_GROUPS = (
    *GROUPS[:3],
    *(range(0x1000, 0x2000), range(0x2000, 0x4000), range(0x4000, 0xFC00), range(0xFC00, 0xFE00)),
    *(range(0xFE00, 0xFE80), range(0xFEC0, 0xFF00)),
)
EMBEDDING = (bytes(10) + b"\xff\xff", b"\0\x64\xff\x9b" + bytes(8))  # RFC 4291 section 2.5.5.2, RFC 6052: then IPv4

# Names that are the same everywhere, as labels: of the host itself, and of DNS's reverse zones.
KEPT_LABELS = frozenset(
    b"localhost localhost4 localhost6 localdomain localdomain4 localdomain6"
    b" ip6-localhost ip6-loopback in-addr ip6 arpa".split()
)
NOBODY, NOBODY_32, NOT_SET = 65534, 2**32 - 2, 2**32 - 1
KEPT_IDS = frozenset((0, NOBODY, NOBODY_32, NOT_SET))

# What may be an address in a text; the address may be followed by the two numbers of a port, as in a universal address
# (RFC 5665 section 5.2.3.3), or by the length of a network's prefix.
ADDRESS = re.compile(
    rb"(?<![0-9A-Za-z:.])(?:(?P<run>[0-9A-Fa-f:.]++(?![0-9A-Za-z]))|(?P<v4>(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?![0-9A-Za-z])))"
)
PREFIX = re.compile(rb"/[0-9]{1,3}(?![0-9A-Za-z])")
LABEL = re.compile(rb"[0-9A-Za-z_\x80-\xff-]+")
OWNER = re.compile(rb"[0-9]+@")  # Linux's lock owners: the number of a process, and its host
PORT = re.compile(rb"(?P<address>.*?)(?P<port>\.[0-9]{1,3}\.[0-9]{1,3})", re.DOTALL)
WORD = re.compile(rb"[0-9A-Fa-f]{1,4}")


class Pseudonyms:
    """The pseudonyms under one key, and which of them were used, by kind."""

    def __init__(self, key: bytes) -> None:
        self.key = key
        self.used: dict[str, dict[bytes, bytes]] = defaultdict(dict)
        self.packed: set[bytes] = set()  # addresses that were met as bytes, and not only as text

    # Orders

    def successor(self, domain: bytes, number: int, size: int) -> int:
        """The number after this one in the order of the numbers below `size` that key and domain determine."""
        if size <= SHUFFLED:
            order, place = self._shuffled(domain, size)
            return order[(place[number] + 1) % size]
        network = self._network(domain, size)
        return network.backward((network.forward(number) + 1) % size)

    @lru_cache(maxsize=2**16)  # noqa: B019 - it lives as long as one command
    def _shuffled(self, domain: bytes, size: int) -> tuple[list[int], dict[int, int]]:
        draws = shake_256(self.key + b"shuffle" + domain).digest(16 * size)
        order = sorted(range(size), key=lambda number: draws[16 * number : 16 * number + 16])
        return order, {number: place for place, number in enumerate(order)}

    @lru_cache(maxsize=2**12)  # noqa: B019
    def _network(self, domain: bytes, size: int) -> Feistel:
        return Feistel(self.key + b"network" + len(domain).to_bytes(4, "big") + domain, size)

    def within(self, domain: bytes, classes: Iterable[range | list[int]], value: int) -> int:
        """The pseudonym of a value among those of its class; a value of no class is kept."""
        for members in classes:
            if value in members:
                return members[self.successor(domain, members.index(value), len(members))]
        return value

    def _use(self, kind: str, original: bytes, replaced: bytes) -> bytes:
        self.used[kind][original] = replaced
        return replaced

    # Addresses

    def address(self, packed: bytes) -> bytes:
        """The pseudonym of an IPv4 or IPv6 address that stands somewhere as bytes."""
        self.packed |= {packed, packed[12:]}  # IPv4 may be embedded in IPv6
        return self._address(packed)

    def _address(self, packed: bytes) -> bytes:
        known = self.used["address"].get(packed)
        if known is not None:
            return known
        return self._use("address", packed, self._ipv4(packed) if len(packed) == 4 else self._ipv6(packed))

    def _ipv4(self, packed: bytes) -> bytes:
        first = packed[0]
        if first in (0, 127) or first >= 224 or packed[:2] == bytes((LINK_LOCAL_OCTET, LINK_LOCAL)):
            return packed
        out = [self.within(b"octet", FIRST_OCTETS, first)]
        for at in range(1, 4):
            classes: Iterable[range | list[int]] = OCTETS
            if at == 1 and first == LINK_LOCAL_OCTET:
                classes = (*OCTETS[:2], [octet for octet in OCTETS[2] if octet != LINK_LOCAL])
            out.append(self.within(b"octet" + packed[:at], classes, packed[at]))
        return bytes(out)

    def _ipv6(self, packed: bytes) -> bytes:
        if packed[:12] in EMBEDDING:
            return packed[:12] + self._address(packed[12:])
        if packed[0] == 0xFF or packed in (bytes(16), bytes(15) + b"\1"):
            return packed
        out = b""
        for at in range(0, 16, 2):
            classes: Iterable[range | list[int]] = GROUPS if at else FIRST_GROUPS
            if at == 14 and packed[:14] == bytes(14):
                classes = (range(2, 0x10), *GROUPS[1:])  # ::1 is the loopback
            group = int.from_bytes(packed[at : at + 2], "big")
            out += self.within(b"group" + packed[:at], classes, group).to_bytes(2, "big")
        return out

    def mac(self, packed: bytes) -> bytes:
        """The pseudonym of a MAC address; group addresses and zeros are kept, and so is the bit of local ones."""
        if packed[0] & 1 or not any(packed):
            return packed
        known = self.used["MAC"].get(packed)
        if known is not None:
            return known
        bits = packed[0] & 2
        number = int.from_bytes(bytes((packed[0] >> 2,)) + packed[1:], "big")
        replaced = self.successor(b"mac" + bytes((bits,)), number, 2**46).to_bytes(6, "big")
        return self._use("MAC", packed, bytes((replaced[0] << 2 | bits,)) + replaced[1:])

    # Text

    def text(self, original: bytes) -> bytes:
        """A text with the pseudonyms of the addresses and labels in it."""
        known = self.used["text"].get(original)
        if known is not None:
            return known
        at, out = 0, list[bytes]()
        for match in ADDRESS.finditer(original):
            if match.start() >= at and (replaced := self._address_text(match.group())) is not None:
                out += (self._labels(original[at : match.start()]), replaced)
                at = match.end()
                if prefix := PREFIX.match(original, at):
                    out.append(prefix.group())
                    at = prefix.end()
        out.append(self._labels(original[at:]))
        return self._use("text", original, b"".join(out))

    def owner(self, original: bytes) -> bytes:
        """The pseudonym of a lock owner, as a text; the number of a process that it begins with is kept."""
        process = OWNER.match(original)
        if process is None:
            return self.text(original)
        return self._use("text", original, process.group() + self.text(original[process.end() :]))

    def _labels(self, text: bytes) -> bytes:
        return LABEL.sub(lambda match: self.label(match.group()), text)

    def _address_text(self, text: bytes) -> bytes | None:
        """Text of an address, with or without a port, or None where it is none."""
        for length in (len(text), len(text.rstrip(b".")), len(text.rstrip(b".:"))):
            whole, rest = text[:length], text[length:]
            port = PORT.fullmatch(whole)
            for address, behind in ((whole, rest), (port["address"], port["port"] + rest) if port else (b"", b"")):
                if (packed := packed_address(address)) is not None:
                    return written(address, self._address(packed)) + behind
        return None

    def label(self, original: bytes) -> bytes:
        """The pseudonym of one label of a name."""
        if len(original) > LONGEST:
            return b"".join(self.label(original[at : at + LONGEST]) for at in range(0, len(original), LONGEST))
        if original.lower() in KEPT_LABELS:
            return original
        known = self.used["name"].get(original)
        if known is not None:
            return known
        pattern, number, size = b"", 0, 1
        letters = [letter_class(original, at) for at in range(len(original))]
        for (first, radix), byte in zip(letters, original, strict=True):
            pattern += bytes((first | 0x20 if radix == 26 else first, radix))
            number, size = number * radix + byte - first, size * radix
        if size == 1:
            return original
        number = self.successor(b"label" + pattern, number, size)
        out = bytearray()
        for first, radix in reversed(letters):
            number, letter = divmod(number, radix)
            out.append(first + letter)
        return self._use("name", original, bytes(reversed(out)))

    def has_label(self, label: bytes) -> bool:
        """Whether this label has occurred, in upper or lower case."""
        return any(form in self.used["name"] for form in (label, label.lower(), label.upper()))

    # Bytes and numbers

    def opaque(self, original: bytes, kind: str = "handle") -> bytes:
        """The pseudonym of bytes without a meaning to others: handles, cookies, verifiers; zeros are kept."""
        if len(original) > LONGEST:
            parts = (original[at : at + LONGEST] for at in range(0, len(original), LONGEST))
            return self._use(kind, original, b"".join(self.opaque(part, kind) for part in parts))
        if not any(original):
            return original
        known = self.used[kind].get(original)
        if known is not None:
            return known
        domain, size = b"opaque" + len(original).to_bytes(4, "big"), 256 ** len(original)
        number = self.successor(domain, int.from_bytes(original, "big"), size)
        while not number:
            number = self.successor(domain, number, size)
        return self._use(kind, original, number.to_bytes(len(original), "big"))

    def identifier(self, original: int) -> int:
        """The pseudonym of a user or group, with as many digits; root, nobody and "not set" are kept."""
        return self._number("id", original, 2**32, KEPT_IDS)

    def number(self, original: int, limit: int) -> int:
        """The pseudonym of a file's number, or a directory's position, with as many digits; 0 is kept."""
        return self._number("number", original, limit, frozenset((0,)))

    def _number(self, kind: str, original: int, limit: int, kept: frozenset[int]) -> int:
        if original in kept:
            return original
        key = b"%d" % original
        if key in self.used[kind]:
            return int(self.used[kind][key])
        digits = range(10 ** (len(key) - 1), min(10 ** len(key), limit))
        domain = kind.encode() + key[:0] + len(key).to_bytes(1, "big") + limit.to_bytes(9, "big")
        number = original
        while number == original or number in kept:
            number = digits[self.successor(domain, digits.index(number), len(digits))]
            if number == original:
                break  # the only one of its class
        self.used[kind][key] = b"%d" % number
        return number


class Feistel:
    """A permutation of the numbers below `size` that a key determines, and its inverse.

    A number is two digits to a base whose square is little more than `size`; what comes out beyond it goes in again.
    """

    def __init__(self, key: bytes, size: int) -> None:
        self.size, self.base = size, isqrt(size - 1) + 1
        self.width = (self.base.bit_length() + 7) // 8
        self.keys = [shake_256(key + bytes((turn,))) for turn in range(ROUNDS)]

    def drawn(self, turn: int, digit: int) -> int:
        state = self.keys[turn].copy()
        state.update(digit.to_bytes(self.width, "big"))
        return int.from_bytes(state.digest(self.width + SLACK), "big")

    def forward(self, number: int) -> int:
        while True:
            left, right = divmod(number, self.base)
            for turn in range(ROUNDS):
                left, right = right, (left + self.drawn(turn, right)) % self.base
            number = left * self.base + right
            if number < self.size:
                return number

    def backward(self, number: int) -> int:
        while True:
            left, right = divmod(number, self.base)
            for turn in reversed(range(ROUNDS)):
                left, right = (right - self.drawn(turn, left)) % self.base, left
            number = left * self.base + right
            if number < self.size:
                return number


def letter_class(label: bytes, at: int) -> tuple[int, int]:
    """The first byte of the class that a byte of a label belongs to, and how many the class has.

    Of UTF-8 the leading bytes are kept; behind some of them not every continuation is allowed (RFC 3629 section 4).
    """
    byte = label[at]
    if 0x30 <= byte <= 0x39:
        return 0x30, 10
    if 0x41 <= byte <= 0x5A:
        return 0x41, 26
    if 0x61 <= byte <= 0x7A:
        return 0x61, 26
    if 0x80 <= byte < 0xC0:
        return (byte & 0xF0, 16) if at and label[at - 1] in b"\xe0\xed\xf0\xf4" else (0x80, 64)
    return byte, 1


def packed_address(text: bytes) -> bytes | None:
    """The address that a text is, or None."""
    try:
        ascii_text = text.decode("ascii")
        return (IPv6Address if ":" in ascii_text else IPv4Address)(ascii_text).packed
    except ValueError:
        return None


def written(text: bytes, packed: bytes) -> bytes:
    """An address in the form in which the original was written: text of as many digits, with zeros left out alike."""
    if b":" not in text:
        return str(IPv4Address(packed)).encode()
    head, dotted = text, b""
    if b"." in text:
        head, _, dotted = text.rpartition(b":")
        head, dotted = head + b":", str(IPv4Address(packed[12:])).encode()
    groups = [packed[at : at + 2].hex().encode() for at in range(0, 12 if dotted else 16, 2)]
    before, gap, after = head.partition(b"::")
    front, back = WORD.findall(before), WORD.findall(after)
    values = iter(groups[: len(front)] + (groups[len(groups) - len(back) :] if gap and back else []))

    def group(match: re.Match[bytes]) -> bytes:
        digits = next(values)[-len(match.group()) :]
        return digits.upper() if head.isupper() else digits

    return WORD.sub(group, head) + dotted
