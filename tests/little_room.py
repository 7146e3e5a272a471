"""Limits so small that a few rows exceed them, for tests of what is left out for lack of room."""

from __future__ import annotations

import pytest

from nfsrpc.sessions import batches, crowding, thinning

ROOM = 40

LIMITS = {
    thinning: ("MAX_PARTIES", "MAX_ACCESSES", "MAX_COPIES", "MAX_FLOWS", "MAX_ITEMS", "MAX_LISTED", "MAX_NAMES"),
    crowding: ("MAX_FLOWS", "MAX_ITEMS", "MAX_LISTED", "MAX_NAMES"),
}


def make_little_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thins whatever is read at once, and leaves room for so few of everything."""
    monkeypatch.setattr(batches, "MANY", 1)
    for module, names in LIMITS.items():
        for name in names:
            monkeypatch.setattr(module, name, ROOM)
