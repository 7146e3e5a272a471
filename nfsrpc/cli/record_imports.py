"""Imports all that `nfsrpc record` may need before it becomes another user, as live_imports.py does for `live`.

The folder of an incident is written once, of one packet, into a directory that is deleted then.
"""

from __future__ import annotations

import encodings.idna  # noqa: F401 - at the first name that is resolved
import os
import struct
import threading
from importlib import import_module
from pkgutil import walk_packages
from tempfile import TemporaryDirectory

from nfsrpc.record import folder
from nfsrpc.record.folder import Job
from nfsrpc.record.manifest import KERNEL_LOG, Manifest, document, folder_name
from nfsrpc.record.ring import DiskRing, terms
from nfsrpc.sources import pcap
from nfsrpc.watch.watch import Watch
from nfsrpc.wording import SECOND

PACKAGES = ("carving", "record")
SYN = 2
SIZE = 1 << 20


def import_all() -> None:
    for name in PACKAGES:
        package = import_module(f"nfsrpc.{name}")
        for module in walk_packages(package.__path__, f"{package.__name__}."):
            import_module(module.name)
    with TemporaryDirectory() as directory:
        rehearse(directory)
    for thread in threading.enumerate():  # those that read the capture: there may be none when rights are given up
        if thread is not threading.main_thread():
            thread.join(1.0)


def rehearse(directory: str) -> None:
    watch = Watch("rehearsal", kept=terms(True))
    watch.feed(pcap.file_header(1) + pcap.record(SECOND, opening()))
    watch.close()
    ring = DiskRing(directory, SIZE, SECOND)
    ring.take(watch.decoder, all=True)
    ring.release()
    name = folder_name(SECOND, KERNEL_LOG, None)
    found = Manifest(name, "open", KERNEL_LOG, None, "rehearsal", SECOND, SECOND, SECOND)
    before = os.getcwd()
    folder.write(Job(directory, document(found), SECOND, SECOND, SIZE, [(), (), {}, None], "", True))
    os.chdir(before)


def opening() -> bytes:
    """A frame that the ring keeps: Ethernet, IPv4, TCP with a SYN."""
    host = bytes([192, 0, 2, 1])  # of documentation (RFC 5737)
    ip = struct.pack(">BBHHHBBH", 0x45, 0, 40, 0, 0, 64, 6, 0) + host + host
    return bytes(12) + b"\x08\x00" + ip + struct.pack(">HHIIBBHHH", 1, 2, 0, 0, 0x50, SYN, 0, 0, 0)
