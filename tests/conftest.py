"""The directories of captures, for tests that name a file themselves (captures_dir.py lists them for the others).

And small limits, for tests of what there is no room for (little_room.py).
"""

from pathlib import Path

import pytest

from tests.captures_dir import SETS
from tests.little_room import make_little_room


def directory(kind: str) -> Path:
    found = SETS[kind].found
    if not found.is_dir():
        pytest.skip(f"no captures in {found}: name their directory in {SETS[kind].variable}")
    return found


@pytest.fixture(scope="session")
def samples() -> Path:
    return directory("samples")


@pytest.fixture(scope="session")
def kernel_captures() -> Path:
    return directory("kernel")


@pytest.fixture(scope="session")
def public_captures() -> Path:
    return directory("public")


@pytest.fixture(scope="session")
def repro_captures() -> Path:
    return directory("repro")


@pytest.fixture
def little_room(monkeypatch: pytest.MonkeyPatch) -> None:
    make_little_room(monkeypatch)
