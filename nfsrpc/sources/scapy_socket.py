"""A capture taken here and now where tcpdump is missing: scapy's packet sockets, one an interface, as one pcap stream.

All frames are written as Ethernet, which loopback on Linux looks like too; interfaces of other kinds are left out. The
kernel says how many packets it dropped when it is asked (packet(7), PACKET_STATISTICS), and then counts anew.
"""

from __future__ import annotations

import logging
import os
import select
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nfsrpc.sources.error import SourceError
from nfsrpc.sources.live_queue import NextFile

ANY = "any"
PCAP_HEADER = struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 1 << 18, 1)  # nanoseconds, LINKTYPE_ETHERNET
LONGEST = 1 << 18
ETHERNET, LOOPBACK = 1, 772  # ARPHRD_ of /sys/class/net/*/type
SOL_PACKET, PACKET_STATISTICS = 263, 6
BURST = 512  # frames of one socket that become a piece


class ScapySocket:
    prompt = True

    def __init__(self, interface: str, expression: str) -> None:
        self.name = f"scapy on {interface}"
        self.interface = interface
        self.expression = expression
        self.drops: int | None = None
        self._woken, self._wake = os.pipe()
        self._sockets: list[Any] = []

    def stop(self) -> None:
        os.write(self._wake, b"\0")

    def prepare(self) -> None:
        """Opens the sockets: reading them needs no rights."""
        self._sockets = self._sockets or self._open()

    def pieces(self) -> Iterator[bytes | NextFile]:
        """Raises SourceError."""
        self.prepare()
        sockets = self._sockets
        try:
            yield PCAP_HEADER
            while True:
                ready, _, _ = select.select([self._woken, *(known.ins for known in sockets)], [], [])
                if self._woken in ready:
                    return
                for known in sockets:
                    if known.ins in ready:
                        yield b"".join(frames(known))
                self.drops = (self.drops or 0) + sum(map(dropped_since_asked, sockets))
        finally:
            for known in sockets:
                known.close()

    def _open(self) -> list[Any]:
        from scapy.arch.linux import L2ListenSocket
        from scapy.error import Scapy_Exception

        logging.getLogger("scapy.runtime").setLevel(logging.ERROR)  # it warns of loopback's link type
        names = interfaces() if self.interface == ANY else [self.interface]
        try:
            sockets = [L2ListenSocket(iface=name, filter=self.expression or None, promisc=False) for name in names]
        except PermissionError as error:
            remedy = "run it as root, or: setcap cap_net_raw,cap_net_admin=ep $(readlink -f $(command -v python3))"
            raise SourceError(self.name, "may not capture", remedy) from error
        except (OSError, ValueError, Scapy_Exception) as error:
            raise SourceError(self.name, f"cannot capture: {error}", "ip link lists interfaces") from error
        for known in sockets:
            known.ins.setblocking(False)
            dropped_since_asked(known)  # scapy opens without a buffer: what came before it was ready is not lost
        return sockets


def dropped_since_asked(known: Any) -> int:
    _, dropped = struct.unpack("II", known.ins.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))
    return int(dropped)


def interfaces() -> list[str]:
    """Those that speak Ethernet, and loopback."""
    return sorted(
        path.name
        for path in Path("/sys/class/net").iterdir()
        if (path / "type").exists() and int((path / "type").read_text()) in (ETHERNET, LOOPBACK)
    )


def frames(known: Any) -> Iterator[bytes]:
    """What a socket has now, as records of a pcap file."""
    for _ in range(BURST):
        try:
            _, data, time = known.recv_raw(LONGEST)
        except BlockingIOError:
            return
        if data is None:
            return
        ns = round(time * 1e9)
        yield struct.pack("<IIII", ns // 10**9, ns % 10**9, len(data), len(data)) + data
