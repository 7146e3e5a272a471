"""Commands that several rules advise: to start services, to look at them, to capture what is missing.

A line that is not a command is a sentence that begins with "# ", so that a block of them can be pasted into a shell.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from nfsrpc.rules.finding import Need

START_STATD = ("systemctl enable --now rpcbind rpc-statd",)
# Not rpcbind with it: restarted without -w it forgets all other services.
RESTART_STATD = ("systemctl restart rpc-statd",)
START_PORTMAPPER = ("systemctl enable --now rpcbind.socket rpcbind",)
RESTART_SERVER = ("systemctl restart nfs-server",)
# Linux cannot break the lock of one client, only all that lockd holds on one file system.
BREAK_LOCK = (
    "cat /proc/locks; lslocks   # on the server: which process or lockd holds the inode",
    "echo /path/of/the/export > /proc/fs/nfsd/unlock_filesystem   # on the server: drops its locks of that file system",
)

FILTERED = 6  # more clients than this are not named in a capture filter


def registered(host: str, program: str) -> str:
    """Asks a host's portmapper for a program."""
    return f"rpcinfo -p {bare(host)} | grep {program}"


def answers(host: str, prog: int, transport: str = "tcp") -> str:
    """Calls a program's NULL procedure."""
    return f"rpcinfo -{transport[0]} {bare(host)} {prog}"


def try_lock(server: str) -> str:
    return f"time flock -x /path/on/{bare(server)}/testfile true   # on a client; takes milliseconds when all is well"


def bare(host: str) -> str:
    """A host's address without the file that tells loopbacks apart."""
    return host.partition(" ")[0]


def loopback_of(host: str, clients: Iterable[str] = ()) -> Need:
    """What only the host itself can see: how its kernel asks its own portmapper and statd, and statd its resolver."""
    peers = [bare(client) for client in sorted(set(clients))]
    filters = ["host 127.0.0.1", "host ::1", *(f"host {peer}" for peer in peers), "port 53"]
    expression = " or ".join(filters) if len(peers) <= FILTERED else "not port 22"
    return Need(f"loopback of {host}", tcpdump(host, "any", expression))


def wire_of(host: str, peers: Iterable[str] = ()) -> Need:
    """All that a host sends to its peers, and they to it."""
    known = [bare(peer) for peer in sorted(set(peers))]
    expression = " or ".join(f"host {peer}" for peer in known) if 0 < len(known) <= FILTERED else "not port 22"
    return Need(f"wire of {host}, both directions", tcpdump(host, "any", expression))


def tcpdump(host: str, interface: str, expression: str) -> str:
    name = re.sub(r"[^\w.-]+", "-", bare(host)).strip("-")
    return f"tcpdump -i {interface} -s 0 -B 8192 -w {name}.pcap '{expression}'"
