"""What a service manager is told."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from nfsrpc.record.service import Service


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as connection:
        name = str(tmp_path / "notify") if request.param == "path" else f"\0nfsrpc-test-{os.getpid()}"
        connection.bind(name)
        connection.settimeout(0)
        yield connection, name.replace("\0", "@")


def told(connection: socket.socket) -> list[bytes]:
    found = []
    while True:
        try:
            found.append(connection.recv(100))
        except BlockingIOError:
            return found


def test_ready_alive_and_stopping(manager: tuple[socket.socket, str]) -> None:
    connection, name = manager
    now = [0.0]
    service = Service({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "3000000"}, lambda: now[0])
    service.ready()
    for moment in (0.0, 0.9, 1.0, 1.5, 2.0):
        now[0] = moment
        service.alive()
    service.stopping()
    assert told(connection) == [b"READY=1", *[b"WATCHDOG=1"] * 3, b"STOPPING=1"]


@pytest.mark.parametrize("environment", [{}, {"WATCHDOG_USEC": "x"}, {"WATCHDOG_USEC": "1", "WATCHDOG_PID": "1"}])
def test_no_watchdog_is_fed_where_there_is_none(
    manager: tuple[socket.socket, str], environment: dict[str, str]
) -> None:
    connection, name = manager
    Service({"NOTIFY_SOCKET": name, **environment}).alive()
    assert told(connection) == []


@pytest.mark.parametrize("name", ["", "relative", "/nonexistent/notify"])
def test_without_a_manager_nothing_happens(name: str) -> None:
    service = Service({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "1"})
    service.ready()
    service.alive()
    service.stopping()
