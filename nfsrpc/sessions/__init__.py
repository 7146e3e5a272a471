"""Tables made of messages: locks, monitors, registrations, paths, hosts.

Names of this package are imported at first use: the fields to decode (`WANTED`) are known without numpy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nfsrpc.sessions.counting import COUNTING
    from nfsrpc.sessions.sessions import Sessions
    from nfsrpc.sessions.wanted import WANTED

__all__ = ["COUNTING", "WANTED", "Sessions"]

_HOMES = {"COUNTING": "counting", "WANTED": "wanted", "Sessions": "sessions"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
