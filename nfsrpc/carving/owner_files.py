"""The files that the owner of a capture keeps: the key of the pseudonyms, and which original each stands for.

Anyone who has one of them can tell the originals, so only their owner may read them.
"""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator
from ipaddress import ip_address

from nfsrpc.carving.pseudonyms import KEY_BYTES, Pseudonyms
from nfsrpc.printable import clean

OWN = 0o600
OTHERS = 0o077
TEXTS = ("name", "text", "id", "number")  # kinds whose originals are text; the others are bytes


def key_of(path: str | None) -> bytes:
    """The key in a file, which is made if it is missing; without a file, a key that nobody will have again.

    Raises OSError, and ValueError for a file that holds no key, or that others may read.
    """
    key = secrets.token_bytes(KEY_BYTES)
    if path is None:
        return key
    try:
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWN), "w", encoding="ascii") as file:
            file.write(f"{key.hex()}\n")
        return key
    except FileExistsError:
        return known_key(path)


def known_key(path: str) -> bytes:
    with open(path, "rb") as file:
        text = file.read(4 * KEY_BYTES)
        if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & OTHERS:
            raise ValueError(f"{clean(path)}: others may read this key: chmod 600, or name a new file")
    try:
        key = bytes.fromhex(text.decode("ascii"))
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise ValueError(f"{clean(path)}: no key of nfsrpc carve ({2 * KEY_BYTES} hexadecimal digits): name a new file")
    return key


def write_map(path: str, names: Pseudonyms) -> None:
    """Writes which original each pseudonym stands for, one per line: kind, original, pseudonym. Raises OSError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, OWN)
    with open(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
        os.fchmod(descriptor, OWN)
        file.writelines(f"{line}\n" for line in lines(names))


def lines(names: Pseudonyms) -> Iterator[str]:
    for kind, known in sorted(names.used.items()):
        for original, replaced in sorted(known.items()):
            if original and (kind != "text" or original not in names.used["name"]):
                yield "\t".join((kind, shown(kind, original), shown(kind, replaced)))


def shown(kind: str, value: bytes) -> str:
    if kind == "address":
        return str(ip_address(value))
    return clean(value.decode("utf-8", "backslashreplace")) if kind in TEXTS else value.hex()
