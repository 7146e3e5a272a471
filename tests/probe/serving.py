"""A small RPC server over TCP and UDP, with the programs of an NFS server that do nothing but answer NULL."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterable, Mapping

ACCEPTED = struct.pack(">IIII", 1, 0, 0, 0)
PORTMAP = ("127.0.0.1", 111)
PMAPPROC_SET = 1


class Service:
    """Programs at one port; `replies` gives the body behind the accepted header by (prog, vers, proc)."""

    def __init__(self, address: str, programs: Mapping[tuple[int, int], str], port: int = 0) -> None:
        self.programs = programs
        self.tcp = socket.create_server((address, port), reuse_port=False)
        self.port: int = self.tcp.getsockname()[1]
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind((address, self.port))
        for serve in (self.serve_tcp, self.serve_udp):
            threading.Thread(target=serve, daemon=True).start()

    def reply(self, call: bytes) -> bytes | None:
        xid, prog, vers, proc = call[:4], *struct.unpack(">III", call[12:24])
        how = self.programs.get((prog, vers))
        if how == "silent":
            return None
        status = 0 if how else 1
        body = b"\0\0\0\0" if how and proc else b""
        return xid + ACCEPTED + struct.pack(">I", status) + body

    def serve_udp(self) -> None:
        while True:
            call, source = self.udp.recvfrom(65535)
            reply = self.reply(call)
            if reply:
                self.udp.sendto(reply, source)

    def serve_tcp(self) -> None:
        while True:
            connection, _ = self.tcp.accept()
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection: socket.socket) -> None:
        with connection:
            while mark := connection.recv(4, socket.MSG_WAITALL):
                call = connection.recv(int.from_bytes(mark, "big") & 0x7FFFFFFF, socket.MSG_WAITALL)
                reply = self.reply(call)
                if reply:
                    connection.sendall(struct.pack(">I", 1 << 31 | len(reply)) + reply)

    def register(self) -> None:
        """Registers all programs with the port mapper of this host, over its loopback."""
        register(((prog, vers, protocol, self.port) for prog, vers in self.programs for protocol in (6, 17)))


def register(mappings: Iterable[tuple[int, int, int, int]]) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(2)
        for number, mapping in enumerate(mappings, 1):
            sock.sendto(struct.pack(">14I", number, 0, 2, 100000, 2, PMAPPROC_SET, 0, 0, 0, 0, *mapping), PORTMAP)
            reply = sock.recv(1024)
            assert reply[-4:] == b"\0\0\0\1", "the port mapper refused"
