"""The protocol of systemd's notify services (sd_notify(3)): datagrams to the socket that $NOTIFY_SOCKET names."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from time import monotonic

MICROSECONDS = 1e6
OFTEN = 3.0  # a watchdog is fed so many times within its time


class Service:
    """The recorder as a service; it does nothing where no service manager has started it."""

    def __init__(self, environment: Mapping[str, str] = os.environ, clock: Callable[[], float] = monotonic) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "")
        self._clock = clock
        self._fed_at = float("-inf")
        self._watchdog_s = 0.0
        with suppress(ValueError):
            if environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid()):
                self._watchdog_s = int(environment.get("WATCHDOG_USEC", "0")) / MICROSECONDS

    def ready(self) -> None:
        self.notify("READY=1")

    def stopping(self) -> None:
        self.notify("STOPPING=1")

    def alive(self) -> None:
        """Feeds the watchdog, if there is one and it is time."""
        now = self._clock()
        if self._watchdog_s and now - self._fed_at >= self._watchdog_s / OFTEN:
            self._fed_at = now
            self.notify("WATCHDOG=1")

    def notify(self, state: str) -> None:
        if not self._address.startswith(("/", "@")):
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as connection:
            connection.setblocking(False)
            connection.sendto(state.encode(), address)
