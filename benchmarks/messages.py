"""RPC messages as templates: bytes with holes for what differs from one to the next.

Written out by hand after RFC 5531 (RPC), RFC 1813 (NFS v3, NLM v4) and RFC 1833 (portmap), and not with nfsrpc's own
declarations, so that a mistake in these does not hide in captures made with them.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.frames import Bytes, put

PORTMAP, NFS, NLM = (100000, 2), (100003, 3), (100021, 4)


@dataclass(frozen=True)
class Hole:
    name: str
    size: int


Part = bytes | Hole


class Template:
    """A message of a fixed length. `fill` makes a matrix of it, one row per message."""

    def __init__(self, parts: Iterable[Part]) -> None:
        body = bytearray()
        self.holes: list[tuple[Hole, int]] = []
        for part in parts:
            if isinstance(part, Hole):
                self.holes.append((part, len(body)))
            body += bytes(part.size) if isinstance(part, Hole) else part
        self.body = np.frombuffer(bytes(body), np.uint8)

    def __len__(self) -> int:
        return len(self.body)

    def fill(self, count: int, **values: Any) -> Bytes:
        """Messages with their holes filled: numbers in big-endian, a matrix of bytes as it is."""
        rows = np.tile(self.body, (count, 1))
        for hole, at in self.holes:
            value = np.asarray(values[hole.name])
            if value.ndim == 2:
                rows[:, at : at + hole.size] = value
            else:
                put(rows, at, hole.size, value)
        return rows


def u32(*values: int) -> bytes:
    return b"".join(value.to_bytes(4, "big") for value in values)


def digits(values: Any, width: int) -> Bytes:
    """Numbers as ASCII, one row per number."""
    places = 10 ** np.arange(width - 1, -1, -1)
    return (np.atleast_1d(values)[:, None] // places % 10 + ord("0")).astype(np.uint8)


def opaque(*parts: Part) -> list[Part]:
    """A variable-length opaque or string, padded."""
    size = sum(part.size if isinstance(part, Hole) else len(part) for part in parts)
    return [u32(size), *parts, bytes(-size % 4)]


def record(parts: list[Part]) -> Template:
    """A message with its record mark (RFC 5531 §11), as TCP carries it."""
    return Template([u32(0x80000000 | len(Template(parts))), *parts])


MACHINE = opaque(b"node", Hole("machine", 4))


def call(program: tuple[int, int], procedure: int, *arguments: Part) -> list[Part]:
    """XID, CALL, RPC version 2, the procedure, AUTH_SYS as a Linux client's root sends it, no verifier."""
    credential = [u32(0), *MACHINE, u32(0, 0, 1, 0)]
    size = len(Template(credential))
    return [Hole("xid", 4), u32(0, 2, *program, procedure, 1, size), *credential, u32(0, 0), *arguments]


def reply(*results: Part) -> list[Part]:
    """XID, REPLY, MSG_ACCEPTED, no verifier, SUCCESS."""
    return [Hole("xid", 4), u32(1, 0, 0, 0, 0), *results]


# RFC 1813 §2.5, §2.6: fattr3 with a link count, an owner and a size; what differs is the file.
ATTRIBUTES: list[Part] = [u32(1, 0o644, 1, 1000, 1000), u32(0, 1 << 20, 0, 1 << 20, 0, 0), u32(0, 64769)]
ATTRIBUTES += [Hole("fileid", 8), u32(1_700_000_000, 0) * 3]
POST_ATTRIBUTES: list[Part] = [u32(1), *ATTRIBUTES]
PRE_ATTRIBUTES: list[Part] = [u32(1, 0, 1 << 20), u32(1_700_000_000, 0) * 2]
FILE = opaque(Hole("fh", 28))
ALOCK = [*MACHINE, *FILE, *opaque(Hole("owner", 6), b"@node", Hole("machine", 4))]
ALOCK += [Hole("svid", 4), Hole("l_offset", 8), u32(0, 100)]
COOKIE = opaque(Hole("cookie", 4))

# Where is NLM version 4 over TCP? Over UDP there is no record mark.
GETPORT = Template(call(PORTMAP, 3, u32(*NLM, 6, 0))), Template(reply(Hole("port", 4)))
GETATTR = record(call(NFS, 1, *FILE)), record(reply(u32(0), *ATTRIBUTES))
LOOKUP = (
    record(call(NFS, 3, *opaque(Hole("directory", 28)), *opaque(b"file", Hole("name", 6), b".dat"))),
    record(reply(u32(0), *FILE, *POST_ATTRIBUTES, u32(0))),
)
ACCESS = record(call(NFS, 4, *FILE, u32(0x1F))), record(reply(u32(0), *POST_ATTRIBUTES, u32(0x1F)))
LOCK = (
    record(call(NLM, 2, *COOKIE, u32(0, 1), *ALOCK, u32(0), u32(3))),
    record(reply(*COOKIE, u32(0))),
)
UNLOCK = record(call(NLM, 4, *COOKIE, *ALOCK)), record(reply(*COOKIE, u32(0)))


def read(size: int) -> tuple[Template, Template]:
    """READ of `size` bytes; the data is a hole."""
    return (
        record(call(NFS, 6, *FILE, Hole("offset", 8), u32(size))),
        record(reply(u32(0), *POST_ATTRIBUTES, u32(size, 0), *opaque(Hole("data", size)))),
    )


def write(size: int) -> tuple[Template, Template]:
    """WRITE of `size` bytes, FILE_SYNC."""
    return (
        record(call(NFS, 7, *FILE, Hole("offset", 8), u32(size, 2), *opaque(Hole("data", size)))),
        record(reply(u32(0), *PRE_ATTRIBUTES, *POST_ATTRIBUTES, u32(size, 2), u32(0x5EED, 1))),
    )
