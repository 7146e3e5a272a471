"""Paths to bytes: the only code that does input.

`find_captures` makes a list of files of paths, directories and wildcards; `open_source` gives the bytes of one of them,
or of standard input, in chunks of any size, decompressed as they come. What the bytes mean is not known here.
"""

from nfsrpc.sources.error import SourceError
from nfsrpc.sources.find import find_captures
from nfsrpc.sources.source import Source, open_source

__all__ = ["Source", "SourceError", "find_captures", "open_source"]
