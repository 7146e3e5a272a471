"""The search of a file for what must not be in it: originals of which it holds pseudonyms.

Searched for, at any byte: names of four bytes or more, addresses as text and as bytes, and any eight bytes of a handle
that have six distinct values. All originals are sorted once, and the file is compared with them once: only where four
bytes are the beginning of one, the one that may stand there is found by bisection, so that the cost is n log n for any
names. What is found inside a pseudonym that happens to look like another original has not been left there. Shorter
names are compared in the fields themselves: no pseudonym may equal its original.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from ipaddress import ip_address

import numpy as np
from numpy.typing import NDArray

from nfsrpc.carving.pseudonyms import Pseudonyms
from nfsrpc.printable import clean

SHORTEST = 4  # bytes of a name that is searched for, and of the beginnings that are compared first
WINDOW, DISTINCT = 8, 6  # bytes of a handle that are searched for, and how many of them must differ
CHUNK = 1 << 22  # bytes of the file that are compared at once
REPLACED = ("address", "MAC", "name", "text", "opaque")
WORD = frozenset(b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-.:@/") | frozenset(range(0x80, 0x100))


def find(data: bytes, names: Pseudonyms) -> str | None:
    """The first original that is left in a file: what it is, and where."""
    for kind, original in unchanged(names):
        return f"the {kind} {clean(shown(kind, original))} is its own pseudonym"
    texts, packed = originals(names)
    for at, found in occurrences(data, texts | packed):
        kind = "name" if found in texts else "address"
        if not explained(data, at, found, names, kind):
            return f"the {kind} {clean(shown(kind, found))} is left at byte {at} of the result"
    for at in handle_windows(data, names):
        return f"a part of a handle is left at byte {at} of the result: {data[at : at + WINDOW].hex()}"
    return None


def shown(kind: str, original: bytes) -> str:
    if kind == "address" and len(original) in (4, 16):
        return str(ip_address(original))
    return original.decode("utf-8", "backslashreplace") if kind in ("name", "text") else original.hex()
