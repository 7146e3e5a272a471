"""A live capture where tcpdump is missing: scapy's packet sockets, one per interface, as one pcap stream.

All frames are written as Ethernet, which loopback on Linux looks like too; interfaces of other kinds are left out. The
kernel counts the packets that it dropped, from zero after each read (packet(7), PACKET_STATISTICS).
"""

from __future__ import annotations

import logging
import os
import select
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nfsrpc.sources import pcap
from nfsrpc.sources.error import SourceError
from nfsrpc.sources.live_queue import NextFile

ANY = "any"
LINKTYPE_ETHERNET = 1
ETHERNET, LOOPBACK = 1, 772  # ARPHRD_ of /sys/class/net/*/type
SOL_PACKET, PACKET_STATISTICS = 263, 6
BURST = 512  # frames of one socket that become a piece


class ScapySocket:
    """A live source: packet sockets of scapy."""

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
        """One stream of the frames of all sockets. Raises SourceError."""
        self.prepare()
        sockets = self._sockets
        try:
            yield pcap.file_header(LINKTYPE_ETHERNET)
            while True:
                ready, _, _ = select.select([self._woken, *(socket.ins for socket in sockets)], [], [])
                if self._woken in ready:
                    return
                for socket in sockets:
                    if socket.ins in ready:
                        yield b"".join(frames(socket))
                self.drops = (self.drops or 0) + sum(map(new_drops, sockets))
        finally:
            for socket in sockets:
                socket.close()

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
        for socket in sockets:
            socket.ins.setblocking(False)
            new_drops(socket)  # scapy opens without a buffer: what came before it was ready is not lost
        return sockets


def new_drops(socket: Any) -> int:
    """The number of packets that the kernel dropped since the last call."""
    _, drops = struct.unpack("II", socket.ins.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))
    return int(drops)


def interfaces() -> list[str]:
    """The names of the Ethernet interfaces, and of loopback."""
    return sorted(
        path.name
        for path in Path("/sys/class/net").iterdir()
        if (path / "type").exists() and int((path / "type").read_text()) in (ETHERNET, LOOPBACK)
    )


def frames(socket: Any) -> Iterator[bytes]:
    """The frames that a socket holds now, as records of a pcap file."""
    for _ in range(BURST):
        try:
            _, data, time = socket.recv_raw(pcap.MAX_SNAPLEN)
        except BlockingIOError:
            return
        if data is None:
            return
        yield pcap.record(round(time * 1e9), data)
