"""The rows of one node: its captures decoded to the end, by the worker that is near them.

A node's captures are a ring, or several places on it (its loopback beside its network card): vantages, as reading.py
finds them. What is healthy and over has left already, as in `analyze`. Files are numbered, and loopbacks told apart,
by node: joining makes both unique in the fleet. They are held as they travel, and unpacked where they are judged.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from nfsrpc._core import Decoder, Layouts
from nfsrpc.columns import Mask, isin
from nfsrpc.decode import EVERYWHERE
from nfsrpc.fleet.arrow import from_arrow, packed, to_arrow, unpacked
from nfsrpc.protocols import PROTOCOLS, compile  # noqa: A004
from nfsrpc.protocols.numbers import Prog
from nfsrpc.reading import Batch, Vantage, VantageBatches, prepared
from nfsrpc.sessions.batches import joined_batches
from nfsrpc.sessions.counting import COUNTING
from nfsrpc.sessions.wanted import WANTED
from nfsrpc.sources import Capture, SourceError

FILE_BITS = 16  # a loopback's domain is the number of a file, and of an interface in it
# Who calls whom in these is who serves whom, or asks whom about it.
PAIRED = (Prog.PORTMAP, Prog.NFS, Prog.MOUNT, Prog.NLM, Prog.NSM)
SERVED = (Prog.NFS, Prog.MOUNT)  # and who answers these is a server; of the others hosts have both sides


class VantageRows(NamedTuple):
    """The rows of one capture point."""

    files: list[int]  # of the node's
    stream: bytes  # its tables, packed
    lists: dict[str, list[Any]]

    @property
    def batch(self) -> Batch:
        return from_arrow(unpacked(self.stream), self.lists)


class NodeRows(NamedTuple):
    """All that the fleet keeps of one node."""

    name: str
    files: list[str]
    vantages: list[VantageRows]
    damages: dict[int, str]
    skipped: list[tuple[str, str, str]]  # files that could not be read: name, reason, remedy
    rows: int = 0  # that judging works on
    pairs: frozenset[tuple[str, str]] = frozenset()  # of hosts that call each other, by address, without loopbacks
    servers: frozenset[str] = frozenset()  # of NFS

    @property
    def size(self) -> int:
        """Bytes in memory, and on the way to another worker."""
        return sum(len(vantage.stream) for vantage in self.vantages)


def rows_of(name: str, captures: Sequence[Capture]) -> NodeRows:
    """Decodes the captures of a node; one that cannot be read stops none of the others, and is named."""
    try:
        # The cluster has a worker per processor.
        reading = prepared(captures, WANTED, counting=COUNTING, jobs=1, others=True)()
    except SourceError as error:
        return NodeRows(name, [], [], {}, [described(error)])
    vantages, rows, pairs, serving = [], 0, set[tuple[str, str]](), set[tuple[str, str]]()
    for vantage in reading.vantages:
        batch = joined_batches(vantage.batches)
        vantage.batches.clear()
        tables, lists = to_arrow(batch)
        vantages.append(VantageRows(vantage.files, packed(tables), lists))
        rows += len(batch["exchanges"]["exchange"]) + len(batch["flows"]["flow"])
        pairs |= pairs_of(batch, PAIRED)
        serving |= pairs_of(batch, SERVED)
    files, skipped = [str(file) for file in reading.files], [described(error) for error in reading.skipped]
    servers = frozenset(server for _, server in serving)
    return NodeRows(name, files, vantages, dict(reading.damages), skipped, rows, frozenset(pairs), servers)


def described(error: SourceError) -> tuple[str, str, str]:
    return error.path, error.reason, error.remedy


def pairs_of(batch: Batch, programs: Sequence[int]) -> set[tuple[str, str]]:
    """The clients and servers of these programs, by address, loopbacks left out."""
    found: set[tuple[str, str]] = set()
    for name in ("exchanges", "tallies"):
        columns = batch[name]
        known = np.isin(columns["prog"], programs)
        client, server = (columns[end][known].astype(np.int64) for end in ("client", "server"))
        for pair in np.unique(client << 32 | server).tolist():
            ends = batch["addresses"][pair >> 32], batch["addresses"][pair & 0xFFFFFFFF]
            if all(domain == EVERYWHERE for _, domain in ends):
                found.add((ends[0][0], ends[1][0]))
    return found


class StoredVantage(Vantage):
    """A vantage whose decoder has ended."""

    def __init__(self, files: list[int], batch: Batch) -> None:
        self.files, self.batches = files, [batch]


def concerning(batch: Batch, servers: Collection[str]) -> Batch:
    """The rows of what these servers exchanged, and of what passed over loopbacks, where a client's statd is asked.

    Quantiles of latencies are not kept by server, and are left out.
    """
    mine = np.array([text in servers or domain != EVERYWHERE for text, domain in batch["addresses"]], dtype=np.bool_)

    def about(columns: Mapping[str, Any]) -> Mask:
        mask: Mask = mine[columns["client"]] | mine[columns["server"]]
        return mask

    def only(columns: Mapping[str, Any], rows: Mask) -> dict[str, Any]:
        return {
            name: tuple(part[rows] for part in column) if isinstance(column, tuple) else column[rows]
            for name, column in columns.items()
        }

    found: Batch = dict(batch)
    for name in ("flows", "exchanges", "tallies", "accesses", "left_out"):
        if name in batch:
            found[name] = only(batch[name], about(batch[name]))
    exchanges = found["exchanges"]["exchange"]
    found["copies"] = only(batch["copies"], isin(batch["copies"]["exchange"], exchanges))
    found["decoded"] = {
        name: only(columns, isin(columns["exchange"], exchanges)) for name, columns in batch["decoded"].items()
    }
    found["latencies"] = only(batch["latencies"], np.zeros(len(batch["latencies"]["latency"]), dtype=np.bool_))
    return found


@cache
def no_fields() -> dict[str, dict[str, Any]]:
    """The tables of the fields of all messages, without rows."""
    tables: dict[str, dict[str, Any]] = Decoder(Layouts(*compile(PROTOCOLS, WANTED))).drain()["decoded"]
    return tables


def joined(nodes: Sequence[NodeRows], kinds: Any, servers: Collection[str] | None = None) -> VantageBatches:
    """The rows of several nodes as those of vantages of one reading: files and loopbacks numbered throughout.

    With `servers`, only what concerns these.
    """
    files: list[str] = []
    vantages: list[Vantage] = []
    damages: dict[int, str] = {}
    skipped: list[SourceError] = []
    for node in nodes:
        first = len(files)
        for vantage in node.vantages:
            batch = vantage.batch
            if not vantages:
                batch["decoded"] = no_fields() | batch["decoded"]
            if servers is not None:
                batch = concerning(batch, servers)
            batch["addresses"] = [
                (address, domain if domain == EVERYWHERE else domain + (first << FILE_BITS))
                for address, domain in batch["addresses"]
            ]
            vantages.append(StoredVantage([first + file for file in vantage.files], batch))
        damages |= {first + file: damage for file, damage in node.damages.items()}
        skipped += [SourceError(*fields) for fields in node.skipped]
        files += node.files
    vantages.sort(key=lambda vantage: int(vantage.batches[0]["captures"]["first"].min()))
    return VantageBatches(list(files), vantages, damages, kinds, tuple(skipped))
