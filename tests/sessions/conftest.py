"""Scenarios, captured and read: `trace(scenario.capture())`, or several captures by their names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from nfsrpc.decode import decode
from nfsrpc.sessions import WANTED, Sessions

Read = Callable[..., Sessions]


@pytest.fixture
def tables(tmp_path: Path) -> Read:
    def read(capture: bytes = b"", **named: bytes) -> Sessions:
        """The tables of a capture, or of several files of these names."""
        files = named or {"trace": capture}
        paths = [tmp_path / f"{name}.pcap" for name in files]
        for path, data in zip(paths, files.values(), strict=True):
            path.write_bytes(data)
        return Sessions(decode(paths, WANTED))

    return read
