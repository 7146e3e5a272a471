"""Which files are meant: names as they are, wildcards and directories (a ring of files of `tcpdump -W`) expanded.

In a directory lie other things than captures; a capture is told by its first bytes, compressed or not.
"""

import glob
import os
from collections.abc import Iterable

from nfsrpc.sources.error import ROOT_ONLY, SourceError
from nfsrpc.sources.source import STANDARD_INPUT, open_source

# pcap (µs, ns, and the variant with longer records) in both byte orders, pcapng, snoop (RFC 1761).
_PCAP = tuple(bytes.fromhex(magic) for magic in ("a1b2c3d4", "a1b23c4d", "a1b2cd34"))
CAPTURE_MAGIC = (*_PCAP, *(magic[::-1] for magic in _PCAP), b"\x0a\x0d\x0d\x0a", b"snoop\0\0\0")
LONGEST_MAGIC = max(map(len, CAPTURE_MAGIC))


def find_captures(paths: Iterable[str | os.PathLike[str]]) -> list[str]:
    """The files that `paths` name, in the order given; those of a directory or wildcard by name. Raises `SourceError`.

    >>> find_captures(["b.pcap", "-"])
    ['b.pcap', '-']
    """
    return [file for path in paths for file in _expand(os.fspath(path))]


def _expand(path: str) -> list[str]:
    if os.path.isdir(path):
        return _captures_in(path)
    if path != STANDARD_INPUT and glob.has_magic(path) and not os.path.lexists(path):
        matches = sorted(glob.glob(path))
        if not matches:
            raise SourceError(path, "no file matches")
        return find_captures(matches)
    return [path]


def _captures_in(directory: str) -> list[str]:
    try:
        files = sorted(entry.path for entry in os.scandir(directory) if entry.is_file())
    except OSError as error:
        raise SourceError(directory, f"cannot be listed: {error.strerror}") from error
    captures = [file for file in files if is_capture(file)]
    if not captures:
        forbidden = [file for file in files if not os.access(file, os.R_OK)]
        if forbidden:
            raise SourceError(forbidden[0], "permission denied", ROOT_ONLY)
        raise SourceError(directory, "holds no capture")
    return captures


def is_capture(path: str) -> bool:
    """Whether the file begins as a capture does. What cannot be read is none."""
    head = b""
    try:
        with open_source(path, chunk_size=4096) as source:
            for chunk in source:
                head += chunk
                if len(head) >= LONGEST_MAGIC:
                    break
    except SourceError:
        return False
    return head.startswith(CAPTURE_MAGIC)
