"""The search of frames for what must not be in them: originals of which they hold pseudonyms.

Searched for, at any byte: names of four bytes or more, addresses as text and as bytes, and any eight bytes of a handle
that have six distinct values. The originals are sorted once, and all bytes are compared with them once: only where four
bytes are the beginning of one, the ones that may stand there are found by bisection, so that the cost is n log n for
any names. What is found inside a pseudonym that happens to look like another original has not been left there. Shorter
names are looked for where names are: no pseudonym is its own original, and every decoded field is a pseudonym.
Addresses with few values, such as 10.0.0.1, are as bytes the end of one number and the beginning of the next: of these
the decoded ones count.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from ipaddress import ip_address
from itertools import accumulate
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nfsrpc.carving.private_fields import KEPT
from nfsrpc.carving.pseudonyms import ADDRESS, KEPT_LABELS, LABEL, OWNER, Pseudonyms, packed_address
from nfsrpc.printable import clean

SHORTEST = 4  # bytes of a name that is searched for, and of the beginnings that are compared first
WINDOW, DISTINCT = 8, 6  # bytes of a handle that are searched for, and how many of them must differ
TELLING = {4: 3, 6: 4, 16: 2}  # by length of an address, bytes that are not zero: fewer are found between numbers
REACH = 1024  # bytes of a text around what is found in it, as long as a path may be
CHUNK = 1 << 22  # bytes that are compared at once
BETWEEN = bytes(WINDOW)  # frames, so that nothing is found in two of them
SAME_EVERYWHERE = frozenset(word for words in KEPT.values() for word in words)
PART = re.compile(rb"[0-9A-Za-z_\x80-\xff:.@/-]")  # of a text


class DecodedParts(NamedTuple):
    """What is decoded of the frames: the addresses of its parties, and the strings and opaque bytes of its messages."""

    addresses: Collection[str] = ()
    fields: Collection[bytes] = ()


def find(frames: Sequence[bytes], decoded: DecodedParts, names: Pseudonyms) -> str | None:
    """The first original that is left in some frames, or among what is decoded of them."""
    pseudonyms = set(names.used["address"].values())
    for address in decoded.addresses:
        if packed_address(address.encode()) not in pseudonyms:
            return f"the address {clean(address)} is a party of the result"
    contents = SAME_EVERYWHERE.union(*(names.used[kind].values() for kind in ("text", "handle", "cookie")))
    for field in decoded.fields:
        if any(field) and field not in contents:
            return f"{shown(field, 'name')} is a field of a message of the result"
    for kind in ("name", "MAC", "handle", "cookie"):
        for original, replaced in names.used[kind].items():
            if original == replaced:
                return f"{shown(original, kind)} is its own pseudonym"
    search, data = Search(names), BETWEEN.join(frames)
    for at, found in occurrences(data, search.kinds):
        if not search.is_pseudonym(data, at, found):
            return f"{shown(found, search.kinds[found])} is left {place(at, frames)}"
    for at in handle_parts(data, names.used["handle"]):
        return f"a part of a handle is left {place(at, frames)}: {data[at : at + WINDOW].hex()}"
    return None


def place(at: int, frames: Sequence[bytes]) -> str:
    """Where a byte of joined frames is."""
    begins = list(accumulate((len(frame) + len(BETWEEN) for frame in frames), initial=0))
    number = bisect_right(begins, at)
    return f"in frame {number} of the result, at byte {at - begins[number - 1]}"


def shown(original: bytes, kind: str) -> str:
    if kind == "address" and len(original) in (4, 16):
        return f"the address {ip_address(original)}"
    text = original.decode("utf-8", "backslashreplace") if kind == "name" else original.hex()
    return f"the {kind} {clean(text)}"


def is_telling(packed: bytes) -> bool:
    """Whether these bytes of an address are found where it stands and hardly elsewhere."""
    return any(packed[:SHORTEST]) and len(packed) - packed.count(0) >= TELLING[len(packed)]


class Search:
    """The originals that are searched for, and what distinguishes them from pseudonyms that look like them."""

    def __init__(self, names: Pseudonyms) -> None:
        changed = {
            kind: {original for original, replaced in names.used[kind].items() if original != replaced}
            for kind in ("name", "text", "address", "MAC")
        }
        texts = changed["name"] | changed["text"]
        texts |= {str(ip_address(packed)).encode() for packed in changed["address"]}
        self.kinds = {text: "name" for text in texts if len(text) >= SHORTEST}
        for kind, known in (("address", changed["address"] & names.packed), ("MAC", changed["MAC"])):
            self.kinds |= {each: kind for each in known if is_telling(each)}
        self.labels = set(names.used["name"].values())
        self.addresses = set(names.used["address"].values())
        self.bytes_by_length = defaultdict[int, set[bytes]](set)
        for kind in ("address", "MAC", "handle", "cookie"):
            for replaced in names.used[kind].values():
                self.bytes_by_length[len(replaced)].add(replaced)
        for kind in ("id", "number"):
            for replaced in names.used[kind].values():
                for size in (4, 8):
                    if int(replaced) < 256**size:
                        self.bytes_by_length[size].add(int(replaced).to_bytes(size, "big"))

    def is_pseudonym(self, data: bytes, at: int, found: bytes) -> bool:
        """Whether what was found is a part of a pseudonym."""
        return self.in_bytes(data, at, len(found)) or (self.kinds[found] == "name" and self.in_words(data, at, found))

    def in_bytes(self, data: bytes, at: int, size: int) -> bool:
        return any(
            data[start : start + length] in known
            for length, known in self.bytes_by_length.items()
            for start in range(max(0, at + size - length), at + 1)
        )

    def in_words(self, data: bytes, at: int, found: bytes) -> bool:
        """Whether all words are pseudonyms that what was found is a part of."""
        begin, end = at, at + len(found)
        while at - begin < REACH and PART.match(data, begin - 1, begin):
            begin -= 1
        while end - at < REACH and PART.match(data, end):
            end += 1
        text = data[begin:end]
        process = OWNER.match(text)
        rest = ADDRESS.sub(self.without_pseudonym, text[process.end() if process else 0 :])
        return all(word in self.labels or word.lower() in KEPT_LABELS for word in LABEL.findall(rest))

    def without_pseudonym(self, match: re.Match[bytes]) -> bytes:
        return b"" if packed_address(match.group()) in self.addresses else match.group()


def occurrences(data: bytes, originals: Mapping[bytes, str]) -> Iterator[tuple[int, bytes]]:
    """Where originals stand: the longest at each place first."""
    known = sorted(originals)
    longer = shorter_beginnings(known)
    starts = np.unique(np.array([int.from_bytes(each[:SHORTEST], "big") for each in known], dtype=np.uint64))
    longest = max(map(len, known), default=0)
    for at in places(data, starts, SHORTEST):
        text = data[at : at + longest]
        number: int | None = bisect_right(known, text) - 1
        while number is not None and number >= 0:
            if text.startswith(known[number]):
                yield at, known[number]
            number = longer[number]


def shorter_beginnings(known: list[bytes]) -> list[int | None]:
    """For each of these sorted originals the longest other one that it begins with.

    >>> shorter_beginnings([b"ab", b"abc", b"abd", b"abde", b"b"])
    [None, 0, 0, 2, None]
    """
    found: list[int | None] = []
    for number, original in enumerate(known):
        before: int | None = number - 1 if number else None
        while before is not None and not original.startswith(known[before]):
            before = found[before]
        found.append(before)
    return found


def places(data: bytes, wanted: NDArray[np.uint64], size: int) -> Iterator[int]:
    """Where one of some sorted numbers of `size` bytes stands."""
    if not len(wanted):
        return
    for start in range(0, len(data), CHUNK):
        part = np.frombuffer(data[start : start + CHUNK + size - 1], np.uint8)
        count = len(part) - size + 1
        if count <= 0:
            continue
        numbers = np.zeros(count, dtype=np.uint64)
        for byte in range(size):
            numbers = numbers << np.uint64(8) | part[byte : byte + count]
        near = np.minimum(np.searchsorted(wanted, numbers), len(wanted) - 1)
        yield from (np.flatnonzero(wanted[near] == numbers) + start).tolist()


def handle_parts(data: bytes, handles: Mapping[bytes, bytes]) -> Iterator[int]:
    parts = {
        original[at : at + WINDOW]
        for original in handles
        for at in range(len(original) - WINDOW + 1)
        if len(set(original[at : at + WINDOW])) >= DISTINCT
    }
    wanted = np.unique(np.array([int.from_bytes(part, "big") for part in parts], dtype=np.uint64))
    return places(data, wanted, WINDOW)
