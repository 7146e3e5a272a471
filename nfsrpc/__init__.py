"""nfsrpc: finds out from a packet capture why NFSv3 locks hang, and which host to fix.

`nfsrpc.read("trace.pcap")` gives a `Trace`: its diagnosis, tables to explore, pictures. What is named here is imported
when it is used, so that `nfsrpc --help` does not wait for it.

>>> import nfsrpc
>>> trace = nfsrpc.read("captures/server-without-statd/nfssrv-any.pcap")
>>> trace.verdict.rule, trace.diagnosis.findings[0].host
('REG001', '10.1.84.31')
"""

from __future__ import annotations

TYPE_CHECKING = False  # as typing has it, whose import takes longer than all else of a start that Ctrl-C may end
if TYPE_CHECKING:
    from typing import Any

    __version__: str

    from nfsrpc.extras import MissingExtraError
    from nfsrpc.findings.finding import Diagnosis, Finding, Verdict
    from nfsrpc.fleet.door import read
    from nfsrpc.sources import SourceError
    from nfsrpc.trace import Trace
    from nfsrpc.watch.live import live

__all__ = ["Diagnosis", "Finding", "MissingExtraError", "SourceError", "Trace", "Verdict", "live", "read"]

_HOMES = {
    "Diagnosis": "nfsrpc.findings.finding",
    "Finding": "nfsrpc.findings.finding",
    "MissingExtraError": "nfsrpc.extras",
    "SourceError": "nfsrpc.sources",
    "Trace": "nfsrpc.trace",
    "Verdict": "nfsrpc.findings.finding",
    "live": "nfsrpc.watch.live",
    "read": "nfsrpc.fleet.door",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version  # 20 ms

        return version("nfsrpc")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """What a notebook offers to complete: what is public, and nothing of how it is imported."""
    return sorted({*__all__, "__version__", *(name for name in globals() if name.startswith("__"))})
