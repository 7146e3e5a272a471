"""Tables of the captures of the repository, and of scenarios, for the pictures of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from nfsrpc.decode import decode
from nfsrpc.sessions import WANTED, Sessions
from tests.scenario import Scenario

Sample = Callable[[str], Sessions]
Of = Callable[[Scenario], Sessions]


@pytest.fixture
def sample(samples: Path) -> Sample:
    return lambda name: Sessions(decode([samples / name], WANTED))


@pytest.fixture
def tables(tmp_path: Path) -> Of:
    def read(s: Scenario) -> Sessions:
        path = tmp_path / "trace.pcap"
        path.write_bytes(s.capture(on="any"))
        return Sessions(decode([path], WANTED))

    return read
