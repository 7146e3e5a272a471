"""Paths to bytes: the only code that does input.

`captures` makes a list of files of paths, directories and wildcards, of open files and of bytes; `open_capture` gives
the bytes of one of them, in chunks of any size, decompressed as they come. What the bytes mean is not known here.
"""

from nfsrpc.sources.error import SourceError
from nfsrpc.sources.find import find_captures
from nfsrpc.sources.in_memory import (
    Capture,
    Path,
    captures,
    is_read_once,
    name_of,
    open_capture,
    read_again,
    usable,
)
from nfsrpc.sources.name import short_names, shown_name
from nfsrpc.sources.rings import rings_of
from nfsrpc.sources.source import Source, open_source

__all__ = [
    "Capture",
    "Path",
    "Source",
    "SourceError",
    "captures",
    "find_captures",
    "is_read_once",
    "name_of",
    "open_capture",
    "open_source",
    "read_again",
    "rings_of",
    "short_names",
    "shown_name",
    "usable",
]
