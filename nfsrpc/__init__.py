"""nfsrpc: finds out from a packet capture why NFSv3 locks hang, and which host to fix.

`nfsrpc.read("trace.pcap")` gives a `Trace`: tables to explore, and its diagnosis. What is named here is imported when
it is used, so that `nfsrpc --help` does not wait for it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nfsrpc.sources import SourceError
    from nfsrpc.trace import Trace, read

__all__ = ["SourceError", "Trace", "read"]

_HOMES = {"SourceError": "nfsrpc.sources", "Trace": "nfsrpc.trace", "read": "nfsrpc.trace"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
