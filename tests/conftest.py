"""The directories of captures, for tests that name a file themselves (captures_dir.py lists them for the others)."""

from pathlib import Path

import pytest

from tests.captures_dir import SETS


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
