"""`nfsrpc.read`, the door for Python: captures decoded in this process, or on a cluster of Dask."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from nfsrpc import trace
from nfsrpc.sources.source import STANDARD_INPUT

if TYPE_CHECKING:
    from distributed import Client

    from nfsrpc.decode import Progress
    from nfsrpc.trace import Trace


def read(
    *captures: Any,
    progress: Progress | None = None,
    count: bool = False,
    jobs: int | None = None,
    client: Client | None = None,
    cache: str = "",
) -> Trace:
    """The trace in some captures: pcap, pcapng or snoop, plain or compressed, of one place or of several.

    Each is a path, a directory, a wildcard, "-" for standard input, an open binary file, bytes, an iterable of bytes
    (the chunks of one capture), or an iterable of any of these. Files of a ring continue each other, where their names
    or the frames show that they are one (docs/capture.md); others are taken at other places, each by its clock.
    `progress` is called with the bytes done and the bytes in all (None where that is not known). With `count`, ordinary
    NFS exchanges, and locks that are over and with which nobody else had to do, are sums in `tallies` instead of rows:
    a large capture takes little memory, and the diagnosis is the same. `jobs` is the number of processors to decode
    with (else NFSRPC_JOBS, else all), which changes nothing but the time. Of several captures those that are missing,
    unreadable or none are left out (`skipped` says which and why, and the verdict is never healthy). Raises SourceError
    where that leaves none, TypeError and ValueError for what names none.

    With a `client` of Dask (`pip install 'nfsrpc[fleet]'`) the captures of many nodes are decoded by its workers, and
    joined here: each is a path that the workers can read, or a URL of fsspec; each folder, and each
    subfolder, is a node's. NFS exchanges are sums, as with `count`, `progress` is called with nodes instead of
    bytes, and `cache` is the path or URL at which each node's rows are kept for the next time. Raises
    MissingExtraError where a package is missing.

    >>> read("captures/contended/nfssrv-any.pcap").calls["state"].unique().tolist()
    ['answered']
    >>> with open("captures/contended/nfssrv-any.pcap", "rb") as file:
    ...     len(read(file).locks)
    4
    """
    if client is None:
        if cache:
            raise ValueError("cache is of a fleet, and needs its client")
        return trace.read(*captures, progress=progress, count=count, jobs=jobs)
    from nfsrpc.fleet import run

    return run.read(list(named(captures)), client, cache, progress and (lambda _, done, nodes: progress(done, nodes)))


def named(captures: Iterable[Any]) -> Iterator[str]:
    """The names of captures that other processes can open."""
    for capture in captures:
        if isinstance(capture, str | os.PathLike):
            if os.fspath(capture) == STANDARD_INPUT:
                raise ValueError("workers cannot read standard input")
            yield os.fspath(capture)
        elif isinstance(capture, Iterable) and not isinstance(capture, bytes | bytearray | memoryview):
            yield from named(capture)
        else:
            raise TypeError(f"workers read paths and URLs, and no {type(capture).__name__}")
